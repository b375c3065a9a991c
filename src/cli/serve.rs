//! `exeunt serve`: from a configuration to a running gateway, and to its end.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::admin::{AdminSettings, AdminSocket};
use crate::audit::{Format, Log, LogSettings};
use crate::config::{self, Settings};
use crate::credentials::hashing::{self, PasswordChecker};
use crate::gateway::{Assembled, Gateway, GatewaySettings};
use crate::logout::run::Pipeline;
use crate::proxy::listener::{self, BindError, Listener};
use crate::proxy::settings::ServerSettings;
use crate::proxy::{Proxy, Server, Signals};
use crate::routes::resolver::Upstreams;
use crate::sample::Sample;
use crate::session::table::SessionTable;
use crate::values::mac::MacKeys;
use crate::values::time::Clock;
use crate::values::upstream_address::UpstreamAddress;

use super::check::{self, Loaded};
use super::{Configuration, REFUSED_CONFIGURATION, keys, messages, open_files, service_manager};

/// Serves the configuration that is meant, until it is told to stop.
pub(super) fn command(which: &Configuration) -> ExitCode {
    let Ok(Loaded { path, settings, warnings }) = check::load(which) else {
        return ExitCode::from(REFUSED_CONFIGURATION);
    };
    let Some(log) = open_log(settings.log) else { return ExitCode::FAILURE };
    match log.format() {
        Format::Json => warnings.findings().iter().for_each(|found| tracing::warn!(key = found.key, "{}", found.what)),
        Format::Text | Format::Combined => check::show(&warnings),
    }
    let server = settings.server.clone();
    match keys::open(&settings.state) {
        Ok(keys) => until_stopped(&server, &log, serve(&path, settings, keys, log.clone())),
        Err(problem) => {
            fail(&log, &problem);
            ExitCode::from(REFUSED_CONFIGURATION)
        }
    }
}

/// The log, which the program's own messages are written to from now on as well.
pub(super) fn open_log(settings: LogSettings) -> Option<Log> {
    match Log::to_standard_error(settings, &Clock::system()) {
        Ok(log) => {
            messages::write_to(&log);
            Some(log)
        }
        Err(error) => {
            eprintln!("error: no thread for the log: {error}");
            None
        }
    }
}

/// Runs a service on the runtime that the server's settings name, and says why it failed if it did.
pub(super) fn until_stopped(
    server: &ServerSettings,
    log: &Log,
    service: impl Future<Output = Result<(), String>>,
) -> ExitCode {
    let served = server.runtime().map_err(|error| format!("no threads: {error}"));
    match served.and_then(|runtime| runtime.block_on(service)) {
        Ok(()) => {
            log.flush(LAST_LINES);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            fail(log, &problem);
            ExitCode::FAILURE
        }
    }
}

/// Says why the program ends.
fn fail(log: &Log, problem: &str) {
    match log.format() {
        Format::Json => tracing::error!("{problem}"),
        Format::Text | Format::Combined => eprintln!("error: {problem}"),
    }
    log.flush(LAST_LINES);
}

/// How long the last lines may take, where the reader of the log has stopped.
const LAST_LINES: Duration = Duration::from_secs(1);

async fn serve(path: &Path, settings: Settings, keys: MacKeys, log: Log) -> Result<(), String> {
    open_files::raise_limit(settings.server.connections);
    let signals = Signals::install().map_err(|error| format!("signals cannot be taken over: {error}"))?;
    let listeners = listener::bind(&settings.server.listen).map_err(|error| not_listening(&log, path, &error))?;
    run(settings, keys, log, listeners, signals).await
}

/// Why the gateway cannot listen: people are shown the line of the configuration at `path` first.
fn not_listening(log: &Log, path: &Path, error: &BindError) -> String {
    let report = config::not_listening(path, error);
    match log.format() {
        Format::Json => {
            report.findings().iter().map(|found| format!("{}: {}", found.what, found.write.join("; "))).collect()
        }
        Format::Text | Format::Combined => {
            check::show(&report);
            error.to_string()
        }
    }
}

/// Runs with these listeners, in place of those that the settings name, until the server is closed.
pub(super) async fn run(
    settings: Settings,
    keys: MacKeys,
    log: Log,
    listeners: Vec<Listener>,
    signals: Signals,
) -> Result<(), String> {
    let Settings { server, gateway, session, public_url, admin, .. } = settings;
    let clock = Clock::system();
    let hosts = gateway.hosts.list();
    let upstreams = Upstreams::new(Handle::current());
    let sample = start_sample(&gateway, &upstreams).await?;
    let gateway = Arc::new(Gateway::new(
        Assembled::new(gateway, Arc::new(keys), &upstreams, &clock).map_err(|error| error.to_string())?,
        PasswordChecker::new(hashing::HashingSettings::default()).map_err(|error| format!("no threads: {error}"))?,
        Pipeline { sessions: Arc::new(SessionTable::new(session, None)), log, clock: clock.clone() },
    ));
    let proxy = Proxy::new(Arc::clone(&gateway), &server, clock.clone());
    let server = Server::open(server, listeners, proxy, clock);
    for address in server.addresses() {
        tracing::info!(%address, %public_url, hosts, "listening");
    }
    let upkeep = tokio::spawn(Arc::clone(&gateway).keep_up());
    tokio::select! {
        () = async {
            tokio::join!(signals.run(&server, say_no_reload), service_manager::keep_informed(&server));
        } => {}
        () = answer_operators(admin, gateway, &server) => {}
    }
    upkeep.abort();
    drop(sample);
    Ok(())
}

/// Answers at the admin socket for ever. A gateway without one serves people all the same.
async fn answer_operators(settings: Option<AdminSettings>, gateway: Arc<Gateway>, server: &Server) {
    if let Some(settings) = settings {
        match AdminSocket::bind(&settings) {
            Ok(socket) => socket.serve(gateway, server.stopping()).await,
            Err(error) => {
                tracing::error!(path = %settings.path.display(), %error, "no admin socket; see [admin] listen")
            }
        }
    }
    std::future::pending().await
}

/// Starts the built-in application if a route leads to it.
async fn start_sample(settings: &GatewaySettings, upstreams: &Upstreams) -> Result<Option<Sample>, String> {
    if !settings.routes.iter().any(|route| route.upstreams.contains(&UpstreamAddress::Sample)) {
        return Ok(None);
    }
    let sample = Sample::start().await.map_err(|error| format!("the sample application cannot start: {error}"))?;
    upstreams.sample_listens_at(sample.address());
    Ok(Some(sample))
}

fn say_no_reload() {
    tracing::warn!("SIGHUP: this version reads its configuration only at the start; restart it to apply changes");
}
