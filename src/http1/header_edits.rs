//! Changes to a head as values: rules say what, the engine's glue does it.

use std::borrow::Cow;

use bytes::BytesMut;
#[cfg(test)]
use http::HeaderMap;
use http::{HeaderName, HeaderValue};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Every line of this name goes.
    Remove(HeaderName),
    /// Every line of this name goes, and this one takes their place.
    Set(HeaderName, HeaderValue),
    /// One more line.
    Add(HeaderName, HeaderValue),
}

impl HeaderEdit {
    /// The name whose lines go; `None` where they stay.
    fn replaced(&self) -> Option<&HeaderName> {
        match self {
            Self::Remove(name) | Self::Set(name, _) => Some(name),
            Self::Add(..) => None,
        }
    }

    /// The line that comes.
    fn added(&self) -> Option<(&HeaderName, &HeaderValue)> {
        match self {
            Self::Set(name, value) | Self::Add(name, value) => Some((name, value)),
            Self::Remove(_) => None,
        }
    }

    /// Makes the change in a map: for tests.
    #[cfg(test)]
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        match self {
            Self::Remove(name) => drop(headers.remove(name)),
            Self::Set(name, value) => drop(headers.insert(name, value.clone())),
            Self::Add(name, value) => drop(headers.append(name, value.clone())),
        }
    }
}

/// Changes in the order in which they are made.
pub(crate) type HeaderEdits = Vec<HeaderEdit>;

/// Whether the lines of this name, in any case, go.
pub fn replaces(edits: &[HeaderEdit], name: &[u8]) -> bool {
    let is_it = |other: &HeaderName| other.as_str().len() == name.len() && name.eq_ignore_ascii_case(other.as_ref());
    edits.iter().filter_map(HeaderEdit::replaced).any(is_it)
}

/// The lines that are there when all changes have been made, behind those that were there before.
pub(crate) fn added(edits: &[HeaderEdit]) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    edits.iter().enumerate().filter_map(|(at, edit)| {
        let later = edits.get(at + 1..).unwrap_or_default();
        edit.added().filter(|(name, _)| !later.iter().any(|edit| edit.replaced() == Some(name)))
    })
}

/// Writes these lines.
pub(crate) fn put_added(edits: &[HeaderEdit], to: &mut BytesMut) {
    added(edits).for_each(|(name, value)| put_line(to, name, value.as_bytes()));
}

/// Writes `Name: value`, with the name in title case.
pub(crate) fn put_line(to: &mut BytesMut, name: &HeaderName, value: &[u8]) {
    let from = to.len();
    to.extend_from_slice(name.as_ref());
    capitalise(to.get_mut(from..).unwrap_or_default());
    put_parts(to, &[b": ", value, b"\r\n"]);
}

/// A name as people write it.
pub fn spelled(name: &HeaderName) -> String {
    let mut letters = name.as_str().as_bytes().to_vec();
    capitalise(&mut letters);
    String::from_utf8_lossy(&letters).into_owned()
}

fn capitalise(name: &mut [u8]) {
    let mut begins = true;
    for byte in name {
        if begins {
            byte.make_ascii_uppercase();
        }
        begins = *byte == b'-';
    }
}

/// Writes these parts of lines.
pub(crate) fn put_parts(to: &mut BytesMut, parts: &[&[u8]]) {
    parts.iter().for_each(|part| to.extend_from_slice(part));
}

/// Edits, and those that are made after them.
pub(crate) fn one_after_the_other<'a>(
    edits: Cow<'a, [HeaderEdit]>,
    later: Cow<'a, [HeaderEdit]>,
) -> Cow<'a, [HeaderEdit]> {
    match (&*edits, &*later) {
        (_, []) => edits,
        ([], _) => later,
        (edits, later) => Cow::Owned([edits, later].concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::COOKIE;

    /// However they are made, on a map or while a head is written.
    #[test]
    fn edits_are_made_in_their_order() {
        let (a, b) = (|| HeaderName::from_static("a-one"), || HeaderName::from_static("b"));
        let value = HeaderValue::from_static;
        use HeaderEdit::{Add, Remove, Set};
        let cases: [(&[HeaderEdit], &str); 8] = [
            (&[], ""),
            (&[Add(a(), value("1")), Add(b(), value("2")), Add(a(), value("3"))], "A-One: 1,B: 2,A-One: 3,"),
            (&[Set(a(), value("1")), Set(a(), value("2"))], "A-One: 2,"),
            (&[Add(a(), value("1")), Remove(a())], ""),
            (&[Remove(a()), Add(a(), value("1")), Add(a(), value("2"))], "A-One: 1,A-One: 2,"),
            (&[Add(a(), value("1")), Set(a(), value("2")), Add(a(), value("3"))], "A-One: 2,A-One: 3,"),
            (&[Add(a(), value("1")), Remove(b())], "A-One: 1,"),
            (&[Set(b(), value("1")), Remove(a())], "B: 1,"),
        ];
        for (edits, want) in cases {
            let mut written = BytesMut::new();
            put_added(edits, &mut written);
            let written = String::from_utf8(written.to_vec()).unwrap().replace("\r\n", ",");
            assert_eq!(written, want, "{edits:?}");
            let mut map: HeaderMap = [(a(), value("old"))].into_iter().collect();
            edits.iter().for_each(|edit| edit.apply(&mut map));
            let stays = !replaces(edits, b"A-ONE");
            assert_eq!(map.get("a-one").is_some_and(|line| line == "old"), stays, "{edits:?}");
            assert_eq!(map.len(), want.matches(',').count() + usize::from(stays), "{edits:?}");
        }
        assert!(!replaces(&[Remove(a())], b"a-on") && !replaces(&[Add(a(), value("1"))], b"a-one"));
    }

    #[test]
    fn an_edit_does_what_it_says() {
        let value = HeaderValue::from_static;
        let cases = [
            (HeaderEdit::Remove(COOKIE), vec![]),
            (HeaderEdit::Set(COOKIE, value("c")), vec!["c"]),
            (HeaderEdit::Add(COOKIE, value("c")), vec!["a", "b", "c"]),
        ];
        for (edit, want) in cases {
            let mut headers: HeaderMap = [(COOKIE, value("a")), (COOKIE, value("b"))].into_iter().collect();
            edit.apply(&mut headers);
            assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), want, "{edit:?}");
        }
    }
}
