//! One session. Shared by everything that acts in its name.
//!
//! Size of a plain local user's session, in bytes, with all indexes: the record 160 (its `Arc` included), its
//! key 32 on the heap, its place in the key index 47 to 94 and in the user index about 30 (tables and lists double
//! when they are full), its turn in the sweeper 40 to 75: 310 to 390, under the budget of 400. The user's name and
//! identity are shared between the sessions of a user.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::end_mark::{EndMark, WriteGuard};
use super::live::{Cut, LiveConnections};
use crate::values::affinity;
use crate::values::client_address::ClientAddress;
use crate::values::device::Device;
use crate::values::end_cause::EndCause;
use crate::values::identity::{Identity, UserKey};
use crate::values::session_id::{Handle, SessionKey};
use crate::values::time::Moment;

/// What is known at a sign-in.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Who, for indexes and limits.
    pub user: UserKey,
    /// Who, for people and applications.
    pub identity: Arc<Identity>,
    /// The browser, as people call it.
    pub device: Device,
    /// Where the sign-in came from.
    pub address: ClientAddress,
}

/// A session: who is signed in, since when, and whether that is over.
#[derive(Debug)]
pub struct Session {
    user: UserKey,
    identity: Arc<Identity>,
    device: Device,
    address: ClientAddress,
    affinity: u64,
    created: u32,
    last_seen: AtomicU32,
    ended: EndMark,
    keys: Mutex<Vec<SessionKey>>,
    live: LiveConnections,
}

impl Session {
    pub(super) fn new(sign_in: SignIn, key: SessionKey, now: Moment) -> Self {
        Self::made(sign_in, key.affinity(), vec![key], now)
    }

    /// What requests register with that prove with every one who sends them (HTTP Basic): it has no key, so no cookie
    /// opens it, and it is in no table.
    pub fn without_key(sign_in: SignIn, now: Moment) -> Self {
        let affinity = affinity::of(&[sign_in.user.source.as_bytes(), sign_in.user.subject.as_bytes()]);
        Self::made(sign_in, affinity, Vec::new(), now)
    }

    fn made(sign_in: SignIn, affinity: u64, keys: Vec<SessionKey>, now: Moment) -> Self {
        // The sign-in's parts one by one: as one field its size would be rounded up.
        let SignIn { user, identity, device, address } = sign_in;
        Self {
            user,
            identity,
            device,
            address,
            affinity,
            created: now.seconds(),
            last_seen: AtomicU32::new(now.seconds()),
            ended: EndMark::default(),
            keys: Mutex::new(keys),
            live: LiveConnections::default(),
        }
    }

    /// Who is signed in, for indexes and limits.
    pub fn user(&self) -> &UserKey {
        &self.user
    }

    /// Who is signed in, for people and applications.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// The browser of the sign-in.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Where the sign-in came from.
    pub fn address(&self) -> ClientAddress {
        self.address
    }

    /// When the sign-in was.
    pub fn created(&self) -> Moment {
        Moment::from_seconds(self.created)
    }

    /// When the session was last used, to the second.
    pub fn last_seen(&self) -> Moment {
        Moment::from_seconds(self.last_seen.load(Ordering::Relaxed))
    }

    /// The public name of the session.
    pub fn handle(&self) -> Option<Handle> {
        self.keys.lock().first().map(SessionKey::handle)
    }

    /// A number that stays the same for this session, to choose the same upstream by.
    pub fn affinity(&self) -> u64 {
        self.affinity
    }

    /// Whether the end mark is set. It is never taken back.
    pub fn has_ended(&self) -> bool {
        self.ended.is_set()
    }

    /// Why it ended; `None` while it lives.
    pub fn ended(&self) -> Option<EndCause> {
        self.ended.cause()
    }

    /// How many connections act in its name at this moment.
    pub fn live_connections(&self) -> usize {
        self.live.count()
    }

    /// Notes that the session is used. Never brings one back: there is nothing here to insert into.
    pub fn touch(&self, now: Moment) {
        let now = now.seconds();
        // Most requests of one second find it noted already; a load is cheaper than a write to a shared line.
        if self.last_seen.load(Ordering::Relaxed) < now {
            self.last_seen.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Registers an exchange of a connection, then reads the end mark: `None` if the session has ended, so a
    /// logout between the look-up and this moment is not missed.
    pub fn hold(self: Arc<Self>, cut: &Arc<Cut>) -> Option<Hold> {
        let among = self.live.register(cut);
        let hold = Hold { session: self, cut: Arc::clone(cut), among };
        (!hold.session.has_ended()).then_some(hold)
    }

    /// Asks everything that acts in the session's name to end, and answers how many connections that were.
    pub fn cut(&self, grace: Duration) -> usize {
        self.live.cut_all(grace)
    }

    /// Ends a session that is in no table: nobody finds it, so its mark and the cut are all there is to do. Answers how
    /// many connections that were, none if somebody else has ended it.
    pub fn end_without_key(&self, cause: EndCause, grace: Duration) -> usize {
        if self.mark(cause) { self.cut(grace) } else { 0 }
    }

    /// Sets the end mark. True for the one caller that set it.
    pub(super) fn mark(&self, cause: EndCause) -> bool {
        self.ended.set(cause)
    }

    /// Whether somebody has announced a write in its name and not made it yet.
    pub(super) fn has_writes(&self) -> bool {
        self.ended.is_awaited()
    }

    /// Adds the key of another own host, unless the session has ended.
    pub(super) fn add_key(&self, key: SessionKey) -> bool {
        let mut keys = self.keys.lock();
        let live = !self.has_ended();
        if live {
            keys.push(key);
        }
        live
    }

    pub(super) fn keys(&self) -> Vec<SessionKey> {
        self.keys.lock().clone()
    }
}

/// The proof that an exchange is registered with a session that had not ended. Dropped, it deregisters.
#[derive(Debug)]
pub struct Hold {
    session: Arc<Session>,
    cut: Arc<Cut>,
    among: usize,
}

impl Hold {
    /// How many exchanges were registered with the session when this one was, itself included.
    pub fn among(&self) -> usize {
        self.among
    }

    /// The session.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Asks for leave to write a head, or bytes of a tunnel: to be asked for anew right before each write. `None`: the
    /// session has ended.
    pub fn begin_write(&self) -> Option<WriteGuard<'_>> {
        self.session.ended.begin_write()
    }
}

impl Drop for Hold {
    /// The cut is over with its exchange: between two requests a connection belongs to nobody's session.
    fn drop(&mut self) {
        self.session.live.deregister(&self.cut);
        self.cut.disarm();
    }
}

/// A session that has ended, and why. Whoever gets one has to run the rest of the logout.
#[derive(Clone, Debug)]
#[must_use = "an ended session still has connections to cut and an audit line to write: give it to logout::run"]
pub struct Ended {
    /// The session, marked.
    pub session: Arc<Session>,
    /// Why.
    pub cause: EndCause,
    /// Whether the store has confirmed the end.
    pub confirmed: bool,
    /// Whether all writes that were announced in its name were made, or given up, in time.
    pub quiet: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_keeps_its_budget() {
        assert!(size_of::<Session>() + 2 * size_of::<usize>() <= 160, "{}", size_of::<Session>());
    }
}
