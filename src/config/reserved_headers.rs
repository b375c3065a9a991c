//! Request headers that already have a meaning and therefore cannot carry an identity.

/// Names of HTTP, WebDAV, browsers, scripts, and proxies.
const NAMES: [&str; 77] = [
    "a-im", "alt-used", "authorization", "available-dictionary", "brief", "cache-control", "client-ip", "connection",
    "cookie", "cookie2", "correlation-id", "dasl", "date", "dav", "depth", "destination", "device-memory",
    "dictionary-id", "dnt", "downlink", "dpop", "early-data", "ect", "etag", "expect", "forwarded", "from", "host",
    "idempotency-key", "if", "keep-alive", "last-event-id", "last-modified", "link", "location", "lock-token",
    "max-forwards", "method", "mime-version", "ordering-type", "origin", "overwrite", "position", "pragma", "prefer",
    "priority", "proxy", "purpose", "range", "referer", "request-id", "rtt", "save-data", "server", "set-cookie",
    "soapaction", "te", "timeout", "traceparent", "tracestate", "trailer", "transfer-encoding", "translate",
    "true-client-ip", "upgrade", "upgrade-insecure-requests", "user-agent", "vary", "via", "viewport-width", "warning",
    "x-correlation-id", "x-do-not-track", "x-moz", "x-real-ip", "x-request-id", "x-requested-with",
];

/// Prefixes of such names.
const FAMILIES: [&str; 27] = [
    "accept", "access-control-", "cdn-", "content-", "http-", "http2-", "if-", "proxy-", "sec-", "service-worker",
    "signature", "want-", "x-accel-", "x-amz-", "x-b3-", "x-csrf", "x-exeunt-", "x-forwarded-for", "x-forwarded-host",
    "x-forwarded-p", "x-forwarded-s", "x-http-", "x-method-override", "x-original-", "x-rewrite-", "x-sendfile",
    "x-xsrf",
];

/// The only name with one of these prefixes that identifies a user; the gateway sets it.
const EXCEPTIONS: [&str; 1] = ["x-forwarded-preferred-username"];

/// Whether the header with this lower-case name has a meaning other than identifying a user.
pub(crate) fn has_one(name: &str) -> bool {
    let listed = NAMES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family));
    listed && !EXCEPTIONS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_users_are_free_and_others_are_taken() {
        for name in [
            "range", "host", "sec-fetch-site", "destination", "authorization", "cookie", "content-type", "if-match",
            "x-forwarded-for", "x-forwarded-proto", "x-forwarded-prefix", "x-forwarded-server",
            "x-http-method-override", "x-csrftoken", "x-original-url", "depth", "overwrite", "timeout", "if", "accept",
            "te",
        ] {
            assert!(has_one(name), "{name}");
        }
        for name in [
            "x-webauth-user", "remote-user", "x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-user",
            "x-forwarded-preferred-username", "x-remote-user", "x-auth-request-user", "cf-access-user", "username",
        ] {
            assert!(!has_one(name), "{name}");
        }
    }
}
