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
///
/// Each of a million users may have one, so it is a single string, and header values are computed on first use and then
/// cached by [`Identity::put_rendered`].
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// User, e-mail address, name and groups, separated by line breaks, which none of them can contain. E-mail address
    /// and name are empty if the user has none.
    lines: Box<str>,
    ends: LineEnds,
    rendered: Rendered,
}

/// Where the first three lines end.
#[derive(Clone, Copy, PartialEq, Eq)]
struct LineEnds {
    user: u16,
    email: u16,
    name: u16,
}

/// A cache of the identity headers: most requests of a user need the same ones.
#[derive(Clone, Default)]
struct Rendered(OnceLock<Box<RenderedLines>>);

#[derive(Clone)]
struct RenderedLines {
    form: u64,
    lines: Box<[u8]>,
}

/// Always equal, since the cache is not part of the identity.
impl PartialEq for Rendered {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Rendered {}

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
        Self::of_texts(user, email, name, groups)
    }

    /// [`Identity::new`] for borrowed groups as well.
    pub(crate) fn of_texts(
        user: &str,
        email: Option<&str>,
        name: Option<&str>,
        groups: &[impl AsRef<str>],
    ) -> Result<Self, IdentityProblem> {
        let [email, name] = [email, name].map(|text| text.filter(|text| !text.trim().is_empty()));
        let mut present = [Some(user), email, name].into_iter().flatten();
        present.try_for_each(check)?;
        check_groups(groups)?;
        let first = [user, email.unwrap_or_default(), name.unwrap_or_default()];
        let all = || first.into_iter().chain(groups.iter().map(AsRef::as_ref));
        let mut lines = String::with_capacity(all().map(|line| line.len() + 1).sum::<usize>() - 1);
        for (at, line) in all().enumerate() {
            lines.extend((at > 0).then_some('\n'));
            lines.push_str(line);
        }
        let [user, email, name] = first.map(str::len);
        let end = |length: usize| u16::try_from(length).map_err(|_| IdentityProblem::TooLong);
        let ends =
            LineEnds { user: end(user)?, email: end(user + 1 + email)?, name: end(user + 1 + email + 1 + name)? };
        Ok(Self { lines: lines.into(), ends, rendered: Rendered::default() })
    }

    /// A part of the lines; empty beyond their end.
    fn part(&self, begin: usize, end: u16) -> &str {
        self.lines.get(begin..end.into()).unwrap_or_default()
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        self.part(0, self.ends.user)
    }

    /// The e-mail address, if the source has one.
    pub(crate) fn email(&self) -> Option<&str> {
        Some(self.part(usize::from(self.ends.user) + 1, self.ends.email)).filter(|email| !email.is_empty())
    }

    /// The display name, if the source has one.
    pub(crate) fn name(&self) -> Option<&str> {
        Some(self.part(usize::from(self.ends.email) + 1, self.ends.name)).filter(|name| !name.is_empty())
    }

    /// The groups, in the order and spelling of the source.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        let groups = self.lines.get(usize::from(self.ends.name) + 1..);
        groups.into_iter().flat_map(|groups| groups.split('\n'))
    }

    /// Whether the user is in the group with exactly this name.
    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.groups().any(|own| own == group)
    }

    /// A field as a header value; `None` if the user does not have it, so that no empty header is sent.
    pub(crate) fn header(&self, field: IdentityField) -> Option<HeaderValue> {
        let encoded = |text| utf8_percent_encode(text, ENCODED).to_string();
        let value = match field {
            IdentityField::User => encoded(self.user()),
            IdentityField::Email => encoded(self.email()?),
            IdentityField::Name => encoded(self.name()?),
            IdentityField::Groups => groups_header(self.groups())?,
        };
        // Only printable ASCII is left.
        HeaderValue::try_from(value).ok()
    }

    /// Writes the headers that `render` makes, from the cache if possible. `form` identifies everything besides the
    /// identity on which they depend.
    pub(crate) fn put_rendered(&self, form: u64, to: &mut BytesMut, render: impl Fn(&Self, &mut BytesMut)) {
        let kept = self.rendered.0.get_or_init(|| {
            let mut lines = BytesMut::new();
            render(self, &mut lines);
            Box::new(RenderedLines { form, lines: Box::from(&*lines) })
        });
        if kept.form == form { to.extend_from_slice(&kept.lines) } else { render(self, to) }
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

fn check(text: &str) -> Result<(), IdentityProblem> {
    if text.trim().is_empty() {
        Err(IdentityProblem::Empty)
    } else if text.len() > MAX_VALUE {
        Err(IdentityProblem::TooLong)
    } else if text.chars().any(char::is_control) {
        Err(IdentityProblem::ControlCharacter)
    } else {
        Ok(())
    }
}

fn check_groups(groups: &[impl AsRef<str>]) -> Result<(), IdentityProblem> {
    let mut length = 0;
    for group in groups {
        check(group.as_ref())?;
        let encoded = utf8_percent_encode(group.as_ref(), ENCODED_GROUP);
        length += usize::from(length > 0) + encoded.map(str::len).sum::<usize>();
    }
    if length > MAX_GROUPS { Err(IdentityProblem::TooLong) } else { Ok(()) }
}

fn groups_header<'a>(groups: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut list = String::new();
    for group in groups {
        if !list.is_empty() {
            list.push(',');
        }
        list.extend(utf8_percent_encode(group, ENCODED_GROUP));
    }
    (!list.is_empty()).then_some(list)
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("user", &self.user())
            .field("groups", &self.groups().collect::<Vec<_>>())
            .finish()
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
        assert!(identity.user() == "alice" && identity.groups().eq(["staff"]));
        let fields = ["user", "email", "name", "groups"].map(|name| IdentityField::parse(name).unwrap());
        let sent = fields.map(|field| identity.header(field).unwrap());
        assert_eq!(sent, ["alice", "a@b.test", "Alice L.", "staff"]);
        assert_eq!(IdentityField::parse("User"), None);
        // `Debug` must not show the e-mail address.
        assert_eq!(format!("{identity:?}"), r#"Identity { user: "alice", groups: ["staff"] }"#);
    }

    #[test]
    fn missing_fields_do_not_shift_others() {
        let groups = ["staff".to_owned(), "sales".to_owned()];
        for email in [None, Some("é@b.test")] {
            for name in [None, Some("Zoë"), Some(" ")] {
                for groups in [&groups[..], &groups[..1], &[]] {
                    let identity = Identity::new("zoë", email, name, groups).unwrap();
                    let name = name.filter(|name| *name != " ");
                    assert_eq!((identity.user(), identity.email(), identity.name()), ("zoë", email, name));
                    assert!(identity.groups().eq(groups), "{identity:?}");
                    assert!(!identity.is_in("") && identity.is_in("sales") == (groups.len() == 2));
                }
            }
        }
        let of = |email, name, groups: &[&str]| Identity::of_texts("a", email, name, groups).unwrap();
        let all = [of(None, None, &[]), of(Some("b"), None, &[]), of(None, Some("b"), &[]), of(None, None, &["b"])];
        assert!(all.iter().enumerate().all(|(at, one)| all.iter().position(|other| other == one) == Some(at)));
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
