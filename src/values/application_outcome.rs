//! What happened to a user's session in one application when the gateway's session ended.

use std::fmt;

use serde::{Serialize, Serializer};

/// The outcome for one application. Of several outcomes the greatest is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ApplicationOutcome {
    /// The application has answered its logout call: its own session has ended.
    EndedByCall,
    /// Its cookies were deleted, so its session can no longer be used. It ends there by the application's own timeout.
    CookiesDropped,
    /// The gateway does not know its cookies (`app_cookies = "pass"`): the browser may keep them, and with them the
    /// application's session.
    CookiesRemain,
    /// The call is queued. Its result will be in the log.
    Queued,
    /// The queue of calls is full.
    NotAttempted,
    /// The call failed. The cookies were deleted nevertheless.
    Failed(CallFailure),
}

/// Why a logout call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum CallFailure {
    /// The application cannot be reached.
    Unreachable,
    /// It did not answer in time.
    TimedOut,
    /// Its answer is not valid HTTP, or the connection was closed early.
    Broken,
    /// It answered with this status, which is neither 2xx nor 3xx.
    Status(u16),
    /// The page from which a token was to be taken does not contain one.
    NoToken,
}

const DROPPED: &str = "cookies dropped";
const REMAIN: &str = "cookies may remain";
const ENDED: &str = "ended by call";
const QUEUED: &str = "queued";
const NOT_ATTEMPTED: &str = "not attempted";
const FAILED: &str = "failed: ";

impl ApplicationOutcome {
    /// Parses the output of [`fmt::Display`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            ENDED => Self::EndedByCall,
            DROPPED => Self::CookiesDropped,
            REMAIN => Self::CookiesRemain,
            QUEUED => Self::Queued,
            NOT_ATTEMPTED => Self::NotAttempted,
            other => Self::Failed(CallFailure::parse(other.strip_prefix(FAILED)?)?),
        })
    }

    /// The stable id, without details.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::EndedByCall => "ended_by_call",
            Self::CookiesDropped => "cookies_dropped",
            Self::CookiesRemain => "cookies_remain",
            Self::Queued => "queued",
            Self::NotAttempted => "not_attempted",
            Self::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for ApplicationOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndedByCall => f.write_str(ENDED),
            Self::CookiesDropped => f.write_str(DROPPED),
            Self::CookiesRemain => f.write_str(REMAIN),
            Self::Queued => f.write_str(QUEUED),
            Self::NotAttempted => f.write_str(NOT_ATTEMPTED),
            Self::Failed(failure) => write!(f, "{FAILED}{failure}"),
        }
    }
}

impl Serialize for ApplicationOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

const NO_CONNECTION: &str = "no connection";
const NO_ANSWER: &str = "no answer in time";
const NO_VALID_ANSWER: &str = "no valid answer";
const NO_TOKEN: &str = "no token in its answer";
const STATUS: &str = "status ";

impl CallFailure {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            NO_CONNECTION => Self::Unreachable,
            NO_ANSWER => Self::TimedOut,
            NO_VALID_ANSWER => Self::Broken,
            NO_TOKEN => Self::NoToken,
            other => Self::Status(other.strip_prefix(STATUS)?.parse().ok()?),
        })
    }
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str(NO_CONNECTION),
            Self::TimedOut => f.write_str(NO_ANSWER),
            Self::Broken => f.write_str(NO_VALID_ANSWER),
            Self::NoToken => f.write_str(NO_TOKEN),
            Self::Status(status) => write!(f, "{STATUS}{status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_reads_back() {
        use ApplicationOutcome::*;
        let outcomes = [
            (EndedByCall, "ended by call"),
            (CookiesDropped, "cookies dropped"),
            (CookiesRemain, "cookies may remain"),
            (Queued, "queued"),
            (NotAttempted, "not attempted"),
            (Failed(CallFailure::Unreachable), "failed: no connection"),
            (Failed(CallFailure::TimedOut), "failed: no answer in time"),
            (Failed(CallFailure::Broken), "failed: no valid answer"),
            (Failed(CallFailure::NoToken), "failed: no token in its answer"),
            (Failed(CallFailure::Status(403)), "failed: status 403"),
        ];
        for (outcome, text) in outcomes {
            assert_eq!(outcome.to_string(), text);
            assert_eq!(ApplicationOutcome::parse(text), Some(outcome));
        }
        for text in ["", "ended", "failed", "failed: ", "failed: status", "failed: status x", "failed: status 99999"] {
            assert_eq!(ApplicationOutcome::parse(text), None, "{text}");
        }
        assert!(Failed(CallFailure::NoToken) > NotAttempted && Queued > EndedByCall);
    }
}
