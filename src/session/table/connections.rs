//! The connections that use a session, at all gateways of a shared store.

use super::SessionTable;
use crate::session::elsewhere::MAX_TOLD;
use crate::session::record::Session;
use crate::values::time::Moment;

impl SessionTable {
    /// The number of connections that use a session, at all gateways together. For other gateways it is some seconds
    /// old.
    pub(crate) fn connections_of(&self, session: &Session) -> usize {
        let elsewhere = self.backing.as_ref().map_or(0, |backing| backing.elsewhere.of(session.name()));
        session.live_connections().saturating_add(elsewhere)
    }

    /// Tells the other gateways how many connections use sessions here, if that is due, and takes over their numbers.
    pub(crate) async fn exchange_connections(&self, now: Moment) {
        let Some(backing) = self.backing.as_ref().filter(|backing| backing.is_shared()) else { return };
        // A store that does not answer must not hold up the caller, and what it said before is too old.
        if !backing.is_trusted(now) {
            backing.elsewhere.replace([]);
        } else if backing.elsewhere.is_due(now) {
            let told = backing.exchange_connections(&self.by_user.connections(MAX_TOLD)).await;
            backing.elsewhere.replace(told.unwrap_or_default());
        }
    }
}
