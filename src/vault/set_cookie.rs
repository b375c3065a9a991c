//! A parser for `Set-Cookie` headers that works like browsers (RFC 6265 5.2 and RFC 6265bis).

use memchr::memchr;

use super::expiry_date;
use crate::values::time::WallTime;

/// The attribute `SameSite`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SameSite {
    /// The attribute is absent, `Lax`, or unknown to browsers.
    #[default]
    Usual,
    Strict,
    /// The cookie is also sent with cross-site requests.
    None,
}

/// A cookie that an application sets. There is no `Debug`, since the value may be secret.
#[derive(Clone, Copy, Default)]
pub(crate) struct SetCookie<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    /// The attribute `Path`, if it begins with a slash.
    path: Option<&'a [u8]>,
    pub(super) domain: Option<&'a [u8]>,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) same_site: SameSite,
    pub(super) partitioned: bool,
    max_age: Option<i64>,
    expires: Option<u64>,
}

impl<'a> SetCookie<'a> {
    /// Parses a `Set-Cookie` value; `None` for a cookie without a name, and if browsers refuse it.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        if line.iter().any(is_control) {
            return None;
        }
        let mut parts = line.split(|byte| *byte == b';');
        let (name, value) = split(parts.next()?)?;
        if name.is_empty() {
            return None;
        }
        let mut cookie = Self { name, value, ..Self::default() };
        for part in parts {
            let (attribute, value) = split(part).unwrap_or((part.trim_ascii(), b""));
            cookie.take(&attribute.to_ascii_lowercase(), value);
        }
        Some(cookie)
    }

    /// Applies an attribute. Of repeated attributes the last one is used.
    fn take(&mut self, attribute: &[u8], value: &'a [u8]) {
        match attribute {
            b"path" => self.path = value.starts_with(b"/").then_some(value),
            b"domain" => self.domain = Some(value).filter(|domain| !domain.is_empty()),
            b"secure" => self.secure = true,
            b"httponly" => self.http_only = true,
            b"partitioned" => self.partitioned = true,
            b"samesite" => {
                self.same_site = match value.to_ascii_lowercase().as_slice() {
                    b"strict" => SameSite::Strict,
                    b"none" => SameSite::None,
                    _ => SameSite::Usual,
                }
            }
            b"max-age" => self.max_age = seconds(value).or(self.max_age),
            b"expires" => self.expires = expiry_date::parse(value).or(self.expires),
            _ => {}
        }
    }

    /// The path of the cookie, or else the default path for the requested path (RFC 6265 5.1.4).
    pub(super) fn path(&self, asked: &'a [u8]) -> &'a [u8] {
        self.path.unwrap_or_else(|| match asked.iter().rposition(|byte| *byte == b'/') {
            None | Some(0) => b"/",
            Some(end) => asked.get(..end).unwrap_or(b"/"),
        })
    }

    /// The time at which the cookie expires; `None` for a session cookie. `Max-Age` has precedence over `Expires`.
    pub(super) fn expires(&self, now: WallTime) -> Option<WallTime> {
        match self.max_age {
            Some(age) => Some(WallTime(now.0.saturating_add(u64::try_from(age).unwrap_or(0)))),
            None => self.expires.map(WallTime),
        }
    }

    /// Whether it deletes the cookie, because it has already expired.
    pub(super) fn is_deletion(&self, now: WallTime) -> bool {
        self.expires(now).is_some_and(|until| until <= now)
    }

    /// Whether browsers accept the name with these attributes: the prefixes `__Host-` and `__Secure-` require some.
    pub(super) fn keeps_its_prefix(&self) -> bool {
        let has = |prefix: &[u8]| self.name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
        if has(b"__Host-") {
            return self.secure && self.domain.is_none() && self.path == Some(b"/");
        }
        self.secure || !has(b"__Secure-")
    }
}

/// The texts before and after the first equals sign.
fn split(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = pair.split_at_checked(memchr(b'=', pair)?)?;
    Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
}

