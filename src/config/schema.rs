//! The keys of the file: those of this version, and those planned for later versions. The latter have a message of
//! their own, so that no operator relies on a protection that does not exist yet.

use crate::values::nearest_word::nearest;

/// The keys of one table.
#[derive(Debug)]
pub struct Schema {
    /// The table's name; empty for the file itself.
    pub table: &'static str,
    /// Keys that this version reads.
    pub keys: &'static [&'static str],
    /// Keys that a later version will read.
    pub(crate) later: &'static [&'static str],
}

/// The file itself.
pub(crate) const FILE: Schema = Schema {
    table: "",
    keys: &[
        "listen", "public_url", "hosts", "trusted_proxies", "route", "identity", "session", "login", "logout",
        "limits", "admin", "metrics", "log", "audit", "brand", "pages", "state",
    ],
    later: &["tls"],
};

/// `[[route]]`
pub(crate) const ROUTE: Schema = Schema {
    table: "route",
    keys: &[
        "host", "path", "upstream", "upstream_host", "upstream_ca_file", "access", "groups", "basic", "methods",
        "encoded", "case_sensitive", "cross_site", "origins", "service_workers", "cache", "idle_paths", "pass_headers",
        "headers", "response_timeout", "app_cookies", "keep_cookies", "carry_cookies", "browser_cookies",
        "script_cookies", "logout", "preset",
    ],
    later: &["connection_auth", "activity"],
};

/// `[route.logout]`
pub(crate) const ROUTE_LOGOUT: Schema =
    Schema { table: "route.logout", keys: &["call", "csrf", "token_from", "call_on", "paths", "also"], later: &[] };

/// An entry of `paths` of `[route.logout]` that is a table.
pub(crate) const LOGOUT_LINK: Schema = Schema { table: "paths", keys: &["path", "query"], later: &[] };

/// `csrf` of `[route.logout]`.
pub(crate) const CSRF: Schema = Schema { table: "csrf", keys: &["cookie", "header", "field"], later: &[] };

/// `token_from` of `[route.logout]`.
pub(crate) const TOKEN_FROM: Schema = Schema { table: "token_from", keys: &["get", "find", "field"], later: &[] };

/// `[route.headers]`
pub(crate) const ROUTE_HEADERS: Schema = Schema { table: "route.headers", keys: &["request", "response"], later: &[] };

/// `[route.headers.request]`
pub(crate) const REQUEST_HEADERS: Schema =
    Schema { table: "route.headers.request", keys: &["add", "remove"], later: &[] };

/// `[route.headers.response]`
pub(crate) const RESPONSE_HEADERS: Schema =
    Schema { table: "route.headers.response", keys: &["add", "remove"], later: &[] };

/// An entry of `pass_headers` that is a table.
pub(crate) const PASS_HEADER: Schema = Schema { table: "pass_headers", keys: &["name", "from"], later: &[] };

/// `[identity]`
pub(crate) const IDENTITY: Schema =
    Schema { table: "identity", keys: &["headers", "custom"], later: &["assertion", "assertion_key_file"] };

/// `[session]`
pub(crate) const SESSION: Schema = Schema {
    table: "session",
    keys: &[
        "idle_timeout", "max_lifetime", "max_per_user", "sessions", "same_site", "cookie", "store",
        "store_password_file", "store_ca_file", "store_replicas", "staleness", "cookie_debts", "max_cookie_header",
        "share",
    ],
    later: &[],
};

/// `[login]`
pub(crate) const LOGIN: Schema = Schema {
    table: "login",
    keys: &["users", "path", "next", "ban_max", "allow_weak_hashes", "change_password"],
    later: &[],
};

/// `[logout]`
pub(crate) const LOGOUT: Schema = Schema {
    table: "logout",
    keys: &["paths", "get", "next", "allowed_origins", "grace", "clear_site_data", "close_tabs"],
    later: &[],
};

/// `[limits]`
pub(crate) const LIMITS: Schema = Schema {
    table: "limits",
    keys: &[
        "head_timeout", "silent_timeout", "body_timeout", "send_timeout", "idle", "upstream_idle", "connect_timeout",
        "response_timeout", "drain", "head_size", "fields", "min_rate", "connections", "connections_per_address",
        "requests_per_session", "login_body", "return_size",
    ],
    later: &[],
};

