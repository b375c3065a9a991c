//! Messages for unknown keys: the table that they belong to, or the key that is probably meant.

use super::key_translations;
use super::refusal::ValueRefusal;
use super::schema::{self, Schema};

/// The message for an unknown key, with the table that it belongs to.
pub(crate) fn unknown(name: &str, schema: &Schema) -> ValueRefusal {
    let place = header(schema.table);
    let not_here =
        if schema.table.is_empty() { "must be in a table".to_owned() } else { format!("is not a key of {place}") };
    let refusal = || ValueRefusal::new(not_here.as_str());
    if schema.later.contains(&name) {
        return ValueRefusal::new("is not supported by this version").write("remove this line");
    }
    if let Some(why) = key_translations::unneeded(name) {
        return ValueRefusal::new("unknown key").write(format!("remove this line: {why}"));
    }
    if let Some(known) = key_translations::find(name) {
        let refusal = refusal();
        return if known.table == schema.table {
            refusal.write(format!("did you mean `{}`?", known.key))
        } else {
            refusal.write(format!("move this line to the {} as `{}`", place_in(known.table), known.key))
        };
    }
    let owners: Vec<&str> = owners(name).map(|owner| owner.table).collect();
    if let Some((first, others)) = owners.split_first() {
        let others: String = others.iter().map(|other| format!(", or of {}", header(other))).collect();
        let refusal = refusal().write(format!("move this line to the {}{others}", place_in(first)));
        return match schema.means(name) {
            Some(near) => refusal.write(format!("or write `{near}`, if that is what you mean")),
            None => refusal,
        };
    }
    let noun = if schema.table.is_empty() { "key or table" } else { "key" };
    let refusal = ValueRefusal::new(format!("unknown {noun}"));
    let refusal = match schema.means(name) {
        Some(near) => refusal.write(format!("did you mean `{near}`?")),
        None => refusal.write("remove this line"),
    };
    refusal.write(format!("{place} takes: {}", schema.keys.join(", ")))
}

/// The same refusal for a table that has a header.
pub(crate) fn of_table(mut refusal: ValueRefusal) -> ValueRefusal {
    refusal.write.iter_mut().for_each(|help| *help = help.replace("remove this line", "remove this table"));
    refusal
}

/// The tables with this key.
fn owners(name: &str) -> impl Iterator<Item = &'static Schema> {
    let is_table = schema::ALL.iter().any(|schema| schema.table == name);
    // The keys of a route's inner tables have no meaning elsewhere.
    let owners = schema::ALL.iter().filter(move |schema| !is_table && !schema.table.contains('.'));
    owners.copied().filter(move |schema| schema.keys.contains(&name))
}

/// Whether the value of this key can be shown: some table has the key, or it is a well-known one of another program.
pub(crate) fn is_known(name: &str) -> bool {
    let of_schema = |schema: &&Schema| schema.keys.contains(&name) || schema.later.contains(&name);
    schema::ALL.iter().any(of_schema) || key_translations::find(name).is_some()
}

/// The header of a table in the file.
pub(crate) fn header(table: &str) -> String {
    match table {
        "" => "the file".to_owned(),
        "route" => "[[route]]".to_owned(),
        table => format!("[{table}]"),
    }
}

/// The place at which a line of this table is added.
pub(crate) fn place_in(table: &str) -> String {
    if table.is_empty() { "top of the file".to_owned() } else { format!("end of {}", header(table)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_explained() {
        let cases = [
            (&schema::FILE, "idle_timeout", "move this line to the end of [session]"),
            (&schema::ROUTE, "listen", "move this line to the top of the file, or of [admin]"),
            (&schema::FILE, "upstream", "move this line to the end of [[route]]"),
            (&schema::FILE, "lisen", "did you mean `listen`?"),
            (&schema::ROUTE, "proxy_pass", "did you mean `upstream`?"),
            (&schema::FILE, "cookie_name", "move this line to the end of [session] as `cookie`"),
            (&schema::FILE, "cookie_secret", "remove this line: the gateway makes its own keys"),
            (&schema::FILE, "tls", "remove this line"),
            (&schema::LOGIN, "xyzzy", "remove this line"),
            (&schema::LOGIN, "session", "remove this line"),
        ];
        for (schema, name, want) in cases {
            let said = unknown(name, schema);
            assert!(said.write[0].starts_with(want), "{name}: {said:?}");
        }
    }
}
