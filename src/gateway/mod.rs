//! The gateway without the network: it takes a request head and returns a permit to forward it, or an answer.

mod answers;
mod app_cookies;
mod assembled;
mod basic;
mod built_in_pages;
mod clear;
mod dispatch;
mod enter;
mod exchange;
mod forward;
mod hand_over;
mod host_redirects;
mod judge_again;
mod last_request;
mod operations;
mod own_link;
mod own_sessions;
mod password;
mod receive;
mod refuse;
mod reload;
mod requester;
mod resources;
mod sign_in;
mod sign_in_out;
mod sign_out;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use thiserror::Error;

use self::assembled::Assembled;
pub use self::assembled::GatewaySettings;
pub(crate) use self::exchange::Exchange;
pub(crate) use self::forward::Forward;
pub(crate) use self::receive::Received;
pub use self::reload::{ReloadError, ReloadOutcome};
pub(crate) use self::sign_in_out::SignInOutRequest;
use crate::audit::Log;
use crate::credentials::basic::verified::Verified;
use crate::credentials::hashing::{HashingSettings, PasswordChecker};
use crate::logout::client::ApplicationClient;
use crate::logout::ending::Terms;
use crate::logout::reaper::reap_periodically;
use crate::logout::run::{Pipeline, SessionsToEnd};
use crate::pages::BrokenPages;
use crate::routes::resolver::Upstreams;
use crate::session::hand_over::HandOvers;
use crate::session::pending::PendingEnds;
use crate::session::store::{SessionStore, Unavailable};
use crate::session::table::{SessionSettings, SessionTable};
use crate::throttle::Throttle;
use crate::values::mac::MacKeys;
use crate::values::time::Clock;
use crate::vault::debts::Debts;

/// Runs a future to completion even if its caller's future is dropped, so that ends that have begun are completed and
/// audited. `None` if it panicked.
async fn run_to_completion<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    tokio::spawn(work).await.ok()
}

/// The parts that a gateway needs besides its configuration, for its whole lifetime.
#[derive(Clone, Debug)]
pub struct GatewayParts {
    /// The log.
    pub log: Log,
    /// The time.
    pub clock: Clock,
    /// The keys that sign what the gateway sends to browsers and reads back.
    pub keys: Arc<MacKeys>,
    /// The session store; without it sessions are in memory only.
    pub store: Option<Arc<dyn SessionStore>>,
    /// The upstreams, which are kept over a reload with their connections and health.
    pub upstreams: Arc<Upstreams>,
}

