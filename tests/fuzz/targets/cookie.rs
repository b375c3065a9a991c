//! Cookie lines: the session is found where two readers would find the same one, ours never reach the application, and
//! the others reach it as they came. Each line of the input is a header line.

#![no_main]

use std::sync::LazyLock;

use cookie::SameSite;
use exeunt::values::cookie::{Presented, SessionCookie};
use exeunt::values::header_edits::HeaderEdit;
use exeunt::values::origin::Scheme;
use exeunt::values::session_id::SessionKey;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

static OURS: LazyLock<[SessionCookie; 2]> =
    LazyLock::new(|| [Scheme::Http, Scheme::Https].map(|scheme| SessionCookie::new("exeunt", scheme, SameSite::Lax)));

/// Our names in every form, in small letters.
const NAMES: [&[u8]; 6] = [
    b"exeunt", b"__host-exeunt", b"__secure-exeunt", b"exeunt-known", b"__host-exeunt-known", b"__secure-exeunt-known",
];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    for (ours, name) in OURS.iter().zip([&b"exeunt"[..], b"__Host-exeunt"]) {
        found(ours, name, &headers(COOKIE, input));
        forwarded(ours, headers(COOKIE, input));
        answered(ours, headers(SET_COOKIE, input));
    }
});

fn headers(name: HeaderName, input: &[u8]) -> HeaderMap {
    let lines = input.split(|&byte| byte == b'\n').take(8);
    lines.filter_map(|line| Some((name.clone(), HeaderValue::from_bytes(line).ok()?))).collect()
}

/// The pairs of all lines.
fn pairs(headers: &HeaderMap) -> Vec<Vec<u8>> {
    let lines = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    lines.map(|pair| pair.trim_ascii().to_vec()).filter(|pair| !pair.is_empty()).collect()
}

fn name_of(pair: &[u8]) -> &[u8] {
    pair.split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii()
}

fn value_of(pair: &[u8]) -> &[u8] {
    pair.iter().position(|&byte| byte == b'=').map_or(&[], |at| pair[at + 1..].trim_ascii())
}

fn found(ours: &SessionCookie, name: &[u8], headers: &HeaderMap) {
    let pairs = pairs(headers);
    let values: Vec<&[u8]> = pairs.iter().filter(|pair| name_of(pair) == name).map(|pair| value_of(pair)).collect();
    let differ = values.iter().any(|value| *value != values[0]);
    match ours.find(headers) {
        Presented::Nothing => assert!(values.is_empty()),
        Presented::One(key) => {
            assert!(!differ && Some(key) == SessionKey::of_cookie_value(values[0]));
            // A reader who knows quoted values finds none open before it.
            let before = pairs.iter().take_while(|pair| name_of(pair) != name);
            let quotes = |value: &[u8]| value.first() == Some(&b'"') && value.last() != Some(&b'"');
            assert!(!before.into_iter().any(|pair| quotes(value_of(pair)) || name_of(pair) == b"$Version"));
        }
        Presented::Unusable => assert!(!values.is_empty()),
    }
}

fn is_ours(pair: &[u8]) -> bool {
    NAMES.contains(&name_of(pair).to_ascii_lowercase().as_slice())
}

fn forwarded(ours: &SessionCookie, came: HeaderMap) {
    let want: Vec<Vec<u8>> = pairs(&came).into_iter().filter(|pair| !is_ours(pair)).collect();
    let mut goes = came;
    ours.keep_from_application(&mut goes);
    assert!(goes.get_all(COOKIE).iter().count() <= 1);
    assert_eq!(pairs(&goes), want);
    assert!(matches!(ours.find(&goes), Presented::Nothing));
}

fn answered(ours: &SessionCookie, came: HeaderMap) {
    let mut edits = Vec::new();
    ours.response_edits(&came, &mut edits);
    let first = |line: &HeaderValue| line.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default().to_vec();
    let theirs = |line: &&HeaderValue| !is_ours(first(line).trim_ascii());
    let want: Vec<HeaderValue> = came.get_all(SET_COOKIE).iter().filter(theirs).cloned().collect();
    let mut goes = came;
    edits.iter().for_each(|edit: &HeaderEdit| edit.apply(&mut goes));
    assert!(goes.get_all(SET_COOKIE).iter().eq(want.iter()));
}
