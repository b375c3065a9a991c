//! An event as the audit targets get it: one JSON object with the fields of the log line, an id and the whole receipt.

use bytes::Bytes;
use data_encoding::BASE32_NOPAD;

use super::event::Event;
use super::line::{LogLine, key};
use crate::values::time::WallTime;

/// One event, on its way to the targets.
#[derive(Clone, Debug)]
pub(super) struct AuditRecord {
    /// Names this event. A receiver that knows it already has got it twice.
    pub(super) id: String,
    /// The object, without the end of its line.
    pub(super) json: Bytes,
    /// Whether unauthenticated clients can cause any number of such events.
    pub(super) is_strangers: bool,
}

impl AuditRecord {
    /// Of an event; `None` for one that says nothing about anybody.
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
        Some(Self { id, json: json.into(), is_strangers: event.is_strangers() })
    }
}

/// 26 letters and digits: 128 random bits.
fn new_id() -> String {
    let mut bytes = [0; 16];
    // Without random bytes the event is still told, and two may have one id.
    let _ = getrandom::fill(&mut bytes);
    BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
}
