//! The fields of the sign-in form.

use zeroize::Zeroizing;

use crate::credentials::username_password::{CredentialSource, UsernamePassword};
use crate::values::form::{Form, FormValue};
use crate::values::reason::Reason;

/// Reads a form: a user name and a password, each given once.
///
/// # Errors
/// [`Reason::FormMalformed`] if a field is missing, repeated, or too long.
pub(crate) fn read(form: &Form) -> Result<UsernamePassword, Reason> {
    let (FormValue::One(user), FormValue::One(password)) = (form.field(&["username"]), form.field(&["password"]))
    else {
        return Err(Reason::FormMalformed);
    };
    UsernamePassword::new(CredentialSource::Form, user, Zeroizing::new(password.to_owned()))
        .ok_or(Reason::FormMalformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::identity::MAX_VALUE;

    #[test]
    fn a_name_and_a_password_each_once() {
        let read = |text: &str| read(&Form::parse(text.as_bytes()).unwrap());
        let attempt = read("username=+alice+&password=+a+&next=/").unwrap();
        assert_eq!((attempt.user.as_str(), attempt.password.as_str()), ("alice", " a "));
        for text in ["", "username=a", "password=a", "username=+&password=a", "username=a&username=b&password=c"] {
            assert_eq!(read(text).unwrap_err(), Reason::FormMalformed, "{text}");
        }
        assert!(read(&format!("username={}&password=a", "x".repeat(MAX_VALUE + 1))).is_err());
    }
}
