//! The conversion of records to and from the arguments and answers of scripts.

use std::fmt::Write;

use data_encoding::BASE64URL_NOPAD;
use redis::{FromRedisValue, ParsingError, Value};

use crate::session::store::{HostKey, Record};
use crate::values::identity::UserKey;
use crate::values::session_id::SessionKey;
use crate::values::time::WallTime;

/// A session key in base64url, as in the names of the server's keys.
pub(super) fn encoded_key(key: &SessionKey) -> String {
    BASE64URL_NOPAD.encode(key.as_bytes())
}

pub(super) fn key(word: &str) -> Option<SessionKey> {
    let bytes = BASE64URL_NOPAD.decode(word.as_bytes()).ok()?;
    Some(SessionKey::from_bytes(bytes.try_into().ok()?))
}

/// A user as in the names of the server's keys. The name of a source contains no NUL.
pub(super) fn user(UserKey { source, subject }: &UserKey) -> String {
    format!("{source}\0{subject}")
}

/// The keys of further hosts, one on each line.
pub(super) fn lines(further: &[HostKey]) -> String {
    further.iter().fold(String::new(), |mut lines, HostKey { key, host }| {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{} {host}", encoded_key(key));
        lines
    })
}

fn further(lines: &str) -> Option<Vec<HostKey>> {
    let one = |line: &str| {
        let (word, host) = line.split_once(' ')?;
        Some(HostKey { key: key(word)?, host: host.into() })
    };
    lines.lines().map(one).collect()
}

/// A record in the answer of a script.
pub(super) struct RecordReply(pub(super) Record);

type RecordFields = (String, String, u64, u64, u32, Vec<u8>, Vec<u8>, String);

impl FromRedisValue for RecordReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (name, user, created, last_seen, version, about, jar, lines): RecordFields =
            redis::from_redis_value(value)?;
        let read = || {
            let (source, subject) = user.split_once('\0')?;
            Some(Record {
                name: key(&name)?,
                further: further(&lines)?,
                user: UserKey { source: source.into(), subject: subject.into() },
                created: WallTime(created),
                last_seen: WallTime(last_seen),
                version,
                about,
                jar,
            })
        };
        read().map(Self).ok_or_else(|| "a session record in the store is not readable".into())
    }
}
