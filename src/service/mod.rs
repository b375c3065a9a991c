//! Builds a running gateway from a configuration, for the program, tests, fuzz targets and benchmarks, and applies
//! another configuration at a reload.

mod reloader;

use std::io;
use std::sync::{Arc, OnceLock};

use thiserror::Error;
use tokio::runtime::Handle;

pub use self::reloader::{Current, NotReloaded, ReloadChanges, Reloader, Sources};
use crate::audit::{AuditProblem, Log};
use crate::config::Settings;
use crate::gateway::{BuildError, Gateway, GatewayParts, GatewaySettings, ReloadError, ReloadOutcome};
use crate::proxy::listener::Listener;
use crate::proxy::settings::ServerSettings;
use crate::proxy::{Proxy, Server};
use crate::routes::resolver::Upstreams;
use crate::sample::Sample;
use crate::session::pending::PendingEnds;
use crate::session::store::{SessionStore, Unavailable};
use crate::values::mac::{KeyChanges, MacKeys};
use crate::values::time::Clock;
use crate::values::upstream_address::UpstreamAddress;

/// The parts that a service needs besides its configuration, for its whole lifetime.
#[derive(Debug)]
pub struct Environment {
    /// The log.
    pub log: Log,
    /// The time.
    pub clock: Clock,
    /// The keys that sign what the gateway sends to browsers and reads back.
    pub keys: MacKeys,
    /// The listeners. The addresses in the settings are ignored.
    pub listeners: Vec<Listener>,
}

/// A running gateway. Dropping it stops it at once.
#[derive(Debug)]
pub struct Service {
    /// The sessions, and the rules for requests.
    pub gateway: Arc<Gateway>,
    /// The network side.
    pub server: Server,
    proxy: Arc<Proxy>,
    log: Log,
    clock: Clock,
    upstreams: Arc<Upstreams>,
    /// The built-in sample application; started by the first configuration with a route to it.
    sample: OnceLock<Sample>,
}

/// A service that does not accept requests yet.
#[derive(Debug)]
pub struct Prepared {
    /// The sessions, and the rules for requests.
    pub gateway: Arc<Gateway>,
    proxy: Arc<Proxy>,
    server: ServerSettings,
    listeners: Vec<Listener>,
    clock: Clock,
    log: Log,
    upstreams: Arc<Upstreams>,
    sample: OnceLock<Sample>,
}

impl Prepared {
    /// Accepts requests from now on.
    pub fn serve(self) -> Service {
        let Self { gateway, proxy, server, listeners, clock, log, upstreams, sample } = self;
        let server = Server::open(server, listeners, Arc::clone(&proxy), clock.clone());
        Service { gateway, server, proxy, log, clock, upstreams, sample }
    }
}

/// The result of applying another configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyOutcome {
    /// The number of sessions that it ended.
    pub sessions_ended: usize,
    /// The number of running requests and WebSockets that it cut.
    pub exchanges_cut: usize,
    /// The changes of the keys; `None` without changes.
    pub keys: Option<KeyChanges>,
}

