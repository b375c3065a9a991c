//! The keys of a configuration with hashes of their values, so that a reload can report which keys have changed.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use toml::de::{DeTable, DeValue};

/// The keys of a configuration, each with a hash of its value, since values may be secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Outline(BTreeMap<String, u64>);

impl Outline {
    pub(super) fn of(root: &DeTable<'_>) -> Self {
        let mut keys = BTreeMap::new();
        enter_table(root, "", &mut keys);
        Self(keys)
    }

    /// The keys that were added, removed, or have another value in `other`; those of a route under its host and path:
    /// `route[/app].groups`.
    pub fn changed(&self, other: &Self) -> Vec<String> {
        let here = self.0.iter().filter(|(key, value)| other.0.get(*key) != Some(value));
        let there = other.0.keys().filter(|key| !self.0.contains_key(*key));
        let mut changed: Vec<_> = here.map(|(key, _)| key).chain(there).cloned().collect();
        changed.sort_unstable();
        changed
    }
}

impl fmt::Debug for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outline(…)")
    }
}

fn enter_table(table: &DeTable<'_>, within: &str, keys: &mut BTreeMap<String, u64>) {
    for (key, value) in table {
        let key = if within.is_empty() { key.get_ref().to_string() } else { format!("{within}.{}", key.get_ref()) };
        match value.get_ref() {
            DeValue::Table(table) => enter_table(table, &key, keys),
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                let tables = items.iter().filter_map(|item| item.get_ref().as_table());
                tables.for_each(|table| enter_table(table, &format!("{key}[{}]", name_of(table)), keys));
            }
            value => {
                let mut hasher = DefaultHasher::new();
                hash(value, &mut hasher);
                keys.insert(key, hasher.finish());
            }
        }
    }
}

/// The host and path of a route, which identify it independently of its position in the file.
fn name_of(route: &DeTable<'_>) -> String {
    let text = |key: &str| route.get(key).and_then(|value| value.get_ref().as_str());
    format!("{}{}", text("host").unwrap_or_default(), text("path").unwrap_or("/"))
}

/// Hashes a value, independently of its position and spelling.
fn hash(value: &DeValue<'_>, hasher: &mut DefaultHasher) {
    match value {
        DeValue::String(text) => (0, text).hash(hasher),
        DeValue::Integer(number) => (1, i128::from_str_radix(number.as_str(), number.radix()).ok()).hash(hasher),
        DeValue::Float(number) => (2, number.as_str()).hash(hasher),
        DeValue::Boolean(on) => (3, on).hash(hasher),
        DeValue::Datetime(date) => (4, date.to_string()).hash(hasher),
        DeValue::Array(items) => {
            (5, items.len()).hash(hasher);
            items.iter().for_each(|item| hash(item.get_ref(), hasher));
        }
        DeValue::Table(table) => {
            (6, table.len()).hash(hasher);
            for (key, value) in table {
                key.get_ref().hash(hasher);
                hash(value.get_ref(), hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(text: &str) -> Outline {
        Outline::of(DeTable::parse(text).unwrap().get_ref())
    }

    const BEFORE: &str = "listen = ['127.0.0.1:80']\n[limits]\nidle = '75s'\nhead_size = 1_024\n\
                          [[route]]\npath = '/a'\ngroups = ['x']\n[route.headers.request]\nadd = { A = '1' }\n\
                          [[route]]\nhost = 'shop.test'\nupstream = 'http://u:secret@a'\n";

    #[test]
    fn every_changed_key_is_named_and_nothing_else() {
        let cases: [(&str, &str, &[&str]); 8] = [
            ("", "", &[]),
            ("1_024", "0x400", &[]),
            ("[limits]", "# a comment\n\n[limits]", &[]),
            ("idle = '75s'", "idle = '76s'", &["limits.idle"]),
            ("idle = '75s'\n", "", &["limits.idle"]),
            ("['x']", "['x', 'y']", &["route[/a].groups"]),
            ("A = '1'", "A = '2'", &["route[/a].headers.request.add.A"]),
            (
                "/a",
                "/b",
                &[
                    "route[/a].groups", "route[/a].headers.request.add.A", "route[/a].path", "route[/b].groups",
                    "route[/b].headers.request.add.A", "route[/b].path",
                ],
            ),
        ];
        for (from, to, want) in cases {
            let after = outline(&BEFORE.replacen(from, to, 1));
            assert_eq!(outline(BEFORE).changed(&after), want, "{from} -> {to}");
            assert_eq!(after.changed(&outline(BEFORE)), want, "{to} -> {from}");
        }
        let swapped = BEFORE.replace("[[route]]\npath", "[[route]]\nhost = 'z.test'\n[[route]]\npath");
        assert_eq!(outline(BEFORE).changed(&outline(&swapped)), ["route[z.test/].host"], "a route before the others");
    }

    #[test]
    fn no_value_is_shown() {
        assert_eq!(format!("{:?}", outline(BEFORE)), "Outline(…)");
    }
}
