//! `exeunt demo`: the gateway with the sample application behind it, on loopback, with nothing to configure.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use tempfile::NamedTempFile;
use thiserror::Error;

use crate::audit::{self, Format, Log};
use crate::config::{self, Report, Settings};
use crate::credentials::password::{self, Password};
use crate::proxy::listener::{self, BindError, Listener};
use crate::proxy::{self, Signals};
use crate::values::listen_address::ListenAddress;

use super::keys::KeysError;
use super::serve::ServeError;
use super::stores::{OpenStore, OpenStoreError};
use super::{keys, serve};

/// The account of the demo. It is always the same, so that copied commands keep working. It protects only the sample
/// application, which is reachable from this machine only.
const USER: &str = "alice";
/// A second user, to try out another user in the same browser.
const OTHER: &str = "bob";
const PASSWORD: &str = "wonderland";

/// The ports that are tried, in this order.
const PORTS: std::ops::RangeInclusive<u16> = 8080..=8099;

/// The arguments of `exeunt demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where to listen; loopback only [default: port 8080 of localhost, or the next free one]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = loopback)]
    listen: Option<SocketAddr>,
}

/// Why the demo does not listen at an address.
#[derive(Debug, Error)]
enum LoopbackError {
    /// It is not an address with a port.
    #[error("write an address and a port: 127.0.0.1:8080")]
    Malformed,
    /// Other machines can reach it.
    #[error("the demo only listens on loopback: 127.0.0.1:8080")]
    Exposed,
}

/// Refuses other addresses than loopback: the account is public, so the demo must not be reachable from other machines.
fn loopback(text: &str) -> Result<SocketAddr, LoopbackError> {
    let address: SocketAddr = text.parse().map_err(|_| LoopbackError::Malformed)?;
    address.ip().is_loopback().then_some(address).ok_or(LoopbackError::Exposed)
}

/// Why the demo does not run.
#[derive(Debug, Error)]
enum DemoError {
    #[error("cannot install the signal handlers: {0}")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Listen(#[from] BindError),
    /// Only unix sockets.
    #[error("no address to listen on")]
    NoAddress,
    #[error("the demo account cannot be created: {0}")]
    Account(#[source] io::Error),
    #[error("{}", .0.render(false))]
    Configuration(Report),
    #[error("standard output: {0}")]
    Output(#[source] io::Error),
    #[error("no temporary folder: {0}")]
    Folder(#[source] io::Error),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Runs the demo until it is stopped.
pub(super) fn command(demo: &Demo) -> ExitCode {
    let settings = audit::LogSettings { format: Format::Text, access: true };
    let Some(log) = serve::open_log(settings) else { return ExitCode::FAILURE };
    serve::until_stopped(&proxy::settings::ServerSettings::default(), &log, run(demo, log.clone()))
}

async fn run(demo: &Demo, log: Log) -> Result<(), DemoError> {
    let signals = Signals::install().map_err(DemoError::Signals)?;
    let listeners = listen(demo.listen)?;
    let address = address_of(&listeners).ok_or(DemoError::NoAddress)?;
    let url = url_of(address);
    let settings = settings(&listeners, &url)?;
    if demo.listen.is_none() && address.port() != *PORTS.start() {
        print(&format!("Port {} is in use by another program: using port {}.\n\n", PORTS.start(), address.port()))?;
    }
    print(&welcome(&url))?;
    // The sessions are removed with the demo, like the account.
    let folder = tempfile::tempdir().map_err(DemoError::Folder)?;
    let kept = (keys::in_memory()?, Some(OpenStore::at(&folder.path().join("sessions.db"))?));
    Ok(serve::run(None, settings, kept, log, listeners, signals).await?)
}

fn listen(wanted: Option<SocketAddr>) -> Result<Vec<Listener>, BindError> {
    match wanted {
        Some(address) => listener::bind(&[ListenAddress::Tcp(address)]),
        None => first_free(PORTS),
    }
}

/// Listens on the first of these ports that is free; if none is, returns the error of the last.
fn first_free(ports: impl IntoIterator<Item = u16>) -> Result<Vec<Listener>, BindError> {
    let mut ports = ports.into_iter().peekable();
    loop {
        let bound = bind_localhost(ports.next().unwrap_or_default());
        let taken = bound.as_ref().is_err_and(|error| error.cause.kind() == io::ErrorKind::AddrInUse);
        if !taken || ports.peek().is_none() {
            return bound;
        }
    }
}

/// Both addresses that `localhost` may resolve to: if only one were bound, another program could answer on the other.
fn bind_localhost(port: u16) -> Result<Vec<Listener>, BindError> {
    let [four, six] = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)]
        .map(|address| ListenAddress::Tcp(SocketAddr::new(address, port)));
    match listener::bind(&[four.clone(), six.clone()]) {
        // IPv6 is not available.
        Err(error) if error.address == six && error.cause.kind() != io::ErrorKind::AddrInUse => listener::bind(&[four]),
        bound => bound,
    }
}

fn address_of(listeners: &[Listener]) -> Option<SocketAddr> {
    listeners.iter().find_map(|listener| match listener.address() {
        ListenAddress::Tcp(address) => Some(*address),
        ListenAddress::Unix(_) => None,
    })
}

/// The URL for browsers.
fn url_of(address: SocketAddr) -> String {
    if address.ip() == IpAddr::from(Ipv4Addr::LOCALHOST) {
        format!("http://localhost:{}", address.port())
    } else {
        format!("http://{address}")
    }
}

/// The demo's configuration, read like any other.
fn settings(listeners: &[Listener], url: &str) -> Result<Settings, DemoError> {
    let users = users_file().map_err(DemoError::Account)?;
    let listen = listeners.iter().map(|listener| toml::Value::from(listener.address().to_string())).collect();
    let path = toml::Value::from(users.path().to_string_lossy().into_owned());
    let text = CONFIGURATION
        .replace("{listen}", &toml::Value::Array(listen).to_string())
        .replace("{url}", url)
        .replace("{users}", &path.to_string());
    let read = config::parse("the demo's configuration", &text, Path::new(""));
    read.map(|(settings, _)| settings).map_err(DemoError::Configuration)
}

const CONFIGURATION: &str = "\
listen = {listen}
public_url = \"{url}\"

[[route]]
path = \"/\"
upstream = \"demo\"

[[route]]
path = \"/public\"
access = \"public\"
upstream = \"demo\"

[admin]
listen = \"\"

[login]
users = {users}
";

/// A users' file with the demo accounts, removed when dropped.
fn users_file() -> io::Result<NamedTempFile> {
    let password = Password::new(PASSWORD.to_owned()).map_err(|problem| io::Error::other(problem.to_string()))?;
    let hash = password::hash(&password).map_err(|_| io::Error::other("no hash of its password"))?;
    let mut file = NamedTempFile::new()?;
    for user in [USER, OTHER] {
        writeln!(file, "[users.{user}]\npassword = \"{hash}\"\ngroups = [\"staff\"]")?;
    }
    Ok(file)
}

fn print(text: &str) -> Result<(), DemoError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(DemoError::Output)
}

/// The message at the start. A test runs every line that begins with `curl`.
fn welcome(url: &str) -> String {
    WELCOME.replace("{url}", url).replace("{user}", USER).replace("{password}", PASSWORD).replace("{other}", OTHER)
}

const WELCOME: &str = "\
Exeunt demo: a small shop behind the gateway, reachable from this machine only.

