//! The settings of the log: the format, and whether access lines are written.

use std::sync::atomic::{AtomicU8, Ordering};

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `key=value`.
    #[default]
    Text,
    /// One JSON object for each line.
    Json,
    /// Access lines in the combined log format, events as text.
    Combined,
}

/// The settings of `[log]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The format.
    pub format: Format,
    /// Whether access lines are written. Events always are.
    pub access: bool,
}

/// The current settings in one byte: a reload changes them while other threads write lines.
#[derive(Debug)]
pub(super) struct CurrentSettings(AtomicU8);

const ACCESS: u8 = 1;
const JSON: u8 = 2;
const COMBINED: u8 = 4;

impl CurrentSettings {
    pub(super) fn new(settings: LogSettings) -> Self {
        Self(AtomicU8::new(Self::byte(settings)))
    }

    fn byte(settings: LogSettings) -> u8 {
        let format = match settings.format {
            Format::Text => 0,
            Format::Json => JSON,
            Format::Combined => COMBINED,
        };
        format | if settings.access { ACCESS } else { 0 }
    }

    /// Replaces the settings.
    pub(super) fn set(&self, settings: LogSettings) {
        self.0.store(Self::byte(settings), Ordering::Relaxed);
    }

    /// The current settings. The byte guards no other memory, so `Relaxed` is enough.
    pub(super) fn get(&self) -> LogSettings {
        let byte = self.0.load(Ordering::Relaxed);
        let format = match byte & (JSON | COMBINED) {
            JSON => Format::Json,
            COMBINED => Format::Combined,
            _ => Format::Text,
        };
        LogSettings { format, access: byte & ACCESS != 0 }
    }
}
