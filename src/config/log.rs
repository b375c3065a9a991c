//! `[log]`: the log's format, and whether it has access lines.

use crate::audit::{Format, LogSettings};

use super::raw::RawTable;
use super::schema;

/// Reads the table.
pub(crate) fn read(file: &RawTable<'_>) -> LogSettings {
    const FORMATS: [(&str, Format); 3] =
        [("text", Format::Text), ("json", Format::Json), ("combined", Format::Combined)];
    let table = file.table("log", &schema::LOG);
    LogSettings {
        format: table.item("format").and_then(|item| item.word(&FORMATS)).unwrap_or_default(),
        access: table.item("access").and_then(|item| item.switch()).unwrap_or(true),
    }
}
