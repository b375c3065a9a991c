//! What an upgrade changes for a configuration: defaults that differ from those of an earlier version, if the file
//! relies on them. `exeunt check --since` reports them.

use std::str::FromStr;

use thiserror::Error;

use super::raw::{Item, RawTable};
use super::refusal::ValueRefusal;

/// A version as `--since` accepts it: `0.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u64, u64);

/// A text is not a version.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not a version: write 0.1")]
pub struct NotAVersion(String);

/// The version after 0.1.
const NEXT: Version = Version(0, 2);

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAVersion(text.to_owned());
        let (major, rest) = text.trim_start_matches('v').split_once('.').ok_or_else(wrong)?;
        let minor = rest.split('.').next().unwrap_or(rest);
        Ok(Self(major.parse().map_err(|_| wrong())?, minor.parse().map_err(|_| wrong())?))
    }
}

/// Adds a note for every default that has changed since the version `since` and that this file relies on.
pub(crate) fn note(file: &RawTable<'_>, since: Version) {
    if since >= NEXT {
        return;
    }
    let routes = file.item("route").map(|item| item.again()).unwrap_or_default();
    routes.iter().for_each(of_route);
    if file.find("session", "store").is_none() {
        let what = "sessions are kept in a file now and survive a restart; they were kept in memory before";
        let session = file.item("session").map_or_else(|| file.location_of_missing("session"), |item| item.location);
        session.note(ValueRefusal::new(what).write("write store = \"memory\" below [session] to keep no file"));
    }
    if let Some(item) = file.find("identity", "custom") {
        let what =
            "request headers with similar names are removed now: with X-WEBAUTH-USER all names that end with -user";
        item.location
            .note(ValueRefusal::new(what).write("list those that applications need in pass_headers of their route"));
    }
    if let Some(item) = file.find("log", "format") {
        of_log_format(&item);
    }
    let passes = routes.iter().any(|route| route.has("pass_headers"));
    if let Some(item) = file.item("trusted_proxies").filter(|item| !passes && !item.one_or_list().is_empty()) {
        let what = "headers that this proxy sets beside X-Forwarded-For and -Proto are removed now, such as X-Real-IP";
        item.location
            .note(ValueRefusal::new(what).write("list those that applications need in pass_headers of their route"));
    }
}

fn of_log_format(format: &Item<'_>) {
    let (what, write) = match format.peek() {
        Some("json") => ("the program's own messages have time instead of timestamp now", "read time from every line"),
        Some("combined") => ("the user's name has no quotes now", "read it as from other web servers' lines"),
        _ => return,
    };
    format.location.note(ValueRefusal::new(what).write(write));
}

fn of_route(route: &RawTable<'_>) {
    if let Some(item) = route.item("upstream").filter(|_| !route.has("app_cookies")) {
        let what = "the gateway keeps HttpOnly cookies of this application now and ends them at logout";
        item.location
            .note(ValueRefusal::new(what).write("write app_cookies = \"pass\" to leave them all in the browser"));
    }
    of_path(route);
}

/// Notes of paths, which matter if applications share a host by path.
fn of_path(route: &RawTable<'_>) {
    let Some(item) = route.item("path").filter(|item| item.peek() != Some("/")) else { return };
    let path = item.peek().unwrap_or_default();
    if !route.has("case_sensitive") {
        let what = format!("requests for {path} in another letter case or spelling are answered 400 now");
        item.location
            .note(ValueRefusal::new(what).write("write case_sensitive = true if the applications tell them apart"));
    }
    if !route.has("encoded") {
        let what = "escapes such as %2F and %3F below this path reach the application now; they were refused before";
        item.location
            .note(ValueRefusal::new(what).write("write encoded = \"refuse\" if the application checks paths itself"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_notations_of_versions_are_read() {
        for text in ["0.1", "0.1.0", "v0.1.7"] {
            assert_eq!(text.parse(), Ok(Version(0, 1)), "{text}");
        }
        assert!("1.0".parse::<Version>().unwrap() > NEXT);
        for text in ["", "1", "a.b", "0.x"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
