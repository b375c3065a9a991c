//! # Exeunt: an authentication gateway whose logout really logs out
//!
//! An overview of the crate. Exeunt is a reverse proxy in front of any web application: it signs users in, passes
//! their identity to the application, and ends everything that belongs to a session when the user signs out.
//!
//! ## The life of a request
//!
//! 1. `proxy` accepts the connection and reads the head, strictly and under a deadline ([`http1::request_head`]): a
//!    head that is malformed or has ambiguous framing is refused here. No other code parses the head.
//! 2. `gateway::receive` turns the head into [`admission::facts::RequestFacts`]. An ambiguous target or an unknown host
//!    is refused here.
//! 3. It answers the gateway's own pages; for other targets it finds the route and the session, registers the request
//!    with the session, then reads the session's end mark, then decides.
//! 4. *Allow* is a [`admission::permit::Permit`], *ask to sign in* and *refuse* are answers. Without a permit no
//!    request reaches an upstream, and permits are made in one place.
//! 5. `proxy` chooses an upstream from the permit and takes a pooled connection to it or opens a new one. Hop-by-hop
//!    headers are removed first, then the permit edits the head, so that a client's `Connection:` header cannot remove
//!    what the permit adds. Right before each write of the head the session's end mark is read again.
//! 6. One task relays the request to the upstream and the answer to the client (`proxy::relay`). While it runs it is
//!    registered with the session: the session's end aborts it.
//! 7. The answer's head is parsed as strictly ([`http1::answer_head`]) and written by one function, and the body is
//!    framed again; cookies under the gateway's names are removed from the answer, and private pages are kept out of
//!    caches.
//! 8. One line is written to the access log, and the registration is dropped.
//!
//! ## The order of the modules
//!
//! A module uses only modules above it in the list of declarations below; `tests/tidy` enforces it.
//! Each outside dependency is used in one module: the engine in `proxy`, the HTML templates in `pages`, the clock in
//! `values::time`. `sample` is a separate application with its own pages and uses no other module.
//!
//! ## Invariants
//!
//! 1. Once a logout has been answered, no permit is made for that session any more.
//! 2. A request reaches an upstream only with a permit. The one exception is the request that ends the application's
//!    own session: the logout call ([`logout::application`]), or the user's request to the application's logout link,
//!    which is passed on after it has ended the session.
//! 3. The target that was checked is forwarded byte for byte ([`values::target`]).
//! 4. A client cannot send the headers in which the gateway passes the identity ([`http1::header_names`]).
//! 5. A redirect is made only of a checked target ([`values::return_to`]).
//! 6. Errors fail closed.
//! 7. No secret is written anywhere; tables know a cookie by the hash of its value ([`values::session_id`]).
//! 8. Logout needs nothing: without a session it still clears cookies and ends on the same page.
//! 9. Every wait, queue, body, header and table has a limit, with a documented default.
//! 10. A request without a session creates no state that outlives it, except in tables of fixed size.
//! 11. No upstream connection carries one user's authentication to another.

// Only what the program, its tests, benches and fuzz targets use is `pub`. Everything else is `pub(crate)`, so that
// the compiler reports unused code.
#![cfg_attr(feature = "engine", deny(unreachable_pub))]
// Without the engine, much of the crate has no caller.
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
