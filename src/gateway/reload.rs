//! Another configuration takes effect: what holds from then on, and whose session is over because of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::spawn_blocking;

use super::assembled::Assembled;
use super::{Gateway, GatewaySettings, to_the_end};
use crate::credentials::account_status::AccountStatus;
use crate::logout::run::Which;
use crate::pages::BrokenPages;
use crate::session::record::Session;
use crate::session::store::Unavailable;
use crate::session::table::SessionSettings;
use crate::values::end_cause::EndCause;
use crate::values::mac::{KeyChanges, MacKeys};

/// What a reload came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Sessions that ended, because their users were removed or disabled or have another password now.
    pub ended: usize,
    /// The number of this configuration: see [`Gateway::generation`].
    pub generation: u64,
    /// How the keys differ from those before.
    pub keys: Option<KeyChanges>,
}

/// Why a configuration is not put to work.
#[derive(Debug)]
pub enum ReloadError {
    /// The gateway's own pages cannot be shown.
    Pages(BrokenPages),
    /// The sessions of the store are of gateways that sign with a key that is not among the new ones.
    OtherKeys,
    /// The store has to learn of the new keys, and does not answer.
    Store,
}

impl From<Unavailable> for ReloadError {
    fn from(_: Unavailable) -> Self {
        Self::Store
    }
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pages(problem) => problem.fmt(f),
            Self::OtherKeys => f.write_str(
                "the gateways on the session store sign with a key that is not in the key file; add it to \
                 exeunt.key, below the first line",
            ),
            Self::Store => f.write_str(
                "the session store does not answer, and has to know of the changed key file; try again when it does",
            ),
        }
    }
}

impl Gateway {
    /// Puts another configuration into force. Requests that come from now on are judged by it, sessions of people who
    /// may not sign in any more or whose password was replaced end, and all others get the identity that their source
    /// has for them now. What is under way is to be judged again: [`Gateway::judge_again`]. Without `keys` those at
    /// work stay. To be called by one caller at a time.
    ///
    /// # Errors
    /// [`ReloadError`]; nothing was changed.
    pub async fn reload(
        self: &Arc<Self>,
        settings: GatewaySettings,
        sessions: SessionSettings,
        keys: Option<MacKeys>,
    ) -> Result<Reloaded, ReloadError> {
        let before = Arc::clone(&self.assembled.load().keys);
        let keys = keys.and_then(|keys| before.changes(&keys).map(|changes| (Arc::new(keys), changes)));
        let next = keys.as_ref().map_or(&before, |(keys, _)| keys);
        let assembled = Assembled::new(settings, Arc::clone(next), &self.upstreams, &self.pipeline.clock);
        let assembled = assembled.map_err(ReloadError::Pages)?;
        // The last step that can refuse: from here on everything is put to work.
        if let Some((keys, _)) = &keys
            && !self.sessions().use_keys(keys).await?
        {
            return Err(ReloadError::OtherKeys);
        }
        let keys = keys.map(|(_, changes)| changes);
        let gateway = Arc::clone(self);
        let put_to_work = to_the_end(async move {
            // Of upstreams that were not in use.
            if gateway.load_learned().await.is_err() {
                tracing::warn!("the session store does not say which cookies applications keep from scripts");
            }
            gateway.sessions().set_limits(sessions);
            gateway.pipeline.debts.set_lifetime(assembled.cookie_debts);
            // First, so that no session is missed: a sign-in from now on is judged by the new configuration, and
            // sessions from before are among those that are checked next.
            gateway.assembled.store(Arc::new(assembled));
            let ended = gateway.review_sessions(Some(&before)).await;
            // Last: an exchange that reads the new number finds all of the above in force.
            let generation = gateway.generation.fetch_add(1, Ordering::AcqRel) + 1;
            Reloaded { ended, generation, keys }
        });
        // It does not break down, and if it did the old number would stand: everything is judged again at the next
        // reload.
        Ok(put_to_work.await.unwrap_or(Reloaded { ended: 0, generation: self.generation(), keys }))
    }

    /// Keeps users from changing their passwords, until the guard is dropped.
    pub(crate) async fn hold_users(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing_users.lock().await
    }

    /// Ends the sessions that the configuration does not allow any more, and renews all others. `before` are the keys
    /// that were at work before a reload.
    pub(super) async fn review_sessions(self: &Arc<Self>, before: Option<&Arc<MacKeys>>) -> usize {
        let (gateway, before) = (Arc::clone(self), before.cloned());
        // A stamp is computed for each of perhaps a million sessions: not on a thread that serves.
        let over = spawn_blocking(move || gateway.sessions_that_are_over(before.as_deref())).await.unwrap_or_default();
        let mut ended = 0;
        for (cause, sessions) in over {
            ended += self.pipeline.end(Which::These(sessions, cause), self.unattended()).await.each.len();
        }
        let assembled = self.assembled.load_full();
        self.forget_credentials(|session| assembled.review(session, None));
        ended
    }

    fn sessions_that_are_over(&self, before: Option<&MacKeys>) -> Vec<(EndCause, Vec<Arc<Session>>)> {
        let assembled = self.assembled.load_full();
        let mut over: Vec<_> = CAUSES.map(|cause| (cause, Vec::new())).into();
        for session in self.sessions().sessions_of(None) {
            let Some(cause) = assembled.review(&session, before) else { continue };
            over.iter_mut().filter(|(other, _)| *other == cause).for_each(|(_, list)| list.push(Arc::clone(&session)));
        }
        over
    }
}

/// Why a reload ends a session that was not signed out.
const CAUSES: [EndCause; 4] =
    [EndCause::UserRemoved, EndCause::UserDisabled, EndCause::PasswordChanged, EndCause::KeyRemoved];

impl Assembled {
    /// Gives a session the identity that its user has by this configuration; or answers why it is over. Where the
    /// stamp is of a key that is among `before` alone, the password is the same and the key was removed.
    pub(super) fn review(&self, session: &Session, before: Option<&MacKeys>) -> Option<EndCause> {
        let account = match self.methods.status_of(session.user()) {
            AccountStatus::Removed => return Some(EndCause::UserRemoved),
            AccountStatus::Disabled => return Some(EndCause::UserDisabled),
            AccountStatus::Active(account) => account,
        };
        let stamp = session.stamp();
        let is_by = |keys| stamp.is_some_and(|stamp| account.has_password_of(&stamp, session.user(), keys));
        if !is_by(&self.keys) {
            let removed = before.is_some_and(is_by);
            return Some(if removed { EndCause::KeyRemoved } else { EndCause::PasswordChanged });
        }
        session.set_identity(account.identity);
        None
    }
}
