//! Which entry of a list covers a path, in all readings of that path by different programs.

use std::cmp::Reverse;

use crate::values::ambiguous::Ambiguous;
use crate::values::configured_path::ConfiguredPath;
use crate::values::origin::Host;
use crate::values::own_hosts::{HostId, OwnHosts};
use crate::values::readings::RequestPath;

/// Where an entry applies.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// The host that it is for; `None` for every host of the gateway.
    pub(crate) host: Option<Host>,
    /// The paths it covers.
    pub(crate) path: ConfiguredPath,
    /// Whether the application behind it distinguishes letter case, and names with and without a trailing dot.
    pub(crate) case_sensitive: bool,
}

/// Entries by own host and path: one with a host wins over one without, then the longest path.
#[derive(Debug)]
pub(crate) struct PathTable<T> {
    by_host: Vec<Vec<(Scope, T)>>,
}

impl<T: Clone> PathTable<T> {
    /// A table for the gateway's hosts. If two entries have the same host and path, the first one counts.
    pub(crate) fn new(hosts: &OwnHosts, entries: &[(Scope, T)]) -> Self {
        let of_host = |id: usize| {
            let applies = |(scope, _): &&(Scope, T)| {
                scope.host.as_ref().is_none_or(|host| hosts.host_id(host).is_some_and(|own| own.index() == id))
            };
            let mut entries: Vec<_> = entries.iter().filter(applies).cloned().collect();
            // Of two paths that differ in letter case only, the one in lower case comes first, since requests are
            // matched in lower case.
            entries.sort_by_key(|(Scope { host, path, .. }, _)| {
                (host.is_none(), Reverse(path.length()), !path.is_loose())
            });
            entries
        };
        Self { by_host: (0..hosts.count()).map(of_host).collect() }
    }

    /// The entry that covers a path of a host.
    ///
    /// # Errors
    /// The path's readings lead to different entries.
    pub(crate) fn find(&self, host: HostId, path: &RequestPath<'_>) -> Result<Option<&T>, Ambiguous> {
        let entries = self.by_host.get(host.index()).map(Vec::as_slice).unwrap_or_default();
        let loose = first(entries, path.loose(), ConfiguredPath::covers_loosely);
        if let (Some((scope, item)), true) = (loose, path.is_plain())
            && scope.path.covers(path.literal())
        {
            return Ok(Some(item));
        }
        find_ambiguous(entries, path, loose)
    }
}

type ScopedEntry<T> = (Scope, T);

fn first<'a, T>(
    entries: &'a [ScopedEntry<T>],
    path: &[u8],
    covers: fn(&ConfiguredPath, &[u8]) -> bool,
) -> Option<&'a ScopedEntry<T>> {
    entries.iter().find(|(scope, _)| covers(&scope.path, path))
}

fn find_ambiguous<'a, T>(
    entries: &'a [ScopedEntry<T>],
    path: &RequestPath<'_>,
    loose: Option<&'a ScopedEntry<T>>,
) -> Result<Option<&'a T>, Ambiguous> {
    let literal = first(entries, path.literal(), ConfiguredPath::covers);
    let strict = first(entries, path.strict(), ConfiguredPath::covers);
    let forks = path.fork().is_some_and(|fork| entries.iter().any(|(scope, _)| scope.path.is_within(fork)));
    if forks || !is_same(literal, strict) {
        return Err(path.differs());
    }
    let case_sensitive = literal.is_some_and(|(scope, _)| scope.case_sensitive);
    if case_sensitive || is_same(literal, loose) { Ok(literal.map(|(_, item)| item)) } else { Err(path.differs()) }
}

