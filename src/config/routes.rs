//! `[[route]]`: the applications, and access to them.

use std::cell::LazyCell;
use std::path::Path;
use std::sync::Arc;

use crate::admission::identity_headers::IdentityHeaders;
use crate::routes::access::Access;
use crate::routes::methods::Methods;
use crate::routes::settings::RouteSettings;
use crate::routes::upstream_trust::UpstreamTrust;
use crate::values::configured_path::ConfiguredPath;
use crate::values::listen_address::ListenAddress;
use crate::values::origin::{Authority, Host, Origin, Scheme};
use crate::values::own_path::{RESERVED, is_reserved};
use crate::values::upstream_address::UpstreamAddress;

use super::duration;
use super::limits::LimitSettings;
use super::raw::{Item, Location, RawTable};
use super::refusal::ValueRefusal;
use super::{app_cookies, app_logout, files, headers, origins, pass_headers, patterns, presets, schema, server};

/// Other settings that a route is checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteContext<'a> {
    /// Where relative paths start.
    pub(crate) folder: &'a Path,
    /// The gateway's listeners, which must not be an upstream, and the timeouts of upstreams.
    pub(crate) limits: &'a LimitSettings,
    /// The public URL, which must not be an upstream either.
    pub(crate) public_url: Option<&'a Origin>,
    /// The admin socket, which must not be an upstream.
    pub(crate) admin: Option<&'a Path>,
    /// The identity headers, which nothing else may set.
    pub(crate) identity: &'a IdentityHeaders,
    /// The system's CA certificates, read only if a route needs them.
    pub(crate) machine: &'a LazyCell<Arc<UpstreamTrust>>,
}

/// Reads all routes, each with its location in the file.
pub(crate) fn read<'f>(file: &RawTable<'f>, around: RouteContext<'_>) -> Vec<(Location<'f>, RouteSettings)> {
    let Some(item) = file.item("route") else {
        if !file.has_misspelt("route") {
            let refusal = ValueRefusal::new("is missing");
            let example = "write `upstream = \"http://127.0.0.1:9000\"` at the end of [[route]], a table of its own";
            file.location_of_missing("route").problem(refusal.write(example));
        }
        return Vec::new();
    };
    let tables = item.tables(&schema::ROUTE);
    let with_preset = |table: RawTable<'f>| {
        let preset = table.item("preset").and_then(|item| presets::read(&item));
        table.with_usual(preset.and_then(presets::Preset::route))
    };
    let tables = tables.into_iter().map(with_preset);
    tables.filter_map(|table| Some((table.location.clone(), route(&table, around)?))).collect()
}

const ENCODED: [(&str, bool); 2] = [("refuse", false), ("opaque", true)];

fn route(table: &RawTable<'_>, around: RouteContext<'_>) -> Option<RouteSettings> {
    // Everything is read before the first return, so that all problems are reported.
    let host = table.item("host").map(|item| item.parse(origins::host));
    let path = table.item("path").map_or_else(|| path("/").ok(), |item| item.parse(path));
    let upstreams = upstreams(table, around);
    let upstream_host = table.item("upstream_host").and_then(|item| item.parse(authority));
    let (trust, access) = (trust(table, &upstreams, around), access(table));
    let (basic, cookies) = (basic(table, around.public_url), app_cookies::rules(table));
    let (logout, methods) = (app_logout::read(table, path.as_ref()), methods(table));
    let origins = table.list("origins").iter().filter_map(|item| item.parse(origins::origin)).collect();
    let switch = |key, words: [(&str, bool); 2]| table.item(key).and_then(|item| item.word(&words)).unwrap_or(false);
    let service_workers = switch("service_workers", [("refuse", false), ("allow", true)]);
    let opaque = table.item("encoded").and_then(|item| item.word(&ENCODED)).unwrap_or(true);
    let case_sensitive = table.item("case_sensitive").and_then(|item| item.switch()).unwrap_or(false);
    let refuse_cross_site = switch("cross_site", [("pass", false), ("refuse-unsafe", true)]);
    let (request_headers, response_headers) = headers::edits(table, around.identity);
    let pass_headers = pass_headers::read(table, around.identity, &request_headers, &around.limits.server.trusted);
    let keeps_cache_control = switch("cache", [("protect", false), ("app", true)]);
    let idle_paths = path.as_ref().map(|path| idle_paths(table, path)).unwrap_or_default();
    let host = host.map_or(Some(None), |host| host.map(Some))?;
    Some(RouteSettings {
        host,
        path: path?,
        upstreams,
        upstream_host,
        trust: trust?,
        connect_timeout: around.limits.connect_timeout,
        response_timeout: duration::timeout(table, "response_timeout", around.limits.response_timeout),
        access: access?,
        basic,
        opaque,
        case_sensitive,
        methods,
        refuse_cross_site,
        origins,
        service_workers,
        request_headers,
        response_headers,
        pass_headers,
        keeps_cache_control,
        idle_paths,
        cookies,
        logout,
    })
}

