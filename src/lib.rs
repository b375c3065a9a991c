//! # Exeunt: an authentication gateway whose logout really logs out
//!
//! This page is the map. Exeunt is a reverse proxy in front of any web application: it signs people in, tells the
//! application who they are, and, when they sign out, makes sure they are out.
//!
//! ## The life of a request
//!
//! 1. `proxy` accepts the connection and reads the head, strictly and under a deadline ([`http1::request_head`]): what
//!    is no request, or has no single framing, is answered here. Nobody reads the head again.
//! 2. `gateway::receive` turns the head into [`admission::facts::RequestFacts`]. An odd target or host goes no further.
//! 3. One step a line: is it a page of our own? which route covers it? whose session is it? register with the
//!    session, then read its end mark; decide.
//! 4. *Allow* is a [`admission::permit::Permit`], *ask to sign in* and *refuse* are answers. Without a permit no
//!    request reaches an upstream, and permits are made in one place.
//! 5. `proxy` chooses an upstream from the permit and takes a connection to it, a kept one or a new one. The lines that
//!    concern the client's connection alone go first, then the permit edits the head, so that a client's `Connection:`
//!    line undoes nothing. Right before each write of the head the session's end mark is read again.
//! 6. One task moves the request up and the answer down (`proxy::relay`). While it runs it is registered with the
//!    session: the session's end cuts it.
//! 7. On the way back the head is read as strictly ([`http1::answer_head`]), let out by one function, and the body is
//!    framed anew; cookies of ours are removed from the answer and private pages are kept out of caches.
//! 8. One access line; the registration is dropped.
//!
//! ## The order of the modules
//!
//! A module names only modules above it in the list at the end of this page; `tests/tidy.rs` reads that list.
//! A crate that reaches the outside has one home: the engine in `proxy`, the gateway's HTML in `pages`, the clock
//! in `values::time`. `sample` is an application of its own, with its own pages, and knows nothing of the rest.
//! Parts that come with later versions have their place in the list of the design: jwt before pages.
//!
//! ## What always holds
//!
//! 1. Once a logout has been answered, no permit is made for that session any more.
//! 2. A request reaches an upstream only with a permit; the logout call of an ended session is the one exception
//!    ([`logout::application`]), or in its place the request to the application's own link that ended it.
//! 3. The bytes that were judged are the bytes that are forwarded ([`values::target`]).
//! 4. No client header speaks for the gateway ([`http1::header_names`]).
//! 5. A redirect is made only of a checked target ([`values::return_to`]).
//! 6. Errors fail closed.
//! 7. No secret is written anywhere; tables know a cookie by the hash of its value ([`values::session_id`]).
//! 8. Logout needs nothing: without a session it still clears cookies and ends on the same page.
//! 9. Every wait, queue, body, header and table has a limit, with a documented default.
//! 10. A stranger's request leaves nothing behind.
//! 11. No upstream connection carries one user's authentication to another.

// What is `pub` is what the program, its tests, benches and fuzz targets use. All else is `pub(crate)`, so that the
// compiler finds what nobody uses any more.
#![cfg_attr(feature = "engine", deny(unreachable_pub))]
// Without the engine half of the crate has no caller.
#![cfg_attr(
    not(feature = "engine"),
    allow(dead_code, unused_imports, reason = "the parts that call them need the engine")
)]

pub mod values;

pub mod http1;

pub mod metrics;

mod state;

mod outbound;

pub mod audit;

mod throttle;

pub mod pages;

pub mod vault;

pub mod routes;

pub mod session;

pub mod credentials;

pub mod admission;

pub mod logout;

pub mod login;

pub mod gateway;

#[cfg(feature = "engine")]
pub mod proxy;

#[cfg(feature = "engine")]
pub mod admin;

#[cfg(feature = "engine")]
pub mod config;

#[cfg(feature = "engine")]
pub mod sample;

#[cfg(feature = "engine")]
pub mod service;

#[cfg(feature = "engine")]
pub mod cli;
