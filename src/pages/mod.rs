//! The only place that makes HTML. Templates escape what they are given; no page needs a script.

mod brand;
mod catalogue;
mod colour;
mod forms;
mod language;
mod page;
mod policy;
mod problem;
mod samples;
pub(crate) mod tabs;
mod theme;

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, InvalidHeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use minijinja::{Value, context};
use sha2::{Digest, Sha256};
use thiserror::Error;

pub use self::brand::{Brand, Logo, MAX_LOGO};
pub(crate) use self::colour::Colour;
pub(crate) use self::language::Language;
pub(crate) use self::page::{PasswordPage, PasswordState, SessionLine, SessionsPage, SignInForm, SignedInPage};
pub(crate) use self::problem::BrokenFile;
pub use self::theme::Theme;

use self::page::{GoodbyeScript, Page};
use self::policy::Policies;
use crate::http1::headers::Headers;
use crate::values::own_path::OwnPages;
use crate::values::reason::{Reason, Refusal};
use crate::values::receipt::Receipt;
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;

/// The background of the pages' cards in the light and the dark scheme. `style.css` has the same colours.
const BACKGROUNDS: [&str; 2] = ["#f6f5f1", "#1b1e1d"];
/// The content security policy of the logo where it is opened as a document: an SVG must not run scripts.
const PICTURE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
/// The delay after which a page redirects whose script has not done so. The script takes three seconds at most.
const WITHOUT_SCRIPT: Duration = Duration::from_secs(10);

/// How the pages look, as configured.
#[derive(Clone, Debug)]
pub struct PageSettings {
    /// Name, picture and colour.
    pub brand: Brand,
    /// Templates, texts and style.
    pub theme: Theme,
}

/// Addresses that pages link to.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// The sign-in path.
    pub(crate) login: String,
    /// The sign-out path.
    pub(crate) logout: String,
    /// Where a sign-in leads without a `next`.
    pub(crate) home: String,
}

impl Addresses {
    fn samples() -> Self {
        Self { login: "/login".to_owned(), logout: "/logout".to_owned(), home: "/".to_owned() }
    }
}

/// Renders pages.
#[derive(Debug)]
pub(crate) struct Pages {
    theme: Theme,
    around: Value,
    policies: Policies,
    style: Bytes,
    picture: Logo,
    tabs_worker: Bytes,
}

