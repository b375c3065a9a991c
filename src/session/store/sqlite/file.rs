//! Opens and checks the database file, with messages for the operator if it cannot be used.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Error, ErrorCode, OpenFlags};
use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

use super::notes;
use super::records::{SCHEMA, UPGRADES, VERSION};

/// The `application_id` that marks SQLite files of this program: "Exnt".
const APPLICATION: i64 = 0x4578_6e74;

/// The timeout for a lock of another program, such as one that copies the file (`busy_timeout`).
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// The settings of the connection. With `synchronous = FULL` a commit is on the disk when it returns. The last two
/// protect against damaged and foreign files.
const USE: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA journal_size_limit = 16777216;
PRAGMA cache_size = -16384;
PRAGMA cell_size_check = ON;
PRAGMA trusted_schema = OFF;
";

/// Why a file cannot be used, as a message for the operator: what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct StoreProblem(String);

impl StoreProblem {
    pub(super) fn cannot(path: &Path, what: &str, error: &dyn fmt::Display) -> Self {
        Self(format!("the session store {} cannot {what}: {error}", path.display()))
    }

    fn with(path: &Path, what: &str, help: &str) -> Self {
        Self(format!("the session store {} {what}; {help}", path.display()))
    }

    pub(super) fn damaged(path: &Path, how: &dyn fmt::Display) -> Self {
        let aside = format!("mv {0} {0}.damaged", path.display());
        let help = format!("restore a copy of it, or start without it ({aside}), which signs everybody out");
        Self::with(path, &format!("is damaged ({how})"), &help)
    }

    /// The message for an error of SQLite.
    pub(super) fn of(path: &Path, error: &Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::damaged(path, error),
            Some(ErrorCode::DiskFull) => Self::with(path, "cannot be written: the disk is full", "make room on it"),
            Some(ErrorCode::ReadOnly) => Self::with(path, "cannot be written: it is read-only", WRITABLE),
            Some(ErrorCode::DatabaseBusy) => {
                Self::with(path, "is locked by another program", "end what reads or copies it, such as sqlite3")
            }
            Some(_) | None => Self::cannot(path, "be used", error),
        }
    }
}

const WRITABLE: &str = "the gateway's user must be able to write the file and its folder";

/// The lock of the one process that uses a file, released when it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// An open and checked file.
pub(super) struct OpenFile {
    pub(super) connection: Connection,
    pub(super) lock: Lock,
}

pub(super) fn open(path: &Path) -> Result<OpenFile, StoreProblem> {
    let lock = lock(path)?;
    // SQLite creates its own files beside it with the same mode.
    private(path).map_err(|error| StoreProblem::cannot(path, "be opened", &error))?;
    let problem = |error: Error| StoreProblem::of(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(problem)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(problem)?;
    connection.set_prepared_statement_cache_capacity(32);
    // SQLite opens a file without write permission read-only, without an error.
    if connection.is_readonly("main").map_err(problem)? {
        return Err(StoreProblem::with(path, "cannot be written: it is read-only", WRITABLE));
    }
    make(&connection).map_err(problem)?;
    check(&connection, path)?;
    upgrade(&connection).map_err(problem)?;
    connection.execute_batch(USE).map_err(problem)?;
    Ok(OpenFile { connection, lock })
}

/// Opens a file, or creates it with permissions for this user only.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn lock(path: &Path) -> Result<Lock, StoreProblem> {
    let beside = lock_file(path);
    let file = private(&beside).map_err(|error| {
        StoreProblem::with(path, &format!("cannot be locked: {}: {error}", beside.display()), WRITABLE)
    })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock { _file: file }),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreProblem::with(
            path,
            "is in use by another gateway",
            "stop that one, or give each its own state folder; a file cannot be shared",
        )),
        Err(error) => Err(StoreProblem::cannot(path, "be locked", &error)),
    }
}

/// The path of the lock file. It is a separate file, so that operators can read the database with `sqlite3`.
fn lock_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn number(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, [], |row| row.get(0))
}

/// Creates the tables in an empty file.
fn make(connection: &Connection) -> rusqlite::Result<()> {
    if number(connection, "SELECT count(*) FROM sqlite_schema")? > 0
        || number(connection, "PRAGMA application_id")? != 0
    {
        return Ok(());
    }
    let numbers = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};");
    connection.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} {} {numbers} COMMIT;", notes::SCHEMA))
}

/// Migrates the tables of an earlier version step by step.
fn upgrade(connection: &Connection) -> rusqlite::Result<()> {
    for (form, change) in (1..).zip(UPGRADES) {
        if number(connection, "PRAGMA user_version")? == form {
            let next = form + 1;
            connection.execute_batch(&format!("BEGIN IMMEDIATE; {change}; PRAGMA user_version = {next}; COMMIT;"))?;
        }
    }
    Ok(())
}

/// Refuses files of other programs and of later versions.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreProblem> {
    let problem = |error: Error| StoreProblem::of(path, &error);
    let application = number(connection, "PRAGMA application_id").map_err(problem)?;
    let version = number(connection, "PRAGMA user_version").map_err(problem)?;
    match (application, version) {
        (APPLICATION, 1..=VERSION) => Ok(()),
        (APPLICATION, later) if later > VERSION => Err(StoreProblem::with(
            path,
            &format!("was written by a later version of Exeunt (form {later}, this version reads {VERSION})"),
            "start that version, or name another file, which signs everybody out",
        )),
        _ => Err(StoreProblem::with(path, "is a file of another program", "name another file in session.store")),
    }
}
