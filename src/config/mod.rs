//! One TOML file becomes the settings of every part, or a list of everything that is wrong with it.
//!
//! Reading never stops at the first problem: [`raw`] keeps the place of every value, each table has a reader that
//! makes the settings of one part, [`rules`] compares the tables with each other, and the [`Report`] shows what all
//! of them found in the order of the file's lines.

mod door;
mod duration;
mod files;
mod headers;
mod identity;
mod limits;
mod login;
mod logout;
mod origins;
mod own_pages;
mod raw;
mod report;
mod routes;
mod rules;
pub mod schema;
mod session;

use std::fs;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::admission::identity_headers::IdentityHeaders;
use crate::audit::Settings as LogSettings;
use crate::credentials::problem::mask;
use crate::login::settings::Settings as LoginSettings;
use crate::logout::settings::Settings as LogoutSettings;
use crate::proxy::settings::Settings as DoorSettings;
use crate::routes::settings::{RouteSettings, UpstreamTimeouts};
use crate::session::table::Settings as SessionSettings;
use crate::values::client_address::TrustedProxies;
use crate::values::cookie::SessionCookie;
use crate::values::origin::Origin;
use crate::values::own_hosts::OwnHosts;
use crate::values::own_path::OwnPages;
use crate::values::return_to::{AllowedOrigins, OriginPattern};

pub use report::{Finding, Report, Severity};

use raw::{Findings, Table};

/// Everything that an operator set, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The client side: listeners and their limits.
    pub door: DoorSettings,
    /// What browsers type.
    pub public_url: Origin,
    /// Every accepted host: that of `public_url` first, then those of the routes, then `hosts`.
    pub hosts: OwnHosts,
    /// Whose `X-Forwarded-For` and `-Proto` are believed.
    pub trusted_proxies: TrustedProxies,
    /// The routes, in the order of the file.
    pub routes: Vec<RouteSettings>,
    /// How long applications may take.
    pub upstream: UpstreamTimeouts,
    /// How applications learn who is there.
    pub identity: IdentityHeaders,
    /// Lifetimes and numbers of sessions.
    pub session: SessionSettings,
    /// How the session cookie is named and sent.
    pub cookie: SessionCookie,
    /// The users' file; it may not be there yet.
    pub users: PathBuf,
    /// The addresses that the gateway answers itself.
    pub pages: OwnPages,
    /// The sign-in.
    pub login: LoginSettings,
    /// The sign-out.
    pub logout: LogoutSettings,
    /// How the access log is written.
    pub log: LogSettings,
}

/// Where a configuration is looked for when none is named.
pub const DEFAULT_FILES: [&str; 2] = ["./config.toml", "/etc/exeunt/config.toml"];

/// The first default file that is there.
pub fn find() -> Option<PathBuf> {
    DEFAULT_FILES.iter().map(PathBuf::from).find(|path| path.exists())
}

/// Reads a configuration file. With the settings come the warnings.
///
/// # Errors
/// Everything that is wrong with it, or that it cannot be read.
pub fn load(path: &Path) -> Result<(Settings, Report), Report> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| {
        Report::unreadable(name.as_str(), format!("{name} cannot be read: {error}"), Vec::new())
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    parse(&name, &text, folder)
}

/// Reads a configuration from `text`, shown as `name`; relative paths start at `folder`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(name: &str, text: &str, folder: &Path) -> Result<(Settings, Report), Report> {
    let (root, errors) = DeTable::parse_recoverable(text);
    // One slip makes a parser stumble many times: only the first place helps.
    if let Some(first) = errors.iter().min_by_key(|error| error.span().map(|span| span.start)) {
        return Err(Report::new(name, text, vec![syntax(first)]));
    }
    let findings = Findings::default();
    let settings = read(&Table::file(&root, &schema::FILE, &findings), folder);
    let (findings, secrets) = findings.into_parts();
    let report = Report::new(name, mask(text, &secrets), findings);
    match settings {
        Some(settings) if !report.has_problems() => Ok((settings, report)),
        _ => Err(report),
    }
}

fn syntax(error: &toml::de::Error) -> Finding {
    Finding {
        severity: Severity::Problem,
        key: String::new(),
        what: format!("this is no TOML: {}", error.message().replace('\n', ", ")),
        write: Vec::new(),
        span: error.span(),
        within: None,
    }
}

/// Reads every part, whatever the others found. `None` only with a problem among the findings.
fn read(file: &Table<'_>, folder: &Path) -> Option<Settings> {
    let limits = limits::read(file, door::listen(file, folder));
    let public_url = door::public_url(file);
    let further = door::hosts(file);
    let trusted_proxies = door::trusted_proxies(file);
    let routes = routes::read(file, routes::Around { folder, listen: &limits.door.listen });
    let identity = identity::read(file);
    let [session, login, logout] = [&schema::SESSION, &schema::LOGIN, &schema::LOGOUT]
        .map(|schema| file.table(schema.table, schema));
    let cookie = session::cookie(&session, public_url.as_ref());
    let session = session::read(&session);
    let users = login::users(&login, folder);
    // Without public_url the own hosts are not known, and what is compared with them is not judged.
    let of_routes = routes.iter().filter_map(|(_, route)| route.host.clone());
    let hosts = public_url.as_ref().map(|url| OwnHosts::new(url, of_routes.chain(further)));
    rules::refuse_twins(&routes, hosts.as_ref());
    let routes: Vec<RouteSettings> = routes.into_iter().map(|(_, route)| route).collect();
    let own: Option<Vec<OriginPattern>> =
        hosts.as_ref().map(|hosts| hosts.origins().map(OriginPattern::from).collect());
    let own_origins = own.clone().map(AllowedOrigins::new);
    let pages = own_pages::read(&login, &logout);
    let login = login::read(&login, own_origins.as_ref(), limits.login_body);
    let logout = logout::read(&logout, own.as_deref());
    let log = limits::log(file);
    let (public_url, hosts, pages, login) = (public_url?, hosts?, pages?, login?);
    let next = rules::Next { login: &login.next, logout: logout.next.as_ref() };
    rules::check(file, rules::Parts { hosts: &hosts, proxies: &trusted_proxies, routes: &routes, pages: &pages, next });
    let limits::Limits { door, upstream, .. } = limits;
    Some(Settings {
        door,
        public_url,
        hosts,
        trusted_proxies,
        routes,
        upstream,
        identity,
        session,
        cookie: cookie?,
        users: users?,
        pages,
        login,
        logout,
        log,
    })
}
