//! `[logout]`: how users sign out, and the target of a sign-out.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderValue;

use crate::admission::cross_site::GetPolicy;
use crate::logout::settings::LogoutSettings;
use crate::values::origin::Host;
use crate::values::return_to::{AllowedOrigins, OriginPattern, ReturnTo};

use super::duration::{self, ONE_SECOND};
use super::raw::{Item, RawTable};
use super::refusal::ValueRefusal;

const ON_GET: [(&str, GetPolicy); 3] =
    [("navigate", GetPolicy::Navigate), ("confirm", GetPolicy::Confirm), ("never", GetPolicy::Never)];

/// Reads the table. `own` are the gateway's own origins; `None` if they are not known.
pub(crate) fn read(table: &RawTable<'_>, own: Option<&[OriginPattern]>) -> LogoutSettings {
    let others = allowed_origins(table);
    let allowed = AllowedOrigins::new(own.into_iter().flatten().cloned().chain(others));
    LogoutSettings {
        get: table.item("get").and_then(|item| item.word(&ON_GET)).unwrap_or_default(),
        next: table.item("next").filter(|_| own.is_some()).and_then(|item| next(&item, &allowed)),
        allowed,
        grace: table.item("grace").and_then(|item| grace(&item)).unwrap_or(ONE_SECOND.saturating_mul(5)),
        clear_site_data: clear_site_data(table),
        close_tabs: table.item("close_tabs").and_then(|item| item.switch()).unwrap_or(false),
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
            .write(format!("write `allowed_origins = [\"{origin}\"]` in [logout], if you trust that site")),
        None => ValueRefusal::new(format!("\"{text}\" is not a safe target: it could become an open redirect"))
            .write("remove this line to show the goodbye page, or write a path, or a whole URL"),
    }
}

fn allowed_origins(table: &RawTable<'_>) -> Vec<OriginPattern> {
    let read = |text: &str| {
        let top_level = text.split_once("://*.").filter(|(_, parent)| !parent.contains('.'));
        if let Some(parent) = top_level.and_then(|(_, parent)| Host::parse(parent)) {
            return Err(not_a_registrable_domain(&parent));
        }
        let pattern = OriginPattern::parse(text)
            .map_err(|error| ValueRefusal::new(format!("\"{text}\" is not a valid origin")).write(error.to_string()))?;
        match pattern.wildcard_parent().filter(|parent| is_shared(parent)) {
            Some(parent) => Err(not_a_registrable_domain(parent)),
            None => Ok(pattern),
        }
    };
    table.list("allowed_origins").iter().filter_map(|item| item.parse(read)).collect()
}

fn not_a_registrable_domain(parent: &Host) -> ValueRefusal {
    let below = |label: &str| Host::parse(&format!("{label}.{parent}"));
    let example =
        ["example", "www.example"].into_iter().find(|label| below(label).is_some_and(|host| !is_shared(&host)));
    ValueRefusal::new(format!("anybody can register a name below {parent}"))
        .write(format!("write \"https://*.{}.{parent}\", with a domain of your own", example.unwrap_or("example")))
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
            ValueRefusal::new("with \"cache\" browsers hang for seconds at every logout")
                .write("remove it: browsers do not store the pages of a session anyway"),
        );
        return None;
    }
    item.word(&CLEARED)
}
