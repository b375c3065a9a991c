//! What happened, for operators: one line an exchange, one line an event, on standard error.
//!
//! Lines are formatted where the facts are known, and written by one thread. Its queues are bounded: a log that is not
//! read must not stop the gateway, so lines that do not fit are dropped and counted. Events have a queue of their own
//! and go before access lines.

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
