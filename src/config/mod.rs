//! Reads one TOML file: the result is the settings of every module, or a report of all problems.
//!
//! Reading does not stop at the first problem: [`raw`] keeps the location of every value, each table has a reader for
//! the settings of one module, [`rules`] checks the tables against each other, and the [`Report`] shows all findings in
//! the order of the file's lines. [`syntax`] explains files that are not valid TOML; [`machine`] makes the checks that
//! need the machine.

mod admin;
mod app_cookies;
mod app_logout;
mod audit;
mod changes;
mod duration;
mod encoding;
mod files;
mod groups;
mod headers;
mod hosts;
mod identity;
mod key_translations;
mod limits;
mod listening;
mod log;
mod login;
mod logout;
mod logout_links;
mod machine;
mod origins;
mod outline;
mod own_pages;
mod pages;
mod pass_headers;
mod patterns;
pub(crate) mod presets;
mod raw;
mod refusal;
mod report;
mod reserved_headers;
mod restart;
mod routes;
mod rules;
pub mod schema;
mod server;
mod service_user;
mod session;
mod state;
mod store;
mod suggestions;
mod syntax;
mod toml_values;
mod unknown;

use std::cell::LazyCell;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeTable;

use crate::admin::AdminSettings;
use crate::audit::{AuditSettings, LogSettings};
use crate::credentials::masking::mask;
use crate::credentials::user_file::Users;
use crate::gateway::GatewaySettings;
use crate::http1::cookie::SessionCookie;
use crate::proxy::listener::BindError;
use crate::proxy::settings::ServerSettings;
use crate::routes::upstream_trust::UpstreamTrust;
use crate::session::table::SessionSettings;
use crate::values::origin::Origin;
use crate::values::own_hosts::OwnHosts;
use crate::values::return_to::{AllowedOrigins, OriginPattern};
use crate::vault::rules::CookieLimits;

pub use changes::Version;
pub use machine::Machine;
pub use outline::Outline;
pub use refusal::ValueRefusal;
pub use report::{Finding, Report, Severity};
pub use restart::StartValues;
pub use service_user::ServiceUser;
pub(crate) use state::STATE_OF_THE_SERVICE;
pub use state::StateFolder;
pub use store::StoreChoice;

use limits::LimitSettings;
use raw::{Findings, RawTable};

/// A checked configuration: the settings of every module.
#[derive(Debug)]
pub struct Settings {
    /// The network side: listeners and their limits.
    pub server: ServerSettings,
    /// Routes, users and everything else that decides about requests.
    pub gateway: GatewaySettings,
    /// Lifetimes and maximum numbers of sessions.
    pub session: SessionSettings,
    /// The session store.
    pub store: StoreChoice,
    /// The log's format.
    pub log: LogSettings,
    /// Further receivers of events besides the log.
    pub audit: AuditSettings,
    /// The admin socket; `None` if it is disabled.
    pub admin: Option<AdminSettings>,
    /// The address of the listener for monitoring; `None` if it is disabled.
    pub monitoring: Option<SocketAddr>,
    /// The URL that users enter in the browser.
    pub public_url: Origin,
    /// The users' file; it may not exist yet.
    pub users_file: PathBuf,
    /// The state folder.
    pub state: StateFolder,
    /// The keys of the file, with hashes of their values.
    pub outline: Outline,
}

/// The default paths of the configuration, in order.
pub(crate) const DEFAULT_FILES: [&str; 2] = ["./config.toml", "/etc/exeunt/config.toml"];

/// The first default path that exists.
pub(crate) fn find() -> Option<PathBuf> {
    DEFAULT_FILES.iter().map(PathBuf::from).find(|path| path.exists())
}

/// Reads a configuration file. The report has the warnings.
///
/// # Errors
/// A report of all problems, or that the file cannot be read.
pub fn load(path: &Path) -> Result<(Settings, Report), Report> {
    load_with(path, None)
}

/// Reads the configuration again for a running program. Settings that need a restart keep their values of the start,
/// with a warning.
///
/// # Errors
/// A report of all problems. An invalid line of the users' file is a problem here: at a start it only keeps one user
/// out, but at a reload it would sign that user out.
pub(crate) fn load_again(path: &Path, start: &StartValues) -> Result<(Settings, Report), Report> {
    load_with(path, Some(start)).and_then(refuse_flaws)
}

