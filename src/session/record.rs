//! One session. Shared by everything that acts in its name.
//!
//! Size of a plain local user's session, in bytes: the record at most 192 (its `Arc` and the key of the
//! sign-in included), its place in the key index 43 to 86 (the table doubles when it is full), its entry in the expiry
//! queue about 36. The user's name and identity are shared between the sessions of a user. `cargo bench --bench
//! session_store` measures what a session takes in all; the handbook has the figure.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::confirmed::{Confirmed, Standing};
use super::epoch::Epoch;
use super::life::Life;
use super::saved;
use super::sign_in::SignIn;
use super::store::{End, HostKey, Record};
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
use crate::vault::store::{Closed, Vault};

/// In place of a key: nothing has this hash.
const NO_KEY: SessionKey = SessionKey::from_bytes([0; 32]);

/// A session: who is signed in, since when, and whether that is over.
#[derive(Debug)]
pub struct Session {
    name: SessionKey,
    user: Arc<UserKey>,
    /// See [`Session::life`].
    own_life: Life,
    device: Device,
    address: ClientAddress,
    created: u32,
    confirmed: Confirmed,
    rare: OnceLock<Box<Rare>>,
}

/// What many sessions never have.
#[derive(Debug, Default)]
struct Rare {
    /// The session whose life goes on in this one.
    first: Option<Arc<Session>>,
    /// The own host of the sign-in, where that is not the login host.
    host: Option<Box<str>>,
    /// The keys of further hosts.
    further: Mutex<Vec<HostKey>>,
    /// The cookies of applications. They go on when the user signs in again.
    vault: Arc<Vault>,
    /// How often another gateway has changed it.
    changes: AtomicU32,
}

impl Session {
    pub(super) fn new(sign_in: SignIn, name: SessionKey, now: Moment) -> Self {
        // The sign-in's parts one by one: as one field its size would be rounded up.
        let SignIn { user, identity, stamp, device, address, host } = sign_in;
        Self {
            name,
            user,
            own_life: Life::new(identity, stamp, now),
            device,
            address,
            created: now.seconds(),
            confirmed: Confirmed::default(),
            rare: host.map_or_else(OnceLock::new, |host| Box::new(Rare { host: Some(host), ..Rare::default() }).into()),
        }
    }

    /// What requests register with that prove with every one who sends them (HTTP Basic): it has no key, so no cookie
    /// opens it, and it is in no table.
    pub(crate) fn without_key(sign_in: SignIn, now: Moment) -> Self {
        Self::new(sign_in, NO_KEY, now)
    }

    /// A session of the same user in the same browser as an earlier one, whose life goes on in it as soon as it is
    /// passed on.
    pub(super) fn after(earlier: &Arc<Self>, sign_in: SignIn, name: SessionKey, now: Moment) -> Self {
        let life = earlier.life();
        life.identity.store(Arc::clone(&sign_in.identity));
        *life.stamp.lock() = sign_in.stamp;
        life.touch(now);
        let (host, vault) = (sign_in.host.clone(), Arc::clone(&earlier.rare().vault));
        // The very first one: however often the user signs in again, no other record is kept.
        let first = earlier.rare().first.as_ref().unwrap_or(earlier);
        let rare = Rare { first: Some(Arc::clone(first)), host, vault, ..Rare::default() };
        Self { rare: Box::new(rare).into(), ..Self::new(sign_in, name, now) }
    }

    /// What exchanges go by: after a sign-in again that of the session before.
    pub(super) fn life(&self) -> &Life {
        let first = self.rare.get().and_then(|rare| rare.first.as_ref());
        first.map_or(&self.own_life, |first| &first.own_life)
    }

    /// Passes the life of the earlier session on to this one. False if it is over.
    pub(super) fn follow(&self, earlier: &Self) -> bool {
        earlier.life().pass_to(self.name)
    }

    /// The name of the session that goes on in place of this one, if there is one.
    pub(super) fn successor(&self) -> Option<SessionKey> {
        self.life().successor_of(&self.name)
    }

    /// Whether the user has signed in again in the same browser: another session goes on in place of this one.
    pub(crate) fn is_succeeded(&self) -> bool {
        self.successor().is_some()
    }

    /// A session of this user that a store has kept, with its application cookies. `None` if its record is of a later
    /// version, or broken. No wall clock that was set back makes it younger than it was at its last use.
    pub(super) fn restored(record: &Record, user: Arc<UserKey>, vault: Vault, clock: &Clock) -> Option<Self> {
        let sign_in = saved::read(user, &record.about)?;
        let last_seen = clock.moment_of(record.last_seen);
        let age_when_last_seen = Duration::from_secs(record.last_seen.0.saturating_sub(record.created.0));
        let created = clock.moment_of(record.created).min(last_seen.before(age_when_last_seen));
        let mut session = Self::new(sign_in, record.name, created);
        session.touch(last_seen);
        if !record.further.is_empty() || record.version > 0 {
            let rare = session.rare.take().unwrap_or_default();
            session.rare = OnceLock::from(Box::new(Rare {
                further: record.further.clone().into(),
                vault: Arc::new(vault),
                ..*rare
            }));
        }
        Some(session)
    }

