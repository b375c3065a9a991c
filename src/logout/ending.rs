//! Everything that is known of one end: the steps of a logout are planned from this alone.

use std::sync::Arc;

use super::settings::LogoutSettings;
use crate::session::record::Ended;

/// A session that has ended, and the terms on which the rest of its logout runs.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The session, why it ended, and who ended it.
    pub ended: Ended,
    /// The terms.
    pub terms: Terms,
}

/// The configuration under which sessions end, and the request that asked for it.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What `[logout]` says.
    pub settings: Arc<LogoutSettings>,
    /// What the browser's request carried; `None` where no browser waits for the answer.
    pub request: Option<Carried>,
}

/// What the request carried that the answer has to take back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Cookies of the gateway that the answer expires.
    pub cookies: usize,
}

impl Terms {
    /// Nobody waits for an answer.
    pub fn unattended(settings: &Arc<LogoutSettings>) -> Self {
        Self { settings: Arc::clone(settings), request: None }
    }

    /// A browser, or a program with a cookie, waits for the answer.
    pub fn answered(settings: &Arc<LogoutSettings>, request: Carried) -> Self {
        Self { settings: Arc::clone(settings), request: Some(request) }
    }
}