/// Reads the paths of this route whose requests do not count as activity.
fn idle_paths(table: &RawTable<'_>, route: &ConfiguredPath) -> Vec<ConfiguredPath> {
    let within = |text: &str| {
        let below = if route.is_root() { String::new() } else { route.to_string() };
        if !text.starts_with('/') {
            return Err(ValueRefusal::new("a path starts with a slash").write(format!("write \"{below}/{text}\"")));
        }
        let pattern = patterns::refused(text);
        let path =
            pattern.map_or_else(|| ConfiguredPath::parse(text).map_err(|error| ValueRefusal::of(text, &error)), Err)?;
        let outside = || {
            ValueRefusal::new(format!("{text} is not covered by this route, whose path is {route}"))
                .write(format!("write \"{route}{text}\", or another path below {route}"))
        };
        if route.is_root() || route.covers(path.as_str().as_bytes()) { Ok(path) } else { Err(outside()) }
    };
    table.list("idle_paths").iter().filter_map(|item| item.parse(within)).collect()
}

fn path(text: &str) -> Result<ConfiguredPath, ValueRefusal> {
    if let Some(refusal) = patterns::refused(text) {
        return Err(refusal);
    }
    if is_reserved(text) {
        let what = format!("{RESERVED}/ belongs to the gateway and is never forwarded");
        return Err(ValueRefusal::new(what).write("write \"/app\", or another path"));
    }
    ConfiguredPath::parse(text).map_err(|error| ValueRefusal::of(text, &error))
}

fn upstreams(table: &RawTable<'_>, around: RouteContext<'_>) -> Vec<UpstreamAddress> {
    let Some(item) = table.required("upstream", "upstream = \"http://127.0.0.1:9000\"") else {
        return Vec::new();
    };
    let items = item.one_or_list();
    if items.is_empty() {
        item.location
            .problem(ValueRefusal::new("must name at least one upstream").write("write \"http://127.0.0.1:9000\""));
    }
    let mut read: Vec<UpstreamAddress> = Vec::new();
    for item in items {
        let Some(address) = item.parse(|text| upstream(text, around)) else { continue };
        if read.contains(&address) {
            item.location
                .problem(ValueRefusal::new(format!("{address} is listed twice")).write("remove it, or the other one"));
        } else {
            read.push(address);
        }
    }
    read
}

fn upstream(text: &str, around: RouteContext<'_>) -> Result<UpstreamAddress, ValueRefusal> {
    let absolute = text.strip_prefix("unix:").map(|path| format!("unix:{}", around.folder.join(path).display()));
    if let Some((host, port)) = impossible_port(text) {
        let refusal = ValueRefusal::new(format!("{port} is not a port: ports end at 65535"));
        return Err(refusal.write(format!("write \"{host}:9000\", with the port that the application listens on")));
    }
    let address = UpstreamAddress::parse(absolute.as_deref().unwrap_or(text)).map_err(|error| {
        ValueRefusal::new(format!("\"{text}\" {}", error.problem)).write(format!("write {}", error.write))
    })?;
    if is_this_gateway(&address, around) {
        return Err(ValueRefusal::new(format!("{address} is this gateway itself"))
            .write("write \"http://127.0.0.1:9000\", or the address that the application listens on"));
    }
    Ok(address)
}

/// A port that is out of range, and the text before it.
fn impossible_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.strip_prefix("unix:").map_or(text, |_| "").rsplit_once(':')?;
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !port.parse::<u16>().is_ok_and(|port| port > 0)).then_some((host, port))
}

fn is_this_gateway(address: &UpstreamAddress, around: RouteContext<'_>) -> bool {
    let listen = &around.limits.server.listen;
    match address {
        UpstreamAddress::Sample => false,
        UpstreamAddress::Tcp { scheme, host, port }
            if around.public_url == Some(&Origin { scheme: *scheme, host: host.clone(), port: *port }) =>
        {
            true
        }
        UpstreamAddress::Unix(path) => own_sockets(around).any(|own| files::is_same(own, path)),
        UpstreamAddress::Tcp { host, port, .. } if is_this_machine(host) => {
            let loopback = [([127, 0, 0, 1], *port).into(), (std::net::Ipv6Addr::LOCALHOST, *port).into()];
            loopback.iter().any(|address| server::reaches(address, listen))
        }
        UpstreamAddress::Tcp { .. } => address.literal().is_some_and(|address| server::reaches(&address, listen)),
    }
}

fn own_sockets<'a>(around: RouteContext<'a>) -> impl Iterator<Item = &'a Path> {
    let listeners = around.limits.server.listen.iter().filter_map(|address| match address {
        ListenAddress::Unix(path) => Some(path.as_path()),
        ListenAddress::Tcp(_) => None,
    });
    listeners.chain(around.admin)
}

