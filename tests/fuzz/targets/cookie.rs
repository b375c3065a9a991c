//! Cookie lines: every session that is named is found, ours never reach the application, and the others reach it as
//! they came. Each line of the input is a header line.

#![no_main]

use std::sync::LazyLock;

use cookie::SameSite;
use exeunt::http1::cookie::{OTHER_COOKIES, SessionCookie};
use exeunt::http1::header_edits::{HeaderEdit, replaces};
use exeunt::http1::own_cookies::{ApplicationCookies, NamedSession};
use exeunt::values::origin::Scheme;
use exeunt::values::session_id::SessionKey;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

static OURS: LazyLock<[SessionCookie; 2]> =
    LazyLock::new(|| [Scheme::Http, Scheme::Https].map(|scheme| SessionCookie::new("exeunt", scheme, SameSite::Lax)));

/// The session cookie's names in every form, in small letters.
const SESSION_NAMES: [&str; 3] = ["exeunt", "__host-exeunt", "__secure-exeunt"];

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
    let sessions = pairs.iter().filter(|pair| is_session(&name_of(pair).to_ascii_lowercase()));
    let named = |pair: &Vec<u8>| {
        let key = SessionKey::of_cookie_value(value_of(pair))?;
        Some(NamedSession { key, opens: name_of(pair) == name })
    };
    let want: Vec<_> = sessions.clone().filter_map(named).collect();
    let found = ours.read(headers);
    assert_eq!(found.named().next(), want.first().copied());
    assert!(found.named().all(|one| want.contains(&one)));
    assert!(want.iter().all(|one| found.named().any(|other| other == *one)));
    assert_eq!(found.has_session_cookie(), sessions.clone().next().is_some());
    let opening: Vec<_> = sessions.filter(|pair| name_of(pair) == name).collect();
    let malformed = opening.iter().any(|pair| named(pair).is_none());
    let differ = opening.iter().any(|pair| value_of(pair) != value_of(opening[0]));
    assert_eq!(found.has_unusable(), malformed || differ);
}

fn is_session(name: &[u8]) -> bool {
    SESSION_NAMES.iter().any(|own| own.as_bytes() == name)
}

fn is_ours(pair: &[u8]) -> bool {
    let name = name_of(pair).to_ascii_lowercase();
    is_session(&name) || OTHER_COOKIES.iter().any(|suffix| name.strip_suffix(suffix.as_bytes()).is_some_and(is_session))
}

fn forwarded(ours: &SessionCookie, came: HeaderMap) {
    let want: Vec<Vec<u8>> = pairs(&came).into_iter().filter(|pair| !is_ours(pair)).collect();
    let goes = match ours.read(&came).into_application_cookies() {
        ApplicationCookies::Untouched => came,
        ApplicationCookies::Line(line) => HeaderMap::from_iter([(COOKIE, HeaderValue::from_bytes(&line).unwrap())]),
        ApplicationCookies::Nothing => HeaderMap::new(),
    };
    assert!(goes.get_all(COOKIE).iter().count() <= 1);
    assert_eq!(pairs(&goes), want);
    assert!(!ours.read(&goes).has_session_cookie());
}

fn answered(ours: &SessionCookie, came: HeaderMap) {
    let mut edits = Vec::new();
    ours.response_edits(&came, &mut edits);
    // A cookie without a name comes back as its value, which is a pair again.
    let sent = |line: &HeaderValue| {
        let pair = line.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default();
        let nameless = |byte: &u8| *byte == b'=' || byte.is_ascii_whitespace();
        pair.iter().skip_while(|byte| nameless(byte)).copied().collect::<Vec<u8>>()
    };
    let theirs = |line: &&HeaderValue| !is_ours(&sent(line));
    let want: Vec<HeaderValue> = came.get_all(SET_COOKIE).iter().filter(theirs).cloned().collect();
    let stays = if replaces(&edits, SET_COOKIE.as_ref()) { HeaderMap::new() } else { came };
    let added = edits.iter().filter_map(|edit| match edit {
        HeaderEdit::Add(_, line) => Some(line),
        HeaderEdit::Remove(_) | HeaderEdit::Set(..) => None,
    });
    assert!(stays.get_all(SET_COOKIE).iter().chain(added).eq(want.iter()));
}
