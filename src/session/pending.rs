//! A file with the ends that the store has not confirmed, so that they survive a crash.
//!
//! It has a fixed size and is written completely when it is created, so that an end can be recorded on a full disk. An
//! entry has 48 bytes: the key, the time until which the session could be live (seconds since 1970, little endian), and
//! the first eight bytes of the SHA-256 of both. An entry with a wrong checksum is free.

use std::collections::HashMap;
#[cfg(feature = "engine")]
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use super::ended_sessions::MAX_UNKNOWN;
use crate::values::session_id::SessionKey;
use crate::values::time::WallTime;

/// The size of an entry in bytes.
const ENTRY: usize = 48;
/// The size of the file in bytes.
const SIZE: usize = MAX_UNKNOWN * ENTRY;

/// The key of an ended session, and the time at which it has expired in any case: then the end is dropped.
pub(super) type PendingEnd = (SessionKey, WallTime);

/// The open file, and an index of its entries.
#[derive(Debug)]
pub struct PendingEnds {
    file: File,
    places: Mutex<SlotIndex>,
}

#[derive(Debug, Default)]
struct SlotIndex {
    taken: HashMap<SessionKey, (usize, WallTime)>,
    free: Vec<usize>,
}

impl PendingEnds {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// The file cannot be read or written, or the disk is full.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut content = Vec::with_capacity(SIZE);
        (&file).take(SIZE as u64).read_to_end(&mut content)?;
        if content.len() < SIZE {
            file.write_all(&vec![0; SIZE - content.len()])?;
            file.sync_all()?;
            path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
            content.resize(SIZE, 0);
        }
        let mut places = SlotIndex::default();
        for (place, entry) in content.chunks_exact(ENTRY).enumerate() {
            match read(entry) {
                Some((key, until)) => _ = places.taken.insert(key, (place, until)),
                None => places.free.push(place),
            }
        }
        Ok(Self { file, places: places.into() })
    }

    /// Like [`Self::open`], with an exclusive lock on the file. For stores that do not lock out other gateways
    /// themselves.
    ///
    /// # Errors
    /// As for [`Self::open`], or another gateway uses the file.
    pub(crate) fn open_alone(path: &Path) -> io::Result<Self> {
        let ends = Self::open(path)?;
        flock(&ends.file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            io::Error::other("another gateway uses it; stop that one, or give each its own state folder")
        })?;
        Ok(ends)
    }

    /// All recorded ends.
    pub(super) fn all(&self) -> Vec<PendingEnd> {
        self.places.lock().taken.iter().map(|(key, (_, until))| (*key, *until)).collect()
    }

    /// The keys of the sessions whose ends are recorded.
    #[cfg(feature = "engine")]
    pub fn keys(&self) -> HashSet<SessionKey> {
        self.places.lock().taken.keys().copied().collect()
    }

    /// Records ends, and syncs them to the disk.
    ///
    /// # Errors
    /// The file cannot be written, or is full.
    pub(super) fn note(&self, ends: &[PendingEnd]) -> io::Result<()> {
        let mut places = self.places.lock();
        for (key, until) in ends {
            if places.taken.contains_key(key) {
                continue;
            }
            let place = places.free.pop().ok_or_else(|| io::Error::other("it is full"))?;
            places.taken.insert(*key, (place, *until));
            self.file.write_all_at(&written(key, *until), offset(place))?;
        }
        drop(places);
        self.file.sync_data()
    }

    /// Removes ends, without a sync. A crash may bring them back, which is harmless: ending a session twice has no
    /// effect.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn forget(&self, keys: &[SessionKey]) -> io::Result<()> {
        let mut places = self.places.lock();
        for key in keys {
            if let Some((place, _)) = places.taken.remove(key) {
                places.free.push(place);
                self.file.write_all_at(&[0; ENTRY], offset(place))?;
            }
        }
        Ok(())
    }
}

fn offset(place: usize) -> u64 {
    (place * ENTRY) as u64
}

fn written(key: &SessionKey, until: WallTime) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    let parts = key.as_bytes().iter().copied().chain(until.0.to_le_bytes()).chain(checksum(key, until));
    entry.iter_mut().zip(parts).for_each(|(byte, part)| *byte = part);
    entry
}

fn read(entry: &[u8]) -> Option<PendingEnd> {
    let (key, rest) = entry.split_first_chunk::<32>()?;
    let (until, sum) = rest.split_first_chunk::<8>()?;
    let (key, until) = (SessionKey::from_bytes(*key), WallTime(u64::from_le_bytes(*until)));
    (checksum(&key, until) == *sum).then_some((key, until))
}

fn checksum(key: &SessionKey, until: WallTime) -> [u8; 8] {
    let hash = Sha256::new().chain_update(key.as_bytes()).chain_update(until.0.to_le_bytes()).finalize();
    hash.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::session::store::contract::record;

    #[test]
    fn recorded_ends_survive_a_restart_and_removed_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pending");
        let (one, other) = ((record("a").name, WallTime(5)), (record("b").name, WallTime(6)));
        let ends = PendingEnds::open(&path).unwrap();
        assert!(ends.all().is_empty());
        let size = path.metadata().unwrap();
        assert_eq!(size.len(), SIZE as u64);
        assert!(size.blocks() * 512 >= size.len(), "the space is allocated when the file is created");
        ends.note(&[one, other, one]).unwrap();
        ends.note(&[one]).unwrap();
        drop(ends);
        let ends = PendingEnds::open(&path).unwrap();
        assert_eq!(ends.all().len(), 2);
        ends.forget(&[one.0, record("x").name]).unwrap();
        drop(ends);
        let ends = PendingEnds::open(&path).unwrap();
        assert_eq!(ends.all(), [other]);
        assert_eq!(path.metadata().unwrap().len(), SIZE as u64);
    }

    #[test]
    fn a_torn_entry_is_free_and_a_full_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pending");
        let ends = PendingEnds::open(&path).unwrap();
        let all: Vec<_> = (0..MAX_UNKNOWN).map(|_| (record("a").name, WallTime(5))).collect();
        ends.note(&all).unwrap();
        assert!(ends.note(&[(record("b").name, WallTime(5))]).is_err());
        drop(ends);
        let mut content = std::fs::read(&path).unwrap();
        content[10] ^= 1;
        content.truncate(SIZE - 7);
        std::fs::write(&path, content).unwrap();
        let ends = PendingEnds::open(&path).unwrap();
        assert_eq!(ends.all().len(), MAX_UNKNOWN - 2);
        ends.note(&all[..1]).unwrap();
    }
}
