//! What happened, for operators: one line an exchange, one line an event, on standard error.
//!
//! Lines are formatted where the facts are known, and written by one thread. Its queues are bounded: a log that is not
//! read must not stop the gateway, so lines that do not fit are dropped and counted. Events have a queue of their own
//! and go before access lines.
//!
//! Events go to the [`targets`] of `[audit]` as well, each by a thread of its own with a bounded queue: no full disk
//! and no slow receiver delays a sign-in or a logout.

mod access;
mod event;
mod file;
mod file_writer;
mod line;
mod log;
mod log_settings;
mod operation;
mod outbox;
mod queue;
mod record;
mod settings;
mod targets;
#[cfg(test)]
mod targets_tests;
#[cfg(test)]
mod tests;
mod timestamp;
mod webhook;

pub(crate) use self::access::AccessLine;
pub(crate) use self::event::Event;
pub use self::log::{Log, Messages};
pub use self::log_settings::{Format, LogSettings};
pub(crate) use self::operation::{Act, Operation, UserChange};
pub(crate) use self::settings::WebhookSecrets;
pub use self::settings::{AuditSettings, FileSettings, WebhookSettings};
pub use self::targets::{AuditProblem, AuditTargets};
