//! The registration of an exchange with its session, for the duration of the exchange.

use std::sync::Arc;

use super::end_mark::WriteGuard;
use super::live::Cut;
use super::record::Session;
use crate::values::identity::Identity;

impl Session {
    /// Registers an exchange of a connection, and reads the end mark afterwards, so that a logout between the lookup
    /// and the registration is not missed. `None` if the session has ended.
    pub fn hold(self: Arc<Self>, cut: &Arc<Cut>) -> Option<Hold> {
        let among = self.life().live.lock().register(cut);
        let hold = Hold { identity: self.identity(), session: self, cut: Arc::clone(cut), among };
        (!hold.session.has_ended()).then_some(hold)
    }
}

/// The proof that an exchange is registered with a session that had not ended. Dropping it ends the registration.
#[derive(Debug)]
pub struct Hold {
    session: Arc<Session>,
    identity: Arc<Identity>,
    cut: Arc<Cut>,
    among: usize,
}

impl Hold {
    /// The number of exchanges that were registered with the session, including this one, when it was registered.
    pub(crate) fn concurrent(&self) -> usize {
        self.among
    }

    /// The session.
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The identity when the exchange was registered: rules and identity headers of one request use the same one.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Requests the permission to write a head, or bytes of a tunnel. To be called right before each write. `None` if
    /// the session has ended.
    pub fn begin_write(&self) -> Option<WriteGuard<'_>> {
        self.session.life().ended.begin_write()
    }
}

impl Drop for Hold {
    /// Resets the cut as well: between two requests a connection belongs to no session.
    fn drop(&mut self) {
        self.session.life().live.lock().deregister(&self.cut);
        self.cut.disarm();
    }
}
