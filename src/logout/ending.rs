//! Everything that is known of one end: the steps of a logout are planned from this alone.

use std::sync::Arc;

use super::application::Applications;
use super::browser_request::BrowserRequest;
use super::passed_on::PassedOn;
use super::settings::LogoutSettings;
use crate::session::record::Ended;

/// A session that has ended, and the terms on which the rest of its logout runs.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    /// The session, why it ended, and who ended it.
    pub(crate) ended: Ended,
    /// The terms.
    pub(crate) terms: Terms,
}

/// The configuration under which sessions end, and the request that asked for it.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// What `[logout]` says.
    pub(crate) settings: Arc<LogoutSettings>,
    /// The applications that are asked to end their own sessions.
    pub(crate) applications: Arc<Applications>,
    /// What the browser's request carried; `None` where no browser waits for the answer.
    pub(crate) request: Option<Carried>,
}

/// What the request carried that the answer has to take back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried {
    /// Cookies of the gateway that the answer expires.
    pub(crate) cookies: usize,
    /// The browser's logout, for the calls to applications that it waits for; `None` where it asked for something else.
    pub(crate) browser: Option<Arc<BrowserRequest>>,
    /// The request itself, where it was for an application's own logout link and goes on to it.
    pub(crate) passed_on: Option<Arc<PassedOn>>,
}

impl Terms {
    /// No request waits for the result.
    pub(crate) fn unattended(settings: &Arc<LogoutSettings>, applications: &Arc<Applications>) -> Self {
        Self { settings: Arc::clone(settings), applications: Arc::clone(applications), request: None }
    }

    /// A browser, or a program with a cookie, waits for the answer.
    pub(crate) fn answered(self, request: Carried) -> Self {
        Self { request: Some(request), ..self }
    }
}
