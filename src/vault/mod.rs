//! The vault: cookies of applications. `HttpOnly` cookies stay in the session on the gateway and end with it; other
//! cookies are passed to the browser and remembered, so that a logout expires them.
//!
//! A session has one [`store::Vault`]. [`request`] makes the `Cookie` header for the application, [`answer`] handles
//! its `Set-Cookie` headers. Both are without I/O: bytes and a time go in, bytes and decisions come out. [`debts`] are
//! the cookies that browsers still hold of sessions which ended without a request of theirs.

pub(crate) mod answer;
pub(crate) mod browser_cookie;
mod changes;
mod codec;
pub(crate) mod debts;
mod expiry_date;
pub(crate) mod jar;
pub(crate) mod last_jar;
pub(crate) mod learned;
pub(crate) mod request;
pub mod rules;
mod set_cookie;
pub(crate) mod store;
