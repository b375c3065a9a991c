//! The cookie jar of one session and host. It works like that of a browser (RFC 6265 5.3 and 5.4).

use std::cmp::Reverse;
use std::fmt;

use zeroize::Zeroizing;

use super::changes::ChangedKeys;
use super::codec::{Decoder, Encoder};
use super::set_cookie::{SameSite, SetCookie};
use crate::values::time::WallTime;

/// The maximum size of a cookie in bytes: name and value. Browsers allow 4 KiB.
pub(super) const MAX_COOKIE_SIZE: usize = 8 * 1024;

/// The kind of changes that are not in the store yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// No changes.
    #[default]
    Nothing,
    /// Only the lifetime of a cookie was extended.
    Prolonged,
    /// A cookie was added, changed or removed.
    Changed,
}

/// The maximum number of cookies in a jar after the concurrent changes of several gateways were merged.
const MAX_MERGED: usize = 200;

/// The stored expiry of a session cookie.
const NEVER: u64 = u64::MAX;

/// One cookie.
#[derive(Clone, PartialEq, Eq)]
struct JarEntry {
    /// `name=value`, as in a `Cookie` header.
    pair: Zeroizing<Vec<u8>>,
    /// The length of the name in bytes.
    name: usize,
    path: Box<[u8]>,
    secure: bool,
    strict: bool,
    expires: Option<WallTime>,
}

/// The properties of a request on which its cookies depend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CookieContext<'a> {
    /// The canonical path.
    pub(crate) path: &'a [u8],
    /// Whether browsers use https.
    pub(crate) https: bool,
    /// Whether the request is cross-site.
    pub(crate) cross_site: bool,
    /// The time of the request.
    pub(crate) now: WallTime,
}

/// The cookies in the order in which they are sent: by descending length of the path, then by age.
#[derive(Clone, Default)]
pub(super) struct Jar {
    entries: Vec<JarEntry>,
    change: Change,
    changes: ChangedKeys<CookieKey>,
}

/// Name and path, which together identify a cookie in a jar.
type CookieKey = (Box<[u8]>, Box<[u8]>);

impl fmt::Debug for Jar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().map(|name| name.escape_ascii().to_string()).collect();
        write!(f, "[{}]", names.join(", "))
    }
}

impl JarEntry {
    fn name(&self) -> &[u8] {
        self.pair.get(..self.name).unwrap_or_default()
    }

    fn value(&self) -> &[u8] {
        self.pair.get(self.name + b"=".len()..).unwrap_or_default()
    }

    fn is_sent(&self, asked: CookieContext<'_>) -> bool {
        covers(&self.path, asked.path)
            && (asked.https || !self.secure)
            && !(self.strict && asked.cross_site)
            && self.expires.is_none_or(|until| until > asked.now)
    }

    fn size(&self) -> usize {
        self.pair.len() - b"=".len()
    }

    fn place(&self) -> CookieKey {
        (self.name().into(), self.path.clone())
    }

    fn is_at(&self, (name, path): &CookieKey) -> bool {
        self.is_called(name, path)
    }

    fn is_called(&self, name: &[u8], path: &[u8]) -> bool {
        self.name() == name && *self.path == *path
    }
}

impl Jar {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The total size of names and values in bytes.
    pub(super) fn size(&self) -> usize {
        self.entries.iter().map(JarEntry::size).sum()
    }

    /// The size of a cookie in bytes; `None` if it is absent.
    pub(super) fn size_of(&self, name: &[u8], path: &[u8]) -> Option<usize> {
        self.entries.iter().find(|entry| entry.is_called(name, path)).map(JarEntry::size)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().map(JarEntry::name)
    }

