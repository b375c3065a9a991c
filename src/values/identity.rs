//! The identity of a user: the key in tables ([`UserKey`]), and the data for display and for applications
//! ([`Identity`]).

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use thiserror::Error;

/// The key of a user in indexes, limits and revocations. Two sources may both have an `alice`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey {
    /// The source of the user, such as `file`.
    pub source: Arc<str>,
    /// The user within that source, in the source's spelling.
    pub subject: Arc<str>,
}

/// The maximum length of a user name, e-mail address, display name or group, in bytes.
pub(crate) const MAX_VALUE: usize = 256;
/// The maximum length of the list of groups as it is sent to the application, in bytes.
pub(crate) const MAX_GROUPS: usize = 8 * 1024;

/// The data of a user that is displayed and sent to applications, as the source spells it.
///
/// In header values, non-ASCII bytes and `%` are percent-encoded, so that values are unambiguous; in the
/// comma-separated list of groups a comma in the name of a group is encoded as well.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    user: Text,
    email: Option<Text>,
    name: Option<Text>,
    groups: Box<[Box<str>]>,
    groups_header: Option<HeaderValue>,
    rendered: Rendered,
}

/// A cache of the identity headers: most requests of a user need the same ones.
#[derive(Clone, Default)]
struct Rendered(OnceLock<(u64, Box<[u8]>)>);

/// Always equal, since the cache is not part of the identity.
impl PartialEq for Rendered {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Rendered {}

#[derive(Clone, PartialEq, Eq)]
struct Text {
    shown: Box<str>,
    header: HeaderValue,
}

/// Why a value cannot be part of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IdentityProblem {
    /// The value is empty.
    #[error("it is empty")]
    Empty,
    /// The value contains a control character: a line break would begin another header.
    #[error("it has a control character in it")]
    ControlCharacter,
    /// The value is longer than [`MAX_VALUE`], or the list of groups is longer than [`MAX_GROUPS`].
    #[error("it is longer than {MAX_VALUE} bytes")]
    TooLong,
}

const ENCODED: &AsciiSet = &CONTROLS.add(b'%');
const ENCODED_GROUP: &AsciiSet = &ENCODED.add(b',');

impl Identity {
    /// Checks the values and makes an identity of them. An empty e-mail address or display name counts as absent.
    ///
    /// # Errors
    /// [`IdentityProblem`]
    pub fn new(
        user: &str,
        email: Option<&str>,
        name: Option<&str>,
        groups: &[String],
    ) -> Result<Self, IdentityProblem> {
        let optional = |text: Option<&str>| text.filter(|text| !text.trim().is_empty()).map(Text::parse).transpose();
        Ok(Self {
            user: Text::parse(user)?,
            email: optional(email)?,
            name: optional(name)?,
            groups: groups.iter().map(|group| group.as_str().into()).collect(),
            groups_header: groups_header(groups)?,
            rendered: Rendered::default(),
        })
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.user.shown
    }

    /// The e-mail address, if the source has one.
    pub(crate) fn email(&self) -> Option<&str> {
        self.email.as_ref().map(|text| &*text.shown)
    }

    /// The display name, if the source has one.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_ref().map(|text| &*text.shown)
    }

    /// The groups, in the order and spelling of the source.
    pub(crate) fn groups(&self) -> &[Box<str>] {
        &self.groups
    }

    /// Whether the user is in the group with exactly this name.
    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| &**own == group)
    }

    /// A field as a header value; `None` if the user does not have it, so that no empty header is sent.
    pub(crate) fn header(&self, field: IdentityField) -> Option<&HeaderValue> {
        match field {
            IdentityField::User => Some(&self.user.header),
            IdentityField::Email => self.email.as_ref().map(|text| &text.header),
            IdentityField::Name => self.name.as_ref().map(|text| &text.header),
            IdentityField::Groups => self.groups_header.as_ref(),
        }
    }

    /// Writes the headers that `render` makes, from the cache if possible. `form` identifies everything besides the
    /// identity on which they depend.
    pub(crate) fn put_rendered(&self, form: u64, to: &mut BytesMut, render: impl Fn(&Self, &mut BytesMut)) {
        let (kept, lines) = self.rendered.0.get_or_init(|| {
            let mut lines = BytesMut::new();
            render(self, &mut lines);
            (form, Box::from(&*lines))
        });
        if *kept == form { to.extend_from_slice(lines) } else { render(self, to) }
    }
}

/// A field of an identity that can be sent in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum IdentityField {
    /// The user's name.
    User,
    /// The e-mail address.
    Email,
    /// The display name.
    Name,
    /// The groups, separated by commas.
    Groups,
}

impl IdentityField {
    /// Parses the name of a field, as between braces in `identity.custom`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "user" => Some(Self::User),
            "email" => Some(Self::Email),
            "name" => Some(Self::Name),
            "groups" => Some(Self::Groups),
            _ => None,
        }
    }
}

impl Text {
    fn parse(text: &str) -> Result<Self, IdentityProblem> {
        let header = header_value(check(text)?, ENCODED)?;
        Ok(Self { shown: text.into(), header })
    }
}

