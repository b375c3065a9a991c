//! The log on standard error, with one line for each exchange and each event, and the audit targets of events.
//!
//! Lines are formatted by the caller and written by one thread. Its queues are bounded: a log that is not read must not
//! block the gateway, so lines that do not fit are dropped and counted. Events have a separate queue and are written
//! before access lines.
//!
//! Events also go to the [`targets`] of `[audit]`. Each has its own thread and bounded queue, so that a full disk or a
//! slow receiver does not delay a sign-in or a logout.

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
pub(crate) use self::operation::{Act, Operation, UserChangeKind};
pub(crate) use self::settings::WebhookSecrets;
pub use self::settings::{AuditSettings, FileSettings, WebhookSettings};
pub use self::targets::{AuditProblem, AuditTargets};
