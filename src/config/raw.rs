//! The TOML tree with the location of every value. Readers take values out of it; an invalid value becomes a finding,
//! and reading continues, so that one run reports every problem.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::values::nearest_word::nearest;

use super::refusal::ValueRefusal;
use super::report::{Finding, Severity};
use super::schema::Schema;
use super::toml_values::{grouped, has_tables, kind};
use super::{suggestions, unknown};

/// Collects findings.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: RefCell<Vec<Finding>>,
    secrets: RefCell<Vec<Range<usize>>>,
}

impl Findings {
    fn add(&self, severity: Severity, location: &Location<'_>, refusal: ValueRefusal) {
        let ValueRefusal { what, write, within } = refusal;
        let (key, span) = (location.key.clone(), location.span.clone());
        let finding = Finding { severity, key, what, write, span, within: within.map(|problems| *problems) };
        self.found.borrow_mut().push(finding);
    }

    /// All findings, and the spans that must be hidden in reports.
    pub(crate) fn into_parts(self) -> (Vec<Finding>, Vec<Range<usize>>) {
        (self.found.into_inner(), self.secrets.into_inner())
    }
}

/// A place in the file.
#[derive(Clone, Debug)]
pub(crate) struct Location<'f> {
    /// The key's full path.
    pub(crate) key: String,
    /// `None` for a missing key.
    span: Option<Range<usize>>,
    findings: &'f Findings,
}

impl Location<'_> {
    /// Reports a problem: the configuration is refused.
    pub(crate) fn problem(&self, refusal: ValueRefusal) {
        self.findings.add(Severity::Problem, self, refusal);
    }

    /// Reports a flaw: `check` fails, but the gateway starts.
    pub(crate) fn flaw(&self, refusal: ValueRefusal) {
        self.findings.add(Severity::Flaw, self, refusal);
    }

    /// Marks a possible secret, which reports show as asterisks.
    pub(crate) fn hide(&self) {
        self.findings.secrets.borrow_mut().extend(self.span.clone());
    }

    /// Reports a changed default.
    pub(crate) fn note(&self, refusal: ValueRefusal) {
        self.findings.add(Severity::Note, self, refusal);
    }

    /// Reports a warning.
    pub(crate) fn warning(&self, refusal: ValueRefusal) {
        self.findings.add(Severity::Warning, self, refusal);
    }
}

/// A table, and the schema that its keys were checked against.
#[derive(Debug)]
pub(crate) struct RawTable<'f> {
    /// Its location.
    pub(crate) location: Location<'f>,
    values: Option<&'f DeTable<'f>>,
    /// The values of absent keys, from a preset.
    usual: Option<&'f DeTable<'f>>,
    /// `None` if every key is allowed.
    schema: Option<&'static Schema>,
}

/// A value with its location.
#[derive(Clone, Debug)]
pub(crate) struct Item<'f> {
    /// Its location.
    pub(crate) location: Location<'f>,
    value: &'f DeValue<'f>,
}

/// A key of a table in which every key is allowed.
#[derive(Debug)]
pub(crate) struct NamedEntry<'f> {
    /// The key.
    pub(crate) name: &'f str,
    /// The location of the key.
    pub(crate) location: Location<'f>,
    /// Its value.
    pub(crate) item: Item<'f>,
}

impl<'f> RawTable<'f> {
    /// The whole file.
    pub(crate) fn file(root: &'f Spanned<DeTable<'f>>, schema: &'static Schema, findings: &'f Findings) -> Self {
        let location = Location { key: String::new(), span: None, findings };
        Self { location, values: Some(root.get_ref()), usual: None, schema: Some(schema) }.without_unknown_keys()
    }

    /// The whole file, with every key allowed.
    pub(crate) fn unjudged(root: &'f Spanned<DeTable<'f>>, findings: &'f Findings) -> Self {
        let location = Location { key: String::new(), span: None, findings };
        Self { location, values: Some(root.get_ref()), usual: None, schema: None }
    }

