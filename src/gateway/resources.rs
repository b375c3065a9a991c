//! Further resources that a request names besides its target (WebDAV): they are judged like the target, and rewritten
//! to the application's own address.

use std::sync::Arc;

use http::{HeaderValue, Method};

use super::assembled::{Assembled, Requested};
use crate::admission::destination::{self, DESTINATION, IF, IfHeader, Resource};
use crate::admission::facts::RequestFacts;
use crate::http1::header_edits::{HeaderEdit, HeaderEdits};
use crate::routes::table::Route;
use crate::values::reason::{Reason, Refusal};
use crate::values::target::Target;

/// Judges the further resources of a request to this route: they have to belong to the route in every reading. The
/// edits rewrite them to the address under which the application is requested.
pub(super) fn edits(
    facts: &RequestFacts<'_>,
    route: &Arc<Route>,
    assembled: &Assembled,
) -> Result<HeaderEdits, Refusal> {
    let plain = matches!(*facts.method, Method::GET | Method::HEAD) && facts.method_override == Ok(None);
    if plain {
        return Ok(HeaderEdits::new());
    }
    let mut edits = HeaderEdits::new();
    if let Some(target) = destination::read(facts, &assembled.hosts)? {
        edits.push(HeaderEdit::Set(DESTINATION.clone(), value(&address(target, facts, route, assembled)?)?));
    }
    if facts.headers.has(&IF) {
        edits.extend(conditions(facts, route, assembled)?);
    }
    Ok(edits)
}

fn conditions(
    facts: &RequestFacts<'_>,
    route: &Arc<Route>,
    assembled: &Assembled,
) -> Result<Option<HeaderEdit>, Refusal> {
    let text = facts.header(&IF).ok_or(Reason::HeadMalformed)?;
    let Some(conditions) = IfHeader::read(text)? else { return Ok(None) };
    let changed = conditions.with_tags(|tag| match destination::resource(tag, facts, &assembled.hosts)? {
        Resource::Ours(target) => address(target, facts, route, assembled),
        // Forwarded unchanged: an application cannot check a condition on a resource of another server.
        Resource::Foreign => Ok(tag.to_owned()),
    })?;
    Ok(Some(HeaderEdit::Set(IF.clone(), value(&changed)?)))
}

/// The address of a resource of this route, with the scheme and the `Host` of the forwarded request.
fn address(
    mut target: Target<'_>,
    facts: &RequestFacts<'_>,
    route: &Arc<Route>,
    assembled: &Assembled,
) -> Result<String, Refusal> {
    let elsewhere = |_| Refusal::from(Reason::DestinationRefused);
    assembled.merge_slashes(facts.host, &mut target);
    match assembled.at(facts.host, target.path()).map_err(elsewhere)? {
        Requested::Route(other) if Arc::ptr_eq(route, other) => {}
        Requested::Route(_) | Requested::OwnPage(_) => return Err(Reason::DestinationRefused.into()),
    }
    let path = String::from_utf8(target.to_bytes()).map_err(|_| Reason::DestinationRefused)?;
    let scheme = route.pool.scheme().as_str();
    Ok(match &route.upstream_host {
        Some(host) => format!("{scheme}://{host}{path}"),
        None => format!("{scheme}://{}{path}", facts.authority),
    })
}

fn value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|_| Reason::HeadMalformed.into())
}
