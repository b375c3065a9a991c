//! What operators ask for while the gateway runs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Gateway;
use crate::audit::{Event, Operation};
use crate::credentials::user_file::SOURCE;
use crate::logout::run::Which;
use crate::metrics::{Gauges, Metrics};
use crate::session::record::Session;
use crate::session::store::Unavailable;
use crate::values::end_cause::EndCause;
use crate::values::identity::UserKey;
use crate::values::receipt::Receipt;

impl Gateway {
    /// Forgets the wrong passwords of an account, or those from an address. Answers whether there were any.
    pub(crate) fn unban(&self, user: &str) -> bool {
        self.throttle.unban(user, self.pipeline.clock.now())
    }

    /// All sessions, or those of one user, the latest sign-in first.
    pub(crate) fn sessions_of(&self, user: Option<&str>) -> Vec<Arc<Session>> {
        let mut sessions = self.sessions().sessions_of(user);
        sessions.sort_by_key(|session| std::cmp::Reverse(session.created()));
        sessions
    }

    /// What monitoring measures at this moment, with so many open connections of clients.
    pub(crate) fn gauges(&self, connections: usize) -> Gauges {
        let [audit_file_waiting, audit_webhook_waiting] = self.pipeline.log.audit_waiting();
        Gauges {
            sessions: self.sessions().len(),
            connections,
            store_trusted: self.sessions().is_trusted(self.pipeline.clock.now()),
            audit_file_waiting,
            audit_webhook_waiting,
        }
    }

    /// What is counted since the start.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        self.pipeline.log.metrics()
    }

    /// Writes what an operator did to the audit log.
    pub(crate) fn note_operation(&self, operation: Operation<'_>) {
        self.pipeline.log.event(self.pipeline.clock.wall(), &Event::Operation(operation));
    }

    /// How long ago a session's sign-in was, and its last use.
    pub(crate) fn ages(&self, session: &Session) -> (Duration, Duration) {
        let now = self.pipeline.clock.now();
        (now.duration_since(session.created()), now.duration_since(session.last_seen()))
    }

    /// Ends the session of this handle; `None` if there is none. It ends, and is audited, even if the caller goes away.
    pub(crate) async fn revoke(&self, handle: &str) -> Option<Receipt> {
        let named = |session: &Arc<Session>| session.handle().is_some_and(|own| own.as_str() == handle);
        let session = self.sessions().sessions_of(None).into_iter().find(named)?;
        self.revoke_each(vec![session]).await.pop()
    }

    /// Ends every session of a user, in the same way, and what programs do with the user's password at this moment.
    /// What the store keeps counts, also where this gateway does not know it.
    ///
    /// # Errors
    /// The store has not confirmed that these are all. Those that this gateway knows have ended here.
    pub(crate) async fn revoke_all_of(&self, user: &str) -> Result<Vec<Receipt>, Unavailable> {
        self.forget_credentials(|session| (session.identity().user() == user).then_some(EndCause::Revoked));
        let of_the_file = UserKey { source: SOURCE.into(), subject: user.into() };
        let known = self.sessions().sessions_of(Some(user)).into_iter().map(|session| session.user().clone());
        let users: BTreeSet<_> = known.chain([of_the_file]).collect();
        let (mut receipts, mut confirmed) = (Vec::new(), true);
        for user in users {
            let ended = self.pipeline.end(Which::AllOf(user, EndCause::Revoked), self.unattended()).await;
            receipts.extend(ended.each);
            confirmed &= ended.confirmed;
        }
        confirmed.then_some(receipts).ok_or(Unavailable)
    }

    async fn revoke_each(&self, sessions: Vec<Arc<Session>>) -> Vec<Receipt> {
        self.pipeline.end(Which::These(sessions, EndCause::Revoked), self.unattended()).await.each
    }
}
