//! The further resources that a WebDAV request names in its head: the target of COPY and MOVE (`Destination`, RFC 4918
//! 10.3), and the resources in the conditions of `If` (10.4).

use http::HeaderName;
use memchr::memchr;

use super::facts::RequestFacts;
use crate::values::origin::Origin;
use crate::values::own_hosts::OwnHosts;
use crate::values::reason::{Reason, Refusal};
use crate::values::target::Target;

/// The target of COPY and MOVE.
pub(crate) static DESTINATION: HeaderName = HeaderName::from_static("destination");
/// Conditions, which may concern other resources than the request's.
pub(crate) static IF: HeaderName = HeaderName::from_static("if");

/// The target in `Destination`; `None` without that header.
///
/// # Errors
/// The header is repeated, names another server, or is ambiguous.
pub(crate) fn read<'a>(facts: &RequestFacts<'a>, hosts: &OwnHosts) -> Result<Option<Target<'a>>, Refusal> {
    if !facts.headers.has(&DESTINATION) {
        return Ok(None);
    }
    let text = facts.header(&DESTINATION).ok_or(Reason::HeadMalformed)?;
    match resource(text, facts, hosts)? {
        Resource::Ours(target) => Ok(Some(target)),
        Resource::Foreign => Err(Reason::DestinationForeign.into()),
    }
}

/// The resource that such a header names.
#[derive(Debug)]
pub(crate) enum Resource<'a> {
    /// A resource of this gateway.
    Ours(Target<'a>),
    /// A resource of another server.
    Foreign,
}

/// Reads an address: a path, or an absolute URL.
///
/// # Errors
/// Programs would read it in different ways.
pub(crate) fn resource<'a>(text: &'a str, facts: &RequestFacts<'_>, hosts: &OwnHosts) -> Result<Resource<'a>, Refusal> {
    let unclear = || Refusal::from(Reason::DestinationRefused);
    if !text.starts_with('/') {
        let (scheme, rest) = text.split_once("://").ok_or_else(unclear)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let Some(origin) = Origin::parse(&format!("{scheme}://{authority}")) else { return Err(unclear()) };
        if !facts.comes_from_own_address(&origin, hosts) {
            return Ok(Resource::Foreign);
        }
    }
    Target::parse(text.as_bytes()).map(Resource::Ours).map_err(|_| unclear())
}

/// An `If` header, split at the tags that name the resources of its conditions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct IfHeader<'a>(Vec<Part<'a>>);

