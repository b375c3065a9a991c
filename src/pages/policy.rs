//! The content security policies of the gateway's pages (W3C CSP 3).

use data_encoding::BASE64;
use http::HeaderValue;
use http::header::InvalidHeaderValue;
use sha2::{Digest, Sha256};

use super::tabs::CLOSE_TABS;

/// The script of the sign-in form adds a button that shows the password. The form works without it.
pub(super) const SHOW_PASSWORD: &str = include_str!("show_password.js");

/// The script of the goodbye page before the browser is redirected to other hosts. It tests which of them can be
/// reached.
pub(super) const LEAD_ON: &str = include_str!("lead_on.js");

/// What the content security policy of a page has to allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// It has a form and the script of the form.
    FormAndScript,
    /// It has a form.
    Form,
    /// It has the script that sends other tabs to the sign-in page, and its service worker.
    Worker,
    /// The script that tests which other hosts the browser can connect to.
    OtherHosts,
    /// Neither a form nor a script.
    Nothing,
}

/// The policies, as header values.
#[derive(Debug)]
pub(super) struct Policies {
    form_and_script: HeaderValue,
    form: HeaderValue,
    worker: HeaderValue,
    other_hosts: HeaderValue,
    nothing: HeaderValue,
}

impl Policies {
    /// The policies of pages with this style sheet. Its hash is allowed too, for pages that include it because they are
    /// shown under a host where the style sheet cannot be requested.
    pub(super) fn new(style: &str) -> Result<Self, InvalidHeaderValue> {
        let always = format!(
            "default-src 'none'; style-src 'self' {}; img-src 'self'; base-uri 'none'; frame-ancestors 'none'",
            hash(style)
        );
        Ok(Self {
            form_and_script: format!("{always}; script-src {}", hash(SHOW_PASSWORD)).try_into()?,
            worker: format!("{always}; form-action 'self'; script-src {}; worker-src 'self'", hash(CLOSE_TABS))
                .try_into()?,
            // The hash allows no other script, and this one only connects to hosts in the signed address of its page.
            other_hosts: format!(
                "{always}; form-action 'self'; script-src {}; connect-src http: https:",
                hash(LEAD_ON)
            )
            .try_into()?,
            nothing: format!("{always}; form-action 'self'").try_into()?,
            form: always.try_into()?,
        })
    }

    /// The policy for a page. Pages with a form have no `form-action`: Chromium applies it to every redirect that
    /// follows the form, so that users whom the application redirects to another origin after signing in or out (its
    /// own single sign-on, its canonical name) would stay on the form without any message.
    pub(super) fn of(&self, needs: Needs) -> &HeaderValue {
        match needs {
            Needs::FormAndScript => &self.form_and_script,
            Needs::Form => &self.form,
            Needs::Worker => &self.worker,
            Needs::OtherHosts => &self.other_hosts,
            Needs::Nothing => &self.nothing,
        }
    }
}

/// The source expression for exactly this text.
fn hash(text: &str) -> String {
    format!("'sha256-{}'", BASE64.encode(&Sha256::digest(text)))
}
