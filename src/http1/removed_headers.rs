//! The list of headers that are removed from client requests: in them, proxies and sign-in systems send applications
//! the identity and address of the client, or the original request.
//!
//! The list is fixed, and the annotated `config.toml` shows it. An application that trusts such a header expects it
//! from a proxy in front; here no proxy has set it, so a client could forge it.

use http::HeaderName;

/// Prefixes: every name that begins with one of them is removed.
pub const FAMILIES: [&str; 39] = [
    "cf-access-", "cf-connecting-", "fly-forwarded-", "forwarded-", "http-", "iv-", "l5d-", "mellon-", "oam-", "oidc-",
    "remote-", "shib-", "sm-", "ssl-client-", "tailscale-user-", "wl-proxy-", "x-amzn-mtls-", "x-amzn-oidc-",
    "x-appengine-", "x-auth-request-", "x-authenticated-", "x-authentik-", "x-consumer-", "x-credential-", "x-envoy-",
    "x-exeunt-", "x-forwarded-", "x-goog-authenticated-", "x-goog-iap-", "x-ms-client-principal", "x-ms-token-",
    "x-pomerium-", "x-proxy-", "x-remote-", "x-ssl-client-", "x-sso-", "x-tls-client-", "x-vouch-", "x-webauth-",
];

/// Single names.
pub const NAMES: [&str; 108] = [
    "auth-type", "auth-user", "cas-user", "cf-ipcountry", "cf-pseudo-ipv4", "cf-visitor", "client-cert",
    "client-cert-chain", "client-ip", "do-connecting-ip", "eppn", "fastly-client", "fastly-client-ip", "fastly-ssl",
    "fly-client-ip", "forwarded", "front-end-https", "gap-auth", "incap-client-ip", "logon-user", "path-info",
    "proxy-client-ip", "rstudio-connect-credentials", "script-name", "ssl-cert", "teleport-jwt-assertion",
    "true-client-ip", "via", "x-accel-redirect", "x-anonymous-consumer", "x-apigateway-api-userinfo",
    "x-apigateway-context", "x-apigateway-event", "x-arr-clientcert", "x-arr-ssl", "x-auth-email", "x-auth-groups",
    "x-auth-name", "x-auth-roles", "x-auth-subject", "x-auth-user", "x-auth-userid", "x-auth-username",
    "x-azure-clientip", "x-azure-fdid", "x-azure-socketip", "x-client-cert", "x-client-dn", "x-client-ip",
    "x-client-issuer", "x-client-subject", "x-client-verify", "x-cluster-client-ip", "x-endpoint-api-userinfo",
    "x-forward-for", "x-forward-host", "x-forward-proto", "x-forwarded", "x-host", "x-host-override",
    "x-http-host-override", "x-https", "x-ingress-path", "x-jwt-assertion", "x-middleware-subrequest",
    "x-ms-forwarded-client-ip", "x-ms-proxy", "x-nf-client-connection-ip", "x-original-args", "x-original-for",
    "x-original-forwarded-for", "x-original-host", "x-original-method", "x-original-path", "x-original-port",
    "x-original-prefix", "x-original-proto", "x-original-query", "x-original-remote-addr", "x-original-scheme",
    "x-original-uri", "x-original-url", "x-originating-ip", "x-proto", "x-protocol", "x-proxiedentitieschain",
    "x-proxycontextpath", "x-proxyhost", "x-proxyport", "x-proxyscheme", "x-proxyuser-ip", "x-real-ip", "x-real-port",
    "x-real-proto", "x-rewrite-uri", "x-rewrite-url", "x-rstudio-username", "x-scheme", "x-script-name", "x-secure",
    "x-sendfile", "x-ssl", "x-ssl-cert", "x-sucuri-clientip", "x-url-scheme", "x-userinfo", "x-vercel-forwarded-for",
    "x-vercel-proxied-for",
];

/// Hop-by-hop headers (RFC 9110 7.6.1). A route cannot exempt them (`pass_headers`).
pub const OF_THE_CONNECTION: [&str; 7] =
    ["http2-settings", "keep-alive", "proxy", "proxy-authorization", "proxy-connection", "te", "trailer"];

