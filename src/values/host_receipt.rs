//! The result of clearing a browser's data on a further host of an ended session.

use serde::Serialize;

/// The outcome for one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HostOutcome {
    /// The answer redirects the browser to the host. The result is not known yet.
    Next,
    /// The browser was told to clear its data (`Clear-Site-Data`).
    Cleared,
    /// The data was kept: the browser did not send the cookie of this session, or a user is signed in on the host.
    Kept,
    /// The browser was not redirected to the host: the client is a program, the chain of redirects has its maximum
    /// length, or the host is no longer served.
    NotVisited,
    /// The browser was not sent there because it cannot connect to the host.
    Unreached,
}

/// The result for one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct HostReceipt {
    /// The host.
    pub(crate) host: Box<str>,
    /// The outcome.
    pub(crate) result: HostOutcome,
}

impl HostOutcome {
    /// All outcomes.
    pub(crate) const ALL: [Self; 5] = [Self::Next, Self::Cleared, Self::Kept, Self::NotVisited, Self::Unreached];

    /// The stable id.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Cleared => "cleared",
            Self::Kept => "kept",
            Self::NotVisited => "not_visited",
            Self::Unreached => "unreached",
        }
    }

    /// Whether data may remain that should have been cleared.
    pub(crate) const fn is_failure(self) -> bool {
        matches!(self, Self::Kept | Self::NotVisited | Self::Unreached)
    }
}

impl HostReceipt {
    /// The outcome and the host, separated by a bar.
    pub(super) fn text(&self) -> String {
        format!("{}|{}", self.result.id(), self.host)
    }

    /// Parses the output of [`Self::text`].
    pub(super) fn read(text: &str) -> Option<Self> {
        let (result, host) = text.split_once('|')?;
        let result = HostOutcome::ALL.into_iter().find(|outcome| outcome.id() == result)?;
        Some(Self { host: host.into(), result })
    }
}
