//! The store in an SQLite file, for one gateway: `store = "sqlite:PATH"`.
//!
//! One thread owns the file ([`writer`]): it carries out all queued calls in one transaction, and answers them after
//! the commit is on the disk. So concurrent logouts share one sync, and answered calls survive a crash. The file is
//! locked ([`mod@file`]), because a second gateway would not learn of the ends of this one.

mod file;
mod notes;
mod records;
#[cfg(test)]
mod tests;
pub mod upkeep;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;

use self::file::OpenFile;
pub use self::file::StoreProblem;
use self::writer::StoreWriter;
use super::{
    Cursor, End, HostKey, IdleEnd, JarWrite, Note, NoteKind, Record, RecordPage, SessionStore, StoreEvent, Trust,
    Unavailable, Use,
};
use crate::values::identity::UserKey;
use crate::values::session_id::SessionKey;
use crate::values::time::WallTime;

/// A store in one file. Dropping it waits until all queued calls are done.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: StoreWriter,
}

impl SqliteStore {
    /// Opens the file, or creates it in an existing folder.
    ///
    /// # Errors
    /// [`StoreProblem`]. A file that is refused is not changed.
    pub fn open(path: &Path) -> Result<Self, StoreProblem> {
        let OpenFile { connection, lock } = file::open(path)?;
        let writer =
            StoreWriter::start(connection, lock).map_err(|error| StoreProblem::cannot(path, "be used", &error))?;
        Ok(Self { path: path.to_owned(), writer })
    }

    /// Deletes all content.
    ///
    /// # Errors
    /// [`Unavailable`]: the transaction failed, and nothing was deleted.
    pub async fn clear(&self) -> Result<(), Unavailable> {
        self.run(|file| file.execute_batch("DELETE FROM session; DELETE FROM further; DELETE FROM note")).await
    }

    /// The problem of the last call that failed, since it was last asked for.
    pub(crate) fn last_problem(&self) -> Option<StoreProblem> {
        self.writer.last_error().map(|error| StoreProblem::of(&self.path, &error))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.writer.run(work).await
    }
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn open(&self, record: Record) -> Result<(), Unavailable> {
        self.run(move |file| records::insert(file, &record)).await
    }

    async fn load(&self, key: &SessionKey) -> Result<Option<Record>, Unavailable> {
        let key = *key;
        self.run(move |file| records::load(file, &key)).await
    }

    async fn load_many(&self, keys: &[SessionKey]) -> Result<Vec<Option<Record>>, Unavailable> {
        let keys = keys.to_vec();
        self.run(move |file| keys.iter().map(|key| records::load(file, key)).collect()).await
    }

    async fn page(&self, from: Option<Cursor>, about: usize) -> Result<RecordPage, Unavailable> {
        self.run(move |file| records::page(file, from.as_ref(), about)).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), Unavailable> {
        let uses = uses.to_vec();
        self.run(move |file| uses.iter().try_for_each(|used| records::touch(file, used))).await
    }

    async fn add_key(&self, session: &SessionKey, key: HostKey) -> Result<bool, Unavailable> {
        let session = *session;
        self.run(move |file| records::add_key(file, &session, &key)).await
    }

    async fn set_jar(&self, session: &SessionKey, version: u32, jar: &[u8]) -> Result<JarWrite, Unavailable> {
        let (session, jar) = (*session, jar.to_vec());
        self.run(move |file| records::set_jar(file, &session, version, &jar)).await
    }

    async fn set_about(&self, session: &SessionKey, about: &[u8]) -> Result<bool, Unavailable> {
        let (session, about) = (*session, about.to_vec());
        self.run(move |file| records::set_about(file, &session, &about)).await
    }

    async fn end(&self, sessions: &[SessionKey]) -> Result<Vec<End>, Unavailable> {
        let sessions = sessions.to_vec();
        self.run(move |file| sessions.iter().map(|session| records::end(file, session)).collect()).await
    }

    async fn end_all_of(&self, user: &UserKey) -> Result<Vec<Record>, Unavailable> {
        let user = user.clone();
        self.run(move |file| records::end_all_of(file, &user)).await
    }

    async fn end_if_idle(&self, sessions: &[SessionKey], cut_off: WallTime) -> Result<Vec<IdleEnd>, Unavailable> {
        let sessions = sessions.to_vec();
        self.run(move |file| sessions.iter().map(|session| records::end_if_idle(file, session, cut_off)).collect())
            .await
    }

    async fn put_notes(&self, notes: &[Note]) -> Result<(), Unavailable> {
        let notes = notes.to_vec();
        self.run(move |file| notes.iter().try_for_each(|note| notes::put(file, note))).await
    }

    async fn notes(&self, kind: NoteKind, most: usize) -> Result<Vec<Note>, Unavailable> {
        self.run(move |file| notes::newest(file, kind, most)).await
    }

    async fn events(&self) -> Result<Vec<StoreEvent>, Unavailable> {
        std::future::pending().await
    }

    fn trust(&self) -> Arc<Trust> {
        Arc::new(Trust::always())
    }
}
