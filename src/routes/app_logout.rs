//! How a route's application ends its own sessions: the call that the gateway makes on behalf of a user whose session
//! has ended, and the application's own links to sign out.

use http::{HeaderName, Method};
use regex::bytes::{Regex, RegexBuilder};
use thiserror::Error;

use super::logout_link::LogoutLink;
use crate::values::end_cause::EndCause;
use crate::values::target::Target;

/// The settings of `[route.logout]`.
#[derive(Clone, Debug)]
pub struct AppLogout {
    /// Whether the configuration says how the application ends its sessions, even if that takes no call.
    pub is_known: bool,
    /// The call; `None` if the application needs none.
    pub call: Option<AppCall>,
    /// The token against CSRF that the application expects in the call.
    pub csrf: Option<CsrfToken>,
    /// Where to get a token (nonce) that the application expects in the call.
    pub token: Option<TokenSource>,
    /// The causes of ends after which the call is made.
    pub call_on: Vec<EndCause>,
    /// The application's own logout links: a request to one of them also signs out of the gateway.
    pub links: Vec<LogoutLink>,
    /// Whether a request to one of these links is still forwarded after the session has ended.
    pub passes_on: bool,
}

impl Default for AppLogout {
    fn default() -> Self {
        Self {
            is_known: false,
            call: None,
            csrf: None,
            token: None,
            call_on: EndCause::ALL.to_vec(),
            links: Vec::new(),
            passes_on: false,
        }
    }
}

impl AppLogout {
    /// Whether a request is for one of the application's own links to sign out.
    pub(crate) fn is_link(&self, target: &Target<'_>) -> bool {
        self.links.iter().any(|link| link.is(target))
    }
}

/// The logout call: the request that signs a user out of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppCall {
    /// GET or POST.
    pub(crate) method: Method,
    /// Path and query; [`TOKEN`] in it stands for the token.
    pub(crate) target: Box<str>,
}

/// The placeholder of the token in the target of a call.
pub(crate) const TOKEN: &str = "{token}";
/// The longest target, in bytes.
const MAX_TARGET_LENGTH: usize = 2048;

/// Why a text is not a valid call, or not the target of one. Its message says what to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum AppCallError {
    /// `/logout`.
    #[error("write the method before it: \"POST /logout\"")]
    NoMethod,
    /// `PUT /logout`.
    #[error("write GET or POST before the path: \"POST /logout\"")]
    OtherMethod,
    /// `POST logout`.
    #[error("a path starts with a slash: write \"/{target}\"")]
    NoSlash { target: String },
    /// A byte that is not sent as it is, or more than [`MAX_TARGET_LENGTH`] bytes.
    #[error("spaces, braces and the like must be escaped in an address: write %20 for a space")]
    Unescaped,
}

impl AppCall {
    /// Reads `POST /logout`.
    pub(crate) fn parse(text: &str) -> Result<Self, AppCallError> {
        let (method, target) = text.split_once(' ').ok_or(AppCallError::NoMethod)?;
        let method = match method {
            "GET" => Method::GET,
            "POST" => Method::POST,
            _ => return Err(AppCallError::OtherMethod),
        };
        Ok(Self { method, target: read_target(target)? })
    }

    /// The same, below this path.
    pub(crate) fn below(self, prefix: &str) -> Self {
        Self { target: format!("{prefix}{}", self.target).into(), ..self }
    }

    /// The path of its target.
    pub(crate) fn path(&self) -> &str {
        path_of(&self.target)
    }

    /// Whether its target has a placeholder for a token.
    pub(crate) fn takes_token(&self) -> bool {
        self.target.contains(TOKEN)
    }

    /// The target with this token.
    pub(crate) fn with_token(&self, token: Option<&str>) -> String {
        let escaped: String = form_urlencoded::byte_serialize(token.unwrap_or_default().as_bytes()).collect();
        self.target.replace(TOKEN, &escaped)
    }
}

/// The path of a target.
pub(crate) fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// Checks a path with an optional query: at most [`MAX_TARGET_LENGTH`] bytes, escaped as in a request line. The error
/// says what to write.
pub(crate) fn read_target(text: &str) -> Result<Box<str>, AppCallError> {
    if !text.starts_with('/') {
        return Err(AppCallError::NoSlash { target: text.to_owned() });
    }
    let plain = text.replace(TOKEN, "");
    let is_sent = |byte: u8| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte);
    if text.len() > MAX_TARGET_LENGTH || !plain.bytes().all(is_sent) {
        return Err(AppCallError::Unescaped);
    }
    Ok(text.into())
}