/// Whether the system or browsers resolve a name to this machine (RFC 6761 6.3, Debian's hosts file).
fn is_this_machine(host: &Host) -> bool {
    let name = host.as_str();
    name.ends_with(".localhost")
        || matches!(name, "localhost" | "localhost.localdomain" | "ip6-localhost" | "ip6-loopback")
}

fn authority(text: &str) -> Result<Authority, ValueRefusal> {
    Authority::parse(text).ok_or_else(|| {
        ValueRefusal::new(format!("\"{text}\" is not a valid Host header: it must be a name, with a port if needed"))
            .write("write \"app.internal\" or \"app.internal:8080\"")
    })
}

/// The CAs for upstreams over TLS; none without such upstreams.
fn trust(table: &RawTable<'_>, upstreams: &[UpstreamAddress], around: RouteContext<'_>) -> Option<Arc<UpstreamTrust>> {
    match table.item("upstream_ca_file") {
        Some(item) => item.parse(|text| authorities(text, around.folder)),
        None if upstreams.iter().any(UpstreamAddress::is_tls) => Some(Arc::clone(around.machine)),
        None => Some(UpstreamTrust::none()),
    }
}

fn authorities(text: &str, folder: &Path) -> Result<Arc<UpstreamTrust>, ValueRefusal> {
    let path = files::resolve(folder, text)?;
    let content = files::read(&path)?;
    UpstreamTrust::from_pem(&content).map_err(|error| ValueRefusal::of_file(&path, text, &error))
}

fn methods(table: &RawTable<'_>) -> Methods {
    let Some(item) = table.item("methods") else { return Methods::default() };
    let Some(items) = item.list() else { return Methods::default() };
    let named =
        |item: &Item<'_>| item.parse(|text| Methods::parse(text).map_err(|error| ValueRefusal::of(text, &error)));
    if items.is_empty() {
        item.location.problem(
            ValueRefusal::new("must name at least one method")
                .write("remove this line to allow every registered method"),
        );
    }
    Methods::new(items.iter().filter_map(named).collect())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AccessKeyword {
    Public,
    SignedIn,
}

fn access(table: &RawTable<'_>) -> Option<Access> {
    let words = [("public", AccessKeyword::Public), ("signed-in", AccessKeyword::SignedIn)];
    let word = table.item("access").map_or(Some(AccessKeyword::SignedIn), |item| item.word(&words))?;
    let Some(item) = table.item("groups") else {
        return Some(if word == AccessKeyword::Public { Access::Public } else { Access::SignedIn });
    };
    if word == AccessKeyword::Public {
        item.location.problem(
            ValueRefusal::new("a public route cannot require a group")
                .write("remove this line, or the line `access = \"public\"`"),
        );
        return None;
    }
    let groups: Vec<String> = item.list()?.iter().filter_map(|item| item.parse(group)).collect();
    if groups.is_empty() {
        item.location.problem(
            ValueRefusal::new("names no group, so every user would be refused")
                .write("write [\"staff\"], or remove this line to admit every user"),
        );
        return None;
    }
    Some(Access::Groups(groups))
}

/// Whether HTTP Basic is allowed.
fn basic(table: &RawTable<'_>, public_url: Option<&Origin>) -> bool {
    let Some(item) = table.item("basic") else { return false };
    let basic = item.switch().unwrap_or(false);
    let in_the_clear = public_url.is_some_and(|url| url.scheme == Scheme::Http && !url.host.is_loopback());
    if basic && in_the_clear {
        item.location.warning(
            ValueRefusal::new(
                "programs send the password with every request, and over http anyone on the network path can read it",
            )
            .write("put TLS in front and write public_url = \"https://…\", or remove basic"),
        );
    }
    basic
}

fn group(text: &str) -> Result<String, ValueRefusal> {
    let sound = !text.trim().is_empty() && !text.chars().any(char::is_control);
    sound.then(|| text.to_owned()).ok_or_else(|| {
        ValueRefusal::new("is not a valid group name").write("write \"staff\", or the name of another group")
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::parse;

    #[test]
    fn a_route_overrides_the_response_timeout() {
        let text = "listen = ['127.0.0.1:80']\npublic_url = 'http://localhost'\n[login]\nusers = 'u.toml'\n\
                    [limits]\nresponse_timeout = '7s'\n[[route]]\nupstream = 'http://127.0.0.1:9'\n\
                    [[route]]\npath = '/reports'\nupstream = 'http://127.0.0.1:9'\nresponse_timeout = '5m'\n";
        let (settings, _) = parse("config.toml", text, "/nowhere".as_ref()).unwrap();
        let waits: Vec<_> = settings.gateway.routes.iter().map(|route| route.response_timeout).collect();
        assert_eq!(waits, [7, 300].map(Duration::from_secs));
    }
}
