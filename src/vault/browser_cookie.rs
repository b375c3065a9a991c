//! The identification of a cookie in a browser, in order to expire it.

use std::fmt;

use http::HeaderValue;

use super::codec::{Decoder, Encoder};
use super::set_cookie::SetCookie;

/// The maximum total size of deletions in one answer, in bytes: proxies in front have small buffers.
const MAX_BYTES: usize = 3 * 1024;

/// Name, path and domain, which together identify a cookie in a browser (RFC 6265 5.3).
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

    /// A host-only cookie.
    pub(super) fn of_host(name: &[u8], path: &[u8]) -> Self {
        Self { name: name.into(), path: path.into(), domain: None, partitioned: false }
    }

    pub(super) fn save(&self, to: &mut Encoder) {
        let domain = self.domain.as_deref().unwrap_or_default();
        [&*self.name, &self.path, domain].into_iter().for_each(|bytes| to.put_bytes(bytes));
        to.put_number(u64::from(self.domain.is_some()) | u64::from(self.partitioned) << 1);
    }

    pub(super) fn read(from: &mut Decoder<'_>) -> Option<Self> {
        let [name, path, domain] = [from.bytes()?, from.bytes()?, from.bytes()?];
        let flags = from.number()?;
        let domain = (flags & 1 != 0).then(|| domain.into());
        Some(Self { name: name.into(), path: path.into(), domain, partitioned: flags & 2 != 0 })
    }

    /// The `Set-Cookie` values that expire the cookie; for a domain cookie also one for the host-only form.
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

/// The `Set-Cookie` values that expire the first of these cookies, as many as fit into one answer and at least one, and
/// the number of these cookies. `https` says whether the browser uses https.
pub(crate) fn expire(cookies: &[BrowserCookie], https: bool) -> (Vec<HeaderValue>, usize) {
    let (mut lines, mut size) = (Vec::new(), 0);
    for (expired, cookie) in cookies.iter().enumerate() {
        let further: Vec<_> = cookie.lines(https).collect();
        size += further.iter().map(HeaderValue::len).sum::<usize>();
        if size > MAX_BYTES && expired > 0 {
            return (lines, expired);
        }
        lines.extend(further);
    }
    (lines, cookies.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(line: &str) -> BrowserCookie {
        BrowserCookie::set_by(&SetCookie::parse(line.as_bytes()).unwrap(), b"/a/b")
    }

    #[test]
    fn a_cookie_is_expired_with_the_attributes_with_which_it_was_set() {
        let cases: [(&str, bool, &[&str]); 5] = [
            ("a=b", false, &["a=; Max-Age=0; Path=/a"]),
            ("a=b; Path=/; Secure", true, &["a=; Max-Age=0; Path=/; Secure"]),
            ("__Host-a=b; Path=/; Secure", true, &["__Host-a=; Max-Age=0; Path=/; Secure"]),
            ("a=b; Domain=.t", false, &["a=; Max-Age=0; Path=/a", "a=; Max-Age=0; Path=/a; Domain=.t"]),
            ("a=b; Partitioned; Path=/x", true, &["a=; Max-Age=0; Path=/x; Secure; Partitioned"]),
        ];
        for (line, https, want) in cases {
            assert_eq!(expire(&[cookie(line)], https).0, want, "{line}");
        }
    }

    #[test]
    fn the_deletions_in_one_answer_are_limited() {
        let many: Vec<_> = (0..100).map(|n| cookie(&format!("a{n}{}=b", "x".repeat(80)))).collect();
        let (lines, expired) = expire(&many, true);
        let length: usize = lines.iter().map(HeaderValue::len).sum();
        assert!(expired > 10 && length <= MAX_BYTES && length > MAX_BYTES - 200, "{length}");
        assert_eq!(lines.len(), expired);
        let of_domain: Vec<_> = (0..100).map(|n| cookie(&format!("a{n}=b; Domain=shop.test"))).collect();
        let (lines, expired) = expire(&of_domain, true);
        assert_eq!(lines.len(), 2 * expired, "both forms of a cookie are in the same answer");
        let long = cookie(&format!("{}=b", "x".repeat(4000)));
        assert_eq!(expire(&[long.clone(), long], true).1, 1, "a deletion over the limit is sent alone");
    }
}
