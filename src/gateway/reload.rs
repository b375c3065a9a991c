//! Reload: another configuration takes effect, and sessions that it does not allow any more end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use thiserror::Error;
use tokio::task::spawn_blocking;

use super::assembled::Assembled;
use super::{Gateway, GatewaySettings, run_to_completion};
use crate::credentials::account_status::AccountStatus;
use crate::logout::run::SessionsToEnd;
use crate::pages::BrokenPages;
use crate::session::record::Session;
use crate::session::store::Unavailable;
use crate::session::table::SessionSettings;
use crate::values::end_cause::EndCause;
use crate::values::mac::{KeyChanges, MacKeys};

/// The result of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReloadOutcome {
    /// The number of sessions that ended because their users were removed or disabled or have a new password.
    pub ended: usize,
    /// The generation of this configuration: see [`Gateway::generation`].
    pub generation: u64,
    /// The changes of the keys.
    pub keys: Option<KeyChanges>,
}

/// Why a configuration cannot take effect.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// The gateway's own pages are invalid.
    #[error(transparent)]
    Pages(#[from] BrokenPages),
    /// The gateways on the shared store sign with a key that is not among the new ones.
    #[error(
        "the gateways on the session store sign with a key that is not in the key file; add it to exeunt.key, below \
         the first line"
    )]
    OtherKeys,
    /// The new keys have to be announced in the store, and the store does not answer.
    #[error("the session store does not answer, and has to know of the changed key file; try again when it does")]
    Store,
}

impl From<Unavailable> for ReloadError {
    fn from(_: Unavailable) -> Self {
        Self::Store
    }
}

impl Gateway {
    /// Makes another configuration take effect. New requests are judged by it. Sessions of users who may not sign in
    /// any more or have a new password end, and all others get the user's current identity. The caller has to judge
    /// running exchanges again ([`Gateway::judge_again`]). Without `keys` the current ones stay. Only one caller at a
    /// time.
    ///
    /// # Errors
    /// [`ReloadError`]; nothing was changed.
    pub async fn reload(
        self: &Arc<Self>,
        settings: GatewaySettings,
        sessions: SessionSettings,
        keys: Option<MacKeys>,
    ) -> Result<ReloadOutcome, ReloadError> {
        let before = Arc::clone(&self.assembled.load().keys);
        let keys = keys.and_then(|keys| before.changes(&keys).map(|changes| (Arc::new(keys), changes)));
        let next = keys.as_ref().map_or(&before, |(keys, _)| keys);
        let counted = (&self.pipeline.clock, self.pipeline.log.metrics());
        let assembled = Assembled::new(settings, Arc::clone(next), &self.upstreams, counted);
        let assembled = assembled.map_err(ReloadError::Pages)?;
        // The last step that can fail: everything after it takes effect.
        if let Some((keys, _)) = &keys
            && !self.sessions().use_keys(keys).await?
        {
            return Err(ReloadError::OtherKeys);
        }
        let keys = keys.map(|(_, changes)| changes);
        let gateway = Arc::clone(self);
        let put_to_work = run_to_completion(async move {
            // Also for upstreams that were not in use before.
            if gateway.load_learned().await.is_err() {
                tracing::warn!("the session store does not answer: names of HttpOnly cookies are not loaded");
            }
            gateway.sessions().set_limits(sessions);
            gateway.pipeline.debts.set_lifetime(assembled.cookie_debts);
            // Before the sessions are reviewed, so that none is missed: a later sign-in is judged by the new
            // configuration, and an earlier session is among those that are reviewed next.
            gateway.assembled.store(Arc::new(assembled));
            let ended = gateway.review_sessions(Some(&before)).await;
            // Last, so that an exchange which reads the new number sees all of the above.
            let generation = gateway.generation.fetch_add(1, Ordering::AcqRel) + 1;
            ReloadOutcome { ended, generation, keys }
        });
        // The task does not panic; if it did, the old number would stay, and everything would be judged again at the
        // next reload.
        Ok(put_to_work.await.unwrap_or(ReloadOutcome { ended: 0, generation: self.generation(), keys }))
    }

    /// Blocks changes of passwords until the guard is dropped.
    pub(crate) async fn hold_users(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing_users.lock().await
    }

    /// Ends the sessions that the configuration does not allow any more, and updates all others. `before` are the keys
    /// before a reload.
    pub(super) async fn review_sessions(self: &Arc<Self>, before: Option<&Arc<MacKeys>>) -> usize {
        let sessions = self.sessions().sessions_of(None);
        self.assembled.load_full().methods.refresh(&sessions).await;
        let suspects = self.ends_by_review(sessions, before).await;
        let suspects: Vec<_> = suspects.into_iter().flat_map(|(_, sessions)| sessions).collect();
        // If another gateway has changed the password, the session has the stamp of the new one in the store. If the
        // store does not answer, the known stamp counts.
        let gone = self.sessions().renew(&suspects).await.unwrap_or_default();
        self.pipeline.end(SessionsToEnd::Ended(gone), self.without_client()).await;
        let over = self.ends_by_review(suspects, before).await;
        let mut ended = 0;
        for (cause, sessions) in over {
            ended += self.pipeline.end(SessionsToEnd::These(sessions, cause), self.without_client()).await.each.len();
        }
        let assembled = self.assembled.load_full();
        self.forget_credentials(|session| assembled.review(session, None));
        ended
    }

    /// The sessions among these that the configuration does not allow any more. The others are updated.
    async fn ends_by_review(&self, sessions: Vec<Arc<Session>>, before: Option<&Arc<MacKeys>>) -> EndsByCause {
        let (assembled, before) = (self.assembled.load_full(), before.cloned());
        let review = move || {
            let mut over: Vec<_> = CAUSES.map(|cause| (cause, Vec::new())).into();
            for session in sessions {
                let Some(cause) = assembled.review(&session, before.as_deref()) else { continue };
                over.iter_mut()
                    .filter(|(other, _)| *other == cause)
                    .for_each(|(_, list)| list.push(Arc::clone(&session)));
            }
            over
        };
        // A stamp is computed for each of perhaps a million sessions, so this runs on a blocking thread.
        spawn_blocking(review).await.unwrap_or_default()
    }
}

/// The sessions that a reload ends, by cause.
type EndsByCause = Vec<(EndCause, Vec<Arc<Session>>)>;

/// The causes for which a reload ends sessions.
const CAUSES: [EndCause; 4] =
    [EndCause::UserRemoved, EndCause::UserDisabled, EndCause::PasswordChanged, EndCause::KeyRemoved];

impl Assembled {
    /// Gives a session the current identity of its user, or returns the cause of its end. Without a status of its user
    /// it stays as it is. A stamp that matches only
    /// with a key of `before` means that the password is the same and the key was removed.
    pub(super) fn review(&self, session: &Session, before: Option<&MacKeys>) -> Option<EndCause> {
        let account = match self.methods.status_of(session.user())? {
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
