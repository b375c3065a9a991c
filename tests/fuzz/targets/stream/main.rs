//! The whole gateway behind its socket: the input is what a client writes. `FF FF` in it begins a further write,
//! `FF FE` a further connection, `FF FD` ends what this connection writes; the word `{session}` is the cookie of a user
//! who is signed in. Whatever is sent, six things hold:
//!
//! 1. the gateway lives: an honest request is answered afterwards;
//! 2. what the application parsed is what the access line says;
//! 3. nothing reaches a protected path without an identity;
//! 4. no header of the gateway's reaches the application that the gateway did not write, and no cookie of the gateway's
//!    a client that the application wrote;
//! 5. there is an answer or an end within the deadline;
//! 6. connections, sessions and memory are back where they were.

#![no_main]

mod answers;
mod conditions;
mod harness;
mod script;
mod upstream;

use std::sync::LazyLock;

use harness::Harness;
use script::Script;

static HOUSE: LazyLock<Harness> = LazyLock::new(Harness::open);

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    HOUSE.block_on(async {
        let session = input.windows(script::SESSION.len()).any(|word| word == script::SESSION);
        let cookie = if session { Some(HOUSE.sign_in().await) } else { None };
        let script = Script::read(input, cookie.as_deref());
        HOUSE.play(&script).await;
        HOUSE.settle().await;
        conditions::check(&HOUSE.upstream.take(), HOUSE.take_lines(), session);
        HOUSE.honest_request().await;
        HOUSE.is_at_rest().await;
    });
});
