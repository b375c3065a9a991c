//! The methods that a route passes on.

use http::{HeaderValue, Method};
use thiserror::Error;

/// The registered ones (RFC 9110 16.1.1), WebDAV and its relatives included.
const REGISTERED: [&str; 37] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "ACL", "BASELINE-CONTROL", "BIND", "CHECKIN",
    "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MKREDIRECTREF",
    "MKWORKSPACE", "MOVE", "ORDERPATCH", "PROPFIND", "PROPPATCH", "QUERY", "REBIND", "REPORT", "SEARCH", "UNBIND",
    "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL",
];

/// Never forwarded: TRACE reveals headers that the gateway adds, CONNECT is meant for proxies, PRI is part of HTTP/2.
const NEVER: [&str; 3] = ["TRACE", "CONNECT", "PRI"];

/// Whether no route may pass on this method.
pub(crate) fn is_never_passed(method: &Method) -> bool {
    NEVER.contains(&method.as_str())
}

/// The methods of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods {
    names: Vec<Method>,
    allow: HeaderValue,
}

impl Default for Methods {
    /// Every registered method but those that are never passed on.
    fn default() -> Self {
        Self::new(REGISTERED.iter().filter_map(|name| name.parse().ok()).collect())
    }
}

/// Why a text is not a method that a route can pass on. Its message says what to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MethodError {
    /// `GET POST`.
    #[error("not a valid method: write \"GET\", or another one")]
    Malformed,
    /// `TRACE`.
    #[error("{name} is never passed on: remove it")]
    NeverPassed {
        /// The method in upper case.
        name: String,
    },
    /// `get`.
    #[error("methods are case-sensitive: write \"{name}\"")]
    LowerCase {
        /// The method in upper case.
        name: String,
    },
}

impl Methods {
    /// These methods.
    pub fn new(names: Vec<Method>) -> Self {
        let list = names.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        // Methods are tokens, so a list of them is always a valid header value.
        let allow = HeaderValue::try_from(list).unwrap_or_else(|_| HeaderValue::from_static(""));
        Self { names, allow }
    }

    /// Reads a method from the configuration.
    pub fn parse(text: &str) -> Result<Method, MethodError> {
        let token = text.parse::<Method>().map_err(|_| MethodError::Malformed)?;
        let upper = text.to_ascii_uppercase();
        if NEVER.contains(&upper.as_str()) {
            return Err(MethodError::NeverPassed { name: upper });
        }
        if upper != text && REGISTERED.contains(&upper.as_str()) {
            return Err(MethodError::LowerCase { name: upper });
        }
        Ok(token)
    }

    /// Whether a method is among them.
    pub(crate) fn allow(&self, method: &Method) -> bool {
        self.names.contains(method)
    }

    /// All of them, as the header `Allow` lists them.
    pub(crate) fn list(&self) -> HeaderValue {
        self.allow.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlisted_methods_are_refused() {
        let method = |name: &str| name.parse::<Method>().unwrap();
        let usual = Methods::default();
        for name in REGISTERED {
            assert!(usual.allow(&method(name)), "{name}");
        }
        for name in ["TRACE", "CONNECT", "PRI", "get", "Get", "BREW", "M-SEARCH"] {
            assert!(!usual.allow(&method(name)), "{name}");
        }
        let own = Methods::new(vec![Methods::parse("GET").unwrap(), Methods::parse("BREW").unwrap()]);
        assert!(own.allow(&method("BREW")) && !own.allow(&method("POST")) && !own.allow(&method("HEAD")));
        assert_eq!(own.list(), "GET, BREW");
        assert!(usual.list().to_str().unwrap().starts_with("GET, HEAD, POST, "));
    }

    #[test]
    fn invalid_names_have_help() {
        let cases = [
            ("", "not a valid method"),
            ("GET POST", "not a valid method"),
            ("GÉT", "not a valid method"),
            ("TRACE", "TRACE is never passed on"),
            ("connect", "CONNECT is never passed on"),
            ("PRI", "PRI is never passed on"),
            ("get", "write \"GET\""),
            ("PropFind", "write \"PROPFIND\""),
        ];
        for (text, want) in cases {
            assert!(Methods::parse(text).unwrap_err().to_string().contains(want), "{text}");
        }
        assert_eq!(Methods::parse("M-SEARCH").unwrap().as_str(), "M-SEARCH");
        assert!(is_never_passed(&Method::TRACE) && !is_never_passed(&Method::OPTIONS));
    }
}
