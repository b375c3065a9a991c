//! What somebody sends to sign in.

use std::fmt;

use zeroize::Zeroizing;

use crate::values::form::{Field, Form};
use crate::values::identity::MAX_VALUE;
use crate::values::reason::Reason;

/// A user name and a password, each given once.
pub struct Attempt {
    /// The name as typed, without white space around it.
    pub user: String,
    /// The password, byte for byte.
    pub password: Zeroizing<String>,
}

impl Attempt {
    /// Reads a form.
    ///
    /// # Errors
    /// [`Reason::FormMalformed`] where a field is missing, given twice, or longer than any name.
    pub fn read(form: &Form) -> Result<Self, Reason> {
        let (Field::One(user), Field::One(password)) = (form.field(&["username"]), form.field(&["password"])) else {
            return Err(Reason::FormMalformed);
        };
        let user = user.trim();
        if user.is_empty() || user.len() > MAX_VALUE {
            return Err(Reason::FormMalformed);
        }
        Ok(Self { user: user.to_owned(), password: Zeroizing::new(password.to_owned()) })
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_password_each_once() {
        let read = |text: &str| Attempt::read(&Form::parse(text.as_bytes()).unwrap());
        let attempt = read("username=+alice+&password=+a+&next=/").unwrap();
        assert_eq!((attempt.user.as_str(), attempt.password.as_str()), ("alice", " a "));
        assert!(!format!("{attempt:?}").contains("\" a \""));
        for text in ["", "username=a", "password=a", "username=+&password=a", "username=a&username=b&password=c"] {
            assert_eq!(read(text).unwrap_err(), Reason::FormMalformed, "{text}");
        }
        assert!(read(&format!("username={}&password=a", "x".repeat(MAX_VALUE + 1))).is_err());
    }
}
