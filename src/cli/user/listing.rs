//! The users of a file as a table for people, and as JSON for programs.

use serde_json::json;

use crate::credentials::user_file::UserEntry;

const TITLES: [&str; 5] = ["USER", "GROUPS", "EMAIL", "NAME", "STATE"];

/// Aligned columns; `-` where a user has nothing. Nothing at all without users.
pub(super) fn table(entries: &[&UserEntry]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let titles = TITLES.map(str::to_owned);
    let rows: Vec<_> = std::iter::once(titles).chain(entries.iter().map(|entry| row(entry))).collect();
    let mut widths = [0; TITLES.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: String = row.iter().zip(widths).map(|(cell, &width)| format!("{cell:width$}  ")).collect();
    format!("{}\n", cells.trim_end())
}

fn row(entry: &UserEntry) -> [String; TITLES.len()] {
    let identity = &entry.identity;
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    [
        identity.user().to_owned(),
        or_dash(&identity.groups().join(",")),
        or_dash(identity.email().unwrap_or_default()),
        or_dash(identity.name().unwrap_or_default()),
        if entry.enabled { "enabled" } else { "disabled" }.to_owned(),
    ]
}

/// An array of objects, one a line.
pub(super) fn json(entries: &[&UserEntry]) -> String {
    let objects: Vec<_> = entries.iter().map(|entry| format!("  {}", object(entry))).collect();
    if objects.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", objects.join(",\n")) }
}

fn object(entry: &UserEntry) -> serde_json::Value {
    let identity = &entry.identity;
    json!({
        "user": identity.user(),
        "groups": identity.groups(),
        "email": identity.email(),
        "name": identity.name(),
        "enabled": entry.enabled,
    })
}
