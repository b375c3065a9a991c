//! The connections to the server: one that all calls share and that is opened again when it fails, and one for waiting
//! until the replicas have confirmed writes.
//!
//! Calls go only to the server whose events are followed: after a failover the old primary may still answer, with
//! outdated data.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, RedisError, RedisResult, Script, ScriptInvocation, cmd};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::peers::Heartbeats;
use super::topology::{RedisTopology, problem};
use super::{EVENTS, NotConnected, PREFIX};
use crate::session::store::Unavailable;

/// The timeout for opening a connection.
const CONNECTING: Duration = Duration::from_secs(1);
/// The timeout for an answer: shorter than that of the callers, so that the next call gets a new connection.
const ANSWERING: Duration = Duration::from_millis(1500);
/// The timeout for the confirmation of a write by the replicas, in milliseconds.
const CONFIRMING: u64 = 1000;

/// Identifies a run of a server (`run_id`) and the history of its data (`master_replid`).
pub(super) type ServerIdentity = Arc<str>;

/// A script, and whether its calls succeed only if the replicas have confirmed the writes.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) script: Script,
    pub(super) is_confirmed: bool,
}

impl Code {
    /// A script with the common beginning before `text`.
    pub(super) fn new(text: &str, is_confirmed: bool) -> Self {
        Self { script: Script::new(&[include_str!("common.lua"), text].concat()), is_confirmed }
    }
}

/// A connection, and the identity of its server.
#[derive(Clone)]
struct RedisConnection {
    server: ServerIdentity,
    redis: MultiplexedConnection,
}

/// The location of the server, and the connections to it.
pub(super) struct Link {
    place: RedisTopology,
    /// The number of replicas that have to confirm writes.
    replicas: u32,
    confirm: Script,
    /// The server whose events are followed.
    leader: parking_lot::Mutex<Option<ServerIdentity>>,
    /// The shared connection and its number: a call that fails does not close one that was opened after its own.
    current: Mutex<(u64, Option<RedisConnection>)>,
    /// The connection on which one call at a time waits for the replicas, for all calls that have written before.
    waiting: Mutex<Option<RedisConnection>>,
    /// The number of calls that wait or have waited for the replicas, and up to which of them the replicas have
    /// confirmed.
    asked: AtomicU64,
    done: AtomicU64,
    /// Whether the last call failed, so that only changes are logged.
    fails: AtomicBool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("fails", &self.fails).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(place: RedisTopology, replicas: u32) -> Self {
        Self {
            place,
            replicas,
            confirm: Code::new(include_str!("confirm.lua"), false).script,
            leader: parking_lot::Mutex::default(),
            current: Mutex::default(),
            waiting: Mutex::default(),
            asked: AtomicU64::default(),
            done: AtomicU64::default(),
            fails: AtomicBool::default(),
        }
    }

    /// The number of replicas that have to confirm writes.
    pub(super) fn replicas(&self) -> u32 {
        self.replicas
    }

    /// Opens a separate connection for blocking calls, to a server that is the primary of enough replicas.
    pub(super) async fn dedicated(&self) -> RedisResult<(ServerIdentity, MultiplexedConnection)> {
        let RedisConnection { server, mut redis } = self.connect(None).await?;
        self.replicated(&mut redis).await?;
        Ok((server, redis))
    }

    /// Connects to the server for the first time.
    ///
    /// # Errors
    /// The server cannot be reached, its certificate is not trusted, or it has too few replicas.
    pub(super) async fn begin(&self) -> Result<(), NotConnected> {
        let first = self.connect(Some(ANSWERING)).await;
        let is_untrusted = first.as_ref().is_err_and(is_untrusted);
        let Ok(RedisConnection { server, mut redis }) = self.log_state(first) else {
            return Err(if is_untrusted { NotConnected::Untrusted } else { NotConnected::Unavailable });
        };
        self.log_state(self.replicated(&mut redis).await).map_err(|Unavailable| NotConnected::TooFewReplicas)?;
        self.set_server(&server).await;
        Ok(())
    }

    /// Whether this is the server that calls go to.
    pub(super) fn is_current_server(&self, server: &ServerIdentity) -> bool {
        self.leader.lock().as_ref() == Some(server)
    }

    pub(super) fn server(&self) -> Option<ServerIdentity> {
        self.leader.lock().clone()
    }

    /// Directs all further calls to this server.
    pub(super) async fn set_server(&self, server: &ServerIdentity) {
        *self.leader.lock() = Some(Arc::clone(server));
        let mut current = self.current.lock().await;
        if current.1.as_ref().is_some_and(|connection| connection.server != *server) {
            current.1 = None;
        }
    }

