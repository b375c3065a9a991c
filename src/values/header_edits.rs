//! Changes to a head as values: rules say what, the engine's glue does it.

use http::{HeaderMap, HeaderName, HeaderValue};

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
    /// Makes the change.
    pub fn apply(&self, headers: &mut HeaderMap) {
        match self {
            Self::Remove(name) => drop(headers.remove(name)),
            Self::Set(name, value) => drop(headers.insert(name, value.clone())),
            Self::Add(name, value) => drop(headers.append(name, value.clone())),
        }
    }
}

/// Changes in the order in which they are made.
pub type HeaderEdits = Vec<HeaderEdit>;

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::COOKIE;

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