  Address   {url}
  Accounts  {user} and {other}, both with the password {password}

In a browser: sign in, fill the cart, open the live prices, and sign out in another window.
With curl, in another terminal:

  # Without a session: 401.
  curl -i {url}/

  # Sign in. The cookie is stored in the file jar.
  curl -i -c jar -d username={user} -d password={password} {url}/login

  # Who am I?
  curl -b jar {url}/.exeunt/session

  # The headers that the shop receives.
  curl -b jar {url}/headers.json

  # A client that claims to be root: the shop still sees {user}.
  curl -b jar -H 'X-Forwarded-User: root' {url}/headers.json

  # Live prices, as long as the session lasts ...
  curl -sN -b jar {url}/ticker/sse &

  # ... which ends now, and the stream with it.
  curl -X POST -b jar {url}/logout

  # The old cookie is still in the jar, but the session has ended: 401.
  curl -i -b jar {url}/

Ctrl-C stops the demo.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_only_listens_on_loopback() {
        for text in ["127.0.0.1:0", "127.9.9.9:80", "[::1]:8080"] {
            assert!(loopback(text).is_ok(), "{text}");
        }
        for text in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "[::ffff:192.0.2.1]:80", "localhost:80", "80", ""] {
            assert!(loopback(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_skipped() {
        let held = listen(Some("127.0.0.1:0".parse().unwrap())).unwrap();
        let taken = address_of(&held).unwrap().port();
        let found = first_free([taken, 0]).unwrap();
        assert_ne!(address_of(&found).unwrap().port(), taken);
        let error = first_free([taken]).unwrap_err();
        assert_eq!(error.cause.kind(), io::ErrorKind::AddrInUse);
        drop(held);
    }

    #[tokio::test]
    async fn its_configuration_is_valid() {
        let listeners = listen(Some("127.0.0.1:0".parse().unwrap())).unwrap();
        for url in ["http://localhost:8080", "http://[::1]:8080", "http://127.0.0.2:8080"] {
            let settings = settings(&listeners, url).unwrap();
            assert_eq!(settings.public_url.to_string(), url);
            assert_eq!(settings.gateway.users.count(), 2);
        }
    }
}
