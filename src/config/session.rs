//! `[session]`: lifetimes and maximum numbers of sessions, and the cookie.

use std::ops::RangeInclusive;
use std::time::Duration;

use ::cookie::SameSite;

use crate::http1::cookie::SessionCookie;
use crate::session::lifetime::Lifetime;
use crate::session::table::SessionSettings;
use crate::values::origin::{Origin, Scheme};

use super::duration::{self, ONE_DAY, ONE_HOUR, ONE_SECOND};
use super::raw::RawTable;
use super::refusal::ValueRefusal;

/// The highest value of `sessions`: about 4 GiB of records.
const MAX_SESSIONS: u64 = 10_000_000;
/// The maximum length of the cookie's name.
const MAX_NAME_LENGTH: usize = 64;

const SAME_SITE: [(&str, SameSite); 3] =
    [("lax", SameSite::Lax), ("strict", SameSite::Strict), ("none", SameSite::None)];

/// Reads the limits of sessions.
pub(crate) fn read(table: &RawTable<'_>) -> SessionSettings {
    let absolute = span(table, "max_lifetime").unwrap_or(ONE_HOUR.saturating_mul(12));
    // A shorter max_lifetime without an idle_timeout also shortens the latter's default.
    let idle = span(table, "idle_timeout").unwrap_or(ONE_HOUR.min(absolute));
    let lifetime = Lifetime { idle, absolute };
    check_lifetimes(table, lifetime);
    SessionSettings {
        lifetime,
        max_per_user: number(table, "max_per_user", 10_000).unwrap_or(20),
        capacity: number(table, "sessions", MAX_SESSIONS).unwrap_or(1_000_000),
    }
}

/// Reads the session cookie's name and attributes.
pub(crate) fn cookie(table: &RawTable<'_>, public_url: Option<&Origin>) -> Option<SessionCookie> {
    let name = table.item("cookie").and_then(|item| item.parse(cookie_name)).unwrap_or("exeunt".into());
    let same_site = table.item("same_site").and_then(|item| item.word(&SAME_SITE)).unwrap_or(SameSite::Lax);
    let public_url = public_url?;
    check_scheme(table, public_url);
    Some(SessionCookie::new(&name, public_url.scheme, same_site))
}

fn span(table: &RawTable<'_>, key: &str) -> Option<Duration> {
    // More than a year is most likely a mistake.
    const LIMITS: RangeInclusive<Duration> = ONE_SECOND..=ONE_DAY.saturating_mul(365);
    table.item(key)?.parse(|text| duration::parse(text, &LIMITS).and_then(whole_seconds))
}

/// The times of sessions are kept in whole seconds.
fn whole_seconds(duration: Duration) -> Result<Duration, ValueRefusal> {
    let whole = Duration::from_secs(duration.as_secs().max(1));
    match duration.subsec_millis() {
        0 => Ok(duration),
        _ => Err(ValueRefusal::new("must be whole seconds").write(format!("write \"{}\"", duration::show(whole)))),
    }
}

fn number(table: &RawTable<'_>, key: &str, most: u64) -> Option<usize> {
    table.item(key)?.number(1, most).and_then(|number| usize::try_from(number).ok())
}

fn check_lifetimes(table: &RawTable<'_>, lifetime: Lifetime) {
    if lifetime.idle <= lifetime.absolute {
        return;
    }
    let (idle, life) = (duration::show(lifetime.idle), duration::show(lifetime.absolute));
    let refusal = ValueRefusal::new(format!("idle_timeout ({idle}) is longer than max_lifetime ({life})"));
    if let Some(item) = table.item("idle_timeout") {
        item.location.problem(refusal.write(format!("write \"{life}\": no session lasts longer than max_lifetime")));
    }
}

fn check_scheme(table: &RawTable<'_>, public_url: &Origin) {
    let Some(item) = table.item("same_site") else { return };
    if public_url.scheme == Scheme::Http && item.peek() == Some("none") {
        item.location.problem(
            ValueRefusal::new("browsers refuse SameSite=None cookies over plain http")
                .write("write \"lax\", or use https in public_url"),
        );
    }
}

fn cookie_name(text: &str) -> Result<String, ValueRefusal> {
    for prefix in ["__host-", "__secure-"] {
        let head = text.get(..prefix.len()).unwrap_or_default();
        if head.eq_ignore_ascii_case(prefix) {
            let name = text.get(prefix.len()..).unwrap_or_default();
            return Err(ValueRefusal::new("the prefix is added automatically if public_url is https")
                .write(format!("write \"{name}\"")));
        }
    }
    // A subset of RFC 6265 4.1.1 that all programs read in the same way.
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if text.is_empty() || text.len() > MAX_NAME_LENGTH || !text.bytes().all(sound) {
        return Err(ValueRefusal::new(format!("\"{text}\" is not a valid cookie name"))
            .write("write \"exeunt\", or another name of at most 64 letters, digits, - and _"));
    }
    Ok(text.to_owned())
}
