//! The server, driven by clients that speak raw bytes.

mod app;
pub mod client;
mod deadlines;
mod endings;
mod exchanges;
mod exhaustion;
mod upgrades;
