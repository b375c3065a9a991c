//! Settings that cannot change while the program runs: a reload applies all others, and reports which keys need a
//! restart.

use std::net::SocketAddr;

use crate::admin::AdminSettings;
use crate::values::listen_address::ListenAddress;

use super::raw::RawTable;
use super::refusal::ValueRefusal;
use super::{Settings, StateFolder, StoreChoice, schema};

/// The values that were set when the program started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartValues {
    listen: Vec<ListenAddress>,
    admin: Option<AdminSettings>,
    monitoring: Option<SocketAddr>,
    state: StateFolder,
    store: StoreChoice,
    /// The session cookie's name: if it changed, the cookies of live sessions would reach the applications.
    cookie: String,
}

impl StartValues {
    /// The values of the settings that the program started with.
    pub fn of(settings: &Settings) -> Self {
        Self {
            listen: settings.server.listen.clone(),
            admin: settings.admin.clone(),
            monitoring: settings.monitoring,
            state: settings.state.clone(),
            store: settings.store.clone(),
            cookie: settings.gateway.cookie.base().to_owned(),
        }
    }

    /// Warns of every such key that has changed, and restores the value of the start.
    pub(super) fn keep(&self, file: &RawTable<'_>, settings: &mut Settings) {
        let now = Self::of(settings);
        let path = |values: &Self| values.admin.as_ref().map(|admin| admin.path.clone());
        let group = |values: &Self| values.admin.as_ref().and_then(|admin| admin.group);
        let keys = [
            (&schema::FILE, "listen", self.listen != now.listen),
            (&schema::FILE, "state", self.state != now.state),
            (&schema::SESSION, "store", self.store != now.store),
            (&schema::SESSION, "cookie", self.cookie != now.cookie),
            (&schema::ADMIN, "listen", path(self) != path(&now)),
            (&schema::ADMIN, "group", group(self) != group(&now)),
            (&schema::METRICS, "listen", self.monitoring != now.monitoring),
        ];
        for (schema, key, _) in keys.into_iter().filter(|(.., changed)| *changed) {
            let location = match file.find(schema.table, key) {
                Some(item) => item.location,
                None if schema.table.is_empty() => file.location_of_missing(key),
                None => file.table(schema.table, schema).location_of_missing(key),
            };
            location.warning(
                ValueRefusal::new("takes effect at the next restart; everything else has taken effect")
                    .write("type: systemctl restart exeunt"),
            );
        }
        settings.gateway.cookie = settings.gateway.cookie.with_base(&self.cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ReadPurpose, parse, parse_on};

    const BEFORE: &str = "listen = ['127.0.0.1:80']\npublic_url = 'http://localhost'\n[[route]]\n\
                          upstream = 'http://127.0.0.1:9'\n[login]\nusers = 'u.toml'\n[session]\nmax_per_user = 3\n";

    /// The keys with a warning, with their lines, and the name of the cookie.
    fn changed(text: &str) -> (Vec<String>, String) {
        let folder = std::path::Path::new("/nowhere");
        let (settings, _) = parse("config.toml", BEFORE, folder).unwrap();
        let (settings, report) = parse_on(
            ReadPurpose { start: Some(&StartValues::of(&settings)), ..ReadPurpose::default() },
            "config.toml",
            text,
            &folder.join("config.toml"),
        )
        .unwrap();
        let waits = report.findings().iter().filter(|finding| finding.what.contains("next restart"));
        let places = waits.map(|finding| match report.line(finding) {
            Some(line) => format!("{}:{line}", finding.key),
            None => finding.key.clone(),
        });
        (places.collect(), settings.gateway.cookie.base().to_owned())
    }

    #[test]
    fn keys_that_need_a_restart_are_reported_with_their_line() {
        let admin = format!("{BEFORE}[admin]\nlisten = 'unix:/run/a.sock'\n");
        let cases = [
            (BEFORE.to_owned(), vec![]),
            (BEFORE.replace(":80", ":81"), vec!["listen:1"]),
            (BEFORE.replace("max_per_user = 3", "max_per_user = 4"), vec![]),
            (BEFORE.replace("localhost", "app.test"), vec![]),
            (BEFORE.replace("max_per_user", "cookie = 'other'\nmax_per_user"), vec!["session.cookie:8"]),
            (format!("{BEFORE}store = 'memory'\n"), vec!["session.store:9"]),
            (format!("state = '/var/lib/exeunt'\n{BEFORE}"), vec!["state:1"]),
            (admin, vec!["admin.listen:10"]),
            (format!("{BEFORE}[admin]\nlisten = ''\n"), vec!["admin.listen:10"]),
        ];
        for (text, want) in cases {
            let (places, cookie) = changed(&text);
            assert_eq!((places, cookie.as_str()), (want.into_iter().map(String::from).collect(), "exeunt"), "{text}");
        }
    }
}
