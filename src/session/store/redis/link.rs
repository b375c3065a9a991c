//! The way to the server: one connection that all calls share, made again when it breaks, and one on which replicas are
//! waited for.
//!
//! Calls go to the server whose events are followed, and to no other: after a failover the old primary may still be
//! there, and what it says may be long over.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, RedisError, RedisResult, Script, ScriptInvocation, cmd};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::peers::Said;
use super::place::{Place, problem};
use super::{EVENTS, NotConnected, PREFIX};
use crate::session::store::Unavailable;

/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(1);
/// How long an answer may take: less than callers wait, so that the next call gets a new connection.
const ANSWERING: Duration = Duration::from_millis(1500);
/// How long replicas may take to confirm a write, in milliseconds.
const CONFIRMING: u64 = 1000;

/// A run of a server, and the history of its data.
pub(super) type Server = Arc<str>;

/// A script, and whether its call counts only when the replicas have what it wrote.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) script: Script,
    pub(super) is_confirmed: bool,
}

impl Code {
    /// After what all scripts begin with.
    pub(super) fn new(text: &str, is_confirmed: bool) -> Self {
        Self { script: Script::new(&[include_str!("common.lua"), text].concat()), is_confirmed }
    }
}

/// A connection, and the server that it leads to.
#[derive(Clone)]
struct Connection {
    server: Server,
    redis: MultiplexedConnection,
}

