//! One session, shared by the table and the exchanges that use it.
//!
//! Size of a session of a plain local user, in bytes: the record at most 160 (with its `Arc` and the key of the
//! sign-in), its entry in the key index 10 to 21 (the table doubles when it is full), its entry in the expiry queue
//! about 9, that in the list of its user about 10 (29 to 57 for a single session). The user's key and identity, some
//! 180, are shared between the sessions of a user. `cargo bench --bench session_store` measures the total; the handbook
//! has the figure.

mod keys;

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::confirmed::{Confirmed, Freshness};
use super::end_mark::EndMark;
use super::epoch::Epoch;
use super::latest_stamp::LatestStamp;
use super::live::LiveConnections;
use super::saved;
use super::sign_in::SignIn;
use super::store::{End, HostKey, Record};
use super::successor::Successor;
use super::sync::{AtomicU32, Mutex};
use crate::values::affinity;
use crate::values::client_address::ClientAddress;
use crate::values::credential_stamp::CredentialStamp;
use crate::values::device::Device;
use crate::values::end_cause::EndCause;
use crate::values::identity::{Identity, UserKey};
use crate::values::session_id::{Handle, SessionKey};
use crate::values::time::{Clock, Moment};
use crate::vault::last_jar::LastJar;
use crate::vault::store::{ClosedVault, Vault};

/// The name of a session without a key. No cookie value has this hash.
const NO_KEY: SessionKey = SessionKey::from_bytes([0; 32]);

/// A session: who is signed in, since when, and whether it has ended.
#[derive(Debug)]
pub struct Session {
    name: SessionKey,
    user: Arc<UserKey>,
    device: Device,
    address: ClientAddress,
    created: u32,
    confirmed: Confirmed,
    rare: OnceLock<Box<RareFields>>,
    // The rest is the state that exchanges use: see `Session::life`. In a struct of its own its size would be rounded
    // up.
    /// A reload can replace it while requests are in progress.
    identity: ArcSwap<Identity>,
    stamp: LatestStamp,
    last_seen: AtomicU32,
    pub(super) ended: EndMark,
    pub(super) live: Mutex<LiveConnections>,
}

/// The fields that many sessions never need, allocated on first use.
#[derive(Debug, Default)]
struct RareFields {
    /// The first of the sessions that this one succeeds; its `own_life` is shared.
    first: Option<Arc<Session>>,
    /// The session that goes on with the life of this one.
    successor: Successor,
    /// The host of the sign-in, if it is not the login host.
    host: Option<Box<str>>,
    /// The keys of further hosts.
    further: Mutex<Vec<HostKey>>,
    /// The cookies of applications. Shared with the successor when the user signs in again.
    vault: Arc<Vault>,
    /// The number of changes by other gateways.
    changes: AtomicU32,
}

impl Session {
    pub(super) fn new(sign_in: SignIn, name: SessionKey, now: Moment) -> Self {
        // The parts of the sign-in are separate fields: as one field, its size would be rounded up.
        let SignIn { user, identity, stamp, device, address, host } = sign_in;
        Self {
            name,
            user,
            device,
            address,
            created: now.seconds(),
            confirmed: Confirmed::default(),
            identity: ArcSwap::new(identity),
            stamp: LatestStamp::new(stamp),
            last_seen: AtomicU32::new(now.seconds()),
            ended: EndMark::default(),
            live: Mutex::default(),
            rare: host.map_or_else(OnceLock::new, |host| {
                Box::new(RareFields { host: Some(host), ..RareFields::default() }).into()
            }),
        }
    }

    /// A session for requests that each carry their credentials (HTTP Basic). It has no key, so no cookie names it, and
    /// it is not in the table.
    pub(crate) fn without_key(sign_in: SignIn, now: Moment) -> Self {
        Self::new(sign_in, NO_KEY, now)
    }

