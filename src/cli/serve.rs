//! `exeunt serve`: starts a gateway from a configuration, runs it, and stops it.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::admin::{AdminSettings, AdminSocket, Monitoring, Reload, ReloadRefused, ReloadReport};
use crate::audit::{Event, Format, Log, LogSettings, Operation};
use crate::config::{self, Report, Settings, StartValues};
use crate::gateway::Gateway;
use crate::proxy::inherited::Inherited;
use crate::proxy::listener::{self, BindError, Listener};
use crate::proxy::settings::ServerSettings;
use crate::proxy::{Server, Signals};
use crate::service::{Current, Environment, NotServed, Prepared, Reloader, Service, Sources};
use crate::session::store::sqlite::StoreProblem;
use crate::values::time::Clock;

use super::check::{self, Loaded};
use super::keys::{GatewayKeys, KeysError};
use super::stores::{OpenStore, OpenStoreError, StoreInUse};
use super::{Configuration, REFUSED_CONFIGURATION, keys, messages, open_files, service_manager, stores};

/// Why a configuration is not served.
#[derive(Debug, Error)]
pub(super) enum ServeError {
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    OpenStore(#[from] OpenStoreError),
    #[error("cannot install the signal handlers: {0}")]
    Signals(#[source] io::Error),
    #[error("the sockets that were handed over (LISTEN_FDS) cannot be used: {0}")]
    Inherited(#[source] io::Error),
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The same, with what to write, in one line.
    #[error("{}", on_one_line(.0))]
    ListenReport(Report),
    #[error(transparent)]
    Service(#[from] NotServed),
    /// The store failed while its sessions were loaded.
    #[error(transparent)]
    Store(#[from] StoreProblem),
    /// The working folder is not known.
    #[error(transparent)]
    Path(io::Error),
}

fn on_one_line(report: &Report) -> String {
    report.findings().iter().map(|found| format!("{}: {}", found.what, found.write.join("; "))).collect()
}

/// Serves the selected configuration until it is stopped.
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
    match open(&settings) {
        Ok((keys, store)) => until_stopped(&server, &log, serve(path, settings, (keys, store), log.clone())),
        Err(problem) => {
            fail(&log, &problem);
            ExitCode::from(REFUSED_CONFIGURATION)
        }
    }
}

/// What is kept from one start to the next.
fn open(settings: &Settings) -> Result<StartState, ServeError> {
    let keys = keys::open(&settings.state)?;
    let store = stores::open(&settings.store, &settings.state, &keys)?;
    Ok((keys, store))
}

/// Opens the log. The program's own messages are written to it as well.
pub(super) fn open_log(settings: LogSettings) -> Option<Log> {
    match Log::to_standard_error(settings, &Clock::system()) {
        Ok(log) => {
            messages::write_to(&log);
            Some(log)
        }
        Err(error) => {
            eprintln!("error: cannot create a thread for the log: {error}");
            None
        }
    }
}

/// Runs a service on a runtime with the server's settings, and reports why it failed if it did.
pub(super) fn until_stopped(
    server: &ServerSettings,
    log: &Log,
    service: impl Future<Output = Result<(), impl Display>>,
) -> ExitCode {
    match server.runtime().map(|runtime| runtime.block_on(service)) {
        Ok(Ok(())) => {
            log.flush(LAST_LINES);
            return ExitCode::SUCCESS;
        }
        Ok(Err(problem)) => fail(log, &problem),
        Err(error) => fail(log, &format_args!("cannot create threads: {error}")),
    }
    ExitCode::FAILURE
}

/// Reports why the program ends.
fn fail(log: &Log, problem: &dyn Display) {
    match log.format() {
        Format::Json => tracing::error!("{problem}"),
        Format::Text | Format::Combined => eprintln!("error: {problem}"),
    }
    log.flush(LAST_LINES);
}

/// Timeout for writing the last lines at the end, in case the reader of the log has stopped.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The state that is kept from one start to the next.
pub(super) type StartState = (GatewayKeys, Option<OpenStore>);

async fn serve(path: PathBuf, settings: Settings, kept: StartState, log: Log) -> Result<(), ServeError> {
    open_files::raise_limit(settings.server.connections);
    let signals = Signals::install().map_err(ServeError::Signals)?;
    let mut inherited = Inherited::from_environment().map_err(ServeError::Inherited)?;
    let listeners = listener::bind_or_take(&settings.server.listen, &mut inherited);
    let listeners = listeners.map_err(|error| not_listening(&log, &path, error))?;
    for place in inherited.left() {
        tracing::warn!(
            %place,
            "a handed-over socket is not in `listen`: no connections are accepted on it"
        );
    }
    run(Some(path), settings, kept, log, listeners, signals).await
}

/// Why the gateway cannot listen, with the line of the configuration at `path`.
fn not_listening(log: &Log, path: &Path, error: BindError) -> ServeError {
    let report = config::not_listening(path, &error);
    match log.format() {
        Format::Json => ServeError::ListenReport(report),
        Format::Text | Format::Combined => {
            check::show(&report);
            error.into()
        }
    }
}

/// Runs with these listeners, in place of those in the settings, until the server has stopped. A reload reads the file
/// at `path`; without it there is no reload.
pub(super) async fn run(
    path: Option<PathBuf>,
    settings: Settings,
    (GatewayKeys { keys, file }, store): StartState,
    log: Log,
    listeners: Vec<Listener>,
    signals: Signals,
) -> Result<(), ServeError> {
    let (admin, monitoring) = (settings.admin.clone(), settings.monitoring);
    let (public_url, hosts) = (settings.public_url.clone(), settings.gateway.hosts.list());
    let clock = Clock::system();
    let environment = Environment { log: log.clone(), clock: clock.clone(), keys, listeners };
    let started = (StartValues::of(&settings), Current::of(&settings));
    let (prepared, store) = prepare(settings, environment, store).await?;
    let upkeep = tokio::spawn(Arc::clone(&prepared.gateway).run_background_tasks());
    // Connections that came meanwhile wait: before that, every session would be refused.
    if let Some(store) = &store {
        store.ready().await;
    }
    let service = Arc::new(prepared.serve());
    // The working folder may change later.
    let absolute = |path: Option<PathBuf>| path.map(std::path::absolute).transpose().map_err(ServeError::Path);
    let (path, keys) = (absolute(path)?, absolute(file)?);
    let reload: Option<Arc<dyn Reload>> = path.map(|configuration| {
        let sources = Sources { configuration, keys };
        let reloader = Reloader::new(Arc::clone(&service), sources, started, log.clone(), clock.clone());
        Arc::new(ManagedReload(Arc::new(reloader))) as Arc<dyn Reload>
    });
    let Service { gateway, server, .. } = &*service;
    for address in server.addresses() {
        tracing::info!(%address, %public_url, hosts, "listening");
    }
    let about = Operation::Started { version: env!("CARGO_PKG_VERSION"), sessions: gateway.sessions().len() };
    log.event(clock.wall(), &Event::Operation(about));
    tokio::select! {
        () = async {
            tokio::join!(signals.run(server, || on_hangup(reload.as_ref())), service_manager::report_status(server));
        } => {}
        () = answer_operators(admin.zip(reload.clone()), Arc::clone(gateway), server) => {}
        () = answer_monitoring(monitoring, &service) => {}
    }
    upkeep.abort();
    gateway.save_all_uses().await;
    if let Some(store) = store {
        store.leave().await;
    }
    log.event(clock.wall(), &Event::Operation(Operation::Stopped));
    Ok(())
}

/// A service that does not serve yet, with the sessions of the store if there is one.
async fn prepare(
    settings: Settings,
    environment: Environment,
    store: Option<OpenStore>,
) -> Result<(Prepared, Option<StoreInUse>), ServeError> {
    let Some(store) = store else { return Ok((Service::prepare(settings, environment, None)?, None)) };
    let (store, pending) = store.connect(&environment.clock, &environment.keys).await?;
    match Service::prepare_over(settings, environment, (store.store(), pending)).await {
        Ok(prepared) => Ok((prepared, Some(store))),
        Err(error) => Err(match (error, store.last_problem()) {
            (NotServed::Sessions, Some(problem)) => problem.into(),
            (error, _) => error.into(),
        }),
    }
}

/// Serves the admin socket, forever. Without one the gateway still serves clients.
async fn answer_operators(admin: Option<(AdminSettings, Arc<dyn Reload>)>, gateway: Arc<Gateway>, server: &Server) {
    if let Some((settings, reload)) = admin {
        match AdminSocket::bind(&settings) {
            Ok(socket) => socket.serve(gateway, reload, server.stopping()).await,
            Err(error) => {
                tracing::error!(path = %settings.path.display(), %error, "cannot open the admin socket: see [admin]")
            }
        }
    }
    std::future::pending().await
}

/// Serves `[metrics]`, forever. Without it the gateway still serves clients.
async fn answer_monitoring(address: Option<SocketAddr>, service: &Arc<Service>) {
    if let Some(address) = address {
        match Monitoring::bind(address).await {
            Ok(monitoring) => {
                let of = Arc::clone(service);
                let open_connections = move || of.server.connections();
                monitoring.serve(Arc::clone(&service.gateway), open_connections, service.server.stopping()).await;
            }
            Err(error) => tracing::error!(%address, %error, "cannot listen for metrics; see [metrics] listen"),
        }
    }
    std::future::pending().await
}

/// Reloads at SIGHUP, and logs the result.
fn on_hangup(reload: Option<&Arc<dyn Reload>>) {
    match reload {
        Some(reload) => drop(tokio::spawn(Arc::clone(reload).reload())),
        None => tracing::warn!("SIGHUP is ignored: the gateway runs without a configuration file"),
    }
}

/// A reload that notifies the service manager.
#[derive(Debug)]
struct ManagedReload(Arc<Reloader>);

#[async_trait]
impl Reload for ManagedReload {
    async fn reload(self: Arc<Self>) -> Result<ReloadReport, ReloadRefused> {
        let reload = Arc::clone(&self.0) as Arc<dyn Reload>;
        // In its own task, so that it is completed even if the caller disconnects: a service manager that is not
        // notified of the end of a reload considers the service failed.
        let told = tokio::spawn(service_manager::while_reloading(reload.reload()));
        told.await.unwrap_or_else(|error| Err(ReloadRefused { report: format!("error: {error}\n") }))
    }
}
