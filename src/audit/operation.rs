//! What operators did, and the program itself: events that concern no single session.

use super::line::{LogLine, key};

/// What was done. Names are stable.
#[derive(Debug)]
pub(crate) enum Operation<'a> {
    /// Somebody asked at the admin socket for something that changes the gateway.
    Asked {
        /// Who, by the name that the system has for the user at the other end.
        operator: &'a str,
        /// What for.
        act: Act,
        /// A session, a user, an address; `None` where it is about everything.
        about: Option<&'a str>,
        /// Whether it was done. `false`: there was nothing to do, or it was refused.
        done: bool,
        /// Sessions that ended because of it.
        sessions_ended: usize,
    },
    /// A reload found another entry in the users' file.
    UserChanged {
        /// Whose.
        user: &'a str,
        /// What about it.
        change: UserChange,
    },
    /// The gateway has begun to serve.
    Started {
        /// Which version of it.
        version: &'static str,
        /// How many sessions it has from before.
        sessions: usize,
    },
    /// The gateway has stopped.
    Stopped,
}

/// What an operator can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// To end one session.
    RevokeSession,
    /// To end all sessions of a user.
    RevokeUser,
    /// To end all sessions that a query selects.
    RevokeSelected,
    /// To end a ban.
    Unban,
    /// To read the configuration anew.
    Reload,
}

impl Act {
    /// The word for it.
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

/// How a user's entry changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserChange {
    /// It is new.
    Added,
    /// The password, the groups, or anything else.
    Changed,
    /// It is gone.
    Removed,
}

impl UserChange {
    /// The word for it.
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
