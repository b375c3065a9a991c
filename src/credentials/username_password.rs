//! Credentials that a request presents, not verified yet.

use std::fmt;

use zeroize::Zeroizing;

use crate::values::identity::MAX_VALUE;

/// How a name and a password were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CredentialSource {
    /// Typed into the sign-in form.
    Form,
    /// In the `Authorization` header of a request, as HTTP Basic (RFC 7617).
    Basic,
}

/// A user name and a password. `Debug` shows neither: users sometimes type their password into the field for the name.
pub(crate) struct UsernamePassword {
    /// How they were sent.
    pub(crate) way: CredentialSource,
    /// The name, without white space around it: 1 to [`MAX_VALUE`] bytes.
    pub(crate) user: String,
    /// The password, byte for byte.
    pub(crate) password: Zeroizing<String>,
}

impl UsernamePassword {
    /// A name and a password as received; `None` if the name is empty or too long.
    pub(crate) fn new(way: CredentialSource, user: &str, password: Zeroizing<String>) -> Option<Self> {
        let user = user.trim();
        let fits = !user.is_empty() && user.len() <= MAX_VALUE;
        fits.then(|| Self { way, user: user.to_owned(), password })
    }
}

impl fmt::Debug for UsernamePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsernamePassword").field("way", &self.way).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_length_and_no_white_space_around_it() {
        let presented =
            |user: &str| UsernamePassword::new(CredentialSource::Form, user, Zeroizing::new(" a ".to_owned()));
        let alice = presented(" alice ").unwrap();
        assert_eq!((alice.user.as_str(), alice.password.as_str()), ("alice", " a "));
        assert_eq!(format!("{alice:?}"), "UsernamePassword { way: Form, .. }");
        assert!(presented(&"x".repeat(MAX_VALUE)).is_some());
        for user in ["", " \t", &"x".repeat(MAX_VALUE + 1)] {
            assert!(presented(user).is_none(), "{user:?}");
        }
    }
}
