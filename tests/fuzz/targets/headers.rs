//! Header names: no spelling of a name of the gateway's is forwarded, however an application folds it. Each line of
//! the input is a name; beside it, every owned name is tried in the spelling that the input's bytes choose.

#![no_main]

use std::sync::LazyLock;

use exeunt::http1::header_names::OwnHeaders;
use exeunt::http1::removed_headers::FAMILIES;
use http::HeaderName;

static OWN: LazyLock<OwnHeaders> = LazyLock::new(|| OwnHeaders::new([HeaderName::from_static("x-webauth-user")]));

/// What is never believed from a client, as an application under CGI sees it.
const OWNED: [&str; 18] = [
    "X_WEBAUTH_USER", "X_FORWARDED_USER", "X_FORWARDED_FOR", "X_FORWARDED_HOST", "X_FORWARDED_EMAIL", "REMOTE_USER",
    "REMOTE_GROUPS", "X_EXEUNT_ASSERTION", "FORWARDED", "X_REAL_IP", "X_ORIGINAL_URL", "X_ORIGINAL_HOST", "PROXY",
    "X_SSL_CLIENT_CERT", "X_WEBAUTH_EMAIL", "X_REMOTE_GROUP", "CF_ACCESS_TOKEN", "TAILSCALE_USER_LOGIN",
];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    for line in input.split(|&byte| byte == b'\n').take(16) {
        let Ok(name) = HeaderName::from_bytes(line) else { continue };
        if !OWN.claims(name.as_ref()) {
            passes(&name);
        }
    }
    for owned in OWNED {
        let Ok(name) = HeaderName::from_bytes(&spelled(owned, input)) else { continue };
        assert!(OWN.claims(name.as_ref()), "{name} is {owned}");
    }
});

/// A name that passes stays the same however it is folded, and is not one of the gateway's.
fn passes(name: &HeaderName) {
    let plain = name.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    assert!(plain, "{name}");
    let folded = name.as_str().to_ascii_uppercase().replace('-', "_");
    for seen in [folded.as_str(), folded.trim_start_matches("HTTP_")] {
        assert!(!OWNED.contains(&seen), "{name}");
        let mut families = FAMILIES.iter().map(|family| family.to_ascii_uppercase().replace('-', "_"));
        assert!(!families.any(|family| seen.starts_with(&family)), "{name}");
    }
}

/// The name with the case and the separators that these bytes choose, perhaps behind `HTTP_`.
fn spelled(owned: &str, bytes: &[u8]) -> Vec<u8> {
    const BETWEEN: [&str; 8] = ["-", "_", ".", "--", "~", "_-", "!", "'"];
    let mut choices = bytes.iter().copied().cycle().take(if bytes.is_empty() { 0 } else { usize::MAX });
    let mut choose = |from: usize| usize::from(choices.next().unwrap_or_default()) % from;
    let mut name = ["", "", "HTTP_", "http-", "-"][choose(5)].as_bytes().to_vec();
    for letter in owned.chars() {
        match letter {
            '_' => name.extend(BETWEEN[choose(BETWEEN.len())].bytes()),
            letter if choose(2) == 0 => name.push(u8::try_from(letter.to_ascii_lowercase()).unwrap()),
            letter => name.push(u8::try_from(letter).unwrap()),
        }
    }
    name.extend(["", "", "", "-", "_"][choose(5)].bytes());
    name
}
