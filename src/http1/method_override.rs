//! Method override headers. Clients in networks that allow only GET and POST send another method in them, and
//! applications obey: WordPress deletes a page on a POST with `X-HTTP-Method-Override: DELETE`.

use http::{HeaderName, Method};

use super::header_name_bytes::mark;
use super::headers::Headers;

/// The names that applications obey. Other spellings are removed, since they are not plain (`http1::header_names`).
static NAMES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
];

/// The marks of these names, as a filter: few heads have one of them.
const MARKS: u64 = 1 << mark(b"x-http-method-override") | 1 << mark(b"x-http-method") | 1 << mark(b"x-method-override");

/// The override headers contradict each other, are repeated, or name no valid method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoSingleMethod;

/// The method in the override headers of a head, in upper case, as applications compare it.
///
/// # Errors
/// [`NoSingleMethod`].
pub(crate) fn method_override(headers: &dyn Headers) -> Result<Option<Method>, NoSingleMethod> {
    if headers.marks() & MARKS == 0 {
        return Ok(None);
    }
    let mut lines = NAMES.iter().flat_map(|name| headers.lines(name));
    let Some(value) = lines.next() else { return Ok(None) };
    let named = |value: &[u8]| Method::from_bytes(&value.to_ascii_uppercase()).map_err(|_| NoSingleMethod);
    let method = named(value)?;
    let names_twice = NAMES.iter().any(|name| headers.has(name) && headers.single(name).is_none());
    let differs = lines.any(|other| named(other) != Ok(method.clone()));
    if names_twice || differs { Err(NoSingleMethod) } else { Ok(Some(method)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use http::HeaderValue;

    #[test]
    fn the_filter_has_the_mark_of_each_name() {
        for name in &NAMES {
            assert_ne!(MARKS & 1 << mark(name.as_ref()), 0, "{name}");
        }
    }

    #[test]
    fn a_single_valid_override_is_accepted() {
        const ONE: &str = "x-http-method-override";
        let cases: [(&[(&str, &str)], Result<Option<&str>, NoSingleMethod>); 14] = [
            (&[], Ok(None)),
            (&[("x-http-methods", "PUT"), ("x-method", "PUT")], Ok(None)),
            (&[(ONE, "DELETE")], Ok(Some("DELETE"))),
            (&[("x-http-method", "delete")], Ok(Some("DELETE"))),
            (&[("x-method-override", "PropFind")], Ok(Some("PROPFIND"))),
            (&[(ONE, "TRACE")], Ok(Some("TRACE"))),
            (&[(ONE, "PUT"), ("x-http-method", "put"), ("x-method-override", "PUT")], Ok(Some("PUT"))),
            (&[(ONE, "PUT"), ("x-http-method", "DELETE")], Err(NoSingleMethod)),
            (&[(ONE, "PUT"), (ONE, "PUT")], Err(NoSingleMethod)),
            (&[("x-method-override", "PUT"), ("x-method-override", "GET")], Err(NoSingleMethod)),
            (&[(ONE, "PUT, DELETE")], Err(NoSingleMethod)),
            (&[(ONE, "")], Err(NoSingleMethod)),
            (&[(ONE, "PUT"), ("x-http-method", "")], Err(NoSingleMethod)),
            (&[(ONE, "\u{e4}")], Err(NoSingleMethod)),
        ];
        for (lines, want) in cases {
            let line = |(name, value): &(&str, &str)| {
                (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
            };
            let headers: HeaderMap = lines.iter().map(line).collect();
            let read = method_override(&headers);
            assert_eq!(
                read.as_ref().map(|method| method.as_ref().map(Method::as_str)),
                want.as_ref().map(|m| *m),
                "{lines:?}"
            );
        }
    }
}
