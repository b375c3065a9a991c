//! What operators ask for while the gateway runs.

use std::sync::Arc;
use std::time::Duration;

use super::Gateway;
use crate::session::record::{Ended, Session};
use crate::values::end_cause::EndCause;
use crate::values::receipt::Receipt;

impl Gateway {
    /// Forgets the wrong passwords of an account, or those from an address. Answers whether there were any.
    pub fn unban(&self, user: &str) -> bool {
        self.throttle.unban(user, self.pipeline.clock.now())
    }

    /// The sessions of everybody, or of one user, the last sign-in first.
    pub fn everybody(&self, user: Option<&str>) -> Vec<Arc<Session>> {
        let mut sessions = self.sessions.everybody(user);
        sessions.sort_by_key(|session| std::cmp::Reverse(session.created()));
        sessions
    }

    /// How long ago a session's sign-in was, and its last use.
    pub fn ages(&self, session: &Session) -> (Duration, Duration) {
        let now = self.pipeline.clock.now();
        (now.duration_since(session.created()), now.duration_since(session.last_seen()))
    }

    /// Ends the session of this handle. `None` if there is none.
    pub async fn revoke(&self, handle: &str) -> Option<Receipt> {
        let named = |session: &&Arc<Session>| session.handle().is_some_and(|own| own.as_str() == handle);
        let sessions = self.sessions.everybody(None);
        let session = sessions.iter().find(named)?;
        self.revoke_one(session).await
    }

    /// Ends every session of a user.
    pub async fn revoke_all_of(&self, user: &str) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        for session in self.sessions.everybody(Some(user)) {
            receipts.extend(self.revoke_one(&session).await);
        }
        receipts
    }

    async fn revoke_one(&self, session: &Arc<Session>) -> Option<Receipt> {
        let begun = self.pipeline.clock.now();
        let grace = self.assembled.load().logout.grace;
        let ended: Ended = self.sessions.end(session, EndCause::Revoked).await?;
        Some(self.pipeline.run(&ended, begun, grace, 0))
    }
}
