//! The identity headers that applications receive.

use bytes::BytesMut;
use http::{HeaderName, HeaderValue};
use thiserror::Error;

use crate::http1::header_edits::{put_parts, spelled};
use crate::values::affinity;
use crate::values::identity::{Identity, IdentityField};

/// The headers of `[identity]`, in order. They are removed from every client's request before they are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityHeaders(Vec<IdentityHeader>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct IdentityHeader {
    name: HeaderName,
    /// The name and the colon, as they are written.
    begin: Box<str>,
    template: Template,
}

/// The value of one header: text with fields in it. If the user has no value for a field, the header is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<TemplatePart>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplatePart {
    Text(String),
    Field(IdentityField),
}

/// The named sets of `identity.headers`.
pub(crate) const PRESETS: [(&str, [(&str, IdentityField); 4]); 2] = [
    (
        "x-forwarded",
        [
            ("x-forwarded-user", IdentityField::User),
            ("x-forwarded-email", IdentityField::Email),
            ("x-forwarded-groups", IdentityField::Groups),
            ("x-forwarded-preferred-username", IdentityField::User),
        ],
    ),
    (
        "remote",
        [
            ("remote-user", IdentityField::User),
            ("remote-email", IdentityField::Email),
            ("remote-groups", IdentityField::Groups),
            ("remote-name", IdentityField::Name),
        ],
    ),
];

impl IdentityHeaders {
    /// The headers of a preset; `None` for an unknown preset.
    pub fn preset(name: &str) -> Option<Self> {
        let (_, headers) = PRESETS.iter().find(|(preset, _)| *preset == name)?;
        let mut preset = Self::default();
        for (name, field) in headers {
            preset.insert(HeaderName::from_static(name), Template(vec![TemplatePart::Field(*field)]));
        }
        Some(preset)
    }

    /// Adds a header and replaces one of the same name.
    pub fn insert(&mut self, name: HeaderName, template: Template) {
        self.0.retain(|other| other.name != name);
        self.0.push(IdentityHeader { begin: format!("{}: ", spelled(&name)).into(), name, template });
    }

    /// Adds all headers of another set.
    pub(crate) fn extend(&mut self, other: Self) {
        other.0.into_iter().for_each(|IdentityHeader { name, template, .. }| self.insert(name, template));
    }

    /// The names of the headers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|header| &header.name)
    }

    /// A hash of names and templates: equal sets of headers have the same.
    pub(crate) fn form(&self) -> u64 {
        let parts: Vec<_> = self.0.iter().map(|header| format!("{}{:?}\n", header.begin, header.template)).collect();
        affinity::of(&[parts.concat().as_bytes()])
    }

    /// Writes the headers for an identity.
    pub(crate) fn put(&self, identity: &Identity, to: &mut BytesMut) {
        for IdentityHeader { begin, template, .. } in &self.0 {
            let mut put = |value: &HeaderValue| put_parts(to, &[begin.as_bytes(), value.as_bytes(), b"\r\n"]);
            if let [TemplatePart::Field(field)] = template.0.as_slice() {
                // Most templates are a single field.
                if let Some(value) = identity.header(*field) {
                    put(&value);
                }
            } else if let Some(value) = template.render(identity) {
                put(&value);
            }
        }
    }
}

/// Why a text is not a valid template. Its message follows the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// `{user`.
    #[error("has a brace without its closing brace")]
    UnclosedBrace,
    /// `{uid}`.
    #[error("names an unknown field, {{{name}}}")]
    UnknownField {
        /// The text between the braces.
        name: String,
    },
    /// `ä{user}`.
    #[error("has characters that a header cannot contain: only printable ASCII can be sent")]
    NotForHeaders,
    /// `user`.
    #[error("has no field, so it would be the same for every user")]
    NoField,
}

impl Template {
    /// Reads `{user}`, `{email}`, `{name}`, `{groups}` and text around them.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}').ok_or(TemplateError::UnclosedBrace)?;
            let unknown = || TemplateError::UnknownField { name: name.to_owned() };
            let field = IdentityField::parse(name).ok_or_else(unknown)?;
            pieces.extend((!before.is_empty()).then(|| TemplatePart::Text(before.to_owned())));
            pieces.push(TemplatePart::Field(field));
            rest = behind;
        }
        pieces.extend((!rest.is_empty()).then(|| TemplatePart::Text(rest.to_owned())));
        if HeaderValue::from_str(text).is_err() || text.contains('}') && pieces.is_empty() {
            return Err(TemplateError::NotForHeaders);
        }
        if !pieces.iter().any(|piece| matches!(piece, TemplatePart::Field(_))) {
            return Err(TemplateError::NoField);
        }
        Ok(Self(pieces))
    }

    fn render(&self, identity: &Identity) -> Option<HeaderValue> {
        let mut value = Vec::new();
        for piece in &self.0 {
            match piece {
                TemplatePart::Text(text) => value.extend_from_slice(text.as_bytes()),
                TemplatePart::Field(field) => value.extend_from_slice(identity.header(*field)?.as_bytes()),
            }
        }
        HeaderValue::from_bytes(&value).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(headers: &IdentityHeaders, identity: &Identity) -> Vec<String> {
        let mut told = BytesMut::new();
        headers.put(identity, &mut told);
        std::str::from_utf8(&told).unwrap().split_terminator("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn presets_send_the_existing_fields() {
        let alice = Identity::new("alice", Some("a@x"), Some("Alice"), &["b".into(), "a".into()]).unwrap();
        let mut headers = IdentityHeaders::preset("x-forwarded").unwrap();
        assert_eq!(
            sent(&headers, &alice),
            [
                "X-Forwarded-User: alice", "X-Forwarded-Email: a@x", "X-Forwarded-Groups: b,a",
                "X-Forwarded-Preferred-Username: alice",
            ]
        );
        let names: Vec<_> = headers.names().map(HeaderName::as_str).collect();
        let known = ["x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username"];
        assert_eq!(names, known);
        headers.extend(IdentityHeaders::preset("remote").unwrap());
        let bob = Identity::new("bob", None, None, &[]).unwrap();
        assert_eq!(
            sent(&headers, &bob),
            ["X-Forwarded-User: bob", "X-Forwarded-Preferred-Username: bob", "Remote-User: bob",]
        );
        assert!(IdentityHeaders::preset("x").is_none());
    }

    #[test]
    fn custom_headers_are_templates() {
        let alice = Identity::new("alice", None, None, &[]).unwrap();
        let mut headers = IdentityHeaders::default();
        let name = HeaderName::from_static("x-webauth-user");
        headers.insert(name.clone(), Template::parse("{email}").unwrap());
        headers.insert(name, Template::parse("dir\\{user}!").unwrap());
        headers.insert(HeaderName::from_static("x-mail"), Template::parse("<{email}>").unwrap());
        assert_eq!(sent(&headers, &alice), ["X-Webauth-User: dir\\alice!"]);
    }

    #[test]
    fn broken_templates_are_explained() {
        for text in ["{usr}", "{user", "root", "", "{user}\n", "}"] {
            assert!(Template::parse(text).is_err(), "{text:?}");
        }
        assert!(Template::parse("{usr}").unwrap_err().to_string().contains("unknown field, {usr}"));
    }
}
