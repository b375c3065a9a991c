//! The gateway as one thing, without the engine: a head goes in, and out comes a permit to forward it or an answer.

mod answers;
mod assembled;
mod basic;
mod built_in_pages;
mod exchange;
mod forward;
mod login_target;
mod operations;
mod perform;
mod receive;
mod refuse;
mod resources;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

pub use self::assembled::{Assembled, GatewaySettings};
pub use self::built_in_pages::SignInOutRequest;
pub use self::exchange::Exchange;
pub use self::forward::Forward;
pub use self::receive::Received;
use crate::credentials::basic::verified::Verified;
use crate::credentials::hashing::PasswordChecker;
use crate::logout::reaper;
use crate::logout::run::Pipeline;
use crate::session::record::Session;
use crate::session::table::SessionTable;
use crate::throttle::Throttle;
use crate::values::end_cause::EndCause;
use crate::values::receipt::Receipt;

/// Runs something to its end, even if whoever waits for it goes away: what was begun to end is ended, and audited.
/// `None` if it broke down.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    tokio::spawn(work).await.ok()
}

/// Everything that outlives a configuration, and the configuration at work.
#[derive(Debug)]
pub struct Gateway {
    assembled: ArcSwap<Assembled>,
    sessions: SessionTable,
    passwords: PasswordChecker,
    throttle: Throttle,
    basic: Verified,
    pipeline: Pipeline,
}

impl Gateway {
    /// A gateway that serves this configuration.
    pub fn new(assembled: Assembled, sessions: SessionTable, passwords: PasswordChecker, pipeline: Pipeline) -> Self {
        let assembled = ArcSwap::from_pointee(assembled);
        Self { assembled, sessions, passwords, throttle: Throttle::default(), basic: Verified::default(), pipeline }
    }

    /// The sessions.
    pub fn sessions(&self) -> &SessionTable {
        &self.sessions
    }

    /// Notes that a session is used, by something that goes on in its name; unless nobody has to be there for that.
    pub fn touch(&self, forward: &Forward) {
        if let Some(session) = forward.session().filter(|_| !forward.is_idle()) {
            session.touch(self.pipeline.clock.now());
        }
    }

    /// Ends these sessions for one reason, and gives one receipt about all of them.
    async fn end_together(
        &self,
        sessions: Vec<Arc<Session>>,
        cause: EndCause,
        grace: Duration,
        cookies: usize,
    ) -> Receipt {
        let begun = self.pipeline.clock.now();
        let ended = self.sessions.end_all(sessions, cause).await;
        self.pipeline.run(&ended, begun, grace, cookies)
    }

    /// Ends the sessions whose time is up, and answers how many that were.
    pub async fn reap(&self) -> usize {
        let grace = self.assembled.load().logout.grace;
        self.basic.sweep(self.sessions.lifetime().absolute, grace, self.pipeline.clock.now());
        reaper::reap(&self.sessions, &self.pipeline, grace).await
    }
}

#[cfg(test)]
mod tests;
