//! The form with which users change their passwords, and the rules for new passwords.

use zeroize::Zeroizing;

use crate::credentials::password::Password;
use crate::credentials::username_password::{CredentialSource, UsernamePassword};
use crate::values::form::{Form, FormValue};
use crate::values::reason::Reason;

/// The minimum length of a new password, in characters (NIST SP 800-63B 5.1.1.2).
pub(crate) const MIN_LENGTH: usize = 8;

/// A requested change, whose old password is not verified yet.
#[derive(Debug)]
pub(crate) struct PasswordChange {
    /// The user name and the old password.
    pub(crate) presented: UsernamePassword,
    /// The new password.
    pub(crate) new: Password,
}

/// Reads a form: `old`, `password` and, to confirm it, `again`, which programs may leave out.
///
/// # Errors
/// [`Reason::FormMalformed`] if a field is missing or repeated; [`Reason::NewPasswordsDiffer`];
/// [`Reason::NewPasswordUnfit`] if the new password is too short, too long, the old one, or the user's name.
pub(crate) fn read(form: &Form, user: &str) -> Result<PasswordChange, Reason> {
    let (FormValue::One(old), FormValue::One(new)) = (form.field(&["old"]), form.field(&["password"])) else {
        return Err(Reason::FormMalformed);
    };
    match form.field(&["again"]) {
        FormValue::Several => return Err(Reason::FormMalformed),
        FormValue::One(again) if again != new => return Err(Reason::NewPasswordsDiffer),
        FormValue::One(_) | FormValue::Absent => {}
    }
    let new = Password::new(Zeroizing::new(new.to_owned())).map_err(|_| Reason::NewPasswordUnfit)?;
    let is_old = Password::new(Zeroizing::new(old.to_owned())).is_ok_and(|old| old.is_same(&new));
    let is_name = Password::new(Zeroizing::new(user.to_owned())).is_ok_and(|name| name.is_same(&new));
    if is_old || is_name || new.characters() < MIN_LENGTH {
        return Err(Reason::NewPasswordUnfit);
    }
    let presented = UsernamePassword::new(CredentialSource::Form, user, Zeroizing::new(old.to_owned()))
        .ok_or(Reason::FormMalformed)?;
    Ok(PasswordChange { presented, new })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::password::MAX_PASSWORD;

    #[test]
    fn new_passwords_are_checked() {
        use Reason::*;
        let long = format!("old=x&password={}", "a".repeat(MAX_PASSWORD + 1));
        let cases = [
            ("old=open+sesame&password=something+new&again=something+new", Ok(())),
            ("old=open+sesame&password=something+new", Ok(())),
            ("old=&password=something+new", Ok(())),
            ("old=x&password=12345678", Ok(())),
            ("old=x&password=1234567", Err(NewPasswordUnfit)),
            ("old=x&password=", Err(NewPasswordUnfit)),
            // Eight letters with accents, which take sixteen bytes; then seven.
            ("old=x&password=%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC", Ok(())),
            ("old=x&password=u%CC%88u%CC%88u%CC%88u%CC%88u%CC%88u%CC%88u%CC%88", Err(NewPasswordUnfit)),
            ("old=open+sesame&password=open+sesame", Err(NewPasswordUnfit)),
            ("old=Gr%C3%BC%C3%9Fe+an+alle&password=Gru%CC%88%C3%9Fe+an+alle", Err(NewPasswordUnfit)),
            ("old=x&password=longname", Err(NewPasswordUnfit)),
            (&long, Err(NewPasswordUnfit)),
            ("old=x&password=something+new&again=something+old", Err(NewPasswordsDiffer)),
            ("old=x&password=something+new&again=", Err(NewPasswordsDiffer)),
            ("old=x&password=something+new&again=a&again=b", Err(FormMalformed)),
            ("password=something+new", Err(FormMalformed)),
            ("old=x", Err(FormMalformed)),
            ("old=x&old=y&password=something+new", Err(FormMalformed)),
        ];
        for (text, want) in cases {
            let change = read(&Form::parse(text.as_bytes()).unwrap(), "longname");
            assert_eq!(change.as_ref().map(|_| ()).map_err(|reason| *reason), want, "{text}");
            assert!(change.is_err() || change.unwrap().presented.user == "longname");
        }
    }
}
