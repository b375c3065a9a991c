//! Saves and loads the notes in the store: debts (cookies that browsers of ended sessions have to expire), and the
//! learned names of applications' `HttpOnly` cookies.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::{join, join_all};

use super::SessionTable;
use crate::session::backing::Backing;
use crate::session::record::Session;
use crate::session::store::{Note, NoteKind, Unavailable};
use crate::values::session_id::SessionKey;
use crate::vault::debts::{self, Debts, SavedDebt};
use crate::vault::learned::LearnedNames;

/// The maximum number of notes in one call.
const BATCH_SIZE: usize = 1000;
/// The maximum number of upstream pools whose learned names are loaded.
const MAX_LISTS: usize = 1000;
/// The maximum number of debts that are loaded. After a crash the store may still have a batch of settled ones.
const MAX_LOADED_DEBTS: usize = debts::MAX_DEBTS + BATCH_SIZE;

/// The learned names of each upstream pool.
pub(crate) type LearnedByPool = [(String, Arc<LearnedNames>)];

impl SessionTable {
    /// Records the debts of an ended session: the application cookies that its browser still has to expire.
    pub(super) fn leave_debts(&self, session: &Session) {
        if let Some(debts) = &self.debts {
            debts.add(&session.keys(), &session.close_vault().in_browser);
        }
    }

    /// Records the debts of sessions that may be about to end, without closing their vaults.
    pub(super) fn expect_debts(&self, sessions: &[Arc<Session>]) {
        let Some(debts) = &self.debts else { return };
        for session in sessions {
            debts.add(&session.keys(), &session.vault().map(|vault| vault.in_browser()).unwrap_or_default());
        }
    }

    /// Runs `end`, a call of the store that ends these sessions, after writing their unsaved debts, so that a crash in
    /// between loses no debt. Debts that the store does not confirm are written again later.
    pub(super) async fn ending<T>(
        &self,
        backing: &Backing,
        sessions: &[Arc<Session>],
        end: impl Future<Output = T>,
    ) -> T {
        let Some(debts) = self.debts.as_ref().filter(|debts| !debts.is_empty()) else { return end.await };
        let keys: Vec<_> = sessions.iter().flat_map(|session| session.keys()).collect();
        let unsaved = debts.take_unsaved_of(&keys);
        // Called in this order without waiting in between, so that the store can do both in one transaction.
        join(put_debts(backing, debts, &unsaved), end).await.1
    }

    /// Writes the unsaved learned names of these pools and the unsaved debts. What the store does not confirm is
    /// written again later.
    pub(crate) async fn save_notes(&self, learned: &LearnedByPool) {
        let Some(backing) = &self.backing else { return };
        for (list, names) in learned {
            let Some(content) = names.take_unsaved() else { continue };
            let key = list.as_bytes().to_vec();
            let note = Note { kind: NoteKind::Learned, key, at: backing.wall(), content };
            if backing.put_notes(&[note]).await.is_err() {
                names.note_unsaved();
                return;
            }
        }
        let Some(debts) = &self.debts else { return };
        loop {
            let unsaved = debts.take_unsaved(BATCH_SIZE);
            if unsaved.is_empty() || !put_debts(backing, debts, &unsaved).await {
                return;
            }
        }
    }

    /// Loads the debts for a key without a session: another gateway may have ended that session.
    pub(super) async fn load_debt(&self, backing: &Backing, key: &SessionKey) -> Result<(), Unavailable> {
        let Some(debts) = self.debts.as_ref().filter(|_| backing.is_shared()) else { return Ok(()) };
        let kept = backing.note(NoteKind::Debt, key.as_bytes()).await?;
        debts.restore(kept.into_iter().filter_map(|note| saved_debt(backing, note)).collect());
        Ok(())
    }

    /// Loads all debts from the store.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn load_debts(&self) -> Result<(), Unavailable> {
        let (Some(backing), Some(debts)) = (&self.backing, &self.debts) else { return Ok(()) };
        let kept = backing.notes(NoteKind::Debt, MAX_LOADED_DEBTS).await?;
        debts.restore(kept.into_iter().filter_map(|note| saved_debt(backing, note)).collect());
        Ok(())
    }

    /// Loads the names that other gateways have learned for these pools, if there are new ones.
    pub(crate) async fn load_news(&self, learned: &LearnedByPool) {
        let Some(backing) = &self.backing else { return };
        // Reset before the read, so that names learned during it are read the next time.
        if backing.has_learned.swap(false, Ordering::AcqRel) && self.load_learned(learned).await.is_err() {
            backing.has_learned.store(true, Ordering::Release);
        }
    }

    /// Loads the learned names of these pools from the store.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn load_learned(&self, learned: &LearnedByPool) -> Result<(), Unavailable> {
        let Some(backing) = &self.backing else { return Ok(()) };
        let kept = backing.notes(NoteKind::Learned, MAX_LISTS).await?;
        for (list, names) in learned {
            if let Some(note) = kept.iter().find(|note| note.key == list.as_bytes()) {
                names.restore(&note.content);
            }
        }
        Ok(())
    }
}

fn saved_debt(backing: &Backing, Note { key, at, content, .. }: Note) -> Option<SavedDebt> {
    let key = SessionKey::from_bytes(<[u8; 32]>::try_from(key).ok()?);
    Some(SavedDebt { key, at: backing.moment_of(at), content })
}

/// Writes debts to the store. Returns whether it has confirmed all of them.
async fn put_debts(backing: &Backing, debts: &Debts, unsaved: &[SavedDebt]) -> bool {
    let put = |some: &[SavedDebt]| {
        let note = |SavedDebt { key, at, content }: &SavedDebt| Note {
            kind: NoteKind::Debt,
            key: key.as_bytes().to_vec(),
            at: backing.wall_at(*at),
            content: content.clone(),
        };
        let notes: Vec<_> = some.iter().map(note).collect();
        async move { backing.put_notes(&notes).await }
    };
    let all_taken = join_all(unsaved.chunks(BATCH_SIZE).map(put)).await.iter().all(Result::is_ok);
    if !all_taken {
        debts.note_unsaved(unsaved);
    }
    all_taken
}
