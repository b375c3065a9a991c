//! `Authorization: Basic` (RFC 7617): reading the header, and the challenge.

use data_encoding::BASE64_NOPAD;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use crate::credentials::username_password::{CredentialSource, UsernamePassword};
use crate::http1::headers::Headers;

/// The `Authorization` of a request, as far as it concerns the gateway.
#[derive(Debug)]
pub(crate) enum Authorization {
    /// None, or another scheme, which is left to the application.
    Absent,
    /// The scheme is Basic, but the credentials are malformed.
    Malformed,
    /// Several lines, Basic among them: programs would disagree about which one counts.
    Several,
    /// A name and a password.
    Basic(UsernamePassword),
}

/// Reads the `Authorization` of a request.
pub(crate) fn read(headers: &dyn Headers) -> Authorization {
    let mut lines = headers.lines(&AUTHORIZATION);
    let Some(first) = lines.next() else { return Authorization::Absent };
    let further: Vec<_> = lines.collect();
    if !further.iter().chain([&first]).any(|line| is_basic(line)) {
        Authorization::Absent
    } else if further.is_empty() {
        presented(first).map_or(Authorization::Malformed, Authorization::Basic)
    } else {
        Authorization::Several
    }
}

/// Whether a value has the scheme Basic, case-insensitively and whatever follows: it may hold a password for the
/// gateway.
pub(crate) fn is_basic(value: &[u8]) -> bool {
    let (scheme, rest) = value.trim_ascii_start().split_at_checked(SCHEME.len()).unwrap_or_default();
    scheme.eq_ignore_ascii_case(SCHEME) && !rest.first().is_some_and(u8::is_ascii_alphanumeric)
}

const SCHEME: &[u8] = b"basic";

/// `Basic dXNlcjpwYXNz`: the scheme, spaces, and base64 of `user:password`, with or without padding.
fn presented(value: &[u8]) -> Option<UsernamePassword> {
    let credentials = value.trim_ascii().get(SCHEME.len()..)?;
    let encoded = credentials.strip_prefix(b" ")?.trim_ascii();
    let padding = encoded.iter().rev().take_while(|&&byte| byte == b'=').count();
    let digits = encoded.get(..encoded.len() - padding.min(MAX_PADDING))?;
    let text = text(Zeroizing::new(BASE64_NOPAD.decode(digits).ok()?));
    let (user, password) = text.split_once(':')?;
    // Neither may hold control characters (RFC 7617 2).
    let is_text = !text.chars().any(char::is_control);
    is_text.then(|| UsernamePassword::new(CredentialSource::Basic, user, Zeroizing::new(password.to_owned())))?
}

const MAX_PADDING: usize = 2;

/// Decodes UTF-8, which the challenge asks for; what is not valid UTF-8 is taken as Latin-1, which some programs send
/// in spite of the challenge.
fn text(bytes: Zeroizing<Vec<u8>>) -> Zeroizing<String> {
    match std::str::from_utf8(&bytes) {
        Ok(text) => Zeroizing::new(text.to_owned()),
        Err(_) => Zeroizing::new(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

/// The challenge (RFC 7617 2). The realm is the host, since programs keep one password for each realm; a host name
/// needs no escaping within quotes.
pub(crate) fn challenge(host: &str) -> HeaderValue {
    let challenge = HeaderValue::try_from(format!("Basic realm=\"{host}\", charset=\"UTF-8\""));
    challenge.unwrap_or_else(|_| HeaderValue::from_static("Basic realm=\"\", charset=\"UTF-8\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn message(values: &[&[u8]]) -> String {
        let lines = values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_bytes(value).unwrap()));
        match read(&lines.collect::<HeaderMap>()) {
            Authorization::Absent => "absent".to_owned(),
            Authorization::Malformed => "malformed".to_owned(),
            Authorization::Several => "several".to_owned(),
            Authorization::Basic(UsernamePassword { way, user, password }) => {
                assert_eq!(way, CredentialSource::Basic);
                format!("{user}|{}", *password)
            }
        }
    }

    #[test]
    fn a_name_and_a_password_are_read() {
        let cases: [(&[u8], &str); 26] = [
            (b"Basic YWxpY2U6b3BlbiBzZXNhbWU=", "alice|open sesame"),
            (b"Basic YWxpY2U6b3BlbiBzZXNhbWU", "alice|open sesame"),
            (b"bAsIc   YWxpY2U6b3BlbiBzZXNhbWU= ", "alice|open sesame"),
            (b"Basic YTpiOmM=", "a|b:c"),
            (b"Basic YTo=", "a|"),
            // Grüße in UTF-8 and in Latin-1; so is the name.
            (b"Basic asO8cmdlbjpHcsO8w59l", "j\u{fc}rgen|Gr\u{fc}\u{df}e"),
            (b"Basic avxyZ2VuOkdy/N9l", "j\u{fc}rgen|Gr\u{fc}\u{df}e"),
            (b"Basic", "malformed"),
            (b"Basic ", "malformed"),
            (b"Basic =", "malformed"),
            (b"Basic ====", "malformed"),
            (b"Basic YTpi====", "malformed"),
            (b"Basic YTp", "malformed"),
            (b"Basic Y Tpi", "malformed"),
            (b"Basic YTpi, x", "malformed"),
            (b"Basic YTpi Bearer", "malformed"),
            (b"Basic\tYTpi", "malformed"),
            (b"Basic\"YTpi", "malformed"),
            (b"Basic,YTpi", "malformed"),
            (b"Basic YWxpY2U=", "malformed"),
            (b"Basic OnBhc3M=", "malformed"),
            (b"Basic YToKYg==", "malformed"),
            (b"Basic YTpigA", "malformed"),
            (b"Basics YTpi", "absent"),
            (b"Bearer YTpi", "absent"),
            (b"", "absent"),
        ];
        for (value, want) in cases {
            assert_eq!(message(&[value]), want, "{}", value.escape_ascii());
        }
        let long = format!("Basic {}", BASE64_NOPAD.encode(format!("{}:b", "a".repeat(257)).as_bytes()));
        assert_eq!(message(&[long.as_bytes()]), "malformed", "longer than any user name");
    }

    #[test]
    fn several_authorization_lines_are_refused() {
        const ALICE: &[u8] = b"Basic YWxpY2U6eA==";
        assert_eq!(message(&[]), "absent");
        assert_eq!(message(&[b"Bearer x", b"Digest y"]), "absent");
        for lines in [[ALICE, ALICE], [ALICE, b"Bearer x"], [b"Bearer x", ALICE], [b"", b"Basic"]] {
            assert_eq!(message(&lines), "several");
        }
    }

    #[test]
    fn the_challenge_has_realm_and_charset() {
        assert_eq!(challenge("app.test"), "Basic realm=\"app.test\", charset=\"UTF-8\"");
        assert_eq!(challenge("[::1]"), "Basic realm=\"[::1]\", charset=\"UTF-8\"");
    }
}
