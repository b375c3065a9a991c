//! The settings of `[logout]`.

use std::time::Duration;

use http::HeaderValue;

use crate::admission::cross_site::GetPolicy;
use crate::values::return_to::{AllowedOrigins, ReturnTo};

/// The sign-out settings.
#[derive(Clone, Debug)]
pub struct LogoutSettings {
    /// What a GET of a logout path may do.
    pub get: GetPolicy,
    /// The redirect target after a sign-out; `None` for the goodbye page.
    pub next: Option<ReturnTo>,
    /// The origins that a request's `next` may lead to: the gateway's own and `logout.allowed_origins`.
    pub allowed: AllowedOrigins,
    /// How long an exchange that began before the end may continue. Streams are cut at once.
    pub grace: Duration,
    /// The value of `Clear-Site-Data`, if configured.
    pub clear_site_data: Option<HeaderValue>,
    /// Whether the goodbye page sends other tabs of its host to the sign-in page.
    pub close_tabs: bool,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The defaults.
    pub(in super::super) fn settings() -> LogoutSettings {
        LogoutSettings {
            get: GetPolicy::Navigate,
            next: None,
            allowed: AllowedOrigins::new([]),
            grace: Duration::from_secs(5),
            clear_site_data: None,
            close_tabs: false,
        }
    }
}
