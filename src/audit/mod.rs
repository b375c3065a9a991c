//! What happened, for operators: one line an exchange, one line an event, on standard error.
//!
//! Lines are made by whoever knows, and written by one thread. What waits for it is bounded: a log that nobody reads
//! must not stop the gateway, so what does not fit is dropped and counted. Events have room of their own and go before
//! access lines.

mod access;
mod event;
mod line;
mod log;
mod queue;
#[cfg(test)]
mod tests;
mod timestamp;

pub(crate) use self::access::AccessLine;
pub(crate) use self::event::Event;
pub use self::log::{Format, Log, LogSettings, Messages};
