//! `pass_headers`: request headers that a route passes on although they are removed by default.

use http::HeaderName;

use crate::admission::identity_headers::IdentityHeaders;
use crate::http1::header_edits::{HeaderEdit, HeaderEdits};
use crate::http1::header_name_bytes::is_plain;
use crate::http1::header_names::OwnHeaders;
use crate::http1::removed_headers;
use crate::routes::pass_headers::{PassHeaders, Sender};
use crate::values::client_address::TrustedProxies;

use super::raw::{Item, RawTable};
use super::refusal::ValueRefusal;
use super::{headers, schema};

/// Reads the list of a route with these edits of requests.
pub(crate) fn read(
    route: &RawTable<'_>,
    identity: &IdentityHeaders,
    edits: &HeaderEdits,
    trusted: &TrustedProxies,
) -> PassHeaders {
    let removed = OwnHeaders::new(identity.names().cloned());
    let mut read: Vec<(HeaderName, Sender)> = Vec::new();
    for item in route.list("pass_headers") {
        let Some((name, sender)) = entry(&item) else { continue };
        let Some(header) = name.parse(|text| passable(text, identity, edits, &removed)) else { continue };
        if read.iter().any(|(other, _)| *other == header) {
            item.location
                .problem(ValueRefusal::new(format!("{header} is listed twice")).write("remove it, or the other one"));
        }
        if sender == Sender::TrustedProxy && trusted.networks.is_empty() && !trusted.unix {
            item.location.warning(
                ValueRefusal::new(format!("trusted_proxies is empty, so {header} never passes")).write(
                    "write `trusted_proxies = [\"127.0.0.1\"]` at the top of the file, with the proxy's address",
                ),
            );
        }
        read.push((header, sender));
    }
    PassHeaders::new(read)
}

/// An entry of the list.
const EXAMPLE: &str = "{ name = \"X-Original-Host\", from = \"any\" }";

/// A header name, or a table with a name and the clients that may send it.
fn entry<'f>(item: &Item<'f>) -> Option<(Item<'f>, Sender)> {
    if item.peek().is_some() {
        return Some((item.clone(), Sender::TrustedProxy));
    }
    let table = item.table_or("a text in quotes or a table", Some(EXAMPLE), &schema::PASS_HEADER)?;
    let words = [("trusted", Sender::TrustedProxy), ("any", Sender::Anybody)];
    let sender = table.item("from").map_or(Some(Sender::TrustedProxy), |from| from.word(&words));
    let name = table.item("name");
    if name.is_none() {
        item.location.problem(ValueRefusal::new("must have a name").write(format!("write {EXAMPLE}")));
    }
    Some((name?, sender?))
}

fn passable(
    text: &str,
    identity: &IdentityHeaders,
    edits: &HeaderEdits,
    removed: &OwnHeaders,
) -> Result<HeaderName, ValueRefusal> {
    let name = headers::not_set_by_gateway(text, identity)?;
    if !is_plain(name.as_ref()) {
        return Err(ValueRefusal::new(format!("applications may read {text} as another name"))
            .write(format!("write \"{}\", with letters, digits and single hyphens", text.replace('_', "-"))));
    }
    if !removed_headers::may_pass(name.as_str()) {
        return Err(ValueRefusal::new(format!("{text} is never passed on")).write("remove it"));
    }
    if !removed.claims(name.as_ref()) {
        return Err(ValueRefusal::new(format!("{text} is not a header that the gateway removes")).write("remove it"));
    }
    if edits.iter().any(|edit| matches!(edit, HeaderEdit::Set(set, _) if *set == name)) {
        return Err(ValueRefusal::new(format!("[route.headers.request] sets {text} already"))
            .write("remove it, or the other one"));
    }
    Ok(name)
}
