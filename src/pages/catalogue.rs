//! The texts of the pages in one language: dotted keys, and `{word}` where a value goes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::values::file_problem::FileProblem;
use crate::values::nearest_word::nearest;

/// Every text of one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Catalogue(BTreeMap<String, String>);

/// A dotted key, its text, and its position in the file, in bytes.
type CatalogueEntry = (String, String, Range<usize>);

impl Catalogue {
    /// Reads a built-in language.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<FileProblem>> {
        let entries = entries(text)?;
        Ok(Self(entries.into_iter().map(|(key, text, _)| (key, text)).collect()))
    }

    /// This language with some texts replaced by those of a file.
    ///
    /// # Errors
    /// Keys that this language does not have, and `{word}`s that its text has no value for.
    pub(super) fn overlaid(&self, text: &str) -> Result<Self, Vec<FileProblem>> {
        let entries = entries(text)?;
        let problems: Vec<_> = entries.iter().filter_map(|entry| self.problem(entry)).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut texts = self.0.clone();
        texts.extend(entries.into_iter().map(|(key, text, _)| (key, text)));
        Ok(Self(texts))
    }

    /// The keys that a file does not replace.
    pub(super) fn not_in(&self, text: &str) -> Vec<String> {
        let entries = entries(text).unwrap_or_default();
        self.0.keys().filter(|key| !entries.iter().any(|(other, ..)| other == *key)).cloned().collect()
    }

    fn problem(&self, (key, text, span): &CatalogueEntry) -> Option<FileProblem> {
        let Some(ours) = self.0.get(key) else {
            let keys: Vec<&str> = self.0.keys().map(String::as_str).collect();
            let help = nearest(key, &keys)
                .map_or_else(|| "remove this line".to_owned(), |near| format!("did you mean {near}?"));
            return Some(FileProblem::at(span.clone(), format!("no page has a text named {key}"), help));
        };
        let stranger = words(text).find(|word| !words(ours).any(|other| other == *word))?;
        let listed: Vec<String> = words(ours).map(|word| format!("{{{word}}}")).collect();
        let known = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
        let message = format!("unknown value {{{stranger}}}");
        Some(FileProblem::at(span.clone(), message, format!("this text takes: {known}")))
    }

    /// The text under `key` with its values.
    fn render(&self, key: &str, values: &Kwargs) -> Result<String, Error> {
        let text =
            self.0.get(key).ok_or_else(|| Error::new(ErrorKind::UndefinedError, format!("unknown text {key}")))?;
        let mut message = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some((before, word, after)) = next_word(rest) {
            let value: Value = values.peek(word)?;
            message.push_str(before);
            message.push_str(&value.to_string());
            rest = after;
        }
        Ok(message + rest)
    }

    /// The function that templates call: `t("login.title")`, `t("goodbye.farewell", user=…)`.
    pub(super) fn function(self: &Arc<Self>) -> Value {
        let texts = Arc::clone(self);
        Value::from_function(move |key: &str, values: Kwargs| texts.render(key, &values))
    }
}

/// The text before the next `{word}`, the word, and the text behind it.
fn next_word(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (word, after) = rest.split_once('}')?;
    Some((before, word, after))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, word, after) = next_word(rest)?;
        rest = after;
        Some(word)
    })
}

fn entries(text: &str) -> Result<Vec<CatalogueEntry>, Vec<FileProblem>> {
    let root = DeTable::parse(text).map_err(|error| {
        let message = format!("this is not valid TOML: {}", error.message().replace('\n', ", "));
        let help = "write key = \"text\", below the [table] of its page";
        vec![FileProblem { span: error.span(), message, help: help.to_owned() }]
    })?;
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    flatten("", root.get_ref(), &mut found, &mut problems);
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn flatten(prefix: &str, table: &DeTable<'_>, found: &mut Vec<CatalogueEntry>, problems: &mut Vec<FileProblem>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
        match value.get_ref() {
            DeValue::Table(table) => flatten(&key, table, found, problems),
            DeValue::String(text) => found.push((key, text.to_string(), Spanned::span(value))),
            _ => problems.push(FileProblem::at(value.span(), format!("{key} must be a text"), "put it in quotes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in_catalogue() -> Catalogue {
        Catalogue::parse("[a]\nplain = \"Hello\"\nvalues = \"{one} and {two}\"\n").unwrap()
    }

    fn rendered(catalogue: &Catalogue, call: &str) -> Result<String, String> {
        let mut environment = minijinja::Environment::new();
        environment.add_function("x", || "");
        let t = Arc::new(catalogue.clone()).function();
        environment.render_named_str("x.html", call, minijinja::context! { t }).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_inserted_into_texts_and_escaped() {
        assert_eq!(rendered(&built_in_catalogue(), "{{ t('a.plain', more=1) }}").unwrap(), "Hello");
        assert_eq!(
            rendered(&built_in_catalogue(), "{{ t('a.values', one='<b>{two}', two=2) }}").unwrap(),
            "&lt;b&gt;{two} and 2"
        );
        assert!(rendered(&built_in_catalogue(), "{{ t('a.plan') }}").unwrap_err().contains("a.plan"));
        assert!(rendered(&built_in_catalogue(), "{{ t('a.values', one=1) }}").unwrap_err().contains("two"));
    }

    #[test]
    fn a_file_changes_what_it_names() {
        let theirs = built_in_catalogue().overlaid("a.plain = \"Bonjour\"").unwrap();
        assert_eq!(rendered(&theirs, "{{ t('a.plain') }}").unwrap(), "Bonjour");
        assert_eq!(rendered(&theirs, "{{ t('a.values', one=1, two=2) }}").unwrap(), "1 and 2");
        assert_eq!(built_in_catalogue().not_in("a.plain = \"Bonjour\""), ["a.values"]);
    }

    #[test]
    fn invalid_texts_are_refused_with_their_position() {
        let cases = [
            ("[a]\nplane = \"x\"", 12..15, "did you mean a.plain?"),
            ("[a]\nvalues = \"{one} {three}\"", 13..28, "this text takes: {one}, {two}"),
            ("[a]\nplain = \"{one}\"", 12..19, "this text takes: none"),
            ("[a]\nplain = 3", 12..13, "put it in quotes"),
            ("[a\n", 2..2, "write key = \"text\", below the [table] of its page"),
        ];
        for (text, span, help) in cases {
            let problems = built_in_catalogue().overlaid(text).unwrap_err();
            assert_eq!(problems[0].help, help, "{text}");
            assert_eq!(problems[0].span, Some(span), "{text}: {problems:?}");
        }
    }
}