fn refuse_flaws((settings, report): (Settings, Report)) -> Result<(Settings, Report), Report> {
    if report.has_flaws() { Err(report) } else { Ok((settings, report)) }
}

fn load_with(path: &Path, start: Option<&StartValues>) -> Result<(Settings, Report), Report> {
    let name = path.display().to_string();
    let (text, path) = read_file(&name, path)?;
    parse_on(ReadPurpose { start, ..ReadPurpose::default() }, &name, &text, &path)
}

/// The purpose for which a configuration is read.
#[derive(Clone, Copy, Debug, Default)]
struct ReadPurpose<'a> {
    /// For `check`, with these further checks.
    look: Option<&'a CheckOptions>,
    /// For a reload of a program that was started with these values.
    start: Option<&'a StartValues>,
    /// With this store in place of the configured one.
    store: Option<&'a StoreChoice>,
}

/// Reads a configuration file for a command about another store than the configured one, with the configured password
/// and other settings of stores.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_for_store(path: &Path, store: &StoreChoice) -> Result<(Settings, Report), Report> {
    let name = path.display().to_string();
    let (text, path) = read_file(&name, path)?;
    parse_on(ReadPurpose { store: Some(store), ..ReadPurpose::default() }, &name, &text, &path)
}

/// The checks of `check` besides the file itself.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// The system that the gateway is to run on.
    pub machine: Machine,
    /// The version that the configuration was written for, if the changes since are to be noted.
    pub since: Option<Version>,
}

/// Reads a configuration file and makes the further checks. Nothing is changed.
///
/// # Errors
/// As [`load`]. Findings about the system are in the report beside the settings.
pub fn check(path: &Path, look: &CheckOptions) -> Result<(Settings, Report), Report> {
    let name = path.display().to_string();
    let (text, path) = read_file(&name, path)?;
    parse_on(ReadPurpose { look: Some(look), ..ReadPurpose::default() }, &name, &text, &path)
}

/// The text of a file and its absolute path, so that messages about files do not depend on the current folder.
fn read_file(name: &str, path: &Path) -> Result<(String, PathBuf), Report> {
    let unreadable = |error| Report::unreadable(name, &error);
    let bytes = fs::read(path).map_err(unreadable)?;
    let text = encoding::decode(name, path, bytes)?;
    Ok((text, std::path::absolute(path).map_err(unreadable)?))
}

/// Reads a configuration from `text`; `name` is its name in reports, and relative paths start at `folder`.
///
/// # Errors
/// A report of all problems.
pub fn parse(name: &str, text: &str, folder: &Path) -> Result<(Settings, Report), Report> {
    parse_on(ReadPurpose::default(), name, text, &folder.join("config.toml"))
}

fn parse_on(purpose: ReadPurpose<'_>, name: &str, text: &str, path: &Path) -> Result<(Settings, Report), Report> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(Report::new(name, syntax::concealed(text), syntax::findings(text)));
    }
    let findings = Findings::default();
    let file = RawTable::file(&root, &schema::FILE, &findings);
    let mut settings = read(&file, path.parent().unwrap_or(Path::new("/")), purpose.store);
    if let Some(settings) = &mut settings {
        settings.outline = Outline::of(root.get_ref());
        if let Some(start) = purpose.start {
            start.keep(&file, settings);
        }
    }
    if let (Some(CheckOptions { machine, since }), Some(settings)) = (purpose.look, &settings) {
        machine.look(&file, settings, path);
        if let Some(since) = since {
            changes::note(&file, *since);
        }
    }
    let (findings, secrets) = findings.into_parts();
    let report = Report::new(name, mask(text, &secrets), findings);
    match settings {
        Some(settings) if !report.has_problems() => Ok((settings, report)),
        _ => Err(report),
    }
}

/// Reads a duration in the syntax of the configuration: "30s", "1h30m", "7d".
pub(crate) fn time(text: &str) -> Result<Duration, ValueRefusal> {
    duration::parse(text, &(Duration::ZERO..=Duration::MAX))
}

/// Explains a failed bind, with the line of the configuration at `path` and what to write.
pub(crate) fn not_listening(path: &Path, error: &BindError) -> Report {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).unwrap_or_default();
    let (root, _) = DeTable::parse_recoverable(&text);
    let folder = std::path::absolute(path).ok();
    let folder = folder.as_deref().and_then(Path::parent).unwrap_or(Path::new("/"));
    let findings = Findings::default();
    let file = RawTable::unjudged(&root, &findings);
    let items = file.item("listen").map(|item| item.one_or_list()).unwrap_or_default();
    let meant = items.iter().find(|item| {
        let address = item.peek().and_then(|text| server::address(text, folder).ok());
        address.as_ref() == Some(&error.address)
    });
    let place = meant.map_or_else(|| file.location_of_missing("listen"), |item| item.location.clone());
    place.problem(listening::refused(&error.address, &error.cause));
    let (findings, _) = findings.into_parts();
    Report::new(name, syntax::concealed(&text), findings)
}