    /// A session that succeeds an earlier one of the same user in the same browser. It shares the earlier one's life,
    /// which [`Self::inherit_life`] passes to it.
    pub(super) fn after(earlier: &Arc<Self>, sign_in: SignIn, name: SessionKey, now: Moment) -> Self {
        let life = earlier.life();
        life.identity.store(Arc::clone(&sign_in.identity));
        life.stamp.set(sign_in.stamp);
        earlier.touch(now);
        let (host, vault) = (sign_in.host.clone(), Arc::clone(&earlier.rare().vault));
        // The first session of the series, so that those in between are not kept in memory.
        let first = earlier.rare().first.as_ref().unwrap_or(earlier);
        let rare = RareFields { first: Some(Arc::clone(first)), host, vault, ..RareFields::default() };
        Self { rare: Box::new(rare).into(), ..Self::new(sign_in, name, now) }
    }

    /// The session with the state that exchanges use. A successor shares that of the first session.
    pub(super) fn life(&self) -> &Self {
        self.rare.get().and_then(|rare| rare.first.as_deref()).unwrap_or(self)
    }

    /// The session to which that state belongs. Created if missing, so that an end and a sign-in again use the same
    /// lock.
    fn belongs_to(&self) -> &Successor {
        &self.life().rare().successor
    }

    /// Passes the life of the earlier session to this one. `false` if that has ended.
    pub(super) fn inherit_life(&self, earlier: &Self) -> bool {
        earlier.belongs_to().pass(&earlier.life().ended, self.name)
    }

    /// The name of the session that has succeeded this one, if any.
    pub(super) fn successor(&self) -> Option<SessionKey> {
        self.belongs_to().of(&self.name)
    }

    /// Whether another session has succeeded this one, because the user signed in again in the same browser.
    pub(crate) fn is_succeeded(&self) -> bool {
        self.successor().is_some()
    }

    /// A session from the record in a store, with its application cookies. `None` if the record was written by a later
    /// version or is damaged. A wall clock that was set back does not make the session younger than at its last use.
    pub(super) fn restored(record: &Record, user: Arc<UserKey>, vault: Vault, clock: &Clock) -> Option<Self> {
        let (sign_in, stamps) = saved::read(user, &record.about)?;
        let stamp = sign_in.stamp;
        let last_seen = clock.moment_of(record.last_seen);
        let age_when_last_seen = Duration::from_secs(record.last_seen.0.saturating_sub(record.created.0));
        let created = clock.moment_of(record.created).min(last_seen.before(age_when_last_seen));
        let mut session = Self::new(sign_in, record.name, created);
        session.touch(last_seen);
        session.stamp.renew(stamp, stamps);
        if !record.further.is_empty() || record.version > 0 {
            let rare = session.rare.take().unwrap_or_default();
            session.rare = OnceLock::from(Box::new(RareFields {
                further: record.further.clone().into(),
                vault: Arc::new(vault),
                ..*rare
            }));
        }
        Some(session)
    }

    /// The record of a new session for the store.
    pub(super) fn record(&self, clock: &Clock) -> Record {
        let created = clock.wall_at(self.created());
        Record {
            name: self.name,
            further: Vec::new(),
            user: (*self.user).clone(),
            created,
            last_seen: created,
            version: 0,
            about: self.about(),
            jar: Vec::new(),
        }
    }

    /// The data of the sign-in, serialised for the store.
    pub(super) fn about(&self) -> Vec<u8> {
        saved::write(&self.identity(), self.life().stamp.get(), self.device, self.address, self.host())
    }

    /// Records that a load in this epoch found the session unchanged. `changes` is [`Self::changes`] before that load.
    pub(super) fn confirm(&self, epoch: Epoch, changes: u32) {
        self.confirmed.confirm(epoch);
        // `outdate` counts first and marks afterwards, so a concurrent change is not lost.
        if self.changes() != changes {
            self.confirmed.outdate();
        }
    }

    /// Records that another gateway has changed the session.
    pub(super) fn outdate(&self) {
        self.rare().changes.fetch_add(1, Ordering::SeqCst);
        self.confirmed.outdate();
    }

    /// The number of changes by other gateways.
    pub(super) fn changes(&self) -> u32 {
        self.rare.get().map_or(0, |rare| rare.changes.load(Ordering::SeqCst))
    }

    /// How the session relates to its record in the store.
    pub(super) fn standing(&self, epoch: Epoch) -> Freshness {
        self.confirmed.standing(epoch)
    }

    /// The key of the user, for indexes and limits.
    pub(crate) fn user(&self) -> &UserKey {
        &self.user
    }

