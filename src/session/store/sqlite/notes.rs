//! Notes as rows. The functions run inside a transaction of the caller.

use rusqlite::{Connection, Result, params};

use super::records::{seconds, time};
use crate::session::store::{Note, NoteKind};

/// The table of notes.
pub(super) const SCHEMA: &str = "
CREATE TABLE note (
    kind INTEGER NOT NULL,
    key BLOB NOT NULL,
    at INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT;
CREATE INDEX note_by_age ON note (kind, at);
";

pub(super) fn put(file: &Connection, Note { kind, key, at, content }: &Note) -> Result<()> {
    if content.is_empty() {
        let sql = "DELETE FROM note WHERE kind = ?1 AND key = ?2";
        return file.prepare_cached(sql)?.execute(params![*kind as u8, key]).map(drop);
    }
    let sql = "INSERT OR REPLACE INTO note (kind, key, at, content) VALUES (?1, ?2, ?3, ?4)";
    file.prepare_cached(sql)?.execute(params![*kind as u8, key, seconds(*at), content]).map(drop)
}

pub(super) fn newest(file: &Connection, kind: NoteKind, most: usize) -> Result<Vec<Note>> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let sql = "SELECT key, at, content FROM note WHERE kind = ?1 ORDER BY at DESC LIMIT ?2";
    let mut rows = file.prepare_cached(sql)?;
    rows.query_map(params![kind as u8, most], |row| {
        Ok(Note { kind, key: row.get(0)?, at: time(row.get(1)?), content: row.get(2)? })
    })?
    .collect()
}
