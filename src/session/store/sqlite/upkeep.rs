//! Operations for operators: check the file, and reduce its size.

use std::path::Path;

use rusqlite::{Connection, Error, OpenFlags};

use super::file::{self, StoreProblem};

/// The content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The number of sessions.
    pub sessions: u64,
    /// The number of their users.
    pub users: u64,
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// Checks the integrity of the file, also while a gateway uses it. Nothing is changed.
///
/// # Errors
/// [`StoreProblem`]: the file is damaged, or not a session store.
pub fn check(path: &Path) -> Result<Contents, StoreProblem> {
    let problem = |error: Error| StoreProblem::of(path, &error);
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(problem)?;
    file::check(&connection, path)?;
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(problem)?;
    if verdict != "ok" {
        return Err(StoreProblem::damaged(path, &verdict));
    }
    contents(&connection).map_err(problem)
}

fn contents(connection: &Connection) -> rusqlite::Result<Contents> {
    let number = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .map(|number| u64::try_from(number).unwrap_or_default())
    };
    Ok(Contents {
        sessions: number("SELECT count(*) FROM session")?,
        users: number("SELECT count(*) FROM (SELECT DISTINCT source, subject FROM session)")?,
        bytes: number("PRAGMA page_count")? * number("PRAGMA page_size")?,
    })
}

/// Returns the unused space of the file to the file system (`VACUUM`), while no gateway uses it. Returns its content.
///
/// # Errors
/// [`StoreProblem`]: the file cannot be used, or a gateway uses it.
pub(crate) fn vacuum(path: &Path) -> Result<Contents, StoreProblem> {
    // First, since opening would create a missing file.
    check(path)?;
    let opened = file::open(path)?;
    let problem = |error: Error| StoreProblem::of(path, &error);
    opened.connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").map_err(problem)?;
    contents(&opened.connection).map_err(problem)
}