    /// What a store keeps of a session that was just made.
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

    /// What is known of the sign-in, as stores keep it.
    pub(super) fn about(&self) -> Vec<u8> {
        saved::write(&self.identity(), self.stamp(), self.device, self.address, self.host())
    }

    /// The store has it as it is here, as was read in this epoch, when others had changed it so often.
    pub(super) fn confirm(&self, epoch: Epoch, changes: u32) {
        self.confirmed.confirm(epoch);
        // In this order: whichever of this and a change comes second sees the other.
        if self.changes() != changes {
            self.confirmed.outdate();
        }
    }

    /// Another gateway has changed it.
    pub(super) fn outdate(&self) {
        self.rare().changes.fetch_add(1, Ordering::SeqCst);
        self.confirmed.outdate();
    }

    /// How often another gateway has changed it.
    pub(super) fn changes(&self) -> u32 {
        self.rare.get().map_or(0, |rare| rare.changes.load(Ordering::SeqCst))
    }

    /// Whether the store has confirmed it in this epoch, or another gateway has changed it.
    pub(super) fn standing(&self, epoch: Epoch) -> Standing {
        self.confirmed.standing(epoch)
    }

    /// Who is signed in, for indexes and limits.
    pub(crate) fn user(&self) -> &UserKey {
        &self.user
    }

    pub(super) fn shared_user(&self) -> Arc<UserKey> {
        Arc::clone(&self.user)
    }

    /// Who is signed in, for people and applications, as the user's source says it at this moment.
    pub fn identity(&self) -> Arc<Identity> {
        self.life().identity.load_full()
    }

    /// What was stored of the user's password at the sign-in, or when it was last changed in this session's name.
    pub(crate) fn stamp(&self) -> Option<CredentialStamp> {
        *self.life().stamp.lock()
    }

    /// From now on this is who is signed in. The caller has exchanges judged again that have their permit already.
    pub(crate) fn set_identity(&self, identity: Arc<Identity>) {
        self.life().identity.store(identity);
    }

    /// From now on the session belongs to this password.
    pub(super) fn set_stamp(&self, stamp: CredentialStamp) {
        *self.life().stamp.lock() = Some(stamp);
    }

    /// The browser of the sign-in.
    pub(crate) fn device(&self) -> Device {
        self.device
    }

    /// Where the sign-in came from.
    pub(crate) fn address(&self) -> ClientAddress {
        self.address
    }

    /// When the sign-in was.
    pub(crate) fn created(&self) -> Moment {
        Moment::from_seconds(self.created)
    }

    /// When the session was last used, to the second.
    pub fn last_seen(&self) -> Moment {
        self.life().last_seen()
    }

    /// The key of the sign-in: what stores know the session by.
    pub(super) fn name(&self) -> &SessionKey {
        &self.name
    }

    /// The public name of the session; `None` for one without a key.
    pub fn handle(&self) -> Option<Handle> {
        (self.name != NO_KEY).then(|| self.name.handle())
    }

    /// A number that stays the same for this session, or for this user where there is no key, to choose the same
    /// upstream by.
    pub(crate) fn affinity(&self) -> u64 {
        if self.name == NO_KEY {
            return affinity::of(&[self.user.source.as_bytes(), self.user.subject.as_bytes()]);
        }
        self.name.affinity()
    }

    /// The cookies of applications, where there are any. A session without a key has none.
    pub(crate) fn vault(&self) -> Option<&Vault> {
        self.rare.get().map(|rare| &*rare.vault)
    }

    /// The same, made where it is missing.
    pub(crate) fn open_vault(&self) -> Option<&Vault> {
        (self.name != NO_KEY).then(|| &*self.rare().vault)
    }

    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    /// Forgets the cookies of applications in the gateway. The mark is set: an answer that comes later finds the vault
    /// closed, whether there was one or not.
    pub(crate) fn close_vault(&self) -> Closed {
        self.open_vault().map(Vault::close).unwrap_or_default()
    }

    /// Takes out what the jars had at the end, for the calls to applications.
    pub(crate) fn take_last_jars(&self) -> Vec<LastJar> {
        self.vault().map(Vault::take_left).unwrap_or_default()
    }

    /// Whether the end mark is set. It is never taken back.
    pub fn has_ended(&self) -> bool {
        self.life().ended.is_set()
    }

    /// Why it ended; `None` while it lives.
    pub(crate) fn ended(&self) -> Option<EndCause> {
        self.life().ended.cause()
    }

    /// How many connections act in its name at this moment.
    pub fn live_connections(&self) -> usize {
        self.life().live.count()
    }

    /// Notes that the session is used. Never brings one back: there is nothing here to insert into.
    pub(crate) fn touch(&self, now: Moment) {
        self.life().touch(now);
    }

