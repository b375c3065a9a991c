//! The names of cookies that the applications of one pool keep from scripts. No browser may choose their values.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::browser_cookie::BrowserCookie;

/// Names of one pool.
const MOST: usize = 256;

/// Names, each with the path under which a browser may hold it.
#[derive(Debug, Default)]
pub(crate) struct LearnedNames {
    /// Most pools have few, and many none: then nothing is locked.
    count: AtomicUsize,
    paths: Mutex<HashMap<Box<[u8]>, Box<[u8]>>>,
}

impl LearnedNames {
    /// Notes a name. One too many is not noted: then a browser's cookie of that name passes, as without a vault.
    pub(super) fn note(&self, name: &[u8], path: &[u8]) {
        let mut paths = self.paths.lock();
        if let Some(known) = paths.get_mut(name) {
            if **known != *path {
                *known = path.into();
            }
        } else if paths.len() < MOST {
            paths.insert(name.into(), path.into());
            self.count.store(paths.len(), Ordering::Release);
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Those that a browser may hold: what it shows, and what it does not show at every address.
    pub(crate) fn held_by(&self, shows: impl Fn(&[u8]) -> bool) -> Vec<BrowserCookie> {
        if self.is_empty() {
            return Vec::new();
        }
        let paths = self.paths.lock();
        let held = paths.iter().filter(|(name, path)| ***path != *b"/" || shows(name));
        held.map(|(name, path)| BrowserCookie::of_host(name, path)).collect()
    }

    /// The path of a name; `None` for a name that is not known.
    pub(super) fn path_of(&self, name: &[u8]) -> Option<Box<[u8]>> {
        if self.is_empty() { None } else { self.paths.lock().get(name).cloned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_noted_up_to_a_limit() {
        let names = LearnedNames::default();
        assert!(names.is_empty() && names.path_of(b"sid").is_none() && names.held_by(|_| true).is_empty());
        names.note(b"sid", b"/");
        names.note(b"sid", b"/shop");
        assert_eq!(names.path_of(b"sid").as_deref(), Some(b"/shop".as_slice()));
        names.note(b"php", b"/");
        assert_eq!(names.held_by(|_| false), [BrowserCookie::of_host(b"sid", b"/shop")]);
        assert_eq!(names.held_by(|name| name == b"php").len(), 2);
        (0..2 * MOST).for_each(|number| names.note(number.to_string().as_bytes(), b"/"));
        assert_eq!(names.count.load(Ordering::Relaxed), MOST);
        assert!(names.path_of(b"sid").is_some() && names.path_of(b"511").is_none());
    }
}
