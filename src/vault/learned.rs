//! The learned names of `HttpOnly` cookies of the applications in an upstream pool. A browser must not choose their
//! values. A store keeps the names over a restart.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::browser_cookie::BrowserCookie;
use super::codec::{Decoder, Encoder};

/// The maximum number of names of one pool.
const MAX_LEARNED: usize = 256;
/// The maximum length of a name in bytes. Longer names are not learned.
const MAX_NAME_LENGTH: usize = 256;
/// The maximum length of a path in bytes. A longer one is replaced by the root.
const MAX_PATH_LENGTH: usize = 512;

/// The names, each with the path of the cookie in a browser.
#[derive(Debug, Default)]
pub(crate) struct LearnedNames {
    /// A filter with a bit for the hash of every name, so that most lookups of other names need no lock.
    seen: AtomicU64,
    /// Sorted: with few names a search is faster than hashing.
    paths: Mutex<BTreeMap<Box<[u8]>, Box<[u8]>>>,
    /// Whether some names are not in the store.
    unsaved: AtomicBool,
}

impl LearnedNames {
    /// Learns a name. Beyond the maximum, names are not learned, and a browser's cookies with them pass as without a
    /// vault.
    pub(super) fn note(&self, name: &[u8], path: &[u8]) {
        if name.len() > MAX_NAME_LENGTH {
            return;
        }
        let path = if path.len() > MAX_PATH_LENGTH { b"/" } else { path };
        let mut paths = self.paths.lock();
        if let Some(known) = paths.get_mut(name) {
            if **known == *path {
                return;
            }
            *known = path.into();
        } else if paths.len() < MAX_LEARNED {
            paths.insert(name.into(), path.into());
            self.seen.fetch_or(bit(name), Ordering::Release);
        } else {
            return;
        }
        self.unsaved.store(true, Ordering::Release);
    }

    /// All names serialised, if some are not in the store. They count as saved from now on, unless
    /// [`LearnedNames::note_unsaved`] is called.
    pub(crate) fn take_unsaved(&self) -> Option<Vec<u8>> {
        // Reset before the names are read, so that names learned meanwhile are saved the next time.
        if !self.unsaved.swap(false, Ordering::AcqRel) {
            return None;
        }
        let paths = self.paths.lock();
        let mut to = Encoder::new();
        to.put_number(paths.len() as u64);
        paths.iter().flat_map(|(name, path)| [name, path]).for_each(|bytes| to.put_bytes(bytes));
        Some(to.into_bytes().to_vec())
    }

    /// Records that the store has not confirmed the names.
    pub(crate) fn note_unsaved(&self) {
        self.unsaved.store(true, Ordering::Release);
    }

    /// Adds the names of a store. Data that cannot be parsed is ignored, since the names are learned again. Names that
    /// the store does not have, because another gateway has written meanwhile, count as unsaved.
    pub(crate) fn restore(&self, saved: &[u8]) {
        let pair = |from: &mut Decoder<'_>| Some((Box::<[u8]>::from(from.bytes()?), Box::<[u8]>::from(from.bytes()?)));
        let kept = Decoder::new(saved).and_then(|mut from| from.list(pair)).unwrap_or_default();
        let mut paths = self.paths.lock();
        let is_kept = |name: &[u8]| kept.iter().any(|(other, _)| **other == *name);
        // Not if the stored list is full: two gateways with different full lists would overwrite each other forever.
        if kept.len() < MAX_LEARNED && !paths.keys().all(|name| is_kept(name)) {
            self.unsaved.store(true, Ordering::Release);
        }
        for (name, path) in kept {
            if paths.len() < MAX_LEARNED {
                self.seen.fetch_or(bit(&name), Ordering::Release);
                paths.entry(name).or_insert(path);
            }
        }
    }

    /// Whether no names were learned.
    pub(crate) fn is_empty(&self) -> bool {
        self.seen.load(Ordering::Acquire) == 0
    }

    /// The cookies with learned names that a browser may hold: those in its request, and those whose path is not the
    /// root, which it does not send with every request.
    pub(crate) fn held_by(&self, shows: impl Fn(&[u8]) -> bool) -> Vec<BrowserCookie> {
        if self.is_empty() {
            return Vec::new();
        }
        let paths = self.paths.lock();
        let held = paths.iter().filter(|(name, path)| ***path != *b"/" || shows(name));
        held.map(|(name, path)| BrowserCookie::of_host(name, path)).collect()
    }

    /// The path of a name; `None` if it was not learned.
    pub(super) fn path_of(&self, name: &[u8]) -> Option<Box<[u8]>> {
        let may_be = self.seen.load(Ordering::Acquire) & bit(name) != 0;
        if may_be { self.paths.lock().get(name).cloned() } else { None }
    }
}

/// One of 64 bits by a hash of the length, the first and the last byte of a name.
fn bit(name: &[u8]) -> u64 {
    let [first, last] = [name.first(), name.last()].map(|byte| usize::from(byte.copied().unwrap_or_default()));
    1 << ((name.len() + 7 * first + 19 * last) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_learned_up_to_a_limit() {
        let names = LearnedNames::default();
        assert!(names.is_empty() && names.path_of(b"sid").is_none() && names.held_by(|_| true).is_empty());
        names.note(b"sid", b"/");
        names.note(b"sid", b"/shop");
        assert_eq!(names.path_of(b"sid").as_deref(), Some(b"/shop".as_slice()));
        names.note(b"php", b"/");
        assert_eq!(names.held_by(|_| false), [BrowserCookie::of_host(b"sid", b"/shop")]);
        assert_eq!(names.held_by(|name| name == b"php").len(), 2);
        (0..2 * MAX_LEARNED).for_each(|number| names.note(number.to_string().as_bytes(), b"/"));
        assert_eq!(names.paths.lock().len(), MAX_LEARNED);
        assert!(names.path_of(b"sid").is_some() && names.path_of(b"511").is_none());
    }

    #[test]
    fn names_and_paths_are_limited_in_length() {
        let names = LearnedNames::default();
        names.note(&[b'n'; MAX_NAME_LENGTH + 1], b"/");
        assert!(names.is_empty());
        names.note(&[b'n'; MAX_NAME_LENGTH], &[b'/'; MAX_PATH_LENGTH + 1]);
        assert_eq!(names.path_of(&[b'n'; MAX_NAME_LENGTH]).as_deref(), Some(b"/".as_slice()));
    }

    #[test]
    fn names_are_saved_and_restored() {
        let (names, restarted) = (LearnedNames::default(), LearnedNames::default());
        assert!(names.take_unsaved().is_none());
        names.note(b"sid", b"/shop");
        names.note(b"php", b"/");
        let saved = names.take_unsaved().unwrap();
        names.note(b"php", b"/");
        assert!(names.take_unsaved().is_none(), "nothing is new");
        names.note_unsaved();
        assert!(names.take_unsaved().is_some());
        restarted.note(b"sid", b"/new");
        for broken in [&b""[..], b"?", &saved[..saved.len() - 1]] {
            restarted.restore(broken);
        }
        restarted.take_unsaved();
        restarted.restore(&saved);
        assert_eq!(restarted.path_of(b"sid").as_deref(), Some(b"/new".as_slice()));
        assert_eq!(restarted.path_of(b"php").as_deref(), Some(b"/".as_slice()));
        assert!(restarted.take_unsaved().is_none(), "the store has them");
    }
}
