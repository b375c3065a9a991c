//! The cookies of applications. Those that no script may read stay here, in the session, and end with it; those that
//! the browser keeps are remembered, so that a logout expires them.
//!
//! A session has one [`store::Vault`]. [`request`] makes the `Cookie` line that an application gets, [`answer`] decides
//! what becomes of each `Set-Cookie`. Both are pure: bytes and a time in, bytes and decisions out. What browsers still
//! hold of sessions that ended without them is in [`debts`].

pub(crate) mod answer;
pub(crate) mod browser_cookie;
mod changes;
pub(crate) mod debts;
mod expiry_date;
pub(crate) mod jar;
pub(crate) mod last_jar;
pub(crate) mod learned;
pub(crate) mod request;
pub mod rules;
mod saved;
mod set_cookie;
pub(crate) mod store;