/// `[admin]`
pub(crate) const ADMIN: Schema = Schema { table: "admin", keys: &["listen", "group"], later: &[] };

/// `[metrics]`
pub(crate) const METRICS: Schema = Schema { table: "metrics", keys: &["listen"], later: &[] };

/// `[log]`
pub(crate) const LOG: Schema = Schema { table: "log", keys: &["format", "access"], later: &[] };

/// `[audit]`
pub(crate) const AUDIT: Schema = Schema {
    table: "audit",
    keys: &["file", "file_size", "older_files", "sync", "webhook", "webhook_secret_file", "webhook_ca_file"],
    later: &[],
};

/// `[brand]`
pub(crate) const BRAND: Schema = Schema { table: "brand", keys: &["name", "logo", "colour"], later: &[] };

/// `[pages]`
pub(crate) const PAGES: Schema = Schema { table: "pages", keys: &["dir"], later: &[] };

/// Every table of this version.
pub const ALL: &[&Schema] = &[
    &FILE, &ROUTE, &ROUTE_LOGOUT, &ROUTE_HEADERS, &REQUEST_HEADERS, &RESPONSE_HEADERS, &IDENTITY, &SESSION, &LOGIN,
    &LOGOUT, &LIMITS, &ADMIN, &METRICS, &LOG, &AUDIT, &BRAND, &PAGES,
];

impl Schema {
    /// The key that a misspelt one probably means.
    pub(crate) fn means(&self, word: &str) -> Option<&'static str> {
        let stranger = !self.keys.contains(&word) && !self.later.contains(&word);
        stranger.then(|| nearest(word, self.keys)).flatten()
    }
}

/// The annotated reference: every key with its default, or an example of it.
const REFERENCE: &str = include_str!("../../config.toml");

/// The value of the key with this full path in the reference; for an entry of a list, the first entry there.
pub(crate) fn example(path: &str) -> Option<&'static str> {
    let (path, is_entry) = path.strip_suffix(']').map_or((path, false), |path| (path, true));
    let path: String = path.split('.').map(|part| part.split('[').next().unwrap_or(part)).collect::<Vec<_>>().join(".");
    let (table, key) = path.rsplit_once('.').unwrap_or(("", &path));
    let mut now = "";
    for line in REFERENCE.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some(header) = line.strip_prefix('[') {
            now = header.trim_matches(['[', ']']);
        } else if let Some(value) =
            line.strip_prefix(key).and_then(|rest| rest.strip_prefix(" = ")).filter(|_| now == table)
        {
            let first = value.strip_prefix('[').and_then(|list| list.split([',', ']']).next());
            return match first.filter(|_| is_entry) {
                Some("") => None,
                Some(first) => Some(first),
                None => Some(value),
            };
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_keys_are_found() {
        let cases = [
            (&ROUTE, "upstrem", Some("upstream")),
            (&ROUTE, "Path", Some("path")),
            (&SESSION, "idle-timeout", Some("idle_timeout")),
            (&FILE, "routes", Some("route")),
            (&FILE, "xyzzy", None),
        ];
        for (schema, word, want) in cases {
            assert_eq!(schema.means(word), want, "{word}");
        }
    }

    #[test]
    fn the_reference_has_an_example_of_a_key() {
        let cases = [
            ("listen", Some("[\"127.0.0.1:8080\"]")),
            ("listen[2]", Some("\"127.0.0.1:8080\"")),
            ("route[1].upstream", Some("\"http://127.0.0.1:9000\"")),
            ("route[1].upstream[1]", Some("\"http://127.0.0.1:9000\"")),
            ("login.users", Some("\"users.toml\"")),
            ("xyzzy", None),
        ];
        for (path, want) in cases {
            assert_eq!(example(path), want, "{path}");
        }
    }

    #[test]
    fn no_key_is_both_now_and_later() {
        for schema in ALL {
            let twice: Vec<_> = schema.keys.iter().filter(|key| schema.later.contains(key)).collect();
            assert!(twice.is_empty(), "{}: {twice:?}", schema.table);
        }
    }
}
