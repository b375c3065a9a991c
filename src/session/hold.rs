//! An exchange that acts in a session's name, for as long as it does.

use std::sync::Arc;

use super::end_mark::WriteGuard;
use super::live::Cut;
use super::record::Session;
use crate::values::identity::Identity;

impl Session {
    /// Registers an exchange of a connection, then reads the end mark: `None` if the session has ended, so a
    /// logout between the look-up and this moment is not missed.
    pub fn hold(self: Arc<Self>, cut: &Arc<Cut>) -> Option<Hold> {
        let among = self.life().live.register(cut);
        let hold = Hold { identity: self.identity(), session: self, cut: Arc::clone(cut), among };
        (!hold.session.has_ended()).then_some(hold)
    }
}

/// The proof that an exchange is registered with a session that had not ended. Dropped, it deregisters.
#[derive(Debug)]
pub struct Hold {
    session: Arc<Session>,
    identity: Arc<Identity>,
    cut: Arc<Cut>,
    among: usize,
}

impl Hold {
    /// How many exchanges were registered with the session when this one was, itself included.
    pub(crate) fn among(&self) -> usize {
        self.among
    }

    /// The session.
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The identity at the moment when the exchange was registered, so that the rules and the identity headers use the
    /// same one.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Asks for permission to write a head, or bytes of a tunnel: to be called again right before each write. `None`:
    /// the session has ended.
    pub fn begin_write(&self) -> Option<WriteGuard<'_>> {
        self.session.life().ended.begin_write()
    }
}

impl Drop for Hold {
    /// The cut ends with its exchange: between two requests a connection belongs to no session.
    fn drop(&mut self) {
        self.session.life().live.deregister(&self.cut);
        self.cut.disarm();
    }
}