/// A part of an `If` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// The address between `<` and `>`.
    Tag(&'a str),
    /// Everything else, unchanged.
    Other(&'a str),
}

impl<'a> IfHeader<'a> {
    /// Reads the header's value; `None` if it has no tags.
    ///
    /// # Errors
    /// A list, a tag or a quoted string is not closed.
    pub(crate) fn read(value: &'a str) -> Result<Option<Self>, Reason> {
        let mut parts = Vec::new();
        let mut rest = value;
        while let Some(at) = rest.find(['<', '(']) {
            let is_list = rest.as_bytes().get(at) == Some(&b'(');
            let length =
                if is_list { list(rest.get(at..)) } else { memchr(b'>', rest.as_bytes()).map(|end| end + 1 - at) };
            let end = at + length.ok_or(Reason::HeadMalformed)?;
            let (whole, behind) = rest.split_at_checked(end).ok_or(Reason::HeadMalformed)?;
            if is_list {
                parts.push(Part::Other(whole));
            } else {
                parts.push(Part::Other(whole.get(..at).unwrap_or_default()));
                parts.push(Part::Tag(whole.get(at + 1..end - 1).ok_or(Reason::HeadMalformed)?));
            }
            rest = behind;
        }
        parts.push(Part::Other(rest));
        let tagged = parts.iter().any(|part| matches!(part, Part::Tag(_)));
        Ok(tagged.then_some(Self(parts)))
    }

    /// The value with the addresses in its tags replaced by those that `change` returns.
    ///
    /// # Errors
    /// The first error of `change`.
    pub(crate) fn with_tags<E>(&self, mut change: impl FnMut(&'a str) -> Result<String, E>) -> Result<String, E> {
        let mut value = String::new();
        for part in &self.0 {
            match *part {
                Part::Other(text) => value.push_str(text),
                Part::Tag(address) => {
                    value.push('<');
                    value.push_str(&change(address)?);
                    value.push('>');
                }
            }
        }
        Ok(value)
    }
}

/// The length of the list that begins here, from `(` to its `)`. A `)` within `<…>` or `"…"` does not end it.
fn list(text: Option<&str>) -> Option<usize> {
    let bytes = text?.as_bytes();
    let mut at = 1;
    loop {
        let end = match bytes.get(at)? {
            b')' => return Some(at + 1),
            b'<' => b'>',
            b'"' => b'"',
            _ => {
                at += 1;
                continue;
            }
        };
        at += memchr(end, bytes.get(at + 1..)?)? + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::facts::tests::{facts, hosts, request};

    #[test]
    fn a_destination_is_local_or_foreign() {
        use Reason::{DestinationForeign, DestinationRefused, HeadMalformed};
        let cases: [(&[&str], Result<Option<&str>, Reason>); 15] = [
            (&[], Ok(None)),
            (&["Destination: /b"], Ok(Some("/b"))),
            (&["Destination: http://app.test/b%2fc?x"], Ok(Some("/b%2Fc?x"))),
            (&["Destination: http://APP.test:80/a/../b"], Ok(Some("/b"))),
            (&["Destination: http://app.test"], Ok(Some("/"))),
            (&["Destination: https://app.test/b"], Err(DestinationForeign)),
            (&["Destination: http://shop.test/b"], Err(DestinationForeign)),
            (&["Destination: http://evil.test/b"], Err(DestinationForeign)),
            (&["Destination: http://app.test:81/b"], Err(DestinationForeign)),
            (&["Destination: http://u@app.test/b"], Err(DestinationRefused)),
            (&["Destination: //app.test/b"], Err(DestinationRefused)),
            (&["Destination: b"], Err(DestinationRefused)),
            (&["Destination: /a/..%2Fb"], Err(DestinationRefused)),
            (&["Destination: /a#b"], Err(DestinationRefused)),
            (&["Destination: /a", "Destination: /b"], Err(HeadMalformed)),
        ];
        let hosts = hosts();
        for (lines, want) in cases {
            let head = request("MOVE", "/a", lines);
            let facts = facts(&head, &hosts).unwrap();
            let got = read(&facts, &hosts).map(|target| target.map(|target| target.to_bytes()));
            let want = want.map(|path| path.map(|path| path.as_bytes().to_vec()));
            assert_eq!(got.map_err(|refusal| refusal.reason), want, "{lines:?}");
        }
    }

    #[test]
    fn tags_are_distinguished_from_tokens() {
        let upper = |value: &str| {
            let conditions = IfHeader::read(value)?;
            Ok(conditions.map(|some| some.with_tags(|tag| Ok::<_, Reason>(tag.to_uppercase())).unwrap()))
        };
        let cases = [
            ("(<urn:uuid:a> [\"b)<c>\"]) (Not <DAV:no-lock>)", Ok(None)),
            ("<http://h/p> (<urn:a>)", Ok(Some("<HTTP://H/P> (<urn:a>)"))),
            ("<a> (<b> [W/\"<c\"]) (<d>)\t<e>(f)", Ok(Some("<A> (<b> [W/\"<c\"]) (<d>)\t<E>(f)"))),
            ("<a> ([\"x\"]", Err(Reason::HeadMalformed)),
            ("<a", Err(Reason::HeadMalformed)),
            ("(<a)", Err(Reason::HeadMalformed)),
            ("(\"a)", Err(Reason::HeadMalformed)),
            ("", Ok(None)),
        ];
        for (value, want) in cases {
            assert_eq!(upper(value), want.map(|want| want.map(str::to_owned)), "{value}");
        }
    }
}
