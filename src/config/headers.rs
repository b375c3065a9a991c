//! `[route.headers]` and the names of identity headers: which headers an operator may write, and which belong to the
//! protocol or to the gateway.

use http::header::HOST;
use http::{HeaderName, HeaderValue};

use crate::admission::identity_headers::IdentityHeaders;
use crate::http1::header_edits::{HeaderEdit, HeaderEdits};

use super::raw::RawTable;
use super::refusal::ValueRefusal;
use super::{reserved_headers, schema};

/// Hop-by-hop headers (RFC 9110 7.6.1) and message framing, which cannot be edited.
const OF_THE_PROTOCOL: &[&str] = &[
    "connection", "content-length", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
];

/// Headers that the gateway sets on requests, besides those with its prefix and the configured identity headers.
const OF_THE_GATEWAY: &[&str] =
    &["cookie", "set-cookie", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto"];

/// Headers with the user or the client's address, for which a fixed value would be wrong.
const PERSONAL_HEADERS: &[&str] = &[
    "forwarded", "remote-email", "remote-groups", "remote-name", "remote-user", "x-forwarded-email",
    "x-forwarded-groups", "x-forwarded-preferred-username", "x-forwarded-user", "x-real-ip",
];

const OWN_FAMILY: &str = "x-exeunt-";

/// The edits of one route: of requests, and of responses.
pub(crate) fn edits(route: &RawTable<'_>, identity: &IdentityHeaders) -> (HeaderEdits, HeaderEdits) {
    let headers = route.table("headers", &schema::ROUTE_HEADERS);
    let one_way = |way, schema| {
        let table = headers.table(way, schema);
        removals(&table, identity).into_iter().chain(additions(&table, identity)).collect()
    };
    (one_way("request", &schema::REQUEST_HEADERS), one_way("response", &schema::RESPONSE_HEADERS))
}

fn removals(table: &RawTable<'_>, identity: &IdentityHeaders) -> Vec<HeaderEdit> {
    let items = table.list("remove");
    let names = items.iter().filter_map(|item| item.parse(|text| editable(text, identity)));
    names.map(HeaderEdit::Remove).collect()
}

fn additions(table: &RawTable<'_>, identity: &IdentityHeaders) -> Vec<HeaderEdit> {
    let added = table.item("add").and_then(|item| item.open_table());
    let entries = added.iter().flat_map(RawTable::entries);
    entries
        .filter_map(|entry| {
            // The value may be a credential for the application.
            entry.item.location.hide();
            let name = editable(entry.name, identity).map_err(|refusal| entry.location.problem(refusal)).ok();
            let value =
                entry.item.literal(|text| Ok(value(text)))?.map_err(|refusal| entry.location.problem(refusal)).ok();
            Some(HeaderEdit::Set(name?, value?))
        })
        .collect()
}

/// A header name that an operator may add or remove.
fn editable(text: &str, identity: &IdentityHeaders) -> Result<HeaderName, ValueRefusal> {
    let name = not_set_by_gateway(text, identity)?;
    if PERSONAL_HEADERS.contains(&name.as_str()) {
        return Err(ValueRefusal::new(format!("{text} differs from one user to the next"))
            .write("remove it: the gateway sends the user's identity and address itself, see [identity]"));
    }
    Ok(name)
}

/// A header name that the gateway does not set itself.
pub(crate) fn not_set_by_gateway(text: &str, identity: &IdentityHeaders) -> Result<HeaderName, ValueRefusal> {
    let name = name(text)?;
    let fixed = OF_THE_GATEWAY.contains(&name.as_str()) || name.as_str().starts_with(OWN_FAMILY);
    if fixed || identity.names().any(|own| *own == name) {
        return Err(ValueRefusal::new(format!("the gateway sets {text} itself")).write("remove it"));
    }
    Ok(name)
}

/// A header name for an identity, without another meaning.
pub(crate) fn for_identity(text: &str) -> Result<HeaderName, ValueRefusal> {
    let name = name(text)?;
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(ValueRefusal::new(format!("many application servers drop {text}"))
            .write("write \"X-WEBAUTH-USER\", or another name of letters, digits and hyphens"));
    }
    if reserved_headers::has_one(name.as_str()) {
        return Err(ValueRefusal::new(format!("{text} has another meaning for applications"))
            .write("write \"X-WEBAUTH-USER\", or another name that has no meaning yet"));
    }
    Ok(name)
}

fn name(text: &str) -> Result<HeaderName, ValueRefusal> {
    let name: HeaderName = text.parse().map_err(|_| header_name(text))?;
    if name == HOST {
        return Err(ValueRefusal::new("Host cannot be edited here")
            .write("remove it, and write `upstream_host` in [[route]] instead"));
    }
    if OF_THE_PROTOCOL.contains(&name.as_str()) {
        return Err(
            ValueRefusal::new(format!("{text} belongs to one connection and cannot be edited")).write("remove it")
        );
    }
    Ok(name)
}

fn header_name(text: &str) -> ValueRefusal {
    let plain = |sign: char| if sign.is_ascii_alphanumeric() { sign } else { '-' };
    let near: String = text.chars().map(plain).collect();
    ValueRefusal::new(format!("\"{text}\" is not a valid header name"))
        .write(format!("write \"{}\", with letters, digits and hyphens alone", near.trim_matches('-')))
}

fn value(text: &str) -> Result<HeaderValue, ValueRefusal> {
    // Printable ASCII, which every program reads alike.
    let plain = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let value = plain.then(|| HeaderValue::try_from(text).ok()).flatten();
    let mut value = value.ok_or_else(|| {
        ValueRefusal::new("a header's value must be printable ASCII on one line")
            .write("remove it, or leave out line breaks and all characters beyond ASCII")
    })?;
    value.set_sensitive(true);
    Ok(value)
}