    pub(super) fn shared_user(&self) -> Arc<UserKey> {
        Arc::clone(&self.user)
    }

    /// The current identity of the user, for display and for applications. A reload can change it.
    pub fn identity(&self) -> Arc<Identity> {
        self.life().identity.load_full()
    }

    /// The stamp of the user's password at the sign-in, or after the last change of the password in this session.
    pub(crate) fn stamp(&self) -> Option<CredentialStamp> {
        self.life().stamp.get().0
    }

    /// Replaces the identity. The caller must check the exchanges in progress against the rules again.
    pub(crate) fn set_identity(&self, identity: Arc<Identity>) {
        self.life().identity.store(identity);
    }

    /// Replaces the stamp after a change of the password.
    pub(super) fn set_stamp(&self, stamp: CredentialStamp) {
        self.life().stamp.set(Some(stamp));
    }

    /// Takes over the stamp of its record, if that is a later one.
    pub(super) fn renew_stamp(&self, record: &Record) {
        // Where a later version wrote it, the session belongs to the password that is known here.
        let kept = saved::read(self.shared_user(), &record.about);
        kept.into_iter().for_each(|(sign_in, stamps)| self.life().stamp.renew(sign_in.stamp, stamps));
    }

    /// The browser of the sign-in.
    pub(crate) fn device(&self) -> Device {
        self.device
    }

    /// The client's address at the sign-in.
    pub(crate) fn address(&self) -> ClientAddress {
        self.address
    }

    /// The moment of the sign-in.
    pub(crate) fn created(&self) -> Moment {
        Moment::from_seconds(self.created)
    }

    /// The moment of the last use, in whole seconds.
    pub fn last_seen(&self) -> Moment {
        Moment::from_seconds(self.life().last_seen.load(Ordering::Relaxed))
    }

    /// The key of the sign-in, which identifies the session in stores.
    pub(super) fn name(&self) -> &SessionKey {
        &self.name
    }

    /// The public handle of the session; `None` for one without a key.
    pub fn handle(&self) -> Option<Handle> {
        (self.name != NO_KEY).then(|| self.name.handle())
    }

    /// A number for sticky load balancing: constant for the session, or for the user if the session has no key.
    pub(crate) fn affinity(&self) -> u64 {
        if self.name == NO_KEY {
            return affinity::of(&[self.user.source.as_bytes(), self.user.subject.as_bytes()]);
        }
        self.name.affinity()
    }

    /// The vault, if it exists already. A session without a key has none.
    pub(crate) fn vault(&self) -> Option<&Vault> {
        self.rare.get().map(|rare| &*rare.vault)
    }

    /// The vault, created if necessary; `None` for a session without a key.
    pub(crate) fn open_vault(&self) -> Option<&Vault> {
        (self.name != NO_KEY).then(|| &*self.rare().vault)
    }

    fn rare(&self) -> &RareFields {
        self.rare.get_or_init(Box::default)
    }

    /// Removes the cookies of applications. The end mark must be set: an answer that comes later finds the vault
    /// closed, even if it did not exist before.
    pub(crate) fn close_vault(&self) -> ClosedVault {
        self.open_vault().map(Vault::close).unwrap_or_default()
    }

    /// Takes the content of the jars at the end of the session, for the logout calls to applications.
    pub(crate) fn take_last_jars(&self) -> Vec<LastJar> {
        self.vault().map(Vault::take_left).unwrap_or_default()
    }

    /// Whether the end mark is set. It is never reset.
    pub fn has_ended(&self) -> bool {
        self.life().ended.is_set()
    }

    /// Why the session ended; `None` while it is live.
    pub(crate) fn ended(&self) -> Option<EndCause> {
        self.life().ended.cause()
    }

    /// The number of connections that currently use the session.
    pub fn live_connections(&self) -> usize {
        self.life().live.lock().count()
    }