/// Reads every table, even after problems. `None` only with a problem among the findings.
fn read(file: &RawTable<'_>, folder: &Path, store: Option<&StoreChoice>) -> Option<Settings> {
    let limits = limits::read(file, server::listen(file, folder), server::trusted_proxies(file));
    let public_url = server::public_url(file);
    let session = file.table("session", &schema::SESSION);
    let log = log::read(file);
    let audit = audit::read(file, folder);
    let admin = admin::read(file, folder);
    let monitoring = admin::monitoring(file, folder);
    let state = state::read(file, folder);
    let cookie = session::cookie(&session, public_url.as_ref());
    let cookie_limits = app_cookies::limits(&session);
    let store = store::read(&session, folder, store);
    let share = session.item("share").and_then(|item| item.switch()).unwrap_or(true);
    let session = session::read(&session);
    let socket = admin.as_ref().map(|admin| admin.path.as_path());
    let (users_file, gateway) = gateway(file, folder, &limits, public_url.as_ref(), cookie, socket).unzip();
    let gateway = gateway.map(|gateway| GatewaySettings { cookies: cookie_limits, share, ..gateway });
    if let Some(gateway) = &gateway {
        hosts::check(file, gateway);
    }
    Some(Settings {
        server: limits.server,
        gateway: gateway?,
        session,
        store,
        log,
        audit,
        admin,
        monitoring,
        public_url: public_url?,
        users_file: users_file?,
        state,
        outline: Outline::default(),
    })
}

/// Reads the settings that decide about requests. Without a valid `public_url` the served hosts are unknown, and checks
/// against them are skipped.
fn gateway(
    file: &RawTable<'_>,
    folder: &Path,
    limits: &LimitSettings,
    public_url: Option<&Origin>,
    cookie: Option<SessionCookie>,
    admin: Option<&Path>,
) -> Option<(PathBuf, GatewaySettings)> {
    let (further, identity) = (server::hosts(file), identity::read(file));
    let machine = LazyCell::new(UpstreamTrust::platform as fn() -> _);
    let around = routes::RouteContext { folder, limits, public_url, admin, identity: &identity, machine: &machine };
    let routes = routes::read(file, around);
    let of_routes = routes.iter().filter_map(|(_, route)| route.host.clone());
    let hosts = public_url.map(|url| OwnHosts::new(url, of_routes.chain(further)));
    rules::refuse_duplicates(&routes, hosts.as_ref());
    rules::refuse_loops(&routes, hosts.as_ref(), &limits.server.listen);
    let [login, logout] = [&schema::LOGIN, &schema::LOGOUT].map(|schema| file.table(schema.table, schema));
    let users = login::users(&login, folder).inspect(|(of, users)| groups::check(file, users, &of.path));
    let own_pages = own_pages::read(&login, &logout);
    rules::refuse_hidden(&routes, own_pages.as_ref());
    let [brand, theme] = [&schema::BRAND, &schema::PAGES].map(|schema| file.table(schema.table, schema));
    let pages = pages::read(&brand, &theme, folder);
    let own: Option<Vec<_>> = hosts.as_ref().map(|hosts| hosts.origins().map(OriginPattern::from).collect());
    let (users_file, users) = users.unzip();
    let login = login::read(&login, own.clone().map(AllowedOrigins::new).as_ref(), limits, users_file.clone());
    let logout = logout::read(&logout, own.as_deref());
    let settings = GatewaySettings {
        hosts: hosts?,
        trusted: limits.server.trusted.clone(),
        own_pages: own_pages?,
        cookie: cookie?,
        share: true,
        identity,
        routes: routes.into_iter().map(|(_, route)| route).collect(),
        users: Arc::new(users.unwrap_or_else(Users::none)),
        login: login?,
        logout,
        pages: pages?,
        requests_per_session: limits.requests_per_session,
        cookies: CookieLimits::default(),
    };
    rules::check(file, &settings);
    Some((users_file?.path, settings))
}
