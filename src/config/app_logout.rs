//! `[route.logout]`: how a route's application ends its own sessions.

use http::HeaderName;

use crate::routes::app_logout::{AppCall, AppLogout, CsrfToken, TokenSource, path_of, read_target};
use crate::values::configured_path::ConfiguredPath;
use crate::values::end_cause::EndCause;

use super::logout_links::within;
use super::presets::{self, Preset};
use super::raw::{Item, RawTable};
use super::refusal::ValueRefusal;
use super::{logout_links, schema};

/// Reads the table of a route with this path, and the values of its preset.
pub(crate) fn read(route: &RawTable<'_>, path: Option<&ConfiguredPath>) -> AppLogout {
    let preset = route.item("preset").and_then(|item| item.peek()).and_then(presets::find).and_then(Preset::route);
    let table = match route.has("logout") {
        true => route.table("logout", &schema::ROUTE_LOGOUT),
        false => route.empty("logout", &schema::ROUTE_LOGOUT),
    };
    let table = table.with_usual(preset.and_then(|preset| presets::table(preset, "logout")));
    // The paths of a preset are relative to the path of the route.
    let prefix = |key| path.filter(|path| !path.is_root() && !table.has(key));
    let call = table.item("call").and_then(|item| item.literal(|text| call(text, prefix("call"), path)));
    let csrf = table.item("csrf").and_then(|item| csrf(&item));
    let token = table.item("token_from").and_then(|item| token(&item, prefix("token_from"), path));
    if let (Some(call), Some(item)) = (&call, table.item("call")) {
        check_token(call, token.as_ref(), &item, table.item("token_from").as_ref());
    }
    let usual = AppLogout::default();
    let call_on = table.item("call_on").map_or(usual.call_on, |item| causes(&item));
    let (links, passes_on) = (logout_links::read(&table, prefix("paths"), path), logout_links::passes_on(&table));
    let is_known = call.is_some() || preset.is_some() || !links.is_empty();
    AppLogout { is_known, call, csrf, token, call_on, links, passes_on }
}

/// Checks that a call with a placeholder has a token, and that a token has a placeholder or a field.
fn check_token(call: &AppCall, token: Option<&TokenSource>, item: &Item<'_>, source: Option<&Item<'_>>) {
    let has_field = token.is_some_and(|token| token.field.is_some());
    match (source, call.takes_token() || has_field) {
        (None, true) => item.location.problem(
            ValueRefusal::new("{token} stands for a token, and `token_from` is missing")
                .write("write `token_from = { get = \"/\", find = \"token=([0-9a-f]+)\" }` below it"),
        ),
        (Some(source), false) if token.is_some() => source.location.problem(
            ValueRefusal::new("the call does not use the token")
                .write("write {token} at its place in the address of `call`")
                .write("or name the field of a POST that takes it: field = \"token\""),
        ),
        (Some(_) | None, _) => {}
    }
}

fn call(text: &str, prefix: Option<&ConfiguredPath>, route: Option<&ConfiguredPath>) -> Result<AppCall, ValueRefusal> {
    let call = AppCall::parse(text).map_err(|error| {
        ValueRefusal::new(format!("\"{text}\" is not a request that signs out")).write(error.to_string())
    })?;
    let call = call.below(prefix.map_or("", ConfiguredPath::as_str));
    within(call.path(), route).map(|()| call)
}

fn csrf(item: &Item<'_>) -> Option<CsrfToken> {
    const EXAMPLE: &str = "{ cookie = \"csrftoken\", header = \"X-CSRFToken\", field = \"csrfmiddlewaretoken\" }";
    let table = item.table_or("a table with a cookie", Some(EXAMPLE), &schema::CSRF)?;
    let cookie = table.required("cookie", "cookie = \"csrftoken\"")?.parse(cookie)?;
    let header = table.item("header").and_then(|item| item.parse(header));
    let field = table.item("field").and_then(|item| item.parse(field));
    if !table.has("header") && !table.has("field") {
        item.location.problem(
            ValueRefusal::new("names the cookie of the token, but not where the application expects the token")
                .write("add header = \"X-CSRFToken\", or field = \"csrfmiddlewaretoken\", or both"),
        );
    }
    Some(CsrfToken { cookie, header, field })
}

fn token(item: &Item<'_>, prefix: Option<&ConfiguredPath>, route: Option<&ConfiguredPath>) -> Option<TokenSource> {
    const EXAMPLE: &str = "{ get = \"/\", find = \"token=([0-9a-f]+)\" }";
    let table = item.table_or("a table with get and find", Some(EXAMPLE), &schema::TOKEN_FROM)?;
    let get = table.required("get", "get = \"/\"").and_then(|item| item.literal(|text| page(text, prefix, route)));
    let field = table.item("field").map(|item| item.parse(field));
    let found = table.required("find", "find = \"token=([0-9a-f]+)\"")?;
    let find = found.text()?;
    let (get, field) = (get?, field.map_or(Some(None), |field| field.map(Some))?);
    TokenSource::new(get, find, field)
        .map_err(|error| {
            let refusal = ValueRefusal::new(error.to_string());
            found.location.problem(refusal.write("write \"token=([0-9a-f]+)\": the token is the part in parentheses"));
        })
        .ok()
}

fn page(text: &str, prefix: Option<&ConfiguredPath>, route: Option<&ConfiguredPath>) -> Result<Box<str>, ValueRefusal> {
    let text = &*format!("{}{text}", prefix.map_or("", ConfiguredPath::as_str));
    let target = read_target(text)
        .map_err(|error| ValueRefusal::new(format!("\"{text}\" is not an address")).write(error.to_string()))?;
    within(path_of(&target), route).map(|()| target)
}

fn cookie(text: &str) -> Result<Box<str>, ValueRefusal> {
    let is_token = HeaderName::from_bytes(text.as_bytes()).is_ok();
    is_token.then(|| text.into()).ok_or_else(|| {
        ValueRefusal::new(format!("\"{text}\" is not the name of a cookie")).write("write \"csrftoken\", for example")
    })
}

/// A header for the token: an `x-` header that does not identify the user or the client.
fn header(text: &str) -> Result<HeaderName, ValueRefusal> {
    let name = HeaderName::from_bytes(text.as_bytes()).ok();
    let is_free = |name: &HeaderName| name.as_str().starts_with("x-") && !name.as_str().starts_with("x-forwarded");
    name.filter(is_free).ok_or_else(|| {
        ValueRefusal::new(format!("\"{text}\" is not a header for a token")).write("write \"X-CSRFToken\", for example")
    })
}

fn field(text: &str) -> Result<Box<str>, ValueRefusal> {
    let sound = !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control);
    sound.then(|| text.into()).ok_or_else(|| {
        ValueRefusal::new("is not the name of a field").write("write \"csrfmiddlewaretoken\", for example")
    })
}

fn causes(item: &Item<'_>) -> Vec<EndCause> {
    let words = EndCause::ALL.map(|cause| (cause.id(), cause));
    item.list().unwrap_or_default().iter().filter_map(|item| item.word(&words)).collect()
}