fn is_same<T>(one: Option<&ScopedEntry<T>>, other: Option<&ScopedEntry<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => std::ptr::eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::origin::Origin;

    fn hosts() -> OwnHosts {
        OwnHosts::new(&Origin::parse("http://app.test").unwrap(), [Host::parse("shop.test").unwrap()])
    }

    /// `host/path`, and `!` in front where letter case counts.
    fn table(entries: &[&'static str]) -> PathTable<&'static str> {
        let entry = |text: &&'static str| {
            let (host, path) = text.trim_start_matches('!').split_at(text.trim_start_matches('!').find('/').unwrap());
            let path = ConfiguredPath::parse(path).unwrap();
            (Scope { host: Host::parse(host), path, case_sensitive: text.starts_with('!') }, *text)
        };
        PathTable::new(&hosts(), &entries.iter().map(entry).collect::<Vec<_>>())
    }

    fn find(table: &PathTable<&'static str>, host: &str, path: &str) -> Result<Option<&'static str>, String> {
        let path = RequestPath::read(path).map_err(|ambiguous| ambiguous.detail().to_owned())?;
        let found = table.find(hosts().find(host).unwrap(), &path);
        found.map(Option::<&_>::copied).map_err(|ambiguous| ambiguous.detail().to_owned())
    }

    #[test]
    fn the_most_specific_entry_wins() {
        let table = table(&["/", "/static", "shop.test/", "shop.test/static/private"]);
        let cases = [
            ("app.test", "/x", "/"),
            ("app.test", "/static/x", "/static"),
            ("shop.test", "/static/x", "shop.test/"),
            ("shop.test", "/static/private/x", "shop.test/static/private"),
        ];
        for (host, path, want) in cases {
            assert_eq!(find(&table, host, path), Ok(Some(want)), "{host}{path}");
        }
    }

    #[test]
    fn unmatched_paths_are_not_found() {
        let table = table(&["/app"]);
        assert_eq!(find(&table, "app.test", "/app/x"), Ok(Some("/app")));
        for path in ["/", "/apple", "/x/app", "/x%2520", "/x%2Fapp"] {
            assert_eq!(find(&table, "app.test", path), Ok(None), "{path}");
        }
        assert_eq!(find(&table, "app.test", "/App"), Err("its letter case".to_owned()));
    }

    #[test]
    fn all_readings_lead_to_one_entry_or_none_does() {
        let table = table(&["/", "/@admin", "/Wiki", "/caf%C3%A9", "/a/b"]);
        let same = [
            ("/%40admin/x", "/@admin"),
            ("/@admin", "/@admin"),
            ("/Wiki/50%25%2Fx%3Fy%5C", "/Wiki"),
            ("/Wiki//x;y=z/", "/Wiki"),
            ("/Wiki/%E9", "/Wiki"),
            ("/Wiki/x;a%2Fb;c%3Fd%255C", "/Wiki"),
            ("/Wiki/%E3%80%82%EF%BC%9F%EF%BC%8F", "/Wiki"),
            ("/caf%C3%A9/x", "/caf%C3%A9"),
            ("/x%2Fy", "/"),
            ("/x;a/b", "/"),
            ("/a/%2Fc", "/"),
            ("/a/...", "/"),
        ];
        for (path, want) in same {
            assert_eq!(find(&table, "app.test", path), Ok(Some(want)), "{path}");
        }
        let different = [
            "/@Admin", "/%40ADMIN", "/@admin.", "/@admin%20", "/@admin::$DATA", "/@admin;x", "/@admin%2Fx",
            "/%EF%BC%A0admin", "/@adm%C4%B1n", "/@adm%E2%80%8Bin", "/x%2F%2540admin%2F..", "/%2540admin", "/wiki",
            "/wiki/x", "/cafe%CC%81", "/CAF%C3%89", "/caf%C3%A9%C2%A0", "/a//b", "/a%2Fb", "/a%5Cb", "/a%255Cb",
            "/a/b%3Fx", "/a/b%2523", "/a/.../b", "/a;x/b", "/a;x%2Fb", "/a;x%2Fy/b", "/a;x%3Fy%2Fb/z", "/a%3Bx%5Cb",
            "/a%EF%BC%8Fb", "/a/%E2%80%8Bb",
        ];
        // However many entries come before it that do not match.
        for filling in ["/", "%E2%80%8B", "/..."] {
            let path = format!("/a{}/%F0%9D%90%9B", filling.repeat(300));
            assert!(find(&table, "app.test", &path).is_err(), "{path}");
        }
        for path in different {
            assert!(find(&table, "app.test", path).is_err(), "{path}");
        }
    }

    #[test]
    fn letter_case_counts_if_configured() {
        let usual = table(&["/", "/Admin", "/admin"]);
        let sensitive = table(&["!/", "!/Admin", "/admin"]);
        let cases = [
            ("/admin/x", Ok(Some("/admin")), Ok(Some("/admin"))),
            ("/Admin/x", Err("its letter case".to_owned()), Ok(Some("!/Admin"))),
            ("/ADMIN/x", Err("its letter case".to_owned()), Ok(Some("!/"))),
            ("/admin./x", Err("the end of a name".to_owned()), Ok(Some("!/"))),
            ("/admin%20", Err("%20".to_owned()), Ok(Some("!/"))),
            ("/admin%2Fx", Err("%2F".to_owned()), Err("%2F".to_owned())),
            ("/admin;x", Err("a semicolon".to_owned()), Err("a semicolon".to_owned())),
        ];
        for (path, want, wanted) in cases {
            assert_eq!(find(&usual, "app.test", path), want, "{path}");
            assert_eq!(find(&sensitive, "app.test", path), wanted, "{path}");
        }
    }
}
