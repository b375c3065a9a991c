//! Hand-over codes in a shared store: the request that redeems a code may reach another gateway.

use std::sync::Arc;

use super::{Lookup, SessionTable};
use crate::session::hand_over::{CODE_LIFE, SharedOffer};
use crate::session::record::Session;
use crate::session::store::Unavailable;
use crate::values::hop::{EnterKey, HopHash};
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

impl SessionTable {
    /// Whether other gateways serve the same sessions.
    pub(crate) fn is_shared(&self) -> bool {
        self.backing.as_ref().is_some_and(|backing| backing.is_shared())
    }

    /// Writes a code to the shared store. Does nothing if the store is not shared.
    ///
    /// # Errors
    /// The store has not confirmed it: the code must not be issued.
    pub(crate) async fn share_code(
        &self,
        code: &EnterKey,
        session: &Session,
        host: &str,
        hop: HopHash,
    ) -> Result<(), Unavailable> {
        let Some(backing) = self.backing.as_ref().filter(|backing| backing.is_shared()) else { return Ok(()) };
        let offer = SharedOffer { session: *session.name(), hop, host: host.into() };
        backing.put_code(code, &offer.write(), CODE_LIFE).await
    }

    /// Removes a code from the shared store and returns its content. It cannot be redeemed again on any gateway.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn take_shared_code(&self, code: &EnterKey) -> Result<Option<SharedOffer>, Unavailable> {
        let Some(backing) = &self.backing else { return Ok(None) };
        Ok(backing.take_code(code).await?.and_then(|kept| SharedOffer::read(&kept)))
    }

    /// The live session with a key, after a load.
    pub(crate) fn loaded(&self, key: &SessionKey, now: Moment) -> Option<Arc<Session>> {
        match self.look_up(key, now) {
            Lookup::Live(session) | Lookup::Outdated(session) => Some(session),
            Lookup::Over(_) | Lookup::Absent | Lookup::Unknown => None,
        }
    }
}
