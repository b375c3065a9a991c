//! Operations of the admin socket.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::app_cookies::host_name;
use super::{Gateway, run_to_completion};
use crate::audit::{Event, Operation};
use crate::logout::receipts::is_confirmed;
use crate::logout::run::SessionsToEnd;
use crate::metrics::{Gauges, Metrics};
use crate::session::record::Session;
use crate::session::store::Unavailable;
use crate::values::end_cause::EndCause;
use crate::values::own_hosts::HostId;
use crate::values::receipt::Receipt;

/// The number of sessions that end in one batch.
const BATCH_SIZE: usize = 1000;

impl Gateway {
    /// Clears the count of wrong passwords of an account or of an address. Returns whether there was one.
    pub(crate) fn unban(&self, user: &str) -> bool {
        self.throttle.unban(user, self.pipeline.clock.now())
    }

    /// All sessions, or those of one user, the latest sign-in first.
    pub(crate) fn sessions_of(&self, user: Option<&str>) -> Vec<Arc<Session>> {
        let mut sessions = self.sessions().sessions_of(user);
        sessions.sort_by_key(|session| std::cmp::Reverse(session.created()));
        sessions
    }

    /// The current gauges for monitoring, with this number of open client connections.
    pub(crate) fn gauges(&self, connections: usize) -> Gauges {
        let [audit_file_waiting, audit_webhook_waiting] = self.pipeline.log.audit_waiting();
        Gauges {
            sessions: self.sessions().len(),
            connections,
            store_trusted: self.sessions().is_trusted(self.pipeline.clock.now()),
            audit_file_waiting,
            audit_webhook_waiting,
            passwords_waiting: self.passwords.waiting(),
            calls_waiting: self.pipeline.calls.waiting(),
        }
    }

    /// The metrics, counted since the start.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        self.pipeline.log.metrics()
    }

    /// Writes an operation to the audit log.
    pub(crate) fn note_operation(&self, operation: Operation<'_>) {
        self.pipeline.log.event(self.pipeline.clock.wall(), &Event::Operation(operation));
    }

    /// The time since a session's sign-in, and since its last use.
    pub(crate) fn ages(&self, session: &Session) -> (Duration, Duration) {
        let now = self.pipeline.clock.now();
        (now.duration_since(session.created()), now.duration_since(session.last_seen()))
    }

    /// Ends the session of this handle; `None` if there is none. It is completed and audited even if the caller's
    /// future is dropped.
    pub(crate) async fn revoke(self: &Arc<Self>, handle: &str) -> Option<Receipt> {
        let (gateway, handle) = (Arc::clone(self), handle.to_owned());
        let revoke = async move {
            let session = gateway.session_of_handle(&handle).await?;
            gateway.revoke_each(vec![session]).await.pop()
        };
        run_to_completion(revoke).await.flatten()
    }

    /// The session of this handle. A handle is a hash, and all sessions are searched for it: with many sessions that
    /// takes a while, so it runs on a blocking thread.
    pub(crate) async fn session_of_handle(self: &Arc<Self>, handle: &str) -> Option<Arc<Session>> {
        let (gateway, handle) = (Arc::clone(self), handle.to_owned());
        let search = move || {
            let named = |session: &Arc<Session>| session.handle().is_some_and(|own| *own.as_str() == *handle);
            gateway.sessions().sessions_of(None).into_iter().find(named)
        };
        tokio::task::spawn_blocking(search).await.ok().flatten()
    }

    /// The hosts that a session is open on, each with the names of its vaulted cookies.
    pub(crate) fn cookies_of(&self, session: &Session) -> Vec<(Box<str>, Vec<String>)> {
        let hosts = session.hosts(host_name(&self.assembled.load(), HostId::LOGIN)).into_iter();
        let names = |host: &str| session.vault().map(|vault| vault.names(host)).unwrap_or_default();
        hosts.map(|host| (host.clone(), names(&host))).collect()
    }

    /// Ends these sessions. Returns how many have ended, and whether the store has confirmed it.
    pub(crate) async fn revoke_selected(&self, sessions: Vec<Arc<Session>>) -> (usize, bool) {
        let (mut ended, mut confirmed) = (0, true);
        // Receipts of a million sessions at once would take much memory.
        for some in sessions.chunks(BATCH_SIZE) {
            let receipts = self.revoke_each(some.to_vec()).await;
            ended += receipts.len();
            confirmed &= receipts.iter().all(is_confirmed);
        }
        (ended, confirmed)
    }

    /// Ends every session of a user, also those that only the store knows, and the running requests with the user's
    /// Basic credentials.
    ///
    /// # Errors
    /// The store has not confirmed that there are no others. Those that this gateway knows have ended here.
    pub(crate) async fn revoke_all_of(&self, user: &str) -> Result<Vec<Receipt>, Unavailable> {
        self.forget_credentials(|session| (session.identity().user() == user).then_some(EndCause::Revoked));
        let assembled = self.assembled.load_full();
        let known = self.sessions().sessions_of(Some(user)).into_iter().map(|session| session.user().clone());
        let users: BTreeSet<_> = known.chain(assembled.methods.keys_of(user)).collect();
        let (mut receipts, mut confirmed) = (Vec::new(), true);
        for user in users {
            let ended = self.pipeline.end(SessionsToEnd::AllOf(user, EndCause::Revoked), self.without_client()).await;
            receipts.extend(ended.each);
            confirmed &= ended.confirmed;
        }
        confirmed.then_some(receipts).ok_or(Unavailable)
    }

    async fn revoke_each(&self, sessions: Vec<Arc<Session>>) -> Vec<Receipt> {
        self.pipeline.end(SessionsToEnd::These(sessions, EndCause::Revoked), self.without_client()).await.each
    }
}
