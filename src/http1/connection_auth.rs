//! Authentication schemes that authenticate a connection instead of a request.
//!
//! NTLM, and Negotiate with NTLM inside, authenticate the TCP connection: further requests on it are made as that user.
//! A connection that has carried one of them must not be reused for another user.

use http::HeaderName;
use http::header::{AUTHORIZATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE};

use super::headers::Headers;

/// The schemes that authenticate connections. Kerberos under Negotiate authenticates the request alone, but
/// servers keep the connection authenticated for it as well (IIS, `authPersistNonNTLM`).
const SCHEMES: [&str; 2] = ["NTLM", "Negotiate"];

static CREDENTIALS: [HeaderName; 2] = [AUTHORIZATION, PROXY_AUTHORIZATION];
static CHALLENGES: [HeaderName; 2] = [WWW_AUTHENTICATE, PROXY_AUTHENTICATE];

/// Whether a request carries credentials that may authenticate its upstream connection.
pub(crate) fn request_touches_connection(headers: &dyn Headers) -> bool {
    CREDENTIALS.iter().any(|name| headers.lines(name).any(names_scheme))
}

/// Whether a response offers or continues the authentication of its connection.
///
/// One header may contain the challenges of several schemes (RFC 9110 11.6.1), so every list element is checked.
pub(crate) fn response_touches_connection(headers: &dyn Headers) -> bool {
    let offers = |value: &[u8]| value.split(|&byte| byte == b',').any(names_scheme);
    CHALLENGES.iter().any(|name| headers.lines(name).any(offers))
}

/// Whether a list element begins with one of the schemes as a complete word.
fn names_scheme(element: &[u8]) -> bool {
    let element = element.trim_ascii();
    let word = element.split(|byte| matches!(byte, b' ' | b'\t')).next().unwrap_or_default();
    SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    fn headers(lines: &[(&str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn requests() {
        let cases: [(&[(&str, &'static str)], bool); 13] = [
            (&[], false),
            (&[("authorization", "NTLM TlRMTVNTUAAB")], true),
            (&[("authorization", "ntlm TlRMTVNTUAAB")], true),
            (&[("authorization", "nTLm")], true),
            (&[("authorization", "  Negotiate YII")], true),
            (&[("authorization", "NEGOTIATE\tYII")], true),
            (&[("proxy-authorization", "Negotiate YII")], true),
            (&[("authorization", "Basic abc"), ("authorization", "NTLM abc")], true),
            (&[("authorization", "Basic TlRMTVNTUAAB")], false),
            (&[("authorization", "Bearer NTLM")], false),
            (&[("authorization", "NTLMv9 abc")], false),
            (&[("x-authorization", "NTLM abc")], false),
            (&[("www-authenticate", "NTLM")], false),
        ];
        for (lines, want) in cases {
            assert_eq!(request_touches_connection(&headers(lines)), want, "{lines:?}");
        }
    }

    #[test]
    fn responses() {
        let cases: [(&[(&str, &'static str)], bool); 10] = [
            (&[], false),
            (&[("www-authenticate", "NTLM")], true),
            (&[("www-authenticate", "Negotiate oYG2=")], true),
            (&[("proxy-authenticate", "ntlm")], true),
            (&[("www-authenticate", "Basic realm=\"x\""), ("www-authenticate", "NTLM")], true),
            (&[("www-authenticate", "Basic realm=\"x\", NTLM")], true),
            (&[("www-authenticate", "Basic realm=\"x\",negotiate")], true),
            (&[("www-authenticate", "Basic realm=\"NTLM\"")], false),
            (&[("www-authenticate", "Digest realm=\"NTLM users\"")], false),
            (&[("authorization", "NTLM")], false),
        ];
        for (lines, want) in cases {
            assert_eq!(response_touches_connection(&headers(lines)), want, "{lines:?}");
        }
    }
}
