//! Keys of other gateways and web servers, and their names in this configuration.

/// A key of another program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyTranslation {
    /// Its name there.
    pub(crate) word: &'static str,
    /// The table of the key in this configuration; empty for the file itself.
    pub(crate) table: &'static str,
    /// Its name in this configuration.
    pub(crate) key: &'static str,
    shape: Shape,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// The same text.
    Text,
    /// A list of texts.
    List,
    /// A port or an address to listen on.
    Listen,
}

const TRANSLATIONS: [KeyTranslation; 25] = [
    translation("proxy_pass", "route", "upstream", Shape::Text),
    translation("upstreams", "route", "upstream", Shape::Text),
    translation("reverse_proxy", "route", "upstream", Shape::Text),
    translation("forward_to", "route", "upstream", Shape::Text),
    translation("backend", "route", "upstream", Shape::Text),
    translation("target", "route", "upstream", Shape::Text),
    translation("location", "route", "path", Shape::Text),
    translation("allowed_groups", "route", "groups", Shape::List),
    translation("server_name", "", "hosts", Shape::List),
    translation("port", "", "listen", Shape::Listen),
    translation("bind", "", "listen", Shape::Listen),
    translation("address", "", "listen", Shape::Listen),
    translation("http_address", "", "listen", Shape::Listen),
    translation("redirect_url", "", "public_url", Shape::Text),
    translation("external_url", "", "public_url", Shape::Text),
    translation("base_url", "", "public_url", Shape::Text),
    translation("root_url", "", "public_url", Shape::Text),
    translation("cookie_name", "session", "cookie", Shape::Text),
    translation("cookie_samesite", "session", "same_site", Shape::Text),
    translation("cookie_expire", "session", "max_lifetime", Shape::Text),
    translation("inactivity", "session", "idle_timeout", Shape::Text),
    translation("htpasswd_file", "login", "users", Shape::Text),
    translation("users_file", "login", "users", Shape::Text),
    translation("auth_basic_user_file", "login", "users", Shape::Text),
    translation("whitelist_domains", "logout", "allowed_origins", Shape::List),
];

const fn translation(word: &'static str, table: &'static str, key: &'static str, shape: Shape) -> KeyTranslation {
    KeyTranslation { word, table, key, shape }
}

/// Keys without a counterpart, with the reason.
const WITHOUT_COUNTERPART: [(&[&str], &str); 4] = [
    (
        &["cookie_secret", "session_secret", "jwt_secret", "secret", "secret_key"],
        "the gateway makes its own keys (see state)",
    ),
    (&["cookie_secure", "cookie_httponly"], "the session cookie is HttpOnly, and Secure where public_url is https"),
    (
        &["client_id", "client_secret", "provider", "oidc_issuer_url", "issuer", "email_domains"],
        "signing in with an identity provider is not supported by this version",
    ),
    (
        &["ssl_certificate", "ssl_certificate_key", "tls_cert_file", "tls_key_file", "certfile", "keyfile"],
        "TLS is not supported by this version: use a proxy in front",
    ),
];

/// The counterpart of a key of another program.
pub(crate) fn find(word: &str) -> Option<KeyTranslation> {
    TRANSLATIONS.into_iter().find(|known| known.word == word)
}

/// Why a key of another program has no counterpart.
pub(crate) fn unneeded(word: &str) -> Option<&'static str> {
    WITHOUT_COUNTERPART.iter().find(|(words, _)| words.contains(&word)).map(|(_, why)| *why)
}

impl KeyTranslation {
    /// The value in the syntax of this configuration.
    pub(crate) fn value(&self, text: &str) -> String {
        let bare = text.trim_matches(['"', '\'']);
        match self.shape {
            Shape::Text => format!("\"{bare}\""),
            Shape::List if text.starts_with('[') => text.to_owned(),
            Shape::List => {
                let words: Vec<String> = bare.split_whitespace().map(|word| format!("\"{word}\"")).collect();
                format!("[{}]", words.join(", "))
            }
            Shape::Listen => listen(bare),
        }
    }
}

/// An address to listen on, or a port alone, in the syntax of `listen`.
pub(crate) fn listen(text: &str) -> String {
    let bare = text.trim_matches(['"', '\'']);
    let is_port = bare.bytes().all(|byte| byte.is_ascii_digit());
    if is_port { format!("[\"[::]:{bare}\"]") } else { format!("[\"{bare}\"]") }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn every_foreign_key_has_a_counterpart() {
        for known in TRANSLATIONS {
            let schema = schema::ALL.iter().find(|schema| schema.table == known.table);
            assert!(schema.is_some_and(|schema| schema.keys.contains(&known.key)), "{known:?}");
            assert!(schema::ALL.iter().all(|schema| !schema.keys.contains(&known.word)), "{known:?}");
        }
    }

    #[test]
    fn values_are_converted_to_this_syntax() {
        let cases = [
            ("proxy_pass", "http://127.0.0.1:9000", "\"http://127.0.0.1:9000\""),
            ("server_name", "a.test b.test", "[\"a.test\", \"b.test\"]"),
            ("port", "8080", "[\"[::]:8080\"]"),
            ("bind", "127.0.0.1:80", "[\"127.0.0.1:80\"]"),
            ("allowed_groups", "[\"a\"]", "[\"a\"]"),
        ];
        for (word, value, want) in cases {
            assert_eq!(find(word).unwrap().value(value), want, "{word}");
        }
    }
}