/// A double-submit token against CSRF: the same value in a cookie and in the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsrfToken {
    /// The cookie.
    pub(crate) cookie: Box<str>,
    /// The header with the same value.
    pub(crate) header: Option<HeaderName>,
    /// The field of the form with the same value.
    pub(crate) field: Option<Box<str>>,
}

/// Where the token of a logout call comes from.
#[derive(Clone, Debug)]
pub struct TokenSource {
    /// The page or API endpoint that contains it: path and query.
    pub(crate) get: Box<str>,
    /// Matches it: the first capture group, or the whole match if there is no group.
    find: Regex,
    /// The form field of the call that carries it.
    pub(crate) field: Option<Box<str>>,
}

/// The maximum size of a compiled regular expression, in bytes.
const REGEX_SIZE: usize = 256 * 1024;

/// A regular expression that is not valid, or too large.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("is not a regular expression: {0}")]
pub(crate) struct ExpressionError(String);

impl From<regex::Error> for ExpressionError {
    /// Of the library's message, which draws the expression, the last line says what is wrong.
    fn from(error: regex::Error) -> Self {
        let text = error.to_string();
        Self(text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
    }
}

impl TokenSource {
    /// A source whose expression is `find`.
    pub(crate) fn new(get: Box<str>, find: &str, field: Option<Box<str>>) -> Result<Self, ExpressionError> {
        let find = RegexBuilder::new(find).size_limit(REGEX_SIZE).dfa_size_limit(REGEX_SIZE).build()?;
        Ok(Self { get, find, field })
    }

    /// The token in an answer, at most [`MAX_TARGET_LENGTH`] bytes. In JSON the match is within a string, whose escapes
    /// are decoded.
    pub(crate) fn find(&self, body: &[u8], is_json: bool) -> Option<String> {
        let captures = self.find.captures(body)?;
        let found = captures.get(1).or_else(|| captures.get(0))?.as_bytes();
        let token =
            std::str::from_utf8(found).ok().filter(|token| !token.is_empty() && token.len() <= MAX_TARGET_LENGTH)?;
        if is_json { serde_json::from_str(&format!("\"{token}\"")).ok() } else { Some(token.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_a_method_and_a_target() {
        let call = AppCall::parse("GET /doku.php?do=logout&sectok={token}").unwrap();
        assert_eq!((call.method.as_str(), call.path(), call.takes_token()), ("GET", "/doku.php", true));
        assert_eq!(call.with_token(Some("a&b+\\")), "/doku.php?do=logout&sectok=a%26b%2B%5C");
        let call = AppCall::parse("POST /admin/logout/").unwrap();
        assert_eq!(
            (call.path(), call.takes_token(), &*call.with_token(None)),
            ("/admin/logout/", false, "/admin/logout/")
        );
        for text in [
            "",
            "/logout",
            "PUT /logout",
            "post /logout",
            "POST",
            "POST logout",
            "POST /a b",
            "POST /a{b}",
            "POST /a#b",
            "POST /\u{e4}",
            "POST /a\r\nb",
            "POST  /a",
            &format!("POST /{}", "a".repeat(3000)),
        ] {
            assert!(AppCall::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_is_found() {
        let source = |find| TokenSource::new("/x".into(), find, None).unwrap();
        let cases = [
            ("sectok=([0-9a-f]+)", "a?do=logout&amp;sectok=5eaf\"", false, Some("5eaf")),
            ("sectok=([0-9a-f]+)", "nothing", false, None),
            ("sectok=([0-9a-f]*)", "sectok=", false, None),
            ("[0-9]{4}", "a 1234 b", false, Some("1234")),
            (r#""csrftoken":"([^"]+)""#, r#"{"csrftoken":"ab+\\"}"#, true, Some(r"ab+\")),
            (r#""csrftoken":"([^"]+)""#, r#"{"csrftoken":"ab+\\"}"#, false, Some(r"ab+\\")),
        ];
        for (find, body, is_json, want) in cases {
            assert_eq!(source(find).find(body.as_bytes(), is_json).as_deref(), want, "{find} {body}");
        }
        assert_eq!(source("a(.)").find(b"a\xff", false), None);
    }

    #[test]
    fn regular_expressions_are_limited_in_size() {
        for find in ["(", "[a", "a{1000}{1000}"] {
            let ExpressionError(problem) = TokenSource::new("/x".into(), find, None).unwrap_err();
            assert!(!problem.is_empty() && !problem.contains('\n'), "{problem}");
        }
    }
}
