//! A cookie that a browser holds, as far as it takes to make the browser forget it.

use std::fmt;

use http::HeaderValue;

use super::saved::{Reader, Writer};
use super::set_cookie::SetCookie;

/// Deletions in one answer, in bytes: proxies in front have small buffers.
const MOST_BYTES: usize = 3 * 1024;

/// Name, path and domain: what tells one cookie of a browser from another.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BrowserCookie {
    pub(super) name: Box<[u8]>,
    path: Box<[u8]>,
    domain: Option<Box<[u8]>>,
    partitioned: bool,
}

impl fmt::Debug for BrowserCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name.escape_ascii(), self.path.escape_ascii())
    }
}

impl BrowserCookie {
    pub(super) fn set_by(cookie: &SetCookie<'_>, asked: &[u8]) -> Self {
        Self {
            name: cookie.name.into(),
            path: cookie.path(asked).into(),
            domain: cookie.domain.map(Into::into),
            partitioned: cookie.partitioned,
        }
    }

    /// A cookie of one host.
    pub(super) fn of_host(name: &[u8], path: &[u8]) -> Self {
        Self { name: name.into(), path: path.into(), domain: None, partitioned: false }
    }

    pub(super) fn save(&self, to: &mut Writer) {
        let domain = self.domain.as_deref().unwrap_or_default();
        [&*self.name, &self.path, domain].into_iter().for_each(|bytes| to.put_bytes(bytes));
        to.put_number(u64::from(self.domain.is_some()) | u64::from(self.partitioned) << 1);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let [name, path, domain] = [from.bytes()?, from.bytes()?, from.bytes()?];
        let flags = from.number()?;
        let domain = (flags & 1 != 0).then(|| domain.into());
        Some(Self { name: name.into(), path: path.into(), domain, partitioned: flags & 2 != 0 })
    }

    /// The lines that expire it: for a cookie of a domain its form of one host, too.
    fn lines(&self, https: bool) -> impl Iterator<Item = HeaderValue> {
        let forms = [None, self.domain.as_deref()];
        forms.into_iter().take(1 + usize::from(self.domain.is_some())).filter_map(move |domain| {
            let secure: &[u8] = if https { b"; Secure" } else { b"" };
            let partitioned: &[u8] = if self.partitioned { b"; Partitioned" } else { b"" };
            let domain = domain.map_or_else(Vec::new, |domain| [b"; Domain=", domain].concat());
            let path: &[u8] = &self.path;
            let line: [&[u8]; 6] = [&self.name, b"=; Max-Age=0; Path=", path, &domain, secure, partitioned];
            HeaderValue::from_bytes(&line.concat()).ok()
        })
    }
}

/// The `Set-Cookie` lines that make a browser forget these, at most [`MOST_BYTES`]. `https`: whether it speaks https.
pub(crate) fn expire(cookies: &[BrowserCookie], https: bool) -> Vec<HeaderValue> {
    let mut room = MOST_BYTES;
    let mut lines = Vec::new();
    for line in cookies.iter().flat_map(|cookie| cookie.lines(https)) {
        match room.checked_sub(line.len()) {
            Some(rest) => room = rest,
            None => {
                tracing::warn!(left = cookies.len(), "not all cookies of an application fit into one answer");
                break;
            }
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(line: &str) -> BrowserCookie {
        BrowserCookie::set_by(&SetCookie::parse(line.as_bytes()).unwrap(), b"/a/b")
    }

    #[test]
    fn a_cookie_is_expired_as_it_was_set() {
        let cases: [(&str, bool, &[&str]); 5] = [
            ("a=b", false, &["a=; Max-Age=0; Path=/a"]),
            ("a=b; Path=/; Secure", true, &["a=; Max-Age=0; Path=/; Secure"]),
            ("__Host-a=b; Path=/; Secure", true, &["__Host-a=; Max-Age=0; Path=/; Secure"]),
            ("a=b; Domain=.t", false, &["a=; Max-Age=0; Path=/a", "a=; Max-Age=0; Path=/a; Domain=.t"]),
            ("a=b; Partitioned; Path=/x", true, &["a=; Max-Age=0; Path=/x; Secure; Partitioned"]),
        ];
        for (line, https, want) in cases {
            assert_eq!(expire(&[cookie(line)], https), want, "{line}");
        }
    }

    #[test]
    fn one_answer_has_a_limit() {
        let many: Vec<_> = (0..100).map(|n| cookie(&format!("a{n}{}=b", "x".repeat(80)))).collect();
        let lines = expire(&many, true);
        let length: usize = lines.iter().map(HeaderValue::len).sum();
        assert!(lines.len() > 10 && length <= MOST_BYTES && length > MOST_BYTES - 200, "{length}");
    }
}
