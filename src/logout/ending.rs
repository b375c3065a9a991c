//! The input from which the steps of a logout are planned.

use std::sync::Arc;

use super::application::Applications;
use super::browser_request::BrowserRequest;
use super::passed_on::PassedOn;
use super::settings::LogoutSettings;
use crate::session::record::Ended;

/// A session that has ended, and the terms for the rest of its logout.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    /// The session, the cause, and whether this gateway ended it.
    pub(crate) ended: Ended,
    /// The terms.
    pub(crate) terms: Terms,
}

/// The configuration for the end of sessions, and the request that caused it.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// The settings of `[logout]`.
    pub(crate) settings: Arc<LogoutSettings>,
    /// The applications that are asked to end their own sessions.
    pub(crate) applications: Arc<Applications>,
    /// The parts of the request that the answer depends on; `None` if no client waits for the answer.
    pub(crate) request: Option<RequestParts>,
}

/// The parts of a request that the answer depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestParts {
    /// The number of the gateway's cookies that the answer expires.
    pub(crate) cookies: usize,
    /// The browser's logout request, for logout calls; `None` if the request was for something else.
    pub(crate) browser: Option<Arc<BrowserRequest>>,
    /// The request, if it is for an application's own logout link and is forwarded to it.
    pub(crate) passed_on: Option<Arc<PassedOn>>,
}

impl Terms {
    /// The terms for an end that no client waits for.
    pub(crate) fn without_client(settings: &Arc<LogoutSettings>, applications: &Arc<Applications>) -> Self {
        Self { settings: Arc::clone(settings), applications: Arc::clone(applications), request: None }
    }

    /// The same terms for an end that this client waits for.
    pub(crate) fn answered(self, request: RequestParts) -> Self {
        Self { request: Some(request), ..self }
    }
}
