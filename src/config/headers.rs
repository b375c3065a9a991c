//! `[route.headers]` and the names of identity headers: which headers an operator may write, and which belong to the
//! protocol or to the gateway.

use http::{HeaderName, HeaderValue};

use crate::values::header_edits::{HeaderEdit, HeaderEdits};

use super::raw::{Refusal, Table};
use super::schema;

/// Fields of one connection (RFC 9110 7.6.1), the frame of a message, and who is asked: never edited.
const OF_THE_PROTOCOL: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What the gateway itself writes towards the application, besides everything with [`FORWARDED`].
const OF_THE_GATEWAY: &[&str] = &[
    "cookie",
    "forwarded",
    "remote-email",
    "remote-groups",
    "remote-name",
    "remote-user",
    "set-cookie",
    "x-real-ip",
];

const FORWARDED: &str = "x-forwarded-";

/// Identity headers of the operator's making must not be one of these either.
const OF_THE_CLIENT: &[&str] = &["authorization", "cookie", "origin", "referer", "set-cookie", "user-agent"];

/// The edits of one route: towards the application, and towards the client.
pub fn edits(route: &Table<'_>) -> (HeaderEdits, HeaderEdits) {
    let headers = route.table("headers", &schema::ROUTE_HEADERS);
    let one_way = |way| {
        let table = headers.table(way, &schema::HEADER_EDITS);
        removals(&table).into_iter().chain(additions(&table)).collect()
    };
    (one_way("request"), one_way("response"))
}

fn removals(table: &Table<'_>) -> Vec<HeaderEdit> {
    table.list("remove").iter().filter_map(|item| item.parse(editable)).map(HeaderEdit::Remove).collect()
}

fn additions(table: &Table<'_>) -> Vec<HeaderEdit> {
    let added = table.item("add").and_then(|item| item.open_table());
    let entries = added.iter().flat_map(Table::entries);
    entries
        .filter_map(|(name, item)| {
            let name = editable(name).map_err(|refusal| item.place.problem(refusal)).ok()?;
            Some(HeaderEdit::Set(name, item.parse(value)?))
        })
        .collect()
}

/// A header name that an operator may add or remove.
fn editable(text: &str) -> Result<HeaderName, Refusal> {
    let name = name(text)?;
    if OF_THE_GATEWAY.contains(&name.as_str()) || name.as_str().starts_with(FORWARDED) {
        return Err(Refusal::new(format!("the gateway writes {text} itself")));
    }
    Ok(name)
}

/// A header name that may carry an identity: also one of the usual ones, but nothing that means something else.
pub fn for_identity(text: &str) -> Result<HeaderName, Refusal> {
    let name = name(text)?;
    let addresses = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip", "forwarded"];
    if OF_THE_CLIENT.contains(&name.as_str()) || addresses.contains(&name.as_str()) || name.as_str().starts_with("content-") {
        return Err(Refusal::new(format!("{text} means something else to applications"))
            .write("take a name of its own: \"X-WEBAUTH-USER\""));
    }
    Ok(name)
}

fn name(text: &str) -> Result<HeaderName, Refusal> {
    let name: HeaderName =
        text.parse().map_err(|_| Refusal::new(format!("\"{text}\" is no header name")))?;
    if OF_THE_PROTOCOL.contains(&name.as_str()) {
        return Err(Refusal::new(format!("{text} belongs to the connection, not to the message")));
    }
    Ok(name)
}

fn value(text: &str) -> Result<HeaderValue, Refusal> {
    // Only what every program reads alike: visible ASCII and blanks.
    let plain = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let value = plain.then(|| HeaderValue::try_from(text).ok()).flatten();
    value.ok_or_else(|| Refusal::new("a header value is visible ASCII in one line"))
}
