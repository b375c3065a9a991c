//! Records as rows. The functions run inside a transaction of the caller.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::notes;
use crate::session::store::{Cursor, End, HostKey, IdleEnd, JarWrite, Record, RecordPage, Use};
use crate::values::identity::UserKey;
use crate::values::session_id::SessionKey;
use crate::values::time::WallTime;

type Result<T> = rusqlite::Result<T>;

/// The current version of the schema (`user_version`).
pub(super) const VERSION: i64 = 3;

/// The migrations from each version of the schema to the next, from version 1 on.
pub(super) const UPGRADES: [&str; 2] = [
    // Version 2 has the host of each key.
    "ALTER TABLE further ADD COLUMN host TEXT NOT NULL DEFAULT ''",
    notes::SCHEMA,
];
const _: () = assert!(UPGRADES.len() as i64 + 1 == VERSION);

/// The tables for sessions in a new file. `further` has the keys of further hosts.
pub(super) const SCHEMA: &str = "
CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE,
    source TEXT NOT NULL,
    subject TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    version INTEGER NOT NULL,
    about BLOB NOT NULL,
    jar BLOB NOT NULL
) STRICT;
CREATE INDEX session_by_user ON session (subject, source);
CREATE TABLE further (
    session INTEGER NOT NULL,
    number INTEGER NOT NULL,
    key BLOB NOT NULL UNIQUE,
    host TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (session, number)
) STRICT, WITHOUT ROWID;
";

const COLUMNS: &str = "id, name, source, subject, created, last_seen, version, about, jar";

/// The row id of a session.
type Id = i64;

fn id_of(file: &Connection, key: &SessionKey) -> Result<Option<Id>> {
    let sql = "SELECT id FROM session WHERE name = ?1 UNION ALL SELECT session FROM further WHERE key = ?1 LIMIT 1";
    file.prepare_cached(sql)?.query_row([key.as_bytes()], |row| row.get(0)).optional()
}

pub(super) fn insert(file: &Connection, record: &Record) -> Result<()> {
    let Record { name, further, user, created, last_seen, version, about, jar } = record;
    let sql = "INSERT INTO session (name, source, subject, created, last_seen, version, about, jar) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let (source, subject) = (&*user.source, &*user.subject);
    let (created, last_seen) = (seconds(*created), seconds(*last_seen));
    let row = params![name.as_bytes(), source, subject, created, last_seen, version, about, jar];
    file.prepare_cached(sql)?.execute(row)?;
    let id = file.last_insert_rowid();
    further.iter().try_for_each(|key| insert_key(file, id, key))
}

fn insert_key(file: &Connection, id: Id, HostKey { key, host }: &HostKey) -> Result<()> {
    let sql = "INSERT INTO further (session, number, key, host) \
               SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3 FROM further WHERE session = ?1";
    file.prepare_cached(sql)?.execute(params![id, key.as_bytes(), host]).map(drop)
}

/// Reads a key and its host from the first two columns of a row.
fn key_of(row: &Row<'_>) -> Result<HostKey> {
    Ok(HostKey { key: SessionKey::from_bytes(row.get(0)?), host: row.get_ref(1)?.as_str()?.into() })
}

pub(super) fn load(file: &Connection, key: &SessionKey) -> Result<Option<Record>> {
    match id_of(file, key)? {
        Some(id) => record(file, id).map(Some),
        None => Ok(None),
    }
}

fn record(file: &Connection, id: Id) -> Result<Record> {
    let sql = format!("SELECT {COLUMNS} FROM session WHERE id = ?1");
    let (_, mut record) = file.prepare_cached(&sql)?.query_row([id], record_of)?;
    let mut keys = file.prepare_cached("SELECT key, host FROM further WHERE session = ?1 ORDER BY number")?;
    record.further = keys.query_map([id], key_of)?.collect::<Result<_>>()?;
    Ok(record)
}

/// Reads a record without its further keys, and its row id.
fn record_of(row: &Row<'_>) -> Result<(Id, Record)> {
    let text = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?.into());
    let record = Record {
        name: SessionKey::from_bytes(row.get(1)?),
        further: Vec::new(),
        user: UserKey { source: text(2)?, subject: text(3)? },
        created: time(row.get(4)?),
        last_seen: time(row.get(5)?),
        version: row.get(6)?,
        about: row.get(7)?,
        jar: row.get(8)?,
    };
    Ok((row.get(0)?, record))
}

