//! Ending sessions: everything that follows from the end of a session.
//!
//! Sessions end by [`run::Pipeline::end`] for every cause: `session` ends them and returns each as
//! [`crate::session::record::Ended`]; the [`plan`] of its [`ending`] lists the further steps, which are run in order
//! and reported in the [`receipts`]. The [`application`]s that a session has used are asked to end their own sessions.
//! A [`request`] to a logout path leads to a [`sign_out`]; [`answer`] makes the response.

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
