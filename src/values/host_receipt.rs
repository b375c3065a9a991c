//! What became of a browser's data for a further own host on which a session was open when that ended.

use serde::Serialize;

/// The outcome for one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HostOutcome {
    /// The answer leads the browser there. What comes of it is not known yet.
    Next,
    /// The browser was told to clear it.
    Cleared,
    /// The browser was there, and keeps it: it did not show the cookie of this session, or somebody is signed in there.
    Kept,
    /// The browser was not led there: programs are not, one way has so many stops, or the host is not served any more.
    NotVisited,
}

/// What happened to the data for one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct HostReceipt {
    /// The host.
    pub(crate) host: Box<str>,
    /// What became of it.
    pub(crate) result: HostOutcome,
}

impl HostOutcome {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Next, Self::Cleared, Self::Kept, Self::NotVisited];

    /// The word for it.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Cleared => "cleared",
            Self::Kept => "kept",
            Self::NotVisited => "not_visited",
        }
    }

    /// Whether data stays that should have gone.
    pub(crate) const fn is_failure(self) -> bool {
        matches!(self, Self::Kept | Self::NotVisited)
    }
}

impl HostReceipt {
    /// The outcome, and the host behind a bar.
    pub(super) fn text(&self) -> String {
        format!("{}|{}", self.result.id(), self.host)
    }

    /// Reads what [`Self::text`] wrote.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (result, host) = text.split_once('|')?;
        let result = HostOutcome::ALL.into_iter().find(|outcome| outcome.id() == result)?;
        Some(Self { host: host.into(), result })
    }
}