/// Parses a number of seconds. Numbers out of range become the largest or smallest possible one.
fn seconds(value: &[u8]) -> Option<i64> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let limit = if value.starts_with(b"-") { i64::MIN } else { i64::MAX };
    Some(std::str::from_utf8(value).ok()?.parse().unwrap_or(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime(1000);

    fn read(line: &str) -> SetCookie<'_> {
        SetCookie::parse(line.as_bytes()).unwrap_or_else(|| panic!("{line}"))
    }

    #[test]
    fn headers_are_parsed_as_by_browsers() {
        let cookie = read(" a = b=c ; HTTPONLY; secure;Path=/x; SameSite=strict; Partitioned");
        assert_eq!((cookie.name, cookie.value), (b"a".as_slice(), b"b=c".as_slice()));
        assert!(cookie.http_only && cookie.secure && cookie.partitioned && cookie.domain.is_none());
        assert_eq!((cookie.path(b"/y/z"), cookie.same_site), (b"/x".as_slice(), SameSite::Strict));
        assert_eq!(read("a=; Domain=; Domain=app.test").domain, Some(b"app.test".as_slice()));
        assert_eq!(read("a=b; Domain").domain, None);
        for line in ["", "a", "=a", "=", ";a=b", "a=b\r\nc: d", "a=\0"] {
            assert!(SetCookie::parse(line.as_bytes()).is_none(), "{line:?}");
        }
    }

    #[test]
    fn the_default_path_is_the_folder_of_the_address() {
        let cases = [
            ("", "/a/b", "/a"),
            ("", "/a/b/", "/a/b"),
            ("", "/a", "/"),
            ("", "/", "/"),
            ("", "*", "/"),
            ("; Path=x", "/a/b", "/a"),
            ("; Path=", "/a/b", "/a"),
            ("; Path=/x; Path=", "/a/b", "/a"),
            ("; Path=/x", "/a/b", "/x"),
            ("; Path=/x/", "/a/b", "/x/"),
        ];
        for (attributes, asked, want) in cases {
            let line = format!("a=b{attributes}");
            assert_eq!(read(&line).path(asked.as_bytes()), want.as_bytes(), "{line} {asked}");
        }
    }

    #[test]
    fn max_age_has_precedence_over_expires() {
        const PAST: &str = "Expires=Thu, 01 Jan 1970 00:00:00 GMT";
        const AHEAD: &str = "Expires=Thu, 01 Jan 1970 01:00:00 GMT";
        let cases = [
            ("", None),
            ("; Max-Age=5", Some(1005)),
            ("; Max-Age=0", Some(1000)),
            ("; Max-Age=-1", Some(1000)),
            ("; Max-Age=99999999999999999999", Some(1000 + i64::MAX as u64)),
            ("; Max-Age=x", None),
            (&format!("; Max-Age=5; {PAST}"), Some(1005)),
            (&format!("; {AHEAD}; Max-Age=0"), Some(1000)),
            (&format!("; {AHEAD}"), Some(3600)),
            (&format!("; {PAST}"), Some(0)),
            (&format!("; {AHEAD}; Expires=never"), Some(3600)),
        ];
        for (attributes, want) in cases {
            let line = format!("a=b{attributes}");
            let cookie = read(&line);
            assert_eq!(cookie.expires(NOW), want.map(WallTime), "{line}");
            assert_eq!(cookie.is_deletion(NOW), want.is_some_and(|until| until <= 1000), "{line}");
        }
    }

    #[test]
    fn prefixes_require_attributes() {
        let cases = [
            ("a=b", true),
            ("__Host-a=b; Secure; Path=/", true),
            ("__Host-a=b; Path=/", false),
            ("__Host-a=b; Secure", false),
            ("__HOST-a=b; Secure; Path=/; Domain=app.test", false),
            ("__Secure-a=b; Secure", true),
            ("__secure-a=b", false),
        ];
        for (line, want) in cases {
            assert_eq!(read(line).keeps_its_prefix(), want, "{line}");
        }
    }
}
