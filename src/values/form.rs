//! A strict parser of forms and queries: `application/x-www-form-urlencoded` (WHATWG URL 5), or the same fields as a
//! JSON object.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The maximum number of fields; the gateway's own forms have fewer.
const MAX_FIELDS: usize = 64;

/// Named fields in order. A form may contain a password, so it is overwritten when it is dropped, and `Debug` does not
/// show the fields.
#[derive(Default, Zeroize, ZeroizeOnDrop)]
pub struct Form(Vec<(String, String)>);

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormValue<'a> {
    /// The field is absent.
    Absent,
    /// The field has one value.
    One(&'a str),
    /// The field has several values. None is used, since parsers differ about which one applies.
    Several,
}

/// The form is not valid UTF-8 or JSON, or has too many fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The encoding of a form's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormType {
    /// `application/x-www-form-urlencoded`
    UrlEncoded,
    /// `application/json`: one object.
    Json,
}

impl FormType {
    /// The encoding for a `Content-Type`; `None` if it is not supported.
    pub(crate) fn of(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-www-form-urlencoded" => Some(Self::UrlEncoded),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl Form {
    /// Parses a URL-encoded body or a query.
    ///
    /// # Errors
    /// [`Malformed`]
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

    /// Parses a body of this type.
    ///
    /// # Errors
    /// [`Malformed`]
    pub(crate) fn read(kind: FormType, bytes: &[u8]) -> Result<Self, Malformed> {
        match kind {
            FormType::UrlEncoded => Self::parse(bytes),
            FormType::Json => serde_json::from_slice(bytes).map_err(|_| Malformed),
        }
    }

    /// Whether the field has this value, possibly among others.
    pub(crate) fn says(&self, name: &str, value: &str) -> bool {
        self.0.iter().any(|(other, said)| other == name && said == value)
    }

    /// The value of a field with any of these names.
    pub fn field(&self, names: &[&str]) -> FormValue<'_> {
        let mut found = self.0.iter().filter(|(name, _)| names.contains(&name.as_str()));
        match (found.next(), found.next()) {
            (None, _) => FormValue::Absent,
            (Some((_, value)), None) => FormValue::One(value),
            (Some(_), Some(_)) => FormValue::Several,
        }
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Form({} fields)", self.0.len())
    }
}

/// Reads an object whose values are strings; `null` counts as absent. A repeated name is kept, so that it is refused
/// like a repeated form field.
impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Form;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Form, A::Error> {
        let mut form = Form::default();
        while let Some((name, value)) = object.next_entry::<String, Option<String>>()? {
            if form.0.len() == MAX_FIELDS {
                return Err(serde::de::Error::custom("too many fields"));
            }
            form.0.extend(value.map(|value| (name, value)));
        }
        Ok(form)
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
    fn repeated_fields_have_no_value() {
        let form = Form::parse(b"username=j%C3%BCrgen&password=a+b%2B%26&next=/a&rd=/b&&empty").unwrap();
        assert_eq!(form.field(&["username"]), FormValue::One("jürgen"));
        assert_eq!(form.field(&["password"]), FormValue::One("a b+&"));
        assert_eq!(form.field(&["next", "rd"]), FormValue::Several);
        assert_eq!(form.field(&["next"]), FormValue::One("/a"));
        assert_eq!(form.field(&["empty"]), FormValue::One(""));
        assert_eq!(form.field(&["absent"]), FormValue::Absent);
        assert_eq!(format!("{form:?}"), "Form(5 fields)", "no password in a log");
    }

    #[test]
    fn json_has_the_same_fields() {
        let read = |text: &str| Form::read(FormType::Json, text.as_bytes());
        let text =
            r#" {"username": "j\u00fcrgen", "password": "a b+&%41", "next": null, "rd": "/b", "a": "1", "a": "1"} "#;
        let form = read(text).unwrap();
        assert_eq!(form.field(&["username"]), FormValue::One("jürgen"));
        assert_eq!(form.field(&["password"]), FormValue::One("a b+&%41"));
        assert_eq!(form.field(&["next", "rd"]), FormValue::One("/b"));
        assert_eq!(form.field(&["a"]), FormValue::Several);
        assert_eq!(read("{}").unwrap().field(&["username"]), FormValue::Absent);
        let many = |count: usize| format!("{{{}}}", vec!["\"a\":\"\""; count].join(","));
        assert!(read(&many(MAX_FIELDS)).is_ok());
        let odd = [
            "",
            "[]",
            "\"a\"",
            "null",
            "{\"a\": 1}",
            "{\"a\": [\"b\"]}",
            "{\"a\": {\"b\": \"c\"}}",
            "{\"a\": \"\\ud800\"}",
            "{\"a\": \"b\"} x",
            "{\"a\": \"b\",}",
            "{'a': 'b'}",
            "username=a&password=b",
            &many(MAX_FIELDS + 1),
        ];
        for text in odd {
            assert_eq!(read(text).err(), Some(Malformed), "{text}");
        }
        assert!(Form::read(FormType::Json, b"{\"a\": \"\xff\"}").is_err());
    }

    #[test]
    fn a_content_type_may_have_parameters() {
        let cases = [
            ("application/x-www-form-urlencoded", Some(FormType::UrlEncoded)),
            ("Application/JSON ; charset=utf-8", Some(FormType::Json)),
            ("application/json", Some(FormType::Json)),
            ("multipart/form-data; boundary=application/json", None),
            ("application/jsonp", None),
            ("text/json", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(FormType::of(text), want, "{text}");
        }
    }

    #[test]
    fn malformed_forms_are_refused() {
        assert!(Form::parse(b"a=%ff").is_err());
        assert!(Form::parse("a=1&".repeat(MAX_FIELDS).as_bytes()).is_ok());
        assert!(Form::parse("a=1&".repeat(MAX_FIELDS + 1).as_bytes()).is_err());
    }
}