/// The policy of the pages cannot be written as a header.
#[derive(Debug, Error)]
#[error("the pages cannot be made: {0}")]
pub struct BrokenPages(#[from] InvalidHeaderValue);

impl Pages {
    /// The pages. `own` are all addresses of the gateway.
    pub(crate) fn new(settings: PageSettings, addresses: &Addresses, own: &OwnPages) -> Result<Self, BrokenPages> {
        let PageSettings { brand, theme } = settings;
        let style = colours(brand.colour) + theme.style();
        let policies = Policies::new(&style)?;
        let picture = brand.picture();
        let name = if brand.logo.is_none() { brand.name.as_str() } else { "" };
        let (style_at, picture_at) = (versioned("style.css", style.as_bytes()), versioned("logo", &picture.bytes));
        let brand = context! { name => brand.name.as_str(), beside_logo => name, logo => picture_at };
        let around = shared_variables(brand, stylesheet(&style_at, &style), addresses);
        Ok(Self { theme, around, policies, style: style.into(), picture, tabs_worker: tabs::worker(own) })
    }

    /// The language for these request headers.
    pub(crate) fn language(&self, headers: &dyn Headers) -> Language {
        self.theme.language(headers)
    }

    /// The sign-in form.
    pub(crate) fn login(&self, language: Language, status: StatusCode, form: SignInForm<'_>) -> Reply {
        self.page(language, status, &Page::Login(form))
    }

    /// The sign-in page for a signed-in user: continue, switch user, sign out.
    pub(crate) fn signed_in(&self, language: Language, page: SignedInPage<'_>) -> Reply {
        self.page(language, StatusCode::OK, &Page::SignedIn(page))
    }

    /// The page on which users change their passwords.
    pub(crate) fn password(&self, language: Language, page: PasswordPage<'_>) -> Reply {
        let status = match page.state {
            PasswordState::Asked(Some(problem)) => problem.reason.status(),
            PasswordState::Asked(None) | PasswordState::Done(_) | PasswordState::Fixed => StatusCode::OK,
        };
        self.page(language, status, &Page::Password(page))
    }

    /// The sessions of a user.
    pub(crate) fn sessions(&self, language: Language, page: SessionsPage<'_>) -> Reply {
        let status = if page.confirmed { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        self.page(language, status, &Page::Sessions(page))
    }

    /// Asks whether to sign out; `problem` is why the request did not sign out.
    pub(crate) fn confirm(
        &self,
        language: Language,
        action: &str,
        next: Option<&str>,
        user: Option<&str>,
        problem: Option<Reason>,
    ) -> Reply {
        let status = problem.map_or(StatusCode::OK, Reason::status);
        self.page(language, status, &Page::Confirm { action, next, user, problem })
    }

    /// The goodbye page.
    pub(crate) fn goodbye(&self, language: Language, status: StatusCode, receipt: Option<&Receipt>) -> Reply {
        let unconfirmed = status == StatusCode::SERVICE_UNAVAILABLE;
        self.page(language, status, &Page::Goodbye { receipt, unconfirmed, script: GoodbyeScript::None })
    }

    /// The same, with the script that sends other tabs of this site to the sign-in page.
    pub(crate) fn goodbye_to_all_tabs(&self, language: Language, receipt: &Receipt) -> Reply {
        let script = GoodbyeScript::CloseTabs;
        self.page(language, StatusCode::OK, &Page::Goodbye { receipt: Some(receipt), unconfirmed: false, script })
    }

    /// The same before the browser is redirected to other hosts, with the script that tests which of them can be
    /// reached. Without scripts, the page redirects to `onward`, an address of the gateway.
    pub(crate) fn goodbye_on_the_way(&self, language: Language, receipt: Option<&Receipt>, onward: &ReturnTo) -> Reply {
        let onward = onward.to_string();
        let script = GoodbyeScript::LeadOn(&onward);
        let page = self.page(language, StatusCode::OK, &Page::Goodbye { receipt, unconfirmed: false, script });
        // For custom templates without the script. Where it runs, the browser has left the page by then.
        page.leading_to(onward, WITHOUT_SCRIPT)
    }

    /// The service worker of that script.
    pub(crate) fn tabs_worker(&self) -> Reply {
        tabs::reply(&self.tabs_worker)
    }

    /// A refusal. `switch` is the address of the sign-in form that leads back to the requested page.
    pub(crate) fn refused(&self, language: Language, refusal: &Refusal, switch: Option<&str>) -> Reply {
        self.page(language, refusal.reason.status(), &Page::Refused { refusal, switch })
    }

    /// The style of every page.
    pub(crate) fn style(&self) -> Reply {
        cacheable(Reply::with_body(StatusCode::OK, "text/css; charset=utf-8", self.style.clone()))
    }

    /// The picture of every page.
    pub(crate) fn logo(&self) -> Reply {
        cacheable(Reply::with_body(StatusCode::OK, self.picture.media_type, self.picture.bytes.clone()))
            .with(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PICTURE_POLICY))
    }

    fn page(&self, language: Language, status: StatusCode, page: &Page<'_>) -> Reply {
        // The built-in templates have been rendered with every page, so there is always a body.
        let body = self.theme.render(language, page, &self.around).unwrap_or_default();
        Reply::with_body(status, "text/html; charset=utf-8", body)
            .with(CONTENT_SECURITY_POLICY, self.policies.of(page.needs()).clone())
            .with(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
            // With no-referrer, browsers send `Origin: null` from the gateway's own forms, and every sign-in would be
            // refused.
            .with(REFERRER_POLICY, HeaderValue::from_static("same-origin"))
    }
}

/// The address of the style sheet, and its text for pages that include it.
fn stylesheet(at: &str, text: &str) -> Value {
    context! { at, text => Value::from_safe_string(text.to_owned()) }
}

/// The variables of every template, besides those of its page.
fn shared_variables(brand: Value, style: Value, addresses: &Addresses) -> Value {
    let Addresses { login, logout, home } = addresses;
    context! { brand, style, login, logout, home }
}

/// The accent colour's variables of the style sheet: unchanged for areas, with enough contrast for text.
fn colours(accent: Colour) -> String {
    let readable = |paper: &str| Colour::parse(paper).map_or(accent, |paper| accent.readable_on(paper));
    let [day, night] = BACKGROUNDS.map(readable);
    format!(
        ":root {{ --accent: {accent}; --on-accent: {}; --accent-text: {day}; }}\n\
         @media (prefers-color-scheme: dark) {{ \
         :root {{ --accent: {night}; --on-accent: {}; --accent-text: {night}; }} }}\n",
        accent.readable_text(),
        night.readable_text(),
    )
}

/// An address below `/.exeunt/` that changes with its content, so that browsers may cache it.
fn versioned(name: &str, content: &[u8]) -> String {
    let digest = BASE32_NOPAD.encode(&Sha256::digest(content)).to_ascii_lowercase();
    format!("/.exeunt/{name}?v={}", digest.get(..8).unwrap_or_default())
}

fn cacheable(mut reply: Reply) -> Reply {
    reply.headers.retain(|(name, _)| name != CACHE_CONTROL);
    reply
        .with(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"))
        .with(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
}

#[cfg(test)]
mod tests;
