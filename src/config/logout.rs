//! `[logout]`: what ends a session, and where people are then.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::values::return_to::{AllowedOrigins, OriginPattern, ReturnTo};

use super::duration::{self, ONE_SECOND};
use super::raw::{Item, Refusal, Table};
use super::shapes::{LogoutSettings, OnGet};
use super::{paths, schema};

const ON_GET: [(&str, OnGet); 3] =
    [("navigate", OnGet::Navigate), ("confirm", OnGet::Confirm), ("never", OnGet::Never)];

/// Reads the table. `own` are the origins of this gateway itself.
pub fn read(file: &Table<'_>, own: &[OriginPattern]) -> LogoutSettings {
    let table = file.table("logout", &schema::LOGOUT);
    let allowed = allowed_origins(&table);
    let reachable = AllowedOrigins::new(own.iter().chain(&allowed).cloned());
    LogoutSettings {
        paths: logout_paths(&table),
        get: table.item("get").and_then(|item| item.word(&ON_GET)).unwrap_or(OnGet::Navigate),
        next: table.item("next").and_then(|item| next(&item, &reachable)),
        allowed_origins: allowed,
        grace: table.item("grace").and_then(|item| grace(&item)).unwrap_or(Duration::from_secs(5)),
        clear_site_data: table.list("clear_site_data").iter().filter_map(clear_site_data).collect(),
    }
}

fn logout_paths(table: &Table<'_>) -> Vec<String> {
    let Some(item) = table.item("paths") else { return vec!["/logout".to_owned()] };
    let items = item.list();
    if items.is_empty() {
        item.place.problem(Refusal::new("nobody could sign out").write("write [\"/logout\"]"));
    }
    let mut read: Vec<String> = Vec::new();
    for item in items {
        let Some(path) = item.parse(paths::of_gateway) else { continue };
        if read.iter().any(|other| other.eq_ignore_ascii_case(&path)) {
            item.place.problem(Refusal::new(format!("{path} is named twice")));
        } else {
            read.push(path);
        }
    }
    read
}

fn next(item: &Item<'_>, reachable: &AllowedOrigins) -> Option<ReturnTo> {
    item.parse(|text| ReturnTo::parse(text, reachable).ok_or_else(|| unsafe_next(text)))
}

fn unsafe_next(text: &str) -> Refusal {
    let foreign = text.split_once("://").and_then(|(scheme, rest)| {
        let host = rest.split(['/', '?', '#']).next()?;
        OriginPattern::parse(&format!("{scheme}://{host}")).ok().map(|_| format!("{scheme}://{host}"))
    });
    match foreign {
        Some(origin) => Refusal::new(format!("{origin} is not an own host"))
            .write(format!("if it is trusted, add `allowed_origins = [\"{origin}\"]` to [logout]")),
        None => Refusal::new(format!("\"{text}\" is no safe target"))
            .write("write a path (\"/bye\") or a whole URL (\"https://www.example.com/\")"),
    }
}

fn allowed_origins(table: &Table<'_>) -> Vec<OriginPattern> {
    let read = |text: &str| {
        OriginPattern::parse(text)
            .map_err(|write| Refusal::new(format!("\"{text}\" is no origin")).write(write))
    };
    table.list("allowed_origins").iter().filter_map(|item| item.parse(read)).collect()
}

fn grace(item: &Item<'_>) -> Option<Duration> {
    const LIMITS: RangeInclusive<Duration> = Duration::ZERO..=ONE_SECOND.saturating_mul(60);
    item.parse(|text| duration::parse(text, &LIMITS))
}

fn clear_site_data(item: &Item<'_>) -> Option<&'static str> {
    const KINDS: [(&str, &str); 3] =
        [("storage", "storage"), ("cookies", "cookies"), ("executionContexts", "executionContexts")];
    if item.text() == Some("cache") {
        item.place.problem(
            Refusal::new("makes browsers stall for seconds at every logout")
                .write("leave it out: pages of a session are not stored in the first place"),
        );
        return None;
    }
    item.word(&KINDS)
}