    /// The path of the first cookie with this name.
    pub(super) fn path_of(&self, name: &[u8]) -> Option<&[u8]> {
        self.entries.iter().find(|entry| entry.name() == name).map(|entry| &*entry.path)
    }

    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.names().any(|other| other == name)
    }

    /// Adds a cookie. It replaces one with the same name and path, and keeps the place of that one in the order.
    pub(super) fn put(&mut self, cookie: &SetCookie<'_>, asked: CookieContext<'_>) {
        let path = cookie.path(asked.path);
        let entry = JarEntry {
            pair: pair(cookie.name, cookie.value),
            name: cookie.name.len(),
            path: path.into(),
            secure: cookie.secure,
            strict: cookie.same_site == SameSite::Strict,
            expires: cookie.expires(asked.now),
        };
        match self.entries.iter_mut().find(|old| old.is_called(cookie.name, path)) {
            Some(old) if *old == entry => {}
            Some(old) => {
                let is_longer = old.expires.is_some_and(|before| entry.expires.is_none_or(|now| now >= before));
                let expires = entry.expires;
                let before = std::mem::replace(old, entry);
                let prolonged = is_longer && *old == JarEntry { expires, ..before };
                let place = old.place();
                if prolonged { self.note(Change::Prolonged) } else { self.note_changed(place) }
            }
            None => {
                self.note_changed(entry.place());
                self.add(entry);
            }
        }
    }

    fn add(&mut self, entry: JarEntry) {
        self.entries.push(entry);
        // The sort is stable, so older cookies stay first.
        self.entries.sort_by_key(|entry| Reverse(entry.path.len()));
    }

    /// Removes a cookie. Returns whether it existed.
    pub(super) fn remove(&mut self, name: &[u8], path: &[u8]) -> bool {
        self.retain(|entry| !entry.is_called(name, path))
    }

    /// Removes all cookies with this name.
    pub(super) fn remove_name(&mut self, name: &[u8]) {
        self.retain(|entry| entry.name() != name);
    }

    /// Removes the cookies that `keep` does not select. Returns whether any were removed.
    fn retain(&mut self, keep: impl Fn(&JarEntry) -> bool) -> bool {
        let taken: Vec<_> = self.entries.extract_if(.., |entry| !keep(entry)).collect();
        taken.iter().for_each(|entry| self.note_changed(entry.place()));
        !taken.is_empty()
    }

    fn note_changed(&mut self, place: CookieKey) {
        self.changes.note(place);
        self.note(Change::Changed);
    }

    fn note(&mut self, change: Change) {
        self.change = self.change.max(change);
    }

    /// The kind of changes that are not in the store yet.
    pub(super) fn change(&self) -> Change {
        self.change
    }

    /// Serialises the cookies for a store. From now on they count as saved, unless [`Jar::not_saved`] is called.
    pub(super) fn save(&mut self, to: &mut Encoder) {
        self.change = Change::Nothing;
        self.changes.begin_write();
        to.put_list(&self.entries, |entry, to| {
            [entry.name(), entry.value(), &entry.path].into_iter().for_each(|bytes| to.put_bytes(bytes));
            to.put_number(u64::from(entry.secure) | u64::from(entry.strict) << 1);
            to.put_number(entry.expires.map_or(NEVER, |expires| expires.0));
        });
    }

    /// Parses the output of [`Jar::save`].
    pub(super) fn read(from: &mut Decoder<'_>) -> Option<Self> {
        let entries = from.list(|from| {
            let [name, value, path] = [from.bytes()?, from.bytes()?, from.bytes()?];
            let (flags, expires) = (from.number()?, from.number()?);
            Some(JarEntry {
                pair: pair(name, value),
                name: name.len(),
                path: path.into(),
                secure: flags & 1 != 0,
                strict: flags & 2 != 0,
                expires: (expires != NEVER).then_some(WallTime(expires)),
            })
        })?;
        Some(Self { entries, ..Self::default() })
    }

    /// Records that the store has confirmed the write.
    pub(super) fn saved(&mut self) {
        self.changes.end_write();
    }

    /// Records that the store has not confirmed the write.
    pub(super) fn not_saved(&mut self) {
        self.changes.take_back();
    }

    /// Records that the store may have none of the cookies.
    pub(super) fn note_all_changed(&mut self) {
        self.entries.iter().for_each(|entry| self.changes.note(entry.place()));
        self.note(Change::Changed);
    }

    /// Applies the unsaved changes of an older copy to these cookies, which are from the store. Extended lifetimes are
    /// not applied, since the application sets them again.
    pub(super) fn apply(&mut self, older: Self) {
        for place in older.changes.iter() {
            let changed = older.entries.iter().find(|entry| entry.is_at(place));
            let has_room = self.entries.len() < MAX_MERGED;
            match (self.entries.iter_mut().find(|entry| entry.is_at(place)), changed) {
                (Some(ours), Some(changed)) => *ours = changed.clone(),
                (None, Some(changed)) if has_room => self.add(changed.clone()),
                (None, _) => {}
                (Some(_), None) => self.entries.retain(|entry| !entry.is_at(place)),
            }
        }
        self.change = if older.changes.is_empty() { Change::Nothing } else { Change::Changed };
        self.changes = older.changes;
    }

    /// Removes expired cookies.
    pub(super) fn sweep(&mut self, now: WallTime) {
        self.entries.retain(|entry| entry.expires.is_none_or(|until| until > now));
    }

    /// Whether any cookie is sent with a request.
    pub(super) fn has_for(&self, asked: CookieContext<'_>) -> bool {
        self.entries.iter().any(|entry| entry.is_sent(asked))
    }

    /// The maximum number of bytes that [`Jar::put_pairs`] adds; zero if the jar is empty.
    pub(super) fn room(&self) -> usize {
        self.entries.iter().map(|entry| b"; ".len() + entry.pair.len()).sum()
    }

    /// Whether any cookie is withheld from cross-site requests.
    pub(super) fn has_strict(&self) -> bool {
        self.entries.iter().any(|entry| entry.strict)
    }

    /// Appends the pairs that are sent with a request.
    pub(super) fn put_pairs(&self, asked: CookieContext<'_>, line: &mut Vec<u8>) {
        for entry in self.entries.iter().filter(|entry| entry.is_sent(asked)) {
            if !line.is_empty() {
                line.extend_from_slice(b"; ");
            }
            line.extend_from_slice(&entry.pair);
        }
    }
}

