//! From a session to nothing, everywhere.
//!
//! Whatever the cause, sessions end by [`run::Pipeline::end`]: `session` ends them and hands each over as
//! [`crate::session::record::Ended`]; what is left to do is the [`plan`] of its [`ending`], carried out step by step
//! and told by the [`receipts`]. [`answer`] is the answer to the browser that asked.

pub(crate) mod answer;
pub(crate) mod ending;
pub(crate) mod plan;
pub(crate) mod reaper;
pub(crate) mod receipts;
pub mod run;
pub mod settings;
