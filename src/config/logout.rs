//! `[logout]`: what signs out, and where a sign-out leads.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderValue;

use crate::admission::cross_site::GetPolicy;
use crate::logout::settings::LogoutSettings;
use crate::values::origin::Host;
use crate::values::return_to::{AllowedOrigins, OriginPattern, ReturnTo};

use super::duration::{self, ONE_SECOND};
use super::raw::{Item, RawTable, ValueRefusal};

const ON_GET: [(&str, GetPolicy); 3] =
    [("navigate", GetPolicy::Navigate), ("confirm", GetPolicy::Confirm), ("never", GetPolicy::Never)];

/// Reads the table. `own` are the gateway's own origins; `None` while they are not known.
pub(crate) fn read(table: &RawTable<'_>, own: Option<&[OriginPattern]>) -> LogoutSettings {
    let others = allowed_origins(table);
    let allowed = AllowedOrigins::new(own.into_iter().flatten().cloned().chain(others));
    LogoutSettings {
        get: table.item("get").and_then(|item| item.word(&ON_GET)).unwrap_or_default(),
        next: table.item("next").filter(|_| own.is_some()).and_then(|item| next(&item, &allowed)),
        allowed,
        grace: table.item("grace").and_then(|item| grace(&item)).unwrap_or(ONE_SECOND.saturating_mul(5)),
        clear_site_data: clear_site_data(table),
    }
}

fn next(item: &Item<'_>, reachable: &AllowedOrigins) -> Option<ReturnTo> {
    item.parse(|text| ReturnTo::parse(text, reachable).ok_or_else(|| unsafe_next(text)))
}

fn unsafe_next(text: &str) -> ValueRefusal {
    let foreign = text.split_once("://").and_then(|(scheme, rest)| {
        let host = rest.split(['/', '?', '#']).next()?;
        OriginPattern::parse(&format!("{scheme}://{host}")).ok().map(|_| format!("{scheme}://{host}"))
    });
    match foreign {
        Some(origin) => ValueRefusal::new(format!("{origin} is not one of the hosts that are served here"))
            .write(format!("if it is trusted, add `allowed_origins = [\"{origin}\"]` to [logout]")),
        None => ValueRefusal::new(format!("\"{text}\" is not a safe target: it could become an open redirect"))
            .write("write \"/\", or another path, or a whole URL (\"https://www.example.com/\")"),
    }
}

fn allowed_origins(table: &RawTable<'_>) -> Vec<OriginPattern> {
    let read = |text: &str| {
        let pattern = OriginPattern::parse(text)
            .map_err(|write| ValueRefusal::new(format!("\"{text}\" must be an origin")).write(write))?;
        match pattern.wildcard_parent().filter(|parent| is_shared(parent)) {
            Some(parent) => Err(ValueRefusal::new(format!("anybody can register a name below {parent}"))
                .write(format!("write \"https://*.example.{parent}\", with a domain of your own"))),
            None => Ok(pattern),
        }
    };
    table.list("allowed_origins").iter().filter_map(|item| item.parse(read)).collect()
}

/// Whether anyone can register a name below this one (publicsuffix.org): `co.uk`, `github.io`.
fn is_shared(parent: &Host) -> bool {
    let below = format!("any.{parent}");
    psl::suffix(below.as_bytes())
        .is_some_and(|suffix| suffix.is_known() && suffix.as_bytes().len() >= parent.as_str().len())
}

fn grace(item: &Item<'_>) -> Option<Duration> {
    const LIMITS: RangeInclusive<Duration> = Duration::ZERO..=ONE_SECOND.saturating_mul(60);
    item.parse(|text| duration::parse(text, &LIMITS))
}

const CLEARED: [(&str, &str); 3] =
    [("storage", "\"storage\""), ("cookies", "\"cookies\""), ("executionContexts", "\"executionContexts\"")];

/// The header's value: a list of quoted words.
fn clear_site_data(table: &RawTable<'_>) -> Option<HeaderValue> {
    let items = table.list("clear_site_data");
    let words: Vec<&str> = items.iter().filter_map(cleared).collect();
    (!words.is_empty()).then(|| HeaderValue::try_from(words.join(", ")).ok()).flatten()
}

fn cleared(item: &Item<'_>) -> Option<&'static str> {
    if item.peek() == Some("cache") {
        item.location.problem(
            ValueRefusal::new("\"cache\" makes browsers hang for seconds at every logout")
                .write("remove it: browsers do not store the pages of a session anyway"),
        );
        return None;
    }
    item.word(&CLEARED)
}