fn check(text: &str) -> Result<&str, IdentityProblem> {
    if text.trim().is_empty() {
        Err(IdentityProblem::Empty)
    } else if text.len() > MAX_VALUE {
        Err(IdentityProblem::TooLong)
    } else if text.chars().any(char::is_control) {
        Err(IdentityProblem::ControlCharacter)
    } else {
        Ok(text)
    }
}

fn header_value(text: &str, set: &'static AsciiSet) -> Result<HeaderValue, IdentityProblem> {
    let encoded = utf8_percent_encode(text, set).to_string();
    HeaderValue::try_from(encoded).map_err(|_| IdentityProblem::ControlCharacter)
}

fn groups_header(groups: &[String]) -> Result<Option<HeaderValue>, IdentityProblem> {
    let mut list = String::new();
    for group in groups {
        if !list.is_empty() {
            list.push(',');
        }
        list.extend(utf8_percent_encode(check(group)?, ENCODED_GROUP));
    }
    if list.len() > MAX_GROUPS {
        return Err(IdentityProblem::TooLong);
    }
    let value = (!list.is_empty()).then(|| HeaderValue::try_from(list));
    value.transpose().map_err(|_| IdentityProblem::ControlCharacter)
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("user", &self.user()).field("groups", &self.groups).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: &str, groups: &[&str]) -> Result<Identity, IdentityProblem> {
        let groups: Vec<_> = groups.iter().map(|&group| group.to_owned()).collect();
        Identity::new(user, None, None, &groups)
    }

    #[test]
    fn header_values_are_unambiguous() {
        let cases = [("alice", "alice"), ("jürgen", "j%C3%BCrgen"), ("50%", "50%25"), ("a b", "a b"), ("a,b", "a,b")];
        for (user, want) in cases {
            assert_eq!(of(user, &[]).unwrap().header(IdentityField::User).unwrap(), want);
        }
        let identity = of("alice", &["staff", "a,b", "käse"]).unwrap();
        assert_eq!(identity.header(IdentityField::Groups).unwrap(), "staff,a%2Cb,k%C3%A4se");
        assert!(identity.is_in("a,b") && !identity.is_in("Staff") && !identity.is_in("a"));
    }

    #[test]
    fn missing_fields_have_no_header() {
        let identity = Identity::new("alice", Some(" "), None, &[]).unwrap();
        assert!(
            [IdentityField::Email, IdentityField::Name, IdentityField::Groups]
                .iter()
                .all(|&field| identity.header(field).is_none())
        );
    }

    #[test]
    fn every_field_can_be_sent() {
        let identity = Identity::new("alice", Some("a@b.test"), Some("Alice L."), &["staff".to_owned()]).unwrap();
        assert_eq!((identity.email(), identity.name()), (Some("a@b.test"), Some("Alice L.")));
        assert_eq!((identity.user(), identity.groups()), ("alice", ["staff".into()].as_slice()));
        let fields = ["user", "email", "name", "groups"].map(|name| IdentityField::parse(name).unwrap());
        let sent = fields.map(|field| identity.header(field).unwrap().to_str().unwrap());
        assert_eq!(sent, ["alice", "a@b.test", "Alice L.", "staff"]);
        assert_eq!(IdentityField::parse("User"), None);
        // `Debug` must not show the e-mail address.
        assert_eq!(format!("{identity:?}"), r#"Identity { user: "alice", groups: ["staff"] }"#);
    }

    #[test]
    fn values_and_groups_are_limited() {
        let longest = "a".repeat(MAX_VALUE);
        assert_eq!(of(&longest, &[]).unwrap().user(), longest);
        assert_eq!(of(&format!("{longest}a"), &[]), Err(IdentityProblem::TooLong));
        let mut groups = vec!["g".repeat(255); 32];
        groups[0].push('g');
        let all: Vec<_> = groups.iter().map(String::as_str).collect();
        assert_eq!(of("alice", &all).unwrap().header(IdentityField::Groups).unwrap().len(), 8192);
        groups[1].push('g');
        let all: Vec<_> = groups.iter().map(String::as_str).collect();
        assert_eq!(of("alice", &all), Err(IdentityProblem::TooLong));
    }

    #[test]
    fn problems_say_what_is_wrong() {
        let problems = [IdentityProblem::Empty, IdentityProblem::ControlCharacter, IdentityProblem::TooLong];
        let message = problems.map(|problem| problem.to_string());
        assert_eq!(message, ["it is empty", "it has a control character in it", "it is longer than 256 bytes"]);
    }

    #[test]
    fn dangerous_values_are_refused() {
        for user in ["a\r\nX-Forwarded-Groups: admin", "a\rb", "a\0", "a\u{85}b", "\t"] {
            assert!(of(user, &[]).is_err(), "{user:?}");
            assert!(of("alice", &[user]).is_err(), "{user:?}");
        }
        assert_eq!(of(" ", &[]), Err(IdentityProblem::Empty));
    }
}
