//! The only place that names the engine.

pub mod dial;
pub mod dispatch;
pub mod failure;
pub mod frames;
pub mod peer;
pub mod retry;
pub mod tunnel;
pub mod websocket;
