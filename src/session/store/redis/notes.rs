//! Shared data besides sessions: notes, and the codes by which sessions are handed over to another host.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;

use super::RedisState;
use crate::session::store::{Note, NoteKind, Unavailable};
use crate::values::time::WallTime;

/// The maximum number of notes of one kind. The oldest are removed.
const MAX_NOTES: usize = 20_000;
/// The maximum number of notes in one call of a script, which blocks the server while it runs.
const BATCH_SIZE: usize = 500;

/// The key, the time and the content of a note.
type NoteFields = (Vec<u8>, u64, Vec<u8>);

fn note(kind: NoteKind, (key, at, content): NoteFields) -> Note {
    Note { kind, key, at: WallTime(at), content }
}

impl RedisState {
    pub(super) async fn put_notes(&self, notes: &[Note]) -> Result<(), Unavailable> {
        for kind in [NoteKind::Debt, NoteKind::Learned] {
            let of_kind: Vec<_> = notes.iter().filter(|note| note.kind == kind).collect();
            for some in of_kind.chunks(BATCH_SIZE) {
                let arguments = |call: &mut redis::ScriptInvocation<'_>| {
                    call.arg(self.peers.own_name()).arg(kind as u8).arg(MAX_NOTES);
                    some.iter().for_each(|note| _ = call.arg(note.at.0).arg(&*note.key).arg(&*note.content));
                };
                let _: String = self.link.call(&self.scripts.put_notes, arguments).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn notes(&self, kind: NoteKind, most: usize) -> Result<Vec<Note>, Unavailable> {
        let mut notes = Vec::new();
        while notes.len() < most {
            let wanted = BATCH_SIZE.min(most - notes.len());
            let arguments =
                |call: &mut redis::ScriptInvocation<'_>| _ = call.arg(kind as u8).arg(notes.len()).arg(wanted);
            let some: Vec<NoteFields> = self.link.call(&self.scripts.notes, arguments).await?;
            let is_last = some.len() < wanted;
            notes.extend(some.into_iter().map(|kept| note(kind, kept)));
            if is_last {
                break;
            }
        }
        Ok(notes)
    }

    pub(super) async fn note(&self, kind: NoteKind, key: &[u8]) -> Result<Option<Note>, Unavailable> {
        let arguments = |call: &mut redis::ScriptInvocation<'_>| _ = call.arg(kind as u8).arg(key);
        let found: Vec<NoteFields> = self.link.call(&self.scripts.note, arguments).await?;
        Ok(found.into_iter().next().map(|kept| note(kind, kept)))
    }

    pub(super) async fn put_code(&self, code: &[u8; 32], content: &[u8], life: Duration) -> Result<(), Unavailable> {
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        let arguments = |call: &mut redis::ScriptInvocation<'_>| _ = call.arg(name(code)).arg(content).arg(life);
        let _: u8 = self.link.call(&self.scripts.put_code, arguments).await?;
        Ok(())
    }

    pub(super) async fn take_code(&self, code: &[u8; 32]) -> Result<Option<Vec<u8>>, Unavailable> {
        let arguments = |call: &mut redis::ScriptInvocation<'_>| _ = call.arg(name(code));
        let content: Vec<u8> = self.link.call(&self.scripts.take_code, arguments).await?;
        Ok(Some(content).filter(|content| !content.is_empty()))
    }
}

fn name(code: &[u8; 32]) -> String {
    BASE64URL_NOPAD.encode(code)
}