/// Where the server is, and the connections to it.
pub(super) struct Link {
    place: Place,
    /// So many replicas confirm.
    replicas: u32,
    confirm: Script,
    /// The server whose events are followed.
    leader: parking_lot::Mutex<Option<Server>>,
    /// The number of the connection, so that nobody gives up one that another call has made anew.
    current: Mutex<(u64, Option<Connection>)>,
    /// Whoever waits for the replicas does it for all that have written before.
    waiting: Mutex<Option<Connection>>,
    /// How many have asked for that, and up to which of them it has been done.
    asked: AtomicU64,
    done: AtomicU64,
    fails: AtomicBool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("fails", &self.fails).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(place: Place, replicas: u32) -> Self {
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

    /// So many replicas have to confirm what counts.
    pub(super) fn replicas(&self) -> u32 {
        self.replicas
    }

    /// A connection of one's own, for calls that wait, to a server that is the primary of enough replicas.
    pub(super) async fn dedicated(&self) -> RedisResult<(Server, MultiplexedConnection)> {
        let Connection { server, mut redis } = self.connect(None).await?;
        self.replicated(&mut redis).await?;
        Ok((server, redis))
    }

    /// Connects to the server for the first time.
    ///
    /// # Errors
    /// It cannot be used, or there is somebody else.
    pub(super) async fn begin(&self) -> Result<(), NotConnected> {
        let first = self.connect(Some(ANSWERING)).await;
        let is_untrusted = first.as_ref().is_err_and(is_untrusted);
        let Ok(Connection { server, mut redis }) = self.noted(first) else {
            return Err(if is_untrusted { NotConnected::Untrusted } else { NotConnected::Unavailable });
        };
        self.noted(self.replicated(&mut redis).await).map_err(|Unavailable| NotConnected::TooFewReplicas)?;
        self.lead_to(&server).await;
        Ok(())
    }

    /// Whether this is the server that calls go to.
    pub(super) fn leads_to(&self, server: &Server) -> bool {
        self.leader.lock().as_ref() == Some(server)
    }

    pub(super) fn server(&self) -> Option<Server> {
        self.leader.lock().clone()
    }

    /// From now on calls go to this server.
    pub(super) async fn lead_to(&self, server: &Server) {
        *self.leader.lock() = Some(Arc::clone(server));
        let mut current = self.current.lock().await;
        if current.1.as_ref().is_some_and(|connection| connection.server != *server) {
            current.1 = None;
        }
    }

    async fn connect(&self, answering: Option<Duration>) -> RedisResult<Connection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECTING)).set_response_timeout(answering);
        // With everything that follows the connection itself: the password, the number of the database.
        let connecting = async {
            let mut redis = self.place.connect(&config).await?;
            Ok(Connection { server: identity(&mut redis).await?, redis })
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

    /// Runs a script. Some answers count only from the primary of enough replicas.
    pub(super) async fn call_confirmed<T: FromRedisValue>(
        &self,
        code: &Code,
        arguments: impl FnOnce(&mut ScriptInvocation<'_>),
        needs_replicas: impl FnOnce(&T) -> bool,
    ) -> Result<T, Unavailable> {
        let mut call = invocation(&code.script);
        arguments(&mut call);
        let answer = self.run(async |connection| call.invoke_async(connection).await).await;
        let (server, answer) = self.noted(answer)?;
        if self.replicas > 0 && needs_replicas(&answer) {
            self.noted(self.confirmed(&server).await)?;
        }
        Ok(answer)
    }

    /// What all gateways say.
    pub(super) async fn others(&self) -> Result<Said, Unavailable> {
        let mut command = cmd("HGETALL");
        command.arg(format!("{PREFIX}r"));
        let said = self.run(async |connection| command.query_async(connection).await).await;
        self.noted(said).map(|(_, said)| said)
    }

    /// Waits until enough replicas of this server have everything that was written before.
    async fn confirmed(&self, server: &Server) -> RedisResult<()> {
        let ticket = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let mut waiting = self.waiting.lock().await;
        if self.done.load(Ordering::Acquire) >= ticket && waiting.as_ref().is_some_and(|on| on.server == *server) {
            return Ok(());
        }
        let mut connection = match waiting.take() {
            Some(connection) if connection.server == *server => connection,
            Some(_) | None => self.connect(Some(ANSWERING)).await?,
        };
        if connection.server != *server || !self.leads_to(server) {
            return Err(problem("another server has the session store now"));
        }
        let asked = self.asked.load(Ordering::Acquire);
        self.replicated(&mut connection.redis).await?;
        self.done.store(asked, Ordering::Release);
        *waiting = Some(connection);
        Ok(())
    }

    /// Writes on this connection, and waits until enough replicas have it, and so everything before it.
    async fn replicated(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        if self.replicas == 0 {
            return Ok(());
        }
        let () = invocation(&self.confirm).invoke_async(connection).await?;
        let replicas: u32 = wait(self.replicas).query_async(connection).await?;
        self.enough(replicas)
    }

    /// Whether so many replicas are enough.
    pub(super) fn enough(&self, replicas: u32) -> RedisResult<()> {
        match replicas >= self.replicas {
            true => Ok(()),
            false => Err(problem("fewer replicas have confirmed a write than session.store_replicas says")),
        }
    }

    /// The answer, and the server that gave it.
    async fn run<T>(
        &self,
        ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> RedisResult<(Server, T)> {
        let (number, Connection { server, mut redis }) = self.connection().await?;
        let answer = ask(&mut redis).await;
        if answer
            .as_ref()
            .is_err_and(|error| error.is_unrecoverable_error() || error.is_timeout() || is_elsewhere(error))
        {
            let mut current = self.current.lock().await;
            if current.0 == number {
                current.1 = None;
            }
        }
        let answer = answer?;
        match self.leads_to(&server) {
            true => Ok((server, answer)),
            false => Err(problem("another server has the session store now")),
        }
    }

    async fn connection(&self) -> RedisResult<(u64, Connection)> {
        let mut current = self.current.lock().await;
        if let (number, Some(connection)) = &*current {
            return Ok((*number, connection.clone()));
        }
        let connection = self.connect(Some(ANSWERING)).await?;
        if !self.leads_to(&connection.server) {
            return Err(problem("another server has the session store, and its events are not followed yet"));
        }
        *current = (current.0 + 1, Some(connection.clone()));
        Ok((current.0, connection))
    }

    /// Has the log tell when the store begins to fail, and when it is back.
    pub(super) fn noted<T>(&self, answer: RedisResult<T>) -> Result<T, Unavailable> {
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

/// A call of a script, with the two keys that each of them has. The first one never exists and the second one always
/// does: so a Cluster that moves their slot to another node refuses the call at once. Without that it would refuse in
/// the middle of the script, at the first key that is missing, and the script would be done by half.
pub(super) fn invocation(script: &Script) -> ScriptInvocation<'_> {
    let mut call = script.key(PREFIX);
    call.key(EVENTS);
    call
}

/// Waits for so many replicas.
pub(super) fn wait(replicas: u32) -> redis::Cmd {
    let mut command = cmd("WAIT");
    command.arg(replicas).arg(CONFIRMING);
    command
}

/// The run of the server, and the history of its data: another one is another server, or one that was restarted.
async fn identity(connection: &mut MultiplexedConnection) -> RedisResult<Server> {
    let info: String = cmd("INFO").arg("everything").query_async(connection).await?;
    let wanted = |line: &&str| ["run_id:", "master_replid:"].iter().any(|key| line.starts_with(key));
    Ok(info.lines().filter(wanted).collect::<Vec<_>>().join(" ").into())
}

/// The server is not the one that has the store, or not now: a new connection may find that one.
fn is_elsewhere(error: &RedisError) -> bool {
    error.is_cluster_error() || matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "LOADING"))
}

/// The server's certificate is not one of the authorities that are trusted, or has another name.
fn is_untrusted(error: &RedisError) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let cause = cause.and_then(|cause| cause.downcast_ref::<io::Error>()).and_then(io::Error::get_ref);
    matches!(cause.and_then(|cause| cause.downcast_ref()), Some(rustls::Error::InvalidCertificate(_)))
}

pub(super) fn timed_out() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}