    async fn connect(&self, answering: Option<Duration>) -> RedisResult<RedisConnection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECTING)).set_response_timeout(answering);
        // The timeout includes the commands after connecting: authentication, and the selection of the database.
        let connecting = async {
            let mut redis = self.place.connect(&config).await?;
            Ok(RedisConnection { server: identity(&mut redis).await?, redis })
        };
        timeout(CONNECTING, connecting).await.unwrap_or_else(|_| Err(timed_out()))
    }

    /// Runs a script.
    pub(super) async fn call<T: FromRedisValue>(
        &self,
        code: &Code,
        arguments: impl FnOnce(&mut ScriptInvocation<'_>),
    ) -> Result<T, Unavailable> {
        self.call_confirmed(code, arguments, |_| code.is_confirmed).await
    }

    /// Runs a script. If `needs_replicas` says so of the answer, the call succeeds only if enough replicas confirm it.
    pub(super) async fn call_confirmed<T: FromRedisValue>(
        &self,
        code: &Code,
        arguments: impl FnOnce(&mut ScriptInvocation<'_>),
        needs_replicas: impl FnOnce(&T) -> bool,
    ) -> Result<T, Unavailable> {
        let mut call = invocation(&code.script);
        arguments(&mut call);
        let answer = self.run(async |connection| call.invoke_async(connection).await).await;
        let (server, answer) = self.log_state(answer)?;
        if self.replicas > 0 && needs_replicas(&answer) {
            self.log_state(self.confirmed(&server).await)?;
        }
        Ok(answer)
    }

    /// Reads the heartbeats of all gateways.
    pub(super) async fn read_heartbeats(&self) -> Result<Heartbeats, Unavailable> {
        let mut command = cmd("HGETALL");
        command.arg(format!("{PREFIX}r"));
        let said = self.run(async |connection| command.query_async(connection).await).await;
        self.log_state(said).map(|(_, said)| said)
    }

    /// Waits until enough replicas of this server have received everything that was written before.
    async fn confirmed(&self, server: &ServerIdentity) -> RedisResult<()> {
        let ticket = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let mut waiting = self.waiting.lock().await;
        if self.done.load(Ordering::Acquire) >= ticket && waiting.as_ref().is_some_and(|on| on.server == *server) {
            return Ok(());
        }
        let mut connection = match waiting.take() {
            Some(connection) if connection.server == *server => connection,
            Some(_) | None => self.connect(Some(ANSWERING)).await?,
        };
        if connection.server != *server || !self.is_current_server(server) {
            return Err(problem("another server has the session store now"));
        }
        let asked = self.asked.load(Ordering::Acquire);
        self.replicated(&mut connection.redis).await?;
        self.done.store(asked, Ordering::Release);
        *waiting = Some(connection);
        Ok(())
    }

    /// Writes on this connection, and waits until enough replicas have received it, and so everything before it. `WAIT`
    /// covers only the writes of its own connection.
    async fn replicated(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        if self.replicas == 0 {
            return Ok(());
        }
        let () = invocation(&self.confirm).invoke_async(connection).await?;
        let replicas: u32 = wait(self.replicas).query_async(connection).await?;
        self.require_replicas(replicas)
    }

    /// An error, unless this number of replicas is enough.
    pub(super) fn require_replicas(&self, replicas: u32) -> RedisResult<()> {
        match replicas >= self.replicas {
            true => Ok(()),
            false => Err(problem("fewer replicas have confirmed a write than session.store_replicas says")),
        }
    }

    /// Runs a command on the shared connection. Returns the answer, and the server that gave it.
    async fn run<T>(
        &self,
        ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> RedisResult<(ServerIdentity, T)> {
        let (number, RedisConnection { server, mut redis }) = self.connection().await?;
        let answer = ask(&mut redis).await;
        if answer
            .as_ref()
            .is_err_and(|error| error.is_unrecoverable_error() || error.is_timeout() || may_have_moved(error))
        {
            let mut current = self.current.lock().await;
            if current.0 == number {
                current.1 = None;
            }
        }
        let answer = answer?;
        match self.is_current_server(&server) {
            true => Ok((server, answer)),
            false => Err(problem("another server has the session store now")),
        }
    }

    async fn connection(&self) -> RedisResult<(u64, RedisConnection)> {
        let mut current = self.current.lock().await;
        if let (number, Some(connection)) = &*current {
            return Ok((*number, connection.clone()));
        }
        let connection = self.connect(Some(ANSWERING)).await?;
        if !self.is_current_server(&connection.server) {
            return Err(problem("another server has the session store, and its events are not followed yet"));
        }
        *current = (current.0 + 1, Some(connection.clone()));
        Ok((current.0, connection))
    }

    /// Logs when the store begins to fail, and when it answers again.
    pub(super) fn log_state<T>(&self, answer: RedisResult<T>) -> Result<T, Unavailable> {
        match answer {
            Ok(answer) => {
                if self.fails.swap(false, Ordering::Relaxed) {
                    tracing::info!("the session store answers again");
                }
                Ok(answer)
            }
            Err(error) => {
                if !self.fails.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "the session store does not answer");
                }
                Err(Unavailable)
            }
        }
    }
}

/// A call of a script, with the two keys that all scripts have. The first key never exists and the second one always
/// does: so while a Cluster moves their slot to another node, it refuses the call at once. Otherwise it would fail in
/// the middle of the script, at the first key that is missing, after a part of the writes.
pub(super) fn invocation(script: &Script) -> ScriptInvocation<'_> {
    let mut call = script.key(PREFIX);
    call.key(EVENTS);
    call
}

/// The command that waits until this number of replicas have received the writes of the connection.
pub(super) fn wait(replicas: u32) -> redis::Cmd {
    let mut command = cmd("WAIT");
    command.arg(replicas).arg(CONFIRMING);
    command
}

/// Reads the identity of the server. It changes with a failover and with a restart.
async fn identity(connection: &mut MultiplexedConnection) -> RedisResult<ServerIdentity> {
    let info: String = cmd("INFO").arg("everything").query_async(connection).await?;
    let wanted = |line: &&str| ["run_id:", "master_replid:"].iter().any(|key| line.starts_with(key));
    Ok(info.lines().filter(wanted).collect::<Vec<_>>().join(" ").into())
}

/// Whether the error says that another server has the store, or that this one is loading its data. A new connection may
/// find the right one.
fn may_have_moved(error: &RedisError) -> bool {
    error.is_cluster_error() || matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "LOADING"))
}

/// Whether the error says that the server's certificate is not from a trusted authority, or has another name.
fn is_untrusted(error: &RedisError) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let cause = cause.and_then(|cause| cause.downcast_ref::<io::Error>()).and_then(io::Error::get_ref);
    matches!(cause.and_then(|cause| cause.downcast_ref()), Some(rustls::Error::InvalidCertificate(_)))
}

pub(super) fn timed_out() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}
