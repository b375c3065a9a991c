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
mod paths;
mod raw;
mod report;
mod routes;
mod rules;
pub mod schema;
mod session;
pub mod shapes;

use std::fs;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::proxy::settings::Settings as DoorSettings;
use crate::values::origin::{Host, Origin};
use crate::values::return_to::{AllowedOrigins, OriginPattern};

pub use report::{Finding, Report, Severity};

use raw::{Findings, Table};
use shapes::{IdentitySettings, LogFormat, LoginSettings, LogoutSettings, RouteSettings, SessionSettings, TrustedProxy, UpstreamTimeouts};

/// Everything that an operator set, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The client side: listeners and their limits.
    pub door: DoorSettings,
    /// What browsers type.
    pub public_url: Origin,
    /// Every accepted host: that of `public_url` first, then those of the routes, then `hosts`.
    pub own_hosts: Vec<Host>,
    /// Whose `X-Forwarded-For` and `-Proto` are believed.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// The routes, in the order of the file.
    pub routes: Vec<RouteSettings>,
    /// How long applications may take.
    pub upstream: UpstreamTimeouts,
    /// How applications learn who is there.
    pub identity: IdentitySettings,
    /// Lifetimes and the cookie.
    pub session: SessionSettings,
    /// The sign-in.
    pub login: LoginSettings,
    /// The sign-out.
    pub logout: LogoutSettings,
    /// How the access log is written.
    pub log: LogFormat,
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
    if !errors.is_empty() {
        return Err(Report::new(name, text, errors.iter().map(syntax).collect()));
    }
    let findings = Findings::default();
    let settings = read(&Table::file(&root, &schema::FILE, &findings), folder);
    let report = Report::new(name, text, findings.into_vec());
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
    }
}

/// Reads every part, whatever the others found. `None` only with a problem among the findings.
fn read(file: &Table<'_>, folder: &Path) -> Option<Settings> {
    let limits = limits::read(file, door::listen(file, folder));
    let public_url = door::public_url(file);
    let hosts = door::hosts(file);
    let trusted_proxies = door::trusted_proxies(file);
    let routes = routes::read(file, routes::Around { folder, listen: &limits.door.listen });
    let own_hosts = own_hosts(public_url.as_ref(), &routes, &hosts);
    let own = own_origins(public_url.as_ref(), &own_hosts);
    let identity = identity::read(file);
    let session = session::read(file, public_url.as_ref());
    let login = login::read(file, folder, &AllowedOrigins::new(own.clone()), limits.login_body);
    let logout = logout::read(file, &own);
    let log = limits::log(file);
    let public_url = public_url?;
    rules::check(
        file,
        rules::Parts {
            public_url: &public_url,
            own_hosts: &own_hosts,
            routes: &routes,
            login: &login,
            logout: &logout,
        },
    );
    let limits::Limits { door, upstream, .. } = limits;
    Some(Settings {
        door,
        public_url,
        own_hosts,
        trusted_proxies,
        routes,
        upstream,
        identity,
        session,
        login,
        logout,
        log,
    })
}

fn own_hosts(public_url: Option<&Origin>, routes: &[RouteSettings], further: &[Host]) -> Vec<Host> {
    let of_routes = routes.iter().filter_map(|route| route.host.as_ref());
    let all = public_url.map(|url| &url.host).into_iter().chain(of_routes).chain(further);
    let mut hosts: Vec<Host> = Vec::new();
    for host in all {
        if !hosts.contains(host) {
            hosts.push(host.clone());
        }
    }
    hosts
}

/// The origins of the own hosts as browsers see them: all under the scheme and port of `public_url`.
fn own_origins(public_url: Option<&Origin>, hosts: &[Host]) -> Vec<OriginPattern> {
    let origins = public_url.into_iter().flat_map(|url| {
        hosts.iter().map(|host| Origin { scheme: url.scheme, host: host.clone(), port: url.port })
    });
    origins.map(OriginPattern::from).collect()
}
