//! `paths` of `[route.logout]`: the application's own logout links.

use crate::routes::logout_link::LogoutLink;
use crate::values::configured_path::ConfiguredPath;

use super::raw::{Item, RawTable};
use super::refusal::ValueRefusal;
use super::{patterns, schema};

/// The maximum number of query conditions of one link.
const MAX_CONDITIONS: usize = 8;
/// The maximum number of links of one route: every request to it is compared with each of them.
const MAX_LINKS: usize = 16;

const EXAMPLE: &str = "{ path = \"/wp-login.php\", query = { action = \"logout\" } }";

/// Reads the list of a route; `prefix` is put before its paths.
pub(crate) fn read(
    table: &RawTable<'_>,
    prefix: Option<&ConfiguredPath>,
    route: Option<&ConfiguredPath>,
) -> Vec<LogoutLink> {
    let items = table.list("paths");
    if let Some(one_too_many) = items.get(MAX_LINKS) {
        let refusal = ValueRefusal::new(format!("{MAX_LINKS} paths are the maximum for a route"));
        one_too_many.location.problem(refusal.write("remove this one, or another"));
    }
    items.iter().filter_map(|item| link(item, prefix, route)).collect()
}

/// Whether requests to the links are also forwarded to the application.
pub(crate) fn passes_on(table: &RawTable<'_>) -> bool {
    let Some(item) = table.item("also") else { return false };
    if table.item("paths").is_none() {
        let refusal = ValueRefusal::new("has no effect without paths");
        item.location.warning(refusal.write("write `paths = [\"/accounts/logout/\"]` beside it"));
    }
    item.word(&[("application", true)]).unwrap_or_default()
}

/// A path, or a table with a path and conditions on the query.
fn link(item: &Item<'_>, prefix: Option<&ConfiguredPath>, route: Option<&ConfiguredPath>) -> Option<LogoutLink> {
    let read = |text: &str| path(text, prefix, route);
    if item.peek().is_some() {
        return Some(LogoutLink::new(item.parse(read)?, Vec::new()));
    }
    let table = item.table_or("a path in quotes, or a table", Some(EXAMPLE), &schema::LOGOUT_LINK)?;
    if table.item("path").is_none() {
        item.location.problem(ValueRefusal::new("must have a path").write(format!("write {EXAMPLE}")));
    }
    let query = table.item("query").and_then(|item| query(&item));
    Some(LogoutLink::new(table.item("path")?.parse(read)?, query.unwrap_or_default()))
}

fn query(item: &Item<'_>) -> Option<Vec<(Box<str>, Box<str>)>> {
    let conditions = item.open_table()?.entries();
    if conditions.is_empty() || conditions.len() > MAX_CONDITIONS {
        let refusal = ValueRefusal::new(format!("must have 1 to {MAX_CONDITIONS} conditions"));
        item.location.problem(refusal.write("write { action = \"logout\" }"));
    }
    let read = conditions.iter().map(|entry| Some((entry.name.into(), entry.item.text()?.into())));
    read.collect()
}

fn path(
    text: &str,
    prefix: Option<&ConfiguredPath>,
    route: Option<&ConfiguredPath>,
) -> Result<ConfiguredPath, ValueRefusal> {
    if let Some(refusal) = patterns::refused(text) {
        return Err(refusal);
    }
    if text.contains('?') {
        return Err(ValueRefusal::new(format!("\"{text}\" has a query")).write(format!("write {EXAMPLE}")));
    }
    let whole = &*format!("{}{text}", prefix.map_or("", ConfiguredPath::as_str));
    let path = ConfiguredPath::parse(whole).map_err(|error| ValueRefusal::of(text, &error))?;
    within(path.as_str(), route).map(|()| path)
}

/// Refuses a path outside the route's: it does not reach the route's application.
pub(super) fn within(path: &str, route: Option<&ConfiguredPath>) -> Result<(), ValueRefusal> {
    match route.filter(|route| !route.is_root() && !route.covers(path.as_bytes())) {
        None => Ok(()),
        Some(route) => Err(ValueRefusal::new(format!("{path} is not covered by this route, whose path is {route}"))
            .write(format!("write {route}{path}, or another path below {route}"))),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;
    use crate::routes::app_logout::AppLogout;
    use crate::values::target::Target;

    /// The settings of these lines, or their problems.
    fn read(lines: &str) -> Result<AppLogout, String> {
        let text = format!(
            "listen = ['127.0.0.1:80']\npublic_url = 'http://localhost'\n[login]\nusers = 'u.toml'\n\
             [[route]]\npath = '/app'\nupstream = 'http://127.0.0.1:9'\n[route.logout]\n{lines}\n"
        );
        let (settings, _) = parse("config.toml", &text, "/nowhere".as_ref()).map_err(|report| report.to_string())?;
        Ok(settings.gateway.routes[0].logout.clone())
    }

    #[test]
    fn links_are_read() {
        let logout = read(
            "paths = ['/app/bye', { path = '/app/index.php', query = { route = '/logout' } }]\nalso = 'application'",
        );
        let logout = logout.unwrap();
        let is_link = |target: &str| logout.is_link(&Target::parse(target.as_bytes()).unwrap());
        assert!(is_link("/app/bye") && is_link("/app/index.php?route=%2Flogout") && !is_link("/app/index.php"));
        assert!(logout.passes_on && logout.is_known && logout.call.is_none());
        let logout = read("paths = ['/app/bye']").unwrap();
        assert!(!logout.passes_on && logout.is_known);
        assert!(!read("call = 'GET /app/bye'").unwrap().is_link(&Target::parse(b"/app/bye").unwrap()));
    }

    #[test]
    fn problems_are_reported() {
        for (lines, want) in [
            ("paths = ['/bye']", "write /app/bye"),
            ("paths = ['bye']", "write \"/bye\""),
            ("paths = ['/app/*']", "route[1].logout.paths[1]"),
            ("paths = ['/app/x?action=logout']", "write { path = \"/wp-login.php\""),
            ("paths = [{ query = { a = 'b' } }]", "must have a path"),
            ("paths = [{ path = '/app/x', query = {} }]", "write { action = \"logout\" }"),
            ("paths = [{ path = '/app/x', query = { a = 1 } }]", "a text in quotes"),
            ("paths = [{ path = '/app/x', form = { a = 'b' } }]", "form"),
            ("paths = [7]", "a path in quotes, or a table"),
            ("paths = ['/app/bye']\nalso = 'app'", "write \"application\""),
            (&format!("paths = [{}]", "'/app/bye', ".repeat(17)), "are the maximum"),
        ] {
            let report = read(lines).expect_err(lines);
            assert!(report.contains(want), "{report}");
        }
    }
}