/// A pair for the `Cookie` header.
fn pair(name: &[u8], value: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([name, b"=", value].concat())
}

/// Whether the path of a cookie matches that of a request (RFC 6265 5.1.4).
fn covers(path: &[u8], asked: &[u8]) -> bool {
    asked.strip_prefix(path).is_some_and(|rest| rest.is_empty() || path.ends_with(b"/") || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: CookieContext<'_> =
        CookieContext { path: b"/a/b", https: true, cross_site: false, now: WallTime(1000) };

    fn jar(lines: &[&str]) -> Jar {
        let mut jar = Jar::default();
        lines.iter().for_each(|line| jar.put(&SetCookie::parse(line.as_bytes()).unwrap(), ASKED));
        jar
    }

    fn sent(jar: &Jar, asked: CookieContext<'_>) -> String {
        let mut line = Vec::new();
        jar.put_pairs(asked, &mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn cookies_are_ordered_by_path_length_and_age() {
        let jar = jar(&["a=1; Path=/", "b=2; Path=/a/b", "c=3", "d=4; Path=/", "a=5; Path=/a", "a=6; Path=/"]);
        assert_eq!(sent(&jar, ASKED), "b=2; c=3; a=5; a=6; d=4");
        assert_eq!(format!("{jar:?}"), "[b, c, a, a, d]", "names, and no values");
        assert_eq!((jar.len(), jar.size()), (5, 10));
    }

    #[test]
    fn a_path_matches_itself_and_paths_below_it() {
        let cases = [
            ("/", "/", true),
            ("/", "/a", true),
            ("/a", "/a", true),
            ("/a", "/a/", true),
            ("/a", "/a/b", true),
            ("/a", "/ab", false),
            ("/a/", "/a/b", true),
            ("/a/", "/a", false),
            ("/a/b", "/a", false),
            ("/A", "/a", false),
        ];
        for (path, asked, want) in cases {
            assert_eq!(covers(path.as_bytes(), asked.as_bytes()), want, "{path} {asked}");
        }
    }

    #[test]
    fn cookies_are_selected_by_the_properties_of_a_request() {
        let jar = jar(&["s=1; Secure", "t=2; SameSite=Strict", "m=3; Max-Age=10", "l=4; SameSite=Lax"]);
        assert_eq!(sent(&jar, ASKED), "s=1; t=2; m=3; l=4");
        assert_eq!(sent(&jar, CookieContext { https: false, ..ASKED }), "t=2; m=3; l=4");
        assert_eq!(sent(&jar, CookieContext { cross_site: true, ..ASKED }), "s=1; m=3; l=4");
        assert_eq!(sent(&jar, CookieContext { now: WallTime(1009), ..ASKED }), "s=1; t=2; m=3; l=4");
        assert_eq!(sent(&jar, CookieContext { now: WallTime(1010), ..ASKED }), "s=1; t=2; l=4");
        assert_eq!(sent(&jar, CookieContext { path: b"/", ..ASKED }), "");
    }

    #[test]
    fn cookies_are_removed_by_name_and_path_and_when_they_expire() {
        let mut jar = jar(&["a=1; Path=/", "a=2", "b=3; Max-Age=10"]);
        assert!(!jar.remove(b"a", b"/x") && jar.remove(b"a", b"/") && jar.has(b"a"));
        jar.remove_name(b"a");
        assert!(!jar.has(b"a") && jar.has(b"b"));
        jar.sweep(WallTime(1009));
        assert!(jar.has(b"b"));
        jar.sweep(WallTime(1010));
        assert_eq!(jar.len(), 0);
    }
}
