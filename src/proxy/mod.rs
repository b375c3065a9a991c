//! The only place that names the engine.

pub mod dispatch;
pub mod failure;
pub mod frames;
pub mod peer;
pub mod retry;
pub mod tunnel;