    /// Asks everything that acts in the session's name to end, and answers how many connections that were.
    pub(crate) fn cut(&self, grace: Duration) -> usize {
        self.life().live.cut_all(grace)
    }

    /// Ends a session that is not in the table: only its mark and its connections remain. Returns how many connections
    /// were cut, `None` if another caller has ended it.
    pub(crate) fn end_without_key(&self, cause: EndCause, grace: Duration) -> usize {
        if self.mark(cause) { self.cut(grace) } else { 0 }
    }

    /// Sets the end mark, which is that of its successor as well. True for the one caller that set it: it has to take
    /// the successor out, if there is one by then.
    pub(super) fn mark(&self, cause: EndCause) -> bool {
        self.life().ended.set(cause)
    }

    /// The same, unless there is a successor: that one goes on.
    pub(super) fn mark_alone(&self, cause: EndCause) -> bool {
        self.life().end_of(&self.name, cause)
    }

    /// Whether a write in its name is announced and not finished.
    pub(super) fn has_writes(&self) -> bool {
        self.life().ended.is_awaited()
    }

    /// Adds the key of another own host, unless the session has ended or was replaced by another one.
    pub(super) fn add_key(&self, key: HostKey) -> bool {
        let mut further = self.rare().further.lock();
        let live = !self.has_ended() && !self.is_succeeded();
        if live {
            further.push(key);
        }
        live
    }

    /// Takes out a key of a further host.
    pub(super) fn take_key(&self, key: &SessionKey) {
        self.rare.get().into_iter().for_each(|rare| rare.further.lock().retain(|further| further.key != *key));
    }

    /// Takes out every other key of a host than this one, which replaces them.
    pub(super) fn take_replaced(&self, by: &HostKey) -> Vec<SessionKey> {
        let is_replaced = |other: &mut HostKey| other.host == by.host && other.key != by.key;
        self.rare().further.lock().extract_if(.., is_replaced).map(|replaced| replaced.key).collect()
    }

    fn host(&self) -> Option<&str> {
        self.rare.get()?.host.as_deref()
    }

    /// Every key, with the host whose cookie it is of. `login` is the login host.
    pub(crate) fn host_keys(&self, login: &str) -> Vec<(SessionKey, Box<str>)> {
        let further = self.rare.get().map(|rare| rare.further.lock().clone()).unwrap_or_default();
        let first = (self.name, self.host().unwrap_or(login).into());
        std::iter::once(first).chain(further.into_iter().map(|HostKey { key, host }| (key, host))).collect()
    }

    /// The names of the own hosts that have a cookie of it, that of the sign-in first. `login` is the login host.
    pub(crate) fn hosts(&self, login: &str) -> Vec<Box<str>> {
        let mut hosts: Vec<Box<str>> = Vec::new();
        for (_, host) in self.host_keys(login) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }

    /// Every key that opens it, the first one first.
    pub(crate) fn keys(&self) -> Vec<SessionKey> {
        let further = self.rare.get().map(|rare| rare.further.lock().clone()).unwrap_or_default();
        std::iter::once(self.name).chain(further.into_iter().map(|further| further.key)).collect()
    }
}

/// A session that has ended, and why. Its holder must run the rest of the logout.
#[derive(Clone, Debug)]
#[must_use = "an ended session still has connections to cut and an audit line to write: give it to logout::Pipeline"]
pub struct Ended {
    /// The session, marked.
    pub(crate) session: Arc<Session>,
    /// Why.
    pub(crate) cause: EndCause,
    /// Who ended it. If another replica did, the rest of the logout is its task, and only the session's connections
    /// here are cut.
    pub(crate) end: End,
    /// Whether the store has confirmed the end.
    pub(crate) confirmed: bool,
    /// Whether all writes that were announced in its name were made, or given up, in time.
    pub(crate) quiet: bool,
    /// Only its name ended: what acts in it, and the cookies of applications, have gone over to the next session of the
    /// same user in the same browser.
    pub(crate) goes_on: bool,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::values::session_id::SessionId;
    use crate::values::time::WallTime;

    /// A session of alice's.
    pub(crate) fn session() -> Arc<Session> {
        let sign_in = SignIn::of("file", Identity::new("alice", None, None, &[]).unwrap());
        Arc::new(Session::new(sign_in, SessionId::generate().unwrap().key(), Moment::default()))
    }

    #[test]
    fn a_session_is_restored_as_old_as_it_was() {
        let (clock, hands) = Clock::manual();
        let hour = Duration::from_secs(3600);
        let kept = Session { created: clock.now().seconds(), ..Arc::into_inner(session()).unwrap() }.record(&clock);
        let kept = Record { last_seen: WallTime(kept.created.0 + 1800), ..kept };
        hands.advance(hour);
        // Half an hour was the last use, whatever wall time the next start finds.
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
    fn the_record_keeps_its_budget() {
        let counts = 2 * size_of::<usize>();
        assert!(size_of::<Session>() + counts <= 192, "{}", size_of::<Session>());
    }
}
