//! A form or a query: `application/x-www-form-urlencoded` (WHATWG URL 5), read strictly.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Fields that a form of ours can have, with room to spare.
const MAX_FIELDS: usize = 64;

/// Named fields in order. It may hold a password, so it is blanked when it is dropped and never printed.
#[derive(Default, Zeroize, ZeroizeOnDrop)]
pub struct Form(Vec<(String, String)>);

/// What a form says under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// Nothing.
    Absent,
    /// One value.
    One(&'a str),
    /// More than one: two readers might pick different ones, so nobody picks any.
    Several,
}

/// Not a form: a value that is no UTF-8, or too many fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Form {
    /// Reads a body or a query.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut form = Self::default();
        for pair in bytes.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            if form.0.len() == MAX_FIELDS {
                return Err(Malformed);
            }
            let mut parts = pair.splitn(2, |&byte| byte == b'=');
            let name = decode(parts.next().unwrap_or_default())?;
            form.0.push((name, decode(parts.next().unwrap_or_default())?));
        }
        Ok(form)
    }

    /// What the form says under any of these names.
    pub fn field(&self, names: &[&str]) -> Field<'_> {
        let mut found = self.0.iter().filter(|(name, _)| names.contains(&name.as_str()));
        match (found.next(), found.next()) {
            (None, _) => Field::Absent,
            (Some((_, value)), None) => Field::One(value),
            (Some(_), Some(_)) => Field::Several,
        }
    }
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Form({} fields)", self.0.len())
    }
}

fn decode(text: &[u8]) -> Result<String, Malformed> {
    let spaced: Cow<'_, [u8]> = if text.contains(&b'+') {
        text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect()
    } else {
        Cow::Borrowed(text)
    };
    percent_decode(&spaced).decode_utf8().map(Cow::into_owned).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_once_or_not_at_all() {
        let form = Form::parse(b"username=j%C3%BCrgen&password=a+b%2B%26&next=/a&rd=/b&&empty").unwrap();
        assert_eq!(form.field(&["username"]), Field::One("jürgen"));
        assert_eq!(form.field(&["password"]), Field::One("a b+&"));
        assert_eq!(form.field(&["next", "rd"]), Field::Several);
        assert_eq!(form.field(&["next"]), Field::One("/a"));
        assert_eq!(form.field(&["empty"]), Field::One(""));
        assert_eq!(form.field(&["absent"]), Field::Absent);
        assert_eq!(format!("{form:?}"), "Form(5 fields)", "no password in a log");
    }

    #[test]
    fn what_is_no_form_is_refused() {
        assert!(Form::parse(b"a=%ff").is_err());
        assert!(Form::parse("a=1&".repeat(MAX_FIELDS).as_bytes()).is_ok());
        assert!(Form::parse("a=1&".repeat(MAX_FIELDS + 1).as_bytes()).is_err());
    }
}