    /// The table under `key`; an empty one if it is absent.
    pub(crate) fn table(&self, key: &str, schema: &'static Schema) -> RawTable<'f> {
        self.item(key).and_then(|item| item.table(schema)).unwrap_or_else(|| self.empty(key, schema))
    }

    /// A table without values, to be used with defaults.
    pub(crate) fn empty(&self, key: &str, schema: &'static Schema) -> RawTable<'f> {
        RawTable { location: self.location_of(key, None), values: None, usual: None, schema: Some(schema) }
    }

    /// The value under `key`; if it is absent, the default of the preset.
    pub(crate) fn item(&self, key: &str) -> Option<Item<'f>> {
        if let Some(value) = self.values.and_then(|values| values.get(key)) {
            return Some(Item { location: self.location_of(key, Some(value.span())), value: value.get_ref() });
        }
        let value = self.usual?.get(key)?;
        Some(Item { location: self.location_of_missing(key), value: value.get_ref() })
    }

    /// The same table with these defaults for absent keys.
    pub(crate) fn with_usual(self, usual: Option<&'f DeTable<'f>>) -> Self {
        Self { usual, ..self }
    }

    /// The value of a key in a table of the file; an empty `table` means the file itself.
    pub(crate) fn find(&self, table: &str, key: &str) -> Option<Item<'f>> {
        if table.is_empty() {
            return self.item(key);
        }
        let DeValue::Table(values) = self.item(table)?.value else { return None };
        let location = self.location_of(table, None);
        RawTable { location, values: Some(values), usual: None, schema: None }.item(key)
    }

    /// Whether there is a value under `key`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.is_some_and(|values| values.contains_key(key))
    }

    /// The value under `key`; a problem if it is absent. `example` is the line to write.
    pub(crate) fn required(&self, key: &str, example: &str) -> Option<Item<'f>> {
        let item = self.item(key);
        if item.is_none() && !self.has_misspelt(key) {
            let location = self.location_of_missing(key);
            let table = self.schema.map_or("", |schema| schema.table);
            let refusal = ValueRefusal::new("is missing");
            location.problem(refusal.write(format!("write `{example}` at the {}", unknown::place_in(table))));
        }
        item
    }

    /// Whether a probable misspelling of this key has already been refused.
    pub(crate) fn has_misspelt(&self, key: &str) -> bool {
        let foreign = |name: &str| super::key_translations::find(name).is_some_and(|known| known.key == key);
        let meant = |name: &str| self.schema.is_some_and(|schema| schema.means(name) == Some(key)) || foreign(name);
        self.values.into_iter().flat_map(DeTable::keys).any(|name| meant(name.get_ref()))
    }

    /// The values of the list under `key`; empty without the key.
    pub(crate) fn list(&self, key: &str) -> Vec<Item<'f>> {
        self.item(key).and_then(|item| item.list()).unwrap_or_default()
    }

    /// All keys with their values, for tables in which every key is allowed.
    pub(crate) fn entries(&self) -> Vec<NamedEntry<'f>> {
        let entries = self.values.into_iter().flat_map(DeTable::iter);
        entries
            .map(|(key, value)| {
                let name = key.get_ref().as_ref();
                let value_place = self.location_of(name, Some(value.span()));
                NamedEntry {
                    name,
                    location: self.location_of(name, Some(key.span())),
                    item: Item { location: value_place, value: value.get_ref() },
                }
            })
            .collect()
    }

    /// The location for findings about a missing key.
    pub(crate) fn location_of_missing(&self, key: &str) -> Location<'f> {
        self.location_of(key, self.location.span.clone())
    }

    fn location_of(&self, key: &str, span: Option<Range<usize>>) -> Location<'f> {
        let key = match self.location.key.as_str() {
            "" => key.to_owned(),
            table => format!("{table}.{key}"),
        };
        Location { key, span, findings: self.location.findings }
    }

    /// Refuses every key that the schema does not have. The value of an unknown key is hidden, since it may be a
    /// secret.
    fn without_unknown_keys(self) -> Self {
        let Some(schema) = self.schema else { return self };
        for (key, value) in self.values.into_iter().flat_map(DeTable::iter) {
            let name = key.get_ref().as_ref();
            if schema.keys.contains(&name) {
                continue;
            }
            // The span of a table is its header, which contains the key, so the values in the table are hidden.
            let has_header = has_tables(value.get_ref()) && value.span().start < key.span().end;
            let refusal = unknown::unknown(name, schema);
            self.location_of(name, Some(key.span())).problem(if has_header {
                unknown::of_table(refusal)
            } else {
                refusal
            });
            let is_shown = unknown::is_known(name) && !has_tables(value.get_ref());
            if !is_shown && value.span().start >= key.span().end {
                self.location_of(name, Some(value.span())).hide();
            }
        }
        self
    }
}

