//! Edits of header fields as values: rules produce them, and the code that writes the head applies them.

use std::borrow::Cow;

use bytes::BytesMut;
#[cfg(test)]
use http::HeaderMap;
use http::{HeaderName, HeaderValue};

/// One edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Removes every field with this name.
    Remove(HeaderName),
    /// Replaces every field with this name by one.
    Set(HeaderName, HeaderValue),
    /// Adds a field.
    Add(HeaderName, HeaderValue),
}

impl HeaderEdit {
    /// The name whose existing fields are removed, if any are.
    fn replaced(&self) -> Option<&HeaderName> {
        match self {
            Self::Remove(name) | Self::Set(name, _) => Some(name),
            Self::Add(..) => None,
        }
    }

    /// The field that is added.
    fn added(&self) -> Option<(&HeaderName, &HeaderValue)> {
        match self {
            Self::Set(name, value) | Self::Add(name, value) => Some((name, value)),
            Self::Remove(_) => None,
        }
    }

    /// Applies the edit to a map, for tests.
    #[cfg(test)]
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        match self {
            Self::Remove(name) => drop(headers.remove(name)),
            Self::Set(name, value) => drop(headers.insert(name, value.clone())),
            Self::Add(name, value) => drop(headers.append(name, value.clone())),
        }
    }
}

/// Edits in the order in which they are applied.
pub(crate) type HeaderEdits = Vec<HeaderEdit>;

/// Whether the edits remove the existing fields with this name, compared without case.
pub fn replaces(edits: &[HeaderEdit], name: &[u8]) -> bool {
    let is_it = |other: &HeaderName| other.as_str().len() == name.len() && name.eq_ignore_ascii_case(other.as_ref());
    edits.iter().filter_map(HeaderEdit::replaced).any(is_it)
}

/// The fields that all edits together add, without those that a later edit removes again.
pub(crate) fn added(edits: &[HeaderEdit]) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    edits.iter().enumerate().filter_map(|(at, edit)| {
        let later = edits.get(at + 1..).unwrap_or_default();
        edit.added().filter(|(name, _)| !later.iter().any(|edit| edit.replaced() == Some(name)))
    })
}

/// Writes the fields that the edits add.
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

/// A name in title case, for messages.
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

/// Writes the parts one after another.
pub(crate) fn put_parts(to: &mut BytesMut, parts: &[&[u8]]) {
    parts.iter().for_each(|part| to.extend_from_slice(part));
}

/// Both lists of edits as one, `later` after `edits`.
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

    /// On a map and while a head is written.
    #[test]
    fn edits_are_applied_in_their_order() {
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
    fn remove_set_and_add_change_a_map() {
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
