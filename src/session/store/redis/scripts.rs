//! The scripts that the server runs, and for how long it keeps what they write.

use super::link::Code;

/// The scripts. Each begins with `common.lua`.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) begin: Code,
    pub(super) beat: Code,
    pub(super) connections: Code,
    pub(super) open: Code,
    pub(super) load: Code,
    pub(super) load_all_of: Code,
    pub(super) touch: Code,
    pub(super) add_key: Code,
    pub(super) set_jar: Code,
    pub(super) set_about: Code,
    pub(super) end: Code,
    pub(super) end_if_idle: Code,
    pub(super) end_all_of: Code,
    pub(super) scan: Code,
    pub(super) put_notes: Code,
    pub(super) notes: Code,
    pub(super) note: Code,
    pub(super) put_code: Code,
    pub(super) take_code: Code,
}

impl Scripts {
    /// The time to live of a session on the server, in milliseconds: longer than the longest configurable lifetime. It
    /// only removes sessions that no gateway has ended.
    pub(super) const TIME_TO_LIVE: u64 = 366 * 24 * 60 * 60 * 1000;
    /// The time for which the server remembers that the session with a key has ended, in milliseconds. The second of
    /// two ends waits for the event of the first one, which every gateway has read, or distrusts its table, after a
    /// minute; and a sign-in whose call is late, by seconds, must not come after its end. Nothing else writes a session
    /// that is not there, and what browsers have to delete is in notes of their own: so this need not be as long as the
    /// life of a session.
    pub(super) const REMEMBERED: u64 = 60 * 60 * 1000;

    pub(super) fn new() -> Self {
        // `kept`: the write must survive a failover, so the replicas have to confirm it. Uses of sessions and the ends
        // of idle ones need not: the gateways know them as well.
        let (script, kept) = (|text| Code::new(text, false), |text| Code::new(text, true));
        Self {
            begin: script(include_str!("begin.lua")),
            beat: script(include_str!("beat.lua")),
            connections: script(include_str!("connections.lua")),
            open: kept(include_str!("open.lua")),
            load: script(include_str!("load.lua")),
            load_all_of: script(include_str!("load_all_of.lua")),
            touch: script(include_str!("touch.lua")),
            add_key: kept(include_str!("add_key.lua")),
            set_jar: kept(include_str!("set_jar.lua")),
            set_about: kept(include_str!("set_about.lua")),
            end: kept(include_str!("end.lua")),
            end_if_idle: script(include_str!("end_if_idle.lua")),
            end_all_of: kept(include_str!("end_all_of.lua")),
            scan: script(include_str!("scan.lua")),
            put_notes: script(include_str!("put_notes.lua")),
            notes: script(include_str!("notes.lua")),
            note: script(include_str!("note.lua")),
            put_code: script(include_str!("put_code.lua")),
            take_code: kept(include_str!("take_code.lua")),
        }
    }
}
