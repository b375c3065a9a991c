//! Presets: the settings of a route for a well-known application. Each is a file in `presets/`.

use std::sync::LazyLock;

use toml::de::{DeTable, DeValue};

use crate::values::nearest_word::nearest;

use super::raw::Item;
use super::refusal::ValueRefusal;

/// The files, by name.
const FILES: [(&str, &str); 14] = [
    ("django", include_str!("presets/django.toml")),
    ("django-admin", include_str!("presets/django-admin.toml")),
    ("dokuwiki", include_str!("presets/dokuwiki.toml")),
    ("gitlab", include_str!("presets/gitlab.toml")),
    ("grafana", include_str!("presets/grafana.toml")),
    ("jenkins", include_str!("presets/jenkins.toml")),
    ("jupyter", include_str!("presets/jupyter.toml")),
    ("mediawiki", include_str!("presets/mediawiki.toml")),
    ("nextcloud", include_str!("presets/nextcloud.toml")),
    ("node-red", include_str!("presets/node-red.toml")),
    ("pgadmin", include_str!("presets/pgadmin.toml")),
    ("phpmyadmin", include_str!("presets/phpmyadmin.toml")),
    ("rabbitmq", include_str!("presets/rabbitmq.toml")),
    ("wordpress", include_str!("presets/wordpress.toml")),
];

/// One preset.
#[derive(Debug)]
pub(crate) struct Preset {
    /// Its name in routes.
    pub(crate) name: &'static str,
    /// The text of the file.
    pub(crate) text: &'static str,
    root: DeTable<'static>,
}

static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    let read = |&(name, text): &(&'static str, &'static str)| {
        // A test reads all of them, so none has errors.
        let (root, _) = DeTable::parse_recoverable(text);
        Preset { name, text, root: root.into_inner() }
    };
    FILES.iter().map(read).collect()
});

/// All presets, by name.
pub(crate) fn all() -> &'static [Preset] {
    &PRESETS
}

/// The preset of this name.
pub(crate) fn find(name: &str) -> Option<&'static Preset> {
    all().iter().find(|preset| preset.name == name)
}

/// The preset that a route names.
pub(crate) fn read(item: &Item<'_>) -> Option<&'static Preset> {
    item.parse(|text| {
        find(text).ok_or_else(|| {
            let names: Vec<_> = all().iter().map(|preset| preset.name).collect();
            let near = nearest(text, &names).map(|near| format!("did you mean \"{near}\"?"));
            let refusal = ValueRefusal::new(format!("\"{text}\" is not a preset"));
            let refusal = match near {
                Some(near) => refusal.write(near),
                None => refusal,
            };
            refusal.write(format!("write one of: {}", names.join(", ")))
        })
    })
}

impl Preset {
    /// The keys of its route.
    pub(crate) fn route(&self) -> Option<&'static DeTable<'static>> {
        find(self.name).and_then(|preset| table(&preset.root, "route"))
    }

    /// The application's name.
    pub(crate) fn title(&self) -> &str {
        self.word("title")
    }

    /// What a logout reaches with it, in one line.
    pub(crate) fn reaches(&self) -> &str {
        self.word("reaches")
    }

    /// The version that it was tried with, or "not tried".
    pub(crate) fn tried(&self) -> &str {
        self.word("tried")
    }

    fn word(&self, key: &str) -> &str {
        match self.root.get(key).map(|value| value.get_ref()) {
            Some(DeValue::String(text)) => text,
            _ => "",
        }
    }
}

/// The table under a key.
pub(crate) fn table<'t>(of: &'t DeTable<'static>, key: &str) -> Option<&'t DeTable<'static>> {
    match of.get(key).map(|value| value.get_ref()) {
        Some(DeValue::Table(table)) => Some(table),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn every_preset_is_valid_and_documented() {
        for preset in all() {
            assert!(DeTable::parse_recoverable(preset.text).1.is_empty(), "{}", preset.name);
            let lines = [preset.title(), preset.reaches(), preset.tried()];
            assert!(lines.iter().all(|line| !line.is_empty() && line.len() <= 120), "{}: {lines:?}", preset.name);
            let begins = ["Ended by call: ", "Cookies dropped: "].iter().find(|begin| lines[1].starts_with(**begin));
            for path in ["/", "/app"] {
                let text = format!(
                    "listen = ['127.0.0.1:80']\npublic_url = 'http://localhost'\n[login]\nusers = 'u.toml'\n\
                     [[route]]\npath = '{path}'\nupstream = 'http://127.0.0.1:9'\npreset = '{}'\n",
                    preset.name
                );
                let (settings, report) = parse("config.toml", &text, "/nowhere".as_ref()).unwrap();
                assert!(!report.findings().iter().any(|finding| finding.key.starts_with("route")), "{report}");
                let logout = &settings.gateway.routes[0].logout;
                assert!(logout.is_known);
                let call = logout.call.as_ref().map(|call| call.path().to_owned());
                assert_eq!(begins, Some(if call.is_some() { &"Ended by call: " } else { &"Cookies dropped: " }));
                assert!(call.is_none_or(|call| call.starts_with(path)), "{}", preset.name);
            }
        }
    }

    #[test]
    fn a_key_of_the_route_overrides_the_preset() {
        let text = "listen = ['127.0.0.1:80']\npublic_url = 'http://localhost'\n[login]\nusers = 'u.toml'\n\
                    [[route]]\nupstream = 'http://127.0.0.1:9'\npreset = 'jenkins'\nencoded = 'refuse'\n\
                    [route.logout]\ncall_on = ['logout']\n\
                    [[route]]\npath = '/a'\nupstream = 'http://127.0.0.1:9'\npreset = 'django'\n\
                    [route.logout]\ncall = 'POST /a/bye'\n";
        let (settings, _) = parse("config.toml", text, "/nowhere".as_ref()).unwrap();
        let [jenkins, django] = &settings.gateway.routes[..] else { panic!("two routes") };
        assert!(!jenkins.opaque);
        assert_eq!((jenkins.logout.call.as_ref().unwrap().path(), jenkins.logout.call_on.len()), ("/logout", 1));
        assert_eq!(django.logout.call.as_ref().unwrap().path(), "/a/bye");
        assert!(django.logout.csrf.is_some());
    }
}
