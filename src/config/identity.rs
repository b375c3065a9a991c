//! `[identity]`: under which names the application learns who is there.

use crate::values::identity::Field;

use super::headers;
use super::raw::{Refusal, Table};
use super::schema;
use super::shapes::{IdentitySettings, Piece, Preset};

/// Reads the table.
pub fn read(file: &Table<'_>) -> IdentitySettings {
    let table = file.table("identity", &schema::IDENTITY);
    let headers = match table.item("headers") {
        Some(item) => item.list().iter().filter_map(|item| item.word(&PRESETS)).collect(),
        None => PRESETS.map(|(_, preset)| preset).to_vec(),
    };
    IdentitySettings { headers, custom: custom(&table) }
}

const PRESETS: [(&str, Preset); 2] = [("x-forwarded", Preset::XForwarded), ("remote", Preset::Remote)];

fn custom(table: &Table<'_>) -> Vec<(http::HeaderName, Vec<Piece>)> {
    let custom = table.item("custom").and_then(|item| item.open_table());
    let mut read: Vec<(http::HeaderName, Vec<Piece>)> = Vec::new();
    for (name, item) in custom.iter().flat_map(Table::entries) {
        let name = headers::for_identity(name).map_err(|refusal| item.place.problem(refusal));
        let (Ok(name), Some(pieces)) = (name, item.parse(template)) else { continue };
        match read.iter().find(|(other, _)| folded(other.as_str()) == folded(name.as_str())) {
            Some((other, _)) => {
                item.place.problem(Refusal::new(format!("applications cannot tell this name from {other}")));
            }
            None => read.push((name, pieces)),
        }
    }
    read
}

/// A header name as CGI and WSGI see it, where `-`, `_` and `.` are one character.
fn folded(name: &str) -> String {
    name.replace(['_', '.'], "-").to_ascii_lowercase()
}

/// Reads `{user}@example.com` into its pieces.
fn template(text: &str) -> Result<Vec<Piece>, Refusal> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((plain, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').ok_or_else(|| Refusal::new("a { has no }"))?;
        let field = Field::parse(name).ok_or_else(|| {
            Refusal::new(format!("there is no field {{{name}}}")).write("the fields are {user}, {email}, {name}, {groups}")
        })?;
        pieces.extend((!plain.is_empty()).then(|| Piece::Text(plain.to_owned())));
        pieces.push(Piece::Field(field));
        rest = behind;
    }
    pieces.extend((!rest.is_empty()).then(|| Piece::Text(rest.to_owned())));
    if !pieces.iter().any(|piece| matches!(piece, Piece::Field(_))) {
        return Err(Refusal::new("says the same of everybody").write("write \"{user}\""));
    }
    if text.contains(|c: char| !c.is_ascii_graphic() && c != ' ') {
        return Err(Refusal::new("a header value is visible ASCII in one line"));
    }
    Ok(pieces)
}
