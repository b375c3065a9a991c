//! The way to the server: one connection that all calls share, made again when it breaks.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisError, RedisResult, Script, ScriptInvocation};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::peers::Said;
use super::{NotConnected, PREFIX};
use crate::session::store::Unavailable;

/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(1);
/// How long an answer may take: less than callers wait, so that the next call gets a new connection.
const ANSWERING: Duration = Duration::from_millis(1500);

/// Where the server is, and the connection to it.
pub(super) struct Link {
    client: Client,
    /// The number of the connection, so that nobody gives up one that another call has made anew.
    current: Mutex<(u64, Option<MultiplexedConnection>)>,
    fails: AtomicBool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("fails", &self.fails).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(client: Client) -> Self {
        Self { client, current: Mutex::default(), fails: AtomicBool::default() }
    }

    /// A connection of one's own, for calls that wait.
    pub(super) async fn dedicated(&self) -> RedisResult<MultiplexedConnection> {
        self.connect(None).await
    }

    /// Whether the server can be connected to.
    ///
    /// # Errors
    /// It cannot, or there is somebody else.
    pub(super) async fn check(&self) -> Result<(), NotConnected> {
        let connection = self.connection().await;
        let is_untrusted = connection.as_ref().is_err_and(is_untrusted);
        match self.noted(connection) {
            Ok(_) => Ok(()),
            Err(Unavailable) if is_untrusted => Err(NotConnected::Untrusted),
            Err(Unavailable) => Err(NotConnected::Unavailable),
        }
    }

    async fn connect(&self, answering: Option<Duration>) -> RedisResult<MultiplexedConnection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECTING)).set_response_timeout(answering);
        // With everything that follows the connection itself: the password, the number of the database.
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        timeout(CONNECTING, connecting).await.unwrap_or_else(|_| Err(timed_out()))
    }

    /// Runs a script.
    pub(super) async fn call<T: FromRedisValue>(
        &self,
        script: &Script,
        arguments: impl FnOnce(&mut ScriptInvocation<'_>),
    ) -> Result<T, Unavailable> {
        let mut call = script.key(PREFIX);
        arguments(&mut call);
        self.noted(self.run(async |connection| call.invoke_async(connection).await).await)
    }

    /// What all gateways say.
    pub(super) async fn others(&self) -> Result<Said, Unavailable> {
        let mut command = redis::cmd("HGETALL");
        command.arg(format!("{PREFIX}r"));
        self.noted(self.run(async |connection| command.query_async(connection).await).await)
    }

    /// The names of about so many sessions, from this place on; and the next place, zero after the last one.
    pub(super) async fn scan(&self, cursor: u64, about: usize) -> Result<(u64, Vec<String>), Unavailable> {
        let mut command = redis::cmd("SCAN");
        command.arg(cursor).arg("MATCH").arg(format!("{PREFIX}s:*")).arg("COUNT").arg(about);
        let found = self.run(async |connection| command.query_async::<(u64, Vec<String>)>(connection).await).await;
        let (next, keys) = self.noted(found)?;
        let name = |key: String| key.get(PREFIX.len() + 2..).map(str::to_owned);
        Ok((next, keys.into_iter().filter_map(name).collect()))
    }

    async fn run<T>(&self, ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>) -> RedisResult<T> {
        let (number, mut connection) = self.connection().await?;
        let answer = ask(&mut connection).await;
        if answer.as_ref().is_err_and(RedisError::is_unrecoverable_error)
            || answer.as_ref().is_err_and(RedisError::is_timeout)
            || answer.as_ref().is_err_and(is_elsewhere)
        {
            let mut current = self.current.lock().await;
            if current.0 == number {
                current.1 = None;
            }
        }
        answer
    }

    async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        let mut current = self.current.lock().await;
        if let (number, Some(connection)) = &*current {
            return Ok((*number, connection.clone()));
        }
        let connection = self.connect(Some(ANSWERING)).await?;
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

/// The server has become a replica of another one: a new connection may find that one.
fn is_elsewhere(error: &RedisError) -> bool {
    error.code() == Some("READONLY")
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
