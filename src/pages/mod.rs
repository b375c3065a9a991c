//! The only place that makes HTML. Templates escape what they are given; no page needs a script.

use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};

use crate::values::reason::Refusal;
use crate::values::receipt::Receipt;
use crate::values::reply::Reply;
use crate::values::return_to::AllowedOrigins;

const TEMPLATES: [(&str, &str); 6] = [
    ("layout.html", include_str!("templates/layout.html")),
    ("login.html", include_str!("templates/login.html")),
    ("signed_in.html", include_str!("templates/signed_in.html")),
    ("confirm.html", include_str!("templates/confirm.html")),
    ("goodbye.html", include_str!("templates/goodbye.html")),
    ("refused.html", include_str!("templates/refused.html")),
];

/// The style of every page, at `/.exeunt/style.css`.
pub const STYLE: &str = include_str!("style.css");

/// Renders pages.
#[derive(Debug)]
pub struct Pages {
    environment: Environment<'static>,
    policy: HeaderValue,
}

/// A template or the policy of the pages is broken.
#[derive(Debug)]
pub struct BrokenPages(String);

impl std::fmt::Display for BrokenPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the pages cannot be made: {}", self.0)
    }
}

impl Pages {
    /// The built-in pages. Forms may end up at the allowed origins: browsers hold a form's redirect against the
    /// policy of the page it was on.
    pub fn new(allowed: &AllowedOrigins) -> Result<Self, BrokenPages> {
        let mut environment = Environment::new();
        for (name, source) in TEMPLATES {
            environment.add_template(name, source).map_err(|error| BrokenPages(error.to_string()))?;
        }
        let policy = format!(
            "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'{allowed}"
        );
        let policy = HeaderValue::try_from(policy).map_err(|error| BrokenPages(error.to_string()))?;
        Ok(Self { environment, policy })
    }

    /// The sign-in form, with what went wrong at the last try.
    pub fn login(&self, status: StatusCode, action: &str, next: Option<&str>, user: &str, problem: Option<&str>) -> Reply {
        self.page(status, "login.html", context! { action, next, user, problem })
    }

    /// What somebody sees at the sign-in address who is signed in: go on, be somebody else, sign out.
    pub fn signed_in(&self, user: &str, next: &str, switch: &str, logout: &str) -> Reply {
        self.page(StatusCode::OK, "signed_in.html", context! { user, next, switch, logout })
    }

    /// Asks whether to sign out.
    pub fn confirm(&self, status: StatusCode, action: &str, next: Option<&str>, user: Option<&str>, message: &str) -> Reply {
        self.page(status, "confirm.html", context! { action, next, user, message })
    }

    /// The end of a sign-out.
    pub fn goodbye(&self, status: StatusCode, receipt: Option<&Receipt>, login: &str) -> Reply {
        let unconfirmed = status == StatusCode::SERVICE_UNAVAILABLE;
        let words = context! { end => "Session ended", cut => "Open connections closed", answer => "Cookies removed" };
        let results = context! { done => "done", nothing => "nothing to do", failed => "not confirmed" };
        self.page(status, "goodbye.html", context! { receipt => Serde(receipt), login, unconfirmed, words, results })
    }

    /// A refusal.
    pub fn refused(&self, refusal: &Refusal) -> Reply {
        let status = refusal.reason.status();
        let title = status.canonical_reason().unwrap_or("Refused");
        let (message, reason) = (&refusal.message, refusal.reason.id());
        let values = context! { title, message, reason, status => status.as_u16() };
        self.page(status, "refused.html", values)
    }

    fn page(&self, status: StatusCode, name: &str, values: Value) -> Reply {
        let rendered = self.environment.get_template(name).and_then(|template| template.render(values));
        // A template that fails at run time costs the page, not the answer's meaning.
        let body = rendered.map_or_else(|_| Bytes::from_static(b"<!doctype html><title>Exeunt</title>"), Bytes::from);
        Reply::with_body(status, "text/html; charset=utf-8", body)
            .with(CONTENT_SECURITY_POLICY, self.policy.clone())
            .with(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
            // With no-referrer, browsers send `Origin: null` from our own forms, and nobody could sign in.
            .with(REFERRER_POLICY, HeaderValue::from_static("same-origin"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::reason::Reason;

    fn text(reply: &Reply) -> &str {
        std::str::from_utf8(&reply.body).unwrap()
    }

    #[test]
    fn pages_escape_what_they_are_given() {
        let pages = Pages::new(&AllowedOrigins::default()).unwrap();
        let evil = "\"><script>alert(1)</script>";
        let receipt = Receipt { logout_id: evil.into(), user: Some(evil.into()), target: None, steps: Vec::new() };
        let replies = [
            pages.login(StatusCode::OK, evil, Some(evil), evil, Some(evil)),
            pages.signed_in(evil, evil, evil, evil),
            pages.confirm(StatusCode::OK, evil, Some(evil), Some(evil), evil),
            pages.goodbye(StatusCode::OK, Some(&receipt), evil),
            pages.refused(&Refusal { reason: Reason::Internal, message: evil.to_owned().into() }),
        ];
        for reply in &replies {
            assert!(text(reply).contains("&lt;script&gt;") && !text(reply).contains("<script"), "{}", text(reply));
            assert!(reply.headers.iter().any(|(name, _)| name == CONTENT_SECURITY_POLICY));
        }
    }

    #[test]
    fn the_receipt_is_in_words() {
        use crate::values::receipt::{Step, StepReceipt};
        let steps = vec![
            StepReceipt::counted(Step::End, 1, std::time::Duration::ZERO),
            StepReceipt::counted(Step::Cut, 3, std::time::Duration::ZERO),
            StepReceipt::counted(Step::Answer, 0, std::time::Duration::ZERO),
        ];
        let receipt = Receipt { logout_id: "x".into(), user: Some("alice".into()), target: None, steps };
        let pages = Pages::new(&AllowedOrigins::default()).unwrap();
        let page = pages.goodbye(StatusCode::OK, Some(&receipt), "/login");
        for words in ["Session ended</dt><dd>done", "Open connections closed</dt><dd>done (3)", "nothing to do", "Goodbye, alice."] {
            assert!(text(&page).contains(words), "{words}: {}", text(&page));
        }
    }
}