/// A page in the order of the row ids. The cursor is the id of the last row that was read.
pub(super) fn page(file: &Connection, from: Option<&Cursor>, about: usize) -> Result<RecordPage> {
    let after = from.and_then(|Cursor(id)| id.as_slice().try_into().ok()).map_or(Id::MIN, Id::from_be_bytes);
    let about = i64::try_from(about).unwrap_or(i64::MAX);
    let sql = format!("SELECT {COLUMNS} FROM session WHERE id > ?1 ORDER BY id LIMIT ?2");
    let mut rows = file.prepare_cached(&sql)?;
    let mut rows = rows.query_map([after, about], record_of)?.collect::<Result<Vec<_>>>()?;
    let Some(&(last, _)) = rows.last() else { return Ok(RecordPage { records: Vec::new(), next: None }) };
    let sql = "SELECT key, host, session FROM further WHERE session > ?1 AND session <= ?2 ORDER BY session, number";
    let mut keys = file.prepare_cached(sql)?;
    let mut keys = keys.query([after, last])?;
    while let Some(row) = keys.next()? {
        let session: Id = row.get(2)?;
        if let Ok(at) = rows.binary_search_by_key(&session, |(id, _)| *id)
            && let Some((_, record)) = rows.get_mut(at)
        {
            record.further.push(key_of(row)?);
        }
    }
    let records = rows.into_iter().map(|(_, record)| record).collect();
    Ok(RecordPage { records, next: Some(Cursor(last.to_be_bytes().to_vec())) })
}

pub(super) fn touch(file: &Connection, used: &Use) -> Result<()> {
    let sql = "UPDATE session SET last_seen = ?2 WHERE name = ?1 AND last_seen < ?2";
    file.prepare_cached(sql)?.execute(params![used.session.as_bytes(), seconds(used.at)]).map(drop)
}

pub(super) fn add_key(file: &Connection, session: &SessionKey, key: &HostKey) -> Result<bool> {
    let Some(id) = id_of(file, session)? else { return Ok(false) };
    file.prepare_cached("DELETE FROM further WHERE session = ?1 AND host = ?2")?.execute(params![id, key.host])?;
    insert_key(file, id, key)?;
    Ok(true)
}

pub(super) fn set_jar(file: &Connection, session: &SessionKey, version: u32, jar: &[u8]) -> Result<JarWrite> {
    let Some(id) = id_of(file, session)? else { return Ok(JarWrite::Gone) };
    let sql = "UPDATE session SET version = ?2, jar = ?3 WHERE id = ?1 AND version = ?2 - 1";
    match file.prepare_cached(sql)?.execute(params![id, version, jar])? {
        0 => Ok(JarWrite::Outdated),
        _ => Ok(JarWrite::Written),
    }
}

pub(super) fn set_about(file: &Connection, session: &SessionKey, about: &[u8]) -> Result<bool> {
    let Some(id) = id_of(file, session)? else { return Ok(false) };
    let changed = file.prepare_cached("UPDATE session SET about = ?2 WHERE id = ?1")?.execute(params![id, about])?;
    Ok(changed > 0)
}

pub(super) fn end(file: &Connection, session: &SessionKey) -> Result<End> {
    let Some(id) = id_of(file, session)? else { return Ok(End::Lost) };
    remove(file, id)?;
    Ok(End::Won)
}

fn remove(file: &Connection, id: Id) -> Result<()> {
    file.prepare_cached("DELETE FROM session WHERE id = ?1")?.execute([id])?;
    file.prepare_cached("DELETE FROM further WHERE session = ?1")?.execute([id])?;
    Ok(())
}

pub(super) fn end_all_of(file: &Connection, user: &UserKey) -> Result<Vec<Record>> {
    let mut ids = file.prepare_cached("SELECT id FROM session WHERE subject = ?1 AND source = ?2")?;
    let ids = ids.query_map([&*user.subject, &*user.source], |row| row.get(0))?.collect::<Result<Vec<Id>>>()?;
    let one = |id| {
        let removed = record(file, id)?;
        remove(file, id)?;
        Ok(removed)
    };
    ids.into_iter().map(one).collect()
}

pub(super) fn end_if_idle(file: &Connection, session: &SessionKey, cut_off: WallTime) -> Result<IdleEnd> {
    let Some(id) = id_of(file, session)? else { return Ok(IdleEnd::Ended(End::Lost)) };
    let mut last_seen = file.prepare_cached("SELECT last_seen FROM session WHERE id = ?1")?;
    let last_seen = time(last_seen.query_row([id], |row| row.get(0))?);
    if last_seen > cut_off {
        return Ok(IdleEnd::Used(last_seen));
    }
    remove(file, id)?;
    Ok(IdleEnd::Ended(End::Won))
}

pub(super) fn seconds(time: WallTime) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

pub(super) fn time(seconds: i64) -> WallTime {
    WallTime(u64::try_from(seconds).unwrap_or_default())
}
