//! The valid values of a users' file: names, groups, e-mail addresses.

use thiserror::Error;

use crate::values::identity::{Identity, IdentityProblem, MAX_GROUPS};

/// Why a value is not valid in a users' file. [`InvalidField::help`] says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidField {
    /// The value is empty. Holds the name of the field, as the beginning of a sentence.
    #[error("{0} is empty")]
    Empty(String),
    /// It has control characters.
    #[error("{what} cannot be \"{}\": {}", shown(.text), IdentityProblem::ControlCharacter)]
    ControlCharacter {
        /// Which field.
        what: String,
        /// What is written there.
        text: String,
    },
    /// It is too long.
    #[error("{what} cannot be \"{}…\": {}", shown(.text), IdentityProblem::TooLong)]
    TooLong {
        /// Which field.
        what: String,
        /// What is written there.
        text: String,
    },
    /// White space at its ends would be lost on the way to the application.
    #[error("{what} cannot be \"{}\": it begins or ends with a space", shown(.text))]
    OuterSpace {
        /// Which field.
        what: String,
        /// What is written there.
        text: String,
    },
    /// All groups of a user must fit into one header.
    #[error("the groups together are longer than {MAX_GROUPS} bytes")]
    GroupsTooLong,
    /// An htpasswd file may be in any encoding.
    #[error("a user's name is not UTF-8")]
    NotUtf8,
}

impl InvalidField {
    /// What to write instead.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::Empty(_) => "leave it out, or fill it in".to_owned(),
            Self::ControlCharacter { .. } => "remove that character".to_owned(),
            Self::TooLong { .. } => "write a shorter one".to_owned(),
            Self::OuterSpace { text, .. } => format!("write \"{}\"", text.trim().escape_debug()),
            Self::GroupsTooLong => "they do not fit into a header: remove groups that no application needs".to_owned(),
            Self::NotUtf8 => "save the file as UTF-8".to_owned(),
        }
    }
}

/// The beginning of a text, escaped to one line.
fn shown(text: &str) -> String {
    text.chars().take(40).collect::<String>().escape_debug().to_string()
}

/// Checks a user name: 1 to 256 bytes, no control characters, no leading or trailing white space (which is removed from
/// header values: the application would see `" bob"` as `bob`).
///
/// # Errors
/// Why not.
pub(crate) fn check_name(name: &str) -> Result<(), InvalidField> {
    check_text("a user's name", name)
}

/// Checks an e-mail address, a display name or a group; `what` names the field in the message.
///
/// # Errors
/// Why not.
pub(crate) fn check_text(what: &str, text: &str) -> Result<(), InvalidField> {
    let problem = Identity::new(text, None, None, &[]).err();
    if problem.is_none() && text.trim() == text {
        return Ok(());
    }
    let (what, text) = (what.to_owned(), text.to_owned());
    Err(match problem {
        Some(IdentityProblem::Empty) => InvalidField::Empty(what),
        Some(IdentityProblem::ControlCharacter) => InvalidField::ControlCharacter { what, text },
        Some(IdentityProblem::TooLong) => InvalidField::TooLong { what, text },
        None => InvalidField::OuterSpace { what, text },
    })
}

/// Checks that the groups of a user, each of which is valid, are not too long together.
///
/// # Errors
/// They are longer than [`MAX_GROUPS`] bytes.
pub(crate) fn check_groups(user: &str, groups: &[String]) -> Result<(), InvalidField> {
    let each_valid = groups.iter().all(|group| check_text("", group).is_ok());
    let all_valid = Identity::new(user, None, None, groups) != Err(IdentityProblem::TooLong);
    if !each_valid || all_valid || check_name(user).is_err() { Ok(()) } else { Err(InvalidField::GroupsTooLong) }
}