impl<'f> Item<'f> {
    /// The text, read by `parse`; a refusal becomes a problem here.
    pub(crate) fn parse<T>(&self, parse: impl FnOnce(&str) -> Result<T, ValueRefusal>) -> Option<T> {
        if let DeValue::Integer(number) = self.value {
            let advice = parse(number.as_str()).err().map(|refusal| refusal.write).filter(|write| !write.is_empty());
            let refusal = ValueRefusal::new("must be a text in quotes, not a number");
            let write = advice.unwrap_or_else(|| vec![format!("write \"{}\"", number.as_str())]);
            self.location.problem(ValueRefusal { write, ..refusal });
            return None;
        }
        let text = self.text()?;
        if let Some(refusal) = suggestions::placeholder(&self.location.key, text) {
            self.location.problem(refusal);
            return None;
        }
        self.literal(parse)
    }

    /// Like `parse`, for texts that may contain braces and dollar signs.
    pub(crate) fn literal<T>(&self, parse: impl FnOnce(&str) -> Result<T, ValueRefusal>) -> Option<T> {
        parse(self.text()?).map_err(|refusal| self.location.problem(refusal)).ok()
    }

    /// The text, if it is one; no finding otherwise.
    pub(crate) fn peek(&self) -> Option<&'f str> {
        match self.value {
            DeValue::String(text) => Some(text.as_ref()),
            _ => None,
        }
    }

    /// The text.
    pub(crate) fn text(&self) -> Option<&'f str> {
        self.peek().or_else(|| self.wrong("a text in quotes", suggestions::text(self.value)))
    }

    /// One of these words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        self.parse(|text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                unknown_keyword(text, &names)
            })
        })
    }

    /// `true` or `false`.
    pub(crate) fn switch(&self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(on) => Some(*on),
            _ => self.wrong("true or false, without quotes", suggestions::switch(self.value)),
        }
    }

    /// A whole number within these bounds, inclusive.
    pub(crate) fn number(&self, least: u64, most: u64) -> Option<u64> {
        let DeValue::Integer(number) = self.value else {
            let read = self.peek().and_then(|text| suggestions::number(&self.location.key, text));
            return self.wrong("a whole number, without quotes", read.map(|number| number.to_string()));
        };
        let read = i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX);
        let fits = u64::try_from(read).ok().filter(|number| (least..=most).contains(number));
        if fits.is_none() {
            let near = if read < i128::from(least) { least } else { most };
            let refusal = ValueRefusal::new(format!("must be between {} and {}", grouped(least), grouped(most)));
            self.location.problem(refusal.write(format!("write {}, or another number in this range", grouped(near))));
        }
        fits
    }

    /// The values of a list.
    pub(crate) fn list(&self) -> Option<Vec<Item<'f>>> {
        match self.value {
            DeValue::Array(values) => Some(self.numbered(values.iter())),
            _ => self.wrong("a list: [\"…\", \"…\"]", suggestions::list(self.value)),
        }
    }

    /// The values of a list, or this single value.
    pub(crate) fn one_or_list(&self) -> Vec<Item<'f>> {
        match self.value {
            DeValue::Array(values) => self.numbered(values.iter()),
            _ => vec![self.clone()],
        }
    }

    /// The tables of a list of tables.
    pub(crate) fn tables(&self, schema: &'static Schema) -> Vec<RawTable<'f>> {
        match self.value {
            DeValue::Array(values) => {
                self.numbered(values.iter()).iter().filter_map(|item| item.table(schema)).collect()
            }
            _ => {
                let doubled = format!("[[{}]]", self.location.key);
                let wanted = format!("a list of tables, each of which begins with {doubled}");
                self.wrong(&wanted, Some(format!("`{doubled}`"))).unwrap_or_default()
            }
        }
    }

    /// The tables of a list that has already been read: their keys are not checked again.
    pub(crate) fn again(&self) -> Vec<RawTable<'f>> {
        let DeValue::Array(values) = self.value else { return Vec::new() };
        self.numbered(values.iter()).iter().filter_map(Item::open_table).collect()
    }

    /// A table with known keys.
    pub(crate) fn table(&self, schema: &'static Schema) -> Option<RawTable<'f>> {
        self.table_or("a table", None, schema)
    }

    /// A table with known keys; `wanted` describes the allowed values for messages, with an `example`.
    pub(crate) fn table_or(
        &self,
        wanted: &str,
        example: Option<&str>,
        schema: &'static Schema,
    ) -> Option<RawTable<'f>> {
        self.values(wanted, example).map(|values| {
            let location = self.location.clone();
            RawTable { location, values: Some(values), usual: None, schema: Some(schema) }.without_unknown_keys()
        })
    }

    /// A table in which every key is allowed.
    pub(crate) fn open_table(&self) -> Option<RawTable<'f>> {
        self.values("a table", None).map(|values| RawTable {
            location: self.location.clone(),
            values: Some(values),
            usual: None,
            schema: None,
        })
    }

    fn values(&self, wanted: &str, example: Option<&str>) -> Option<&'f DeTable<'f>> {
        match self.value {
            DeValue::Table(values) => Some(values),
            _ => self.wrong(wanted, example.map(str::to_owned)),
        }
    }

    fn numbered(&self, values: impl Iterator<Item = &'f Spanned<DeValue<'f>>>) -> Vec<Item<'f>> {
        let numbered = values.zip(1_usize..);
        numbered
            .map(|(value, number)| {
                let key = format!("{}[{number}]", self.location.key);
                let location = Location { key, span: Some(value.span()), findings: self.location.findings };
                Item { location, value: value.get_ref() }
            })
            .collect()
    }

    /// Refuses a value of the wrong type; `meant` is what to write.
    fn wrong<T>(&self, wanted: &str, meant: Option<String>) -> Option<T> {
        let refusal = ValueRefusal::new(format!("must be {wanted}, not {}", kind(self.value)));
        let example =
            || super::schema::example(&self.location.key).map(|example| format!("{example}, or another value"));
        let meant = meant.or_else(example);
        self.location.problem(match meant {
            Some(meant) => refusal.write(format!("write {meant}")),
            None => refusal,
        });
        None
    }
}

fn unknown_keyword(text: &str, words: &[&str]) -> ValueRefusal {
    let listed: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let refusal = ValueRefusal::new(format!("\"{text}\" is not a valid value"));
    let refusal = match nearest(text, words) {
        Some(near) => refusal.write(format!("did you mean \"{near}\"?")),
        None => refusal,
    };
    let (last, others) = listed.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
    let or = if others.is_empty() { "" } else { " or " };
    refusal.write(format!("write {}{or}{last}", others.join(", ")))
}
