//! The users of a file as a table, and as JSON for programs.

use serde_json::json;

use crate::cli::table;
use crate::credentials::user_file::UserEntry;

const TITLES: [&str; 5] = ["USER", "GROUPS", "EMAIL", "NAME", "STATE"];

/// A table with aligned columns; `-` for empty fields. Empty without users.
pub(super) fn user_table(entries: &[&UserEntry]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = entries.iter().map(|entry| row(entry)).collect();
    table::aligned(TITLES, &rows)
}

fn row(entry: &UserEntry) -> [String; TITLES.len()] {
    let identity = &entry.identity;
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    [
        identity.user().to_owned(),
        or_dash(&identity.groups().collect::<Vec<_>>().join(",")),
        or_dash(identity.email().unwrap_or_default()),
        or_dash(identity.name().unwrap_or_default()),
        if entry.enabled { "enabled" } else { "disabled" }.to_owned(),
    ]
}

/// A JSON array of objects, one in each line.
pub(super) fn json(entries: &[&UserEntry]) -> String {
    let objects: Vec<_> = entries.iter().map(|entry| format!("  {}", object(entry))).collect();
    if objects.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", objects.join(",\n")) }
}

fn object(entry: &UserEntry) -> serde_json::Value {
    let identity = &entry.identity;
    json!({
        "user": identity.user(),
        "groups": identity.groups().collect::<Vec<_>>(),
        "email": identity.email(),
        "name": identity.name(),
        "enabled": entry.enabled,
    })
}
