//! What happened, for operators: one line an exchange, one line an event, on standard error.
//!
//! Lines are made by whoever knows, and written by one thread. The queue between them is bounded: a log that
//! nobody reads must not stop the gateway, so what does not fit is dropped and counted.

mod access;
mod event;
mod format;
mod log;

pub use self::access::AccessLine;
pub use self::event::Event;
pub use self::log::{Format, Log, Settings};
