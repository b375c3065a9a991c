//! From a session to nothing, everywhere.
//!
//! `session` ends a session and hands it over as [`crate::session::record::Ended`]; what is left to do is a
//! [`plan::LogoutPlan`], [`run::Pipeline`] does it and writes the receipt, and [`farewell`] is the answer to the
//! browser that asked.

pub mod answer;
pub mod plan;
pub mod reaper;
pub mod run;
pub mod settings;
