//! The causes for which sessions end.

/// Why a session ended. All ends run through the same pipeline in `logout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndCause {
    /// The user signed out.
    Logout,
    /// The session was idle for the idle timeout.
    Idle,
    /// The session reached its maximum lifetime.
    Absolute,
    /// The user signed in with `max_per_user` sessions, and this one was the least recently used.
    OneTooMany,
    /// The user ended it from another session: this one, all others, or by signing out everywhere.
    Everywhere,
    /// A user signed in again in this browser.
    SignedInAgain,
    /// An operator ended it.
    Revoked,
    /// One request had the cookies of two live sessions: one of them was planted, and it is not known which (session
    /// fixation).
    CookieConflict,
    /// Another gateway that shares the store ended it.
    Elsewhere,
    /// The user was removed from the users file.
    UserRemoved,
    /// The user is disabled.
    UserDisabled,
    /// The password was changed, in another session or in the users file.
    PasswordChanged,
    /// The key with which the session's stamp was made is no longer in the key file.
    KeyRemoved,
}

impl EndCause {
    /// All causes.
    pub(crate) const ALL: [Self; 13] = [
        Self::Logout,
        Self::Idle,
        Self::Absolute,
        Self::OneTooMany,
        Self::Everywhere,
        Self::SignedInAgain,
        Self::Revoked,
        Self::CookieConflict,
        Self::Elsewhere,
        Self::UserRemoved,
        Self::UserDisabled,
        Self::PasswordChanged,
        Self::KeyRemoved,
    ];

    /// The stable id in log and audit.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Idle => "idle",
            Self::Absolute => "absolute",
            Self::OneTooMany => "one_too_many",
            Self::Everywhere => "everywhere",
            Self::SignedInAgain => "signed_in_again",
            Self::Revoked => "revoked",
            Self::CookieConflict => "cookie_conflict",
            Self::Elsewhere => "elsewhere",
            Self::UserRemoved => "user_removed",
            Self::UserDisabled => "user_disabled",
            Self::PasswordChanged => "password_changed",
            Self::KeyRemoved => "key_removed",
        }
    }
}