    /// Records a use of the session. It changes only this record, so it cannot bring an ended session back.
    pub(crate) fn touch(&self, now: Moment) {
        let (last_seen, now) = (&self.life().last_seen, now.seconds());
        // Most requests find the current second noted already, and a load is cheaper than a write to a shared cache
        // line.
        if last_seen.load(Ordering::Relaxed) < now {
            last_seen.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Asks all connections that use the session to end, and returns their number.
    pub(crate) fn cut(&self, grace: Duration) -> usize {
        self.life().live.lock().cut_all(grace)
    }

    /// Ends a session that is not in the table: sets its mark and cuts its connections. Returns the number of
    /// connections, zero if another caller has ended it.
    pub(crate) fn end_without_key(&self, cause: EndCause, grace: Duration) -> usize {
        if self.mark(cause) { self.cut(grace) } else { 0 }
    }

    /// Sets the end mark, which a successor shares. `true` for the one caller that set it: it has to remove the
    /// successor, if there is one, from the table.
    pub(super) fn mark(&self, cause: EndCause) -> bool {
        self.life().ended.set(cause)
    }

    /// Like [`Self::mark`], unless there is a successor, which continues.
    pub(super) fn mark_alone(&self, cause: EndCause) -> bool {
        self.belongs_to().end(&self.life().ended, &self.name, cause)
    }

    /// Whether an announced write is not finished.
    pub(super) fn has_writes(&self) -> bool {
        self.life().ended.is_awaited()
    }
}

/// A session that has ended, and why. The caller must run the remaining steps of the logout.
#[derive(Clone, Debug)]
#[must_use = "an ended session still has connections to cut and an audit line to write: give it to logout::Pipeline"]
pub struct Ended {
    /// The session, with its end mark set.
    pub(crate) session: Arc<Session>,
    /// The cause.
    pub(crate) cause: EndCause,
    /// Whether this replica ended it. If another one did, that one runs the remaining steps, and only the session's
    /// connections to this replica are cut.
    pub(crate) end: End,
    /// Whether the store has confirmed the end.
    pub(crate) confirmed: bool,
    /// Whether all announced writes were finished or given up in time.
    pub(crate) quiet: bool,
    /// Whether only the name ended: the exchanges in progress and the cookies of applications have moved to the next
    /// session of the same user in the same browser.
    pub(crate) goes_on: bool,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::values::session_id::SessionId;
    use crate::values::time::WallTime;

    /// A session of alice.
    pub(crate) fn session() -> Arc<Session> {
        session_named(SessionId::generate().unwrap().key())
    }

    /// The same, of this name.
    pub(crate) fn session_named(name: SessionKey) -> Arc<Session> {
        Arc::new(Session::new(alice(), name, Moment::default()))
    }

    /// A session of this user.
    pub(crate) fn session_of(user: Arc<UserKey>) -> Arc<Session> {
        let name = SessionId::generate().unwrap().key();
        Arc::new(Session::new(SignIn { user, ..alice() }, name, Moment::default()))
    }

    fn alice() -> SignIn {
        SignIn::of("file", Identity::new("alice", None, None, &[]).unwrap())
    }

    #[test]
    fn a_session_is_restored_as_old_as_it_was() {
        let (clock, hands) = Clock::manual();
        let hour = Duration::from_secs(3600);
        let kept = Session { created: clock.now().seconds(), ..Arc::into_inner(session()).unwrap() }.record(&clock);
        let kept = Record { last_seen: WallTime(kept.created.0 + 1800), ..kept };
        hands.advance(hour);
        // At its last use the session was half an hour old, whatever the wall clock shows at the next start.
        for (set_back, age, idle) in [(0, 3600, 1800), (1800, 1800, 0), (3600, 1800, 0), (36_000, 1800, 0)] {
            let ahead = |time: WallTime| WallTime(time.0 + set_back);
            let moved = Record { created: ahead(kept.created), last_seen: ahead(kept.last_seen), ..kept.clone() };
            let session = Session::restored(&moved, Arc::new(moved.user.clone()), Vault::default(), &clock).unwrap();
            let since = |moment| clock.now().duration_since(moment).as_secs();
            assert_eq!((since(session.created()), since(session.last_seen())), (age, idle), "{set_back}");
            assert_eq!(session.identity().user(), "alice");
        }
        let user = Arc::new(kept.user.clone());
        assert!(Session::restored(&Record { about: vec![9], ..kept }, user, Vault::default(), &clock).is_none());
    }

    #[test]
    fn the_record_has_the_documented_size() {
        let counts = 2 * size_of::<usize>();
        assert!(size_of::<Session>() + counts <= 160, "{}", size_of::<Session>());
    }
}
