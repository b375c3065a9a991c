//! The gateway as one thing, without the engine: a head goes in, and out comes a permit to forward it or an answer.

mod answers;
mod assembled;
mod basic;
mod built_in_pages;
mod exchange;
mod forward;
mod operations;
mod password;
mod perform;
mod receive;
mod refuse;
mod resources;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

pub use self::assembled::{Assembled, GatewaySettings};
pub(crate) use self::built_in_pages::SignInOutRequest;
pub(crate) use self::exchange::Exchange;
pub(crate) use self::forward::Forward;
pub(crate) use self::receive::Received;
use crate::credentials::basic::verified::Verified;
use crate::credentials::hashing::PasswordChecker;
use crate::logout::ending::Terms;
use crate::logout::reaper::keep_reaping;
use crate::logout::run::{Pipeline, Which};
use crate::session::store::Unavailable;
use crate::session::table::SessionTable;
use crate::throttle::Throttle;

/// Runs something to its end, even if whoever waits for it goes away: what was begun to end is ended, and audited.
/// `None` if it broke down.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    tokio::spawn(work).await.ok()
}

/// Everything that outlives a configuration, and the configuration at work.
#[derive(Debug)]
pub struct Gateway {
    assembled: ArcSwap<Assembled>,
    passwords: PasswordChecker,
    throttle: Throttle,
    basic: Verified,
    /// Held while the users' file is read anew or changed, so that the newest is what counts.
    changing_users: tokio::sync::Mutex<()>,
    pipeline: Pipeline,
}

impl Gateway {
    /// A gateway that serves this configuration.
    pub fn new(assembled: Assembled, passwords: PasswordChecker, pipeline: Pipeline) -> Self {
        let assembled = ArcSwap::from_pointee(assembled);
        Self {
            assembled,
            passwords,
            throttle: Throttle::default(),
            basic: Verified::default(),
            changing_users: tokio::sync::Mutex::default(),
            pipeline,
        }
    }

    /// The sessions.
    pub fn sessions(&self) -> &SessionTable {
        &self.pipeline.sessions
    }

    /// Notes that a session is used, by something that goes on in its name; unless nobody has to be there for that.
    pub(crate) fn touch(&self, forward: &Forward) {
        if let Some(session) = forward.session().filter(|_| !forward.is_idle()) {
            session.touch(self.pipeline.clock.now());
        }
    }

    /// The terms on which sessions end while nobody waits for the answer.
    fn unattended(&self) -> Terms {
        Terms::unattended(&self.assembled.load().logout)
    }

    /// Ends the sessions whose time is up, and answers how many that were. Asks the store again for the ends that it
    /// has not confirmed, and tells it when sessions were used.
    pub async fn reap(&self) -> usize {
        let (terms, now) = (self.unattended(), self.pipeline.clock.now());
        self.basic.sweep(self.sessions().lifetime().absolute, terms.settings.grace, now);
        let over = self.pipeline.end(Which::Expired, terms.clone()).await;
        self.pipeline.end(Which::Owed, terms).await;
        self.sessions().save_uses(now, USES_SAVED).await;
        over.each.len()
    }

    /// Does for ever what nobody asks for: ends what is over, and what other gateways ended that share the store.
    pub(crate) async fn keep_up(self: Arc<Self>) {
        let round = || {
            let gateway = Arc::clone(&self);
            async move { _ = gateway.reap().await }
        };
        tokio::join!(keep_reaping(round), self.follow());
    }

    /// Does for ever what other gateways did.
    async fn follow(&self) {
        loop {
            match self.sessions().follow().await {
                Ok(ended) => _ = self.pipeline.end(Which::Ended(ended), self.unattended()).await,
                Err(Unavailable) => tokio::time::sleep(STORE_RETRY).await,
            }
        }
    }
}

/// How often the store is told when sessions were used. So much earlier a session may be idle after a crash.
const USES_SAVED: Duration = Duration::from_secs(10);
/// After this a store that did not answer is asked again what others did.
const STORE_RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
