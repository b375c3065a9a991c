//! Copies the content of one store into another, while no gateway uses either of them.

use std::collections::HashSet;

use futures_util::future::join_all;

use super::{Cursor, NoteKind, SessionStore, Unavailable};
use crate::values::session_id::SessionKey;

/// The number of sessions in a page, which are written concurrently so that stores can batch them.
const BATCH_SIZE: usize = 1000;

/// The result of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// The number of copied sessions.
    pub sessions: usize,
    /// The number of sessions that were left out because they have ended: the source has not confirmed their end, or
    /// the target knows of it.
    pub over: usize,
    /// The number of copied notes: cookies to expire in browsers, and learned names of cookies.
    pub notes: usize,
}

/// Which store failed. The target keeps what was copied before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFailed {
    /// The source.
    Reading,
    /// The target.
    Writing,
}

/// Copies everything except the sessions with the keys in `ended`, whose ends the source has not confirmed. `progress`
/// is called after each page with the number of sessions copied so far.
///
/// # Errors
/// [`CopyFailed`]
pub async fn copy(
    from: &dyn SessionStore,
    to: &dyn SessionStore,
    ended: &HashSet<SessionKey>,
    mut progress: impl FnMut(usize),
) -> Result<Copied, CopyFailed> {
    let mut copied = Copied { notes: copy_notes(from, to).await?, ..Copied::default() };
    // A store may return a session twice. The set grows to the number of sessions in the store.
    let mut seen = HashSet::new();
    let mut at = None;
    loop {
        let page = from.page(at, BATCH_SIZE).await.map_err(|Unavailable| CopyFailed::Reading)?;
        let mut kept = Vec::with_capacity(page.records.len());
        for record in page.records.into_iter().filter(|record| seen.insert(record.name)) {
            if record.keys().any(|key| ended.contains(key)) {
                copied.over += 1;
            } else {
                kept.push(to.take_over(record));
            }
        }
        for taken in join_all(kept).await {
            match taken.map_err(|Unavailable| CopyFailed::Writing)? {
                true => copied.sessions += 1,
                false => copied.over += 1,
            }
        }
        progress(copied.sessions);
        at = page.next;
        if at.is_none() {
            return Ok(copied);
        }
    }
}

async fn copy_notes(from: &dyn SessionStore, to: &dyn SessionStore) -> Result<usize, CopyFailed> {
    let mut copied = 0;
    for kind in NoteKind::ALL {
        let notes = from.notes(kind, usize::MAX).await.map_err(|Unavailable| CopyFailed::Reading)?;
        for notes in notes.chunks(BATCH_SIZE) {
            to.put_notes(notes).await.map_err(|Unavailable| CopyFailed::Writing)?;
        }
        copied += notes.len();
    }
    Ok(copied)
}

/// Whether a store has no session.
///
/// # Errors
/// The store does not answer.
pub async fn is_empty(store: &dyn SessionStore) -> Result<bool, Unavailable> {
    let mut at: Option<Cursor> = None;
    loop {
        let page = store.page(at, BATCH_SIZE).await?;
        if !page.records.is_empty() {
            return Ok(false);
        }
        at = page.next;
        if at.is_none() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::store::contract::{further, record};
    use crate::session::store::memory::MemoryStore;
    use crate::session::store::{HostKey, Note, Record};
    use crate::values::time::WallTime;

    fn note(kind: NoteKind, key: u8) -> Note {
        Note { kind, key: vec![key], at: WallTime(5), content: vec![1] }
    }

    #[tokio::test]
    async fn everything_except_ended_sessions_is_copied() {
        let (from, to) = (MemoryStore::new(), MemoryStore::new());
        assert_eq!(is_empty(&to).await, Ok(true));
        let mut kept = Vec::new();
        for number in 0..2500_u32 {
            let record = Record { version: number, jar: vec![7; 3], ..record(&number.to_string()) };
            from.open(record.clone()).await.unwrap();
            kept.push(record);
        }
        let shop: HostKey = further("shop.test");
        let ends = [kept.pop().unwrap().name, shop.key];
        from.add_key(&kept.pop().unwrap().name, shop).await.unwrap();
        from.put_notes(&[note(NoteKind::Debt, 1), note(NoteKind::Learned, 2)]).await.unwrap();
        let mut told = Vec::new();
        let copied = copy(&from, &to, &HashSet::from(ends), |sessions| told.push(sessions)).await;
        assert_eq!(copied, Ok(Copied { sessions: 2498, over: 2, notes: 2 }));
        assert!(told.len() >= 3 && told.last() == Some(&2498), "{told:?}");
        for record in &kept {
            assert_eq!(to.load(&record.name).await, Ok(Some(record.clone())));
        }
        assert_eq!(to.load(&ends[0]).await, Ok(None));
        assert_eq!(to.notes(NoteKind::Debt, 9).await, Ok(vec![note(NoteKind::Debt, 1)]));
        assert_eq!(to.notes(NoteKind::Learned, 9).await, Ok(vec![note(NoteKind::Learned, 2)]));
        assert_eq!(is_empty(&to).await, Ok(false));
    }
}
