//! `[identity]`: the headers that identify the user to the application.

use http::HeaderName;

use crate::admission::identity_headers::{IdentityHeaders, PRESETS, Template};

use super::headers;
use super::raw::{Item, RawTable};
use super::refusal::ValueRefusal;
use super::schema;

/// Reads the table.
pub(crate) fn read(file: &RawTable<'_>) -> IdentityHeaders {
    let table = file.table("identity", &schema::IDENTITY);
    let mut headers = match table.item("headers") {
        Some(item) => sets(item.list().iter().flatten().filter_map(preset)),
        None => sets(PRESETS.iter().map(|(name, _)| *name)),
    };
    for (name, template) in custom(&table) {
        headers.insert(name, template);
    }
    headers
}

/// The second part of the help for a template.
const FIELDS: &str = "or another template with {user}, {email}, {name} or {groups}";

fn preset(item: &Item<'_>) -> Option<&'static str> {
    item.word(&PRESETS.map(|(name, _)| (name, name)))
}

fn sets(names: impl Iterator<Item = &'static str>) -> IdentityHeaders {
    let mut headers = IdentityHeaders::default();
    names.filter_map(IdentityHeaders::preset).for_each(|set| headers.extend(set));
    headers
}

fn custom(table: &RawTable<'_>) -> Vec<(HeaderName, Template)> {
    let custom = table.item("custom").and_then(|item| item.open_table());
    let mut read: Vec<(HeaderName, Template)> = Vec::new();
    for entry in custom.iter().flat_map(RawTable::entries) {
        let name = headers::for_identity(entry.name).map_err(|refusal| entry.location.problem(refusal));
        let template = entry.item.literal(|text| {
            Template::parse(text).map_err(|error| {
                ValueRefusal::new(format!("\"{text}\" {error}")).write(format!("write \"{{user}}\", {FIELDS}"))
            })
        });
        let (Ok(name), Some(template)) = (name, template) else { continue };
        if read.iter().any(|(other, _)| *other == name) {
            entry.location.problem(
                ValueRefusal::new("is set twice: header names ignore letter case").write("remove it, or the other one"),
            );
        }
        read.push((name, template));
    }
    read
}