/// Prefixes of the gateway itself, and of the form in which CGI passes headers. A route cannot exempt them either.
const NEVER_PASSED: [&str; 2] = ["http-", "x-exeunt-"];

/// The suffixes of headers in which an application is likely to read further parts of the identity.
const RELATED: [&str; 8] = ["user", "username", "name", "login", "email", "groups", "roles", "id"];

/// Whether a plain name in lower case is on the list.
pub(crate) fn lists(name: &str) -> bool {
    is_listed(&NAMES, name) || is_listed(&OF_THE_CONNECTION, name) || family_of(name).is_some()
}

/// Whether a route may exempt a listed name from the removal.
pub(crate) fn may_pass(name: &str) -> bool {
    !is_listed(&OF_THE_CONNECTION, name) && !family_of(name).is_some_and(|family| NEVER_PASSED.contains(&family))
}

/// The names related to a configured identity header, which are removed as well: for `X-WEBAUTH-USER` also
/// `X-WEBAUTH-EMAIL`.
pub(crate) fn related_to(configured: &HeaderName) -> impl Iterator<Item = String> {
    let name = configured.as_str();
    let stem = name.rfind('-').and_then(|end| name.get(..=end)).map(str::to_owned);
    let stems = stem.into_iter().chain([format!("{name}-")]);
    stems.flat_map(|stem| RELATED.map(|word| format!("{stem}{word}")))
}

/// The prefix that a name begins with. No prefix begins with another one, so only the last one that sorts before the
/// name can match.
fn family_of(name: &str) -> Option<&'static str> {
    let after = FAMILIES.partition_point(|family| *family <= name);
    let family = FAMILIES.get(after.checked_sub(1)?)?;
    name.starts_with(family).then_some(*family)
}

fn is_listed(list: &[&str], name: &str) -> bool {
    list.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_no_name_is_listed_twice() {
        assert!(FAMILIES.is_sorted() && NAMES.is_sorted() && OF_THE_CONNECTION.is_sorted());
        for family in FAMILIES {
            let others = FAMILIES.iter().filter(|other| **other != family).chain(&NAMES).chain(&OF_THE_CONNECTION);
            let within: Vec<_> = others.filter(|other| other.starts_with(family)).collect();
            assert!(within.is_empty(), "{family}: {within:?}");
        }
    }

    #[test]
    fn every_name_and_every_member_of_a_family_is_listed() {
        let members = FAMILIES.iter().map(|family| format!("{family}x"));
        for name in NAMES.iter().chain(&OF_THE_CONNECTION).map(|name| (*name).to_owned()).chain(members) {
            assert!(lists(&name), "{name}");
        }
        for name in ["x-user", "x-user-id", "x-auth-token", "x-access-token", "x-remote", "remote", "a", "zz", "x-"] {
            assert!(!lists(name), "{name}");
        }
    }

    #[test]
    fn hop_by_hop_headers_and_the_gateways_own_cannot_be_exempted() {
        for name in ["te", "proxy", "proxy-authorization", "x-exeunt-user", "http-remote-user"] {
            assert!(lists(name) && !may_pass(name), "{name}");
        }
        for name in ["x-original-host", "x-remote-group", "client-cert", "x-forwarded-prefix"] {
            assert!(lists(name) && may_pass(name), "{name}");
        }
    }

    #[test]
    fn the_names_related_to_a_configured_one_are_found() {
        let related = |name: &'static str| related_to(&HeaderName::from_static(name)).collect::<Vec<_>>();
        let webauth = related("x-token-user");
        assert!(
            ["x-token-email", "x-token-id", "x-token-user-name"].iter().all(|name| webauth.contains(&(*name).into()))
        );
        assert_eq!(related("x-user").len(), 2 * RELATED.len());
        assert!(!related("x-user").contains(&"x-csrftoken".to_owned()));
        assert_eq!(related("account").first().map(String::as_str), Some("account-user"), "it is its own stem");
    }
}
