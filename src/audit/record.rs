//! An event for the audit targets: one JSON object with the fields of the log line, an id and the complete receipt.

use bytes::Bytes;
use data_encoding::BASE32_NOPAD;

use super::event::Event;
use super::line::{LogLine, key};
use crate::values::time::WallTime;

/// One event, serialised for the targets.
#[derive(Clone, Debug)]
pub(super) struct AuditRecord {
    /// The id of the event, by which a receiver recognises a repeated delivery.
    pub(super) id: String,
    /// The JSON object, without a line end.
    pub(super) json: Bytes,
    /// Whether unauthenticated clients can cause any number of such events.
    pub(super) is_unauthenticated: bool,
}

impl AuditRecord {
    /// Serialises an event; `None` for [`Event::LikelyProxy`], a hint for operators that belongs into the log only.
    pub(super) fn of(event: &Event<'_>, at: WallTime) -> Option<Self> {
        if matches!(event, Event::LikelyProxy { .. }) {
            return None;
        }
        let id = new_id();
        let mut json = Vec::with_capacity(512);
        let mut line = LogLine::begin(&mut json, true);
        event.write_fields(at, &mut line);
        line.word(key!("id"), &id);
        if let Event::Ended { receipt, .. } = event {
            line.json(key!("receipt"), receipt);
        }
        line.end();
        json.pop();
        Some(Self { id, json: json.into(), is_unauthenticated: event.is_unauthenticated() })
    }
}

/// 128 random bits as 26 characters of base32.
fn new_id() -> String {
    let mut bytes = [0; 16];
    // If the system's random source fails, the event is still delivered, with an id that may not be unique.
    let _ = getrandom::fill(&mut bytes);
    BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
}
