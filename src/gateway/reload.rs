//! Another configuration at work: what holds from then on, and whose session is over because of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::spawn_blocking;

use super::assembled::Assembled;
use super::{Gateway, GatewaySettings, to_the_end};
use crate::credentials::account_status::AccountStatus;
use crate::logout::run::Which;
use crate::pages::BrokenPages;
use crate::session::record::Session;
use crate::session::table::SessionSettings;
use crate::values::end_cause::EndCause;

/// What a reload came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Sessions that ended, because their users were removed or disabled or have another password now.
    pub ended: usize,
    /// The number of this configuration: see [`Gateway::generation`].
    pub generation: u64,
}

impl Gateway {
    /// Puts another configuration to work. Requests that come from now on are judged by it, sessions of people who may
    /// not sign in any more or whose password was replaced end, and all others get the identity that their source
    /// has for them now. What is under way is to be judged again: [`Gateway::judge_again`]. The keys stay. To be
    /// called by one caller at a time.
    ///
    /// # Errors
    /// The pages cannot be shown; nothing was changed.
    pub async fn reload(
        self: &Arc<Self>,
        settings: GatewaySettings,
        sessions: SessionSettings,
    ) -> Result<Reloaded, BrokenPages> {
        let keys = Arc::clone(&self.assembled.load().keys);
        let assembled = Assembled::new(settings, keys, &self.upstreams, &self.pipeline.clock)?;
        let gateway = Arc::clone(self);
        let put_to_work = to_the_end(async move {
            // Of upstreams that were not in use.
            if gateway.load_learned().await.is_err() {
                tracing::warn!("the session store does not say which cookies applications keep from scripts");
            }
            gateway.sessions().set_limits(sessions);
            gateway.pipeline.debts.set_lifetime(assembled.cookie_debts);
            // First, so that nobody is missed: whoever signs in from now on is judged by the new configuration, and
            // whoever signed in before is among those who are looked at next.
            gateway.assembled.store(Arc::new(assembled));
            let ended = gateway.review_sessions().await;
            // Last: an exchange that reads the new number finds all of the above in force.
            let generation = gateway.generation.fetch_add(1, Ordering::AcqRel) + 1;
            Reloaded { ended, generation }
        });
        // It does not break down, and if it did the old number would stand: everything is judged again at the next
        // reload.
        Ok(put_to_work.await.unwrap_or(Reloaded { ended: 0, generation: self.generation() }))
    }

    /// Keeps users from changing their passwords, until the guard is dropped.
    pub(crate) async fn hold_users(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing_users.lock().await
    }

    /// Ends the sessions that are over for whom the configuration says, and renews all others.
    pub(super) async fn review_sessions(self: &Arc<Self>) -> usize {
        let gateway = Arc::clone(self);
        // A stamp is computed for each of perhaps a million sessions: not on a thread that serves.
        let over = spawn_blocking(move || gateway.sessions_that_are_over()).await.unwrap_or_default();
        let mut ended = 0;
        for (cause, sessions) in over {
            ended += self.pipeline.end(Which::These(sessions, cause), self.unattended()).await.each.len();
        }
        let assembled = self.assembled.load_full();
        self.forget_credentials(|session| assembled.review(session));
        ended
    }

    fn sessions_that_are_over(&self) -> Vec<(EndCause, Vec<Arc<Session>>)> {
        let assembled = self.assembled.load_full();
        let mut over: Vec<_> = CAUSES.map(|cause| (cause, Vec::new())).into();
        for session in self.sessions().sessions_of(None) {
            let Some(cause) = assembled.review(&session) else { continue };
            over.iter_mut().filter(|(other, _)| *other == cause).for_each(|(_, list)| list.push(Arc::clone(&session)));
        }
        over
    }
}

/// Why a session is over though nobody ended it.
const CAUSES: [EndCause; 3] = [EndCause::UserRemoved, EndCause::UserDisabled, EndCause::PasswordChanged];

impl Assembled {
    /// Gives a session the identity that its user has by this configuration; or answers why it is over.
    pub(super) fn review(&self, session: &Session) -> Option<EndCause> {
        let account = match self.methods.status_of(session.user()) {
            AccountStatus::Removed => return Some(EndCause::UserRemoved),
            AccountStatus::Disabled => return Some(EndCause::UserDisabled),
            AccountStatus::Active(account) => account,
        };
        let is_same = |stamp| account.has_password_of(&stamp, session.user(), &self.keys);
        if !session.stamp().is_some_and(is_same) {
            return Some(EndCause::PasswordChanged);
        }
        session.set_identity(account.identity);
        None
    }
}