/// Why a configuration cannot be served.
#[derive(Debug, Error)]
pub enum NotServed {
    /// No gateway can be built from it.
    #[error(transparent)]
    Gateway(#[from] BuildError),
    /// The running gateway cannot apply it.
    #[error(transparent)]
    Reload(#[from] ReloadError),
    /// The built-in application cannot start.
    #[error("the sample application cannot start: {0}")]
    Sample(#[source] io::Error),
    /// The sessions cannot be read from the store.
    #[error("the session store cannot be read")]
    Sessions,
    /// Events cannot be sent to the configured receiver.
    #[error(transparent)]
    Audit(#[from] AuditProblem),
}

impl Service {
    /// Starts a gateway with a configuration; to be called within a tokio runtime. The settings of threads, the admin
    /// socket and the state folder are used elsewhere.
    ///
    /// # Errors
    /// [`NotServed`]
    pub fn start(settings: Settings, environment: Environment) -> Result<Self, NotServed> {
        Self::prepare(settings, environment, None).map(Prepared::serve)
    }

    /// Like [`Service::start`], with the sessions of this store and the pending ends, which are both loaded before the
    /// first request.
    ///
    /// # Errors
    /// [`NotServed`]
    pub async fn start_over(
        settings: Settings,
        environment: Environment,
        store: (Arc<dyn SessionStore>, PendingEnds),
    ) -> Result<Self, NotServed> {
        Self::prepare_over(settings, environment, store).await.map(Prepared::serve)
    }

    /// The same without accepting requests yet: a table that follows the events of a shared store has to do so first.
    ///
    /// # Errors
    /// [`NotServed`]
    pub async fn prepare_over(
        settings: Settings,
        environment: Environment,
        (store, pending): (Arc<dyn SessionStore>, PendingEnds),
    ) -> Result<Prepared, NotServed> {
        let prepared = Self::prepare(settings, environment, Some(store))?;
        let sessions = prepared.gateway.load_sessions(pending).await.map_err(|Unavailable| NotServed::Sessions)?;
        tracing::info!(sessions, "sessions loaded from the store");
        Ok(prepared)
    }

    /// A gateway with this configuration and store, which serves nothing yet.
    ///
    /// # Errors
    /// [`NotServed`]
    pub fn prepare(
        settings: Settings,
        environment: Environment,
        store: Option<Arc<dyn SessionStore>>,
    ) -> Result<Prepared, NotServed> {
        let Environment { log, clock, keys, listeners } = environment;
        let Settings { server, gateway, session, audit, .. } = settings;
        log.set_targets(log.open_targets(&audit, &clock).map_err(NotServed::Audit)?);
        let upstreams = Arc::new(Upstreams::new(Handle::current()));
        let sample = OnceLock::new();
        start_sample(&sample, &gateway, &upstreams).map_err(NotServed::Sample)?;
        let keys = Arc::new(keys);
        let parts =
            GatewayParts { log: log.clone(), clock: clock.clone(), keys, store, upstreams: Arc::clone(&upstreams) };
        let gateway = Arc::new(Gateway::new(gateway, session, parts).map_err(NotServed::Gateway)?);
        let proxy = Proxy::new(Arc::clone(&gateway), &server, clock.clone());
        Ok(Prepared { gateway, proxy, server, listeners, clock, log, upstreams, sample })
    }

    /// Blocks changes of passwords until the guard is dropped.
    pub(crate) async fn hold_users(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.gateway.hold_users().await
    }

    /// Applies another configuration: its rules, users, limits and log settings. Running exchanges go on with the one
    /// that they began with, unless the new one refuses them: then they are cut. Sessions, counts of wrong passwords,
    /// and connections to upstreams that are still used are kept. Without `keys` the current ones stay. Only one caller
    /// at a time.
    ///
    /// # Errors
    /// [`NotServed`]; then nothing has changed.
    pub async fn apply(&self, settings: Settings, keys: Option<MacKeys>) -> Result<ApplyOutcome, NotServed> {
        start_sample(&self.sample, &settings.gateway, &self.upstreams).map_err(NotServed::Sample)?;
        let Settings { server, gateway, session, log, audit, .. } = settings;
        let targets = self.log.open_targets(&audit, &self.clock).map_err(NotServed::Audit)?;
        let refused_before = self.gateway.refused_again();
        let reloaded = self.gateway.reload(gateway, session, keys).await;
        let ReloadOutcome { ended, generation, keys } = reloaded.map_err(NotServed::Reload)?;
        self.log.set(log);
        self.log.set_targets(targets);
        self.proxy.set(&server);
        self.server.set(server);
        self.server.judge_again(generation).await;
        let exchanges_cut = self.gateway.refused_again() - refused_before;
        Ok(ApplyOutcome { sessions_ended: ended, exchanges_cut, keys })
    }
}

/// Starts the built-in application if the configuration has a route to it, before the route is made.
fn start_sample(sample: &OnceLock<Sample>, settings: &GatewaySettings, upstreams: &Upstreams) -> io::Result<()> {
    let leads_there = settings.routes.iter().any(|route| route.upstreams.contains(&UpstreamAddress::Sample));
    if leads_there && sample.get().is_none() {
        let started = Sample::start()?;
        upstreams.sample_listens_at(started.address());
        sample.get_or_init(|| started);
    }
    Ok(())
}
