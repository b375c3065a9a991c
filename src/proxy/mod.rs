//! The only place that names the engine.

pub mod frames;
pub mod tunnel;
