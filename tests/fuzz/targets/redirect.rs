//! Redirect targets: wherever a browser goes for one that is accepted, it is an allowed origin. The browser is the
//! `url` crate, which reads addresses as the WHATWG standard says.

#![no_main]

use std::sync::LazyLock;

use exeunt::values::return_to::{AllowedOrigins, OriginPattern, ReturnTo};
use url::Url;

static ALLOWED: LazyLock<AllowedOrigins> = LazyLock::new(|| {
    let patterns = ["https://app.test", "https://*.app.test", "http://port.test:8080", "https://any.test:*"];
    AllowedOrigins::new(patterns.map(|pattern| OriginPattern::parse(pattern).unwrap()))
});

/// Pages that the browser may be on: what is relative starts there.
const BASES: [&str; 3] = ["https://here.test/login", "https://here.test/a/b/c?d#e", "http://here.test:8080/logout"];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some(target) = ReturnTo::parse(text, &ALLOWED) else { return };
    let location = target.header_value();
    let location = location.to_str().expect("it is text");
    assert_eq!(location, target.to_string());
    assert!(location.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{location}");
    assert_eq!(ReturnTo::parse(location, &ALLOWED).as_ref(), Some(&target), "what is written is accepted again");
    for base in BASES.map(|base| Url::parse(base).unwrap()) {
        let url = base.join(location).unwrap_or_else(|error| panic!("no browser opens {location}: {error}"));
        assert!(url.username().is_empty() && url.password().is_none(), "{location}");
        match target.origin() {
            None => assert_eq!(url.origin(), base.origin(), "{location}"),
            Some(origin) => {
                assert!(is_allowed(&url), "{location} leads to {url}");
                assert_eq!(url.origin(), Url::parse(&origin.to_string()).unwrap().origin(), "{location}");
            }
        }
        assert!(!url.path().starts_with("//"), "{location} leads to {url}");
    }
});

fn is_allowed(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let below = host.strip_suffix(".app.test").is_some_and(|name| !name.is_empty());
    match (url.scheme(), host, url.port_or_known_default()) {
        ("https", "app.test", Some(443)) | ("http", "port.test", Some(8080)) | ("https", "any.test", _) => true,
        ("https", _, Some(443)) => below,
        _ => false,
    }
}