/// Why no gateway can be built from a configuration.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The gateway's own pages are invalid.
    #[error(transparent)]
    Pages(#[from] BrokenPages),
    /// The operating system refuses threads for checking passwords.
    #[error("cannot create threads for checking passwords: {0}")]
    Threads(#[source] io::Error),
}

/// The current configuration, and everything that is kept over a reload.
#[derive(Debug)]
pub struct Gateway {
    assembled: ArcSwap<Assembled>,
    passwords: PasswordChecker,
    throttle: Throttle,
    basic: Verified,
    /// Held while the users' file is read or changed, so that the latest content takes effect.
    changing_users: tokio::sync::Mutex<()>,
    pipeline: Pipeline,
    upstreams: Arc<Upstreams>,
    generation: AtomicU64,
    /// Codes for handing sessions over to other hosts.
    hand_overs: HandOvers,
    /// The number of running exchanges that were refused after reloads.
    refused_again: AtomicUsize,
}

impl Gateway {
    /// A gateway with this configuration.
    ///
    /// # Errors
    /// Its pages are invalid, or the operating system refuses threads.
    pub fn new(settings: GatewaySettings, sessions: SessionSettings, parts: GatewayParts) -> Result<Self, BuildError> {
        let GatewayParts { log, clock, keys, store, upstreams } = parts;
        let counted = (&clock, log.metrics());
        let assembled = Assembled::new(settings, Arc::clone(&keys), &upstreams, counted).map_err(BuildError::Pages)?;
        let debts = Arc::new(Debts::new(clock.clone()));
        debts.set_lifetime(assembled.cookie_debts);
        let table = match store {
            Some(store) => SessionTable::over(sessions, store, clock.clone(), keys),
            None => SessionTable::new(sessions, None),
        };
        Ok(Self {
            assembled: ArcSwap::from_pointee(assembled),
            passwords: PasswordChecker::new(HashingSettings::default()).map_err(BuildError::Threads)?,
            throttle: Throttle::default(),
            basic: Verified::default(),
            changing_users: tokio::sync::Mutex::default(),
            pipeline: Pipeline {
                sessions: Arc::new(table.with_debts(&debts)),
                debts,
                calls: Arc::default(),
                log,
                clock,
            },
            upstreams,
            generation: AtomicU64::new(0),
            hand_overs: HandOvers::default(),
            refused_again: AtomicUsize::new(0),
        })
    }

    /// Sets the client that makes logout calls.
    pub(crate) fn set_call_client(&self, client: Arc<dyn ApplicationClient>) {
        self.pipeline.calls.set_client(client);
    }

    /// The sessions.
    pub fn sessions(&self) -> &SessionTable {
        &self.pipeline.sessions
    }

    /// Records the use of a session by a running exchange, except by background traffic.
    pub(crate) fn touch(&self, forward: &Forward) {
        if let Some(session) = forward.session().filter(|_| !forward.is_idle()) {
            session.touch(self.pipeline.clock.now());
        }
    }

    /// Saves the changes of the session's application cookies by the answer to this request; `None` if there are none.
    /// The head of the answer is sent after that.
    pub(crate) fn save_cookies<'a>(&'a self, forward: &'a Forward) -> Option<BoxFuture<'a, ()>> {
        let session = forward.session().filter(|session| self.sessions().has_unsaved_cookies(session))?;
        Some(Box::pin(self.sessions().save_cookies(session)))
    }

    /// The terms for ends that no client waits for.
    fn without_client(&self) -> Terms {
        self.assembled.load().terms()
    }

    /// Ends expired sessions and returns how many. Retries the ends that the store has not confirmed, and saves when
    /// sessions were used.
    pub async fn reap(&self) -> usize {
        let (terms, now) = (self.without_client(), self.pipeline.clock.now());
        self.basic.sweep(self.sessions().lifetime().absolute, terms.settings.grace, now);
        self.hand_overs.sweep(now);
        let cut = self.sessions().cut_doubtful(now, terms.settings.grace);
        if cut > 0 {
            tracing::warn!(cut, "connections of sessions were cut: the session store has not answered for too long");
        }
        let over = self.pipeline.end(SessionsToEnd::Expired, terms.clone()).await;
        self.pipeline.end(SessionsToEnd::Pending, terms).await;
        self.sessions().save_uses(now, USES_SAVED).await;
        self.sessions().exchange_connections(now).await;
        self.sessions().load_news(&self.upstreams.all_learned()).await;
        self.save_notes().await;
        // Sessions that the store does not confirm now are retried in the next round.
        let gone = self.sessions().confirm_some().await.unwrap_or_default();
        self.pipeline.end(SessionsToEnd::Ended(gone), self.without_client()).await;
        over.each.len()
    }

    /// Loads the sessions of the store, and ends those of users who may not sign in any more or have a new password. To
    /// be called before requests are accepted. Returns the number of sessions that are left.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn load_sessions(self: &Arc<Self>, pending: PendingEnds) -> Result<usize, Unavailable> {
        self.sessions().take_over(pending);
        self.sessions().load_debts().await?;
        self.load_learned().await?;
        self.sessions().load_all().await?;
        self.review_sessions(None).await;
        Ok(self.sessions().len())
    }

    /// Saves when sessions were used, and all other changes, before the program ends.
    pub(crate) async fn save_all_uses(&self) {
        self.sessions().save_uses(self.pipeline.clock.now(), Duration::ZERO).await;
        self.save_notes().await;
    }

    async fn save_notes(&self) {
        self.sessions().save_notes(&self.upstreams.all_learned()).await;
    }

    async fn load_learned(&self) -> Result<(), Unavailable> {
        self.sessions().load_learned(&self.upstreams.all_learned()).await
    }

    /// Background work, forever: ends expired sessions and those that other gateways on the same store ended.
    pub async fn run_background_tasks(self: Arc<Self>) {
        let round = || {
            let gateway = Arc::clone(&self);
            async move { _ = gateway.reap().await }
        };
        tokio::join!(reap_periodically(round), self.follow_events());
    }

    /// Follows the events of other gateways, forever.
    async fn follow_events(&self) {
        loop {
            match self.sessions().follow_events().await {
                Ok(ended) => _ = self.pipeline.end(SessionsToEnd::Ended(ended), self.without_client()).await,
                Err(Unavailable) => tokio::time::sleep(STORE_RETRY).await,
            }
        }
    }
}

/// The interval at which the last use of sessions is saved. After a crash a session may expire this much earlier.
const USES_SAVED: Duration = Duration::from_secs(10);
/// The pause before the events of a store that did not answer are requested again.
const STORE_RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
