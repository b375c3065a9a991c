//! From a session to nothing, everywhere.
//!
//! Whatever the cause, sessions end by [`run::Pipeline::end`]: `session` ends them and hands each over as
//! [`crate::session::record::Ended`]; what is left to do is the [`plan`] of its [`ending`], carried out step by step
//! and told by the [`receipts`]. The [`application`]s that a session has used are asked to end their own sessions. A
//! [`request`] to a logout path leads to a [`sign_out`]; [`answer`] is what its browser is told.

pub mod answer;
pub(crate) mod application;
pub(crate) mod browser_request;
pub(crate) mod call;
pub(crate) mod calls;
pub mod clearing;
pub(crate) mod client;
pub mod ending;
pub(crate) mod passed_on;
pub mod plan;
pub mod reaper;
pub mod receipts;
pub mod request;
pub mod run;
pub mod settings;
pub mod sign_out;
