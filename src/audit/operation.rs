//! Events that concern no single session: requests of operators, changed users, start and stop of the program.

use super::line::{LogLine, key};

/// One operation. The names of events and fields are stable: operators search for them.
#[derive(Debug)]
pub(crate) enum Operation<'a> {
    /// A request at the admin socket that changes state.
    Asked {
        /// The operating system's name for the user of the connected process.
        operator: &'a str,
        /// What was requested.
        act: Act,
        /// The session, user or address that it concerns; `None` if it concerns the whole gateway.
        about: Option<&'a str>,
        /// Whether anything was changed; `false` if there was nothing to change, or the request was refused.
        done: bool,
        /// The number of sessions that ended because of it.
        sessions_ended: usize,
    },
    /// A reload found a changed entry in the users file.
    UserChanged {
        /// The user's name.
        user: &'a str,
        /// The kind of change.
        change: UserChangeKind,
    },
    /// The gateway accepts connections.
    Started {
        /// The version of the program.
        version: &'static str,
        /// The number of sessions loaded from the store.
        sessions: usize,
    },
    /// The gateway has stopped.
    Stopped,
}

/// The requests of operators that change state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// End one session.
    RevokeSession,
    /// End all sessions of a user.
    RevokeUser,
    /// End all sessions that a query selects.
    RevokeSelected,
    /// Remove a ban.
    Unban,
    /// Reload the configuration.
    Reload,
}

impl Act {
    /// The stable name in log lines.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::RevokeSession => "revoke_session",
            Self::RevokeUser => "revoke_user",
            Self::RevokeSelected => "revoke_selected",
            Self::Unban => "unban",
            Self::Reload => "reload",
        }
    }
}

/// How the entry of a user changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserChangeKind {
    /// The user is new.
    Added,
    /// The password, the groups or another field changed.
    Changed,
    /// The user was removed.
    Removed,
}

impl UserChangeKind {
    /// The stable name in log lines.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

impl Operation<'_> {
    pub(super) fn write(&self, line: &mut LogLine<'_>) {
        match self {
            Self::Asked { operator, act, about, done, sessions_ended } => {
                line.word(key!("event"), "operator_request");
                line.value(key!("operator"), operator);
                line.word(key!("act"), act.id());
                line.optional(key!("about"), *about);
                line.word(key!("done"), if *done { "yes" } else { "no" });
                line.number(key!("sessions_ended"), *sessions_ended as u64);
            }
            Self::UserChanged { user, change } => {
                line.word(key!("event"), "user_changed");
                line.value(key!("user"), user);
                line.word(key!("change"), change.id());
            }
            Self::Started { version, sessions } => {
                line.word(key!("event"), "started");
                line.word(key!("version"), version);
                line.number(key!("sessions"), *sessions as u64);
            }
            Self::Stopped => line.word(key!("event"), "stopped"),
        }
    }
}
