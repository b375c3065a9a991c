//! The store that several gateways share: `store = "redis://…"`, or with automatic failover `"redis+sentinel://…"` and
//! `"redis+cluster://…"`.
//!
//! Each gateway answers from its own table, and follows the events of the others ([`reader`]). Every change is one
//! script, so that it is atomic. An end is answered when every gateway that still serves has read it ([`peers`]). All
//! keys of the store begin with [`PREFIX`].

mod address;
mod connections;
mod event_id;
mod eviction;
mod link;
mod notes;
mod peers;
mod reader;
mod records;
mod scripts;
#[cfg(test)]
mod tests;
mod topology;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::timeout;

pub use self::address::{NotAnAddress, RedisAddress};
use self::event_id::EventId;
pub(crate) use self::eviction::policy_at;
use self::link::Link;
pub(crate) use self::peers::MAX_STALENESS;
use self::peers::{Heartbeats, Peers};
use self::reader::{EventReader, Recent};
use self::records::{RecordReply, encoded_key, key, lines, user};
use self::scripts::Scripts;
use super::{
    Cursor, End, HostKey, IdleEnd, JarWrite, Note, NoteKind, Record, RecordPage, SessionConnections, SessionStore,
    StoreEvent, Trust, Unavailable, Use,
};
use crate::values::identity::UserKey;
use crate::values::mac::{Mac, MacKeys, MacPurpose};
use crate::values::session_id::{NoRandomness, SessionId, SessionKey};
use crate::values::time::{Clock, WallTime};

/// The prefix of all keys. The braces are a hash tag, which keeps the keys in one slot of a Cluster.
pub(crate) const PREFIX: &str = "{exeunt}:";
/// The stream of events.
const EVENTS: &str = "{exeunt}:e";
/// The maximum number of keys in one call of a script, which blocks the server while it runs.
const BATCH_SIZE: usize = 1000;
/// The number of checks, at the start, whether the gateway may serve.
const START_CHECKS: usize = 1000;
/// The time for which a change of a session waits until the other gateways have read it. After that it is answered
/// anyway.
const ACKNOWLEDGEMENT_TIMEOUT: Duration = Duration::from_millis(500);
/// The interval of the checks whether the other gateways have read an event.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The state that calls and the reader share.
#[derive(Debug)]
struct RedisState {
    link: Link,
    scripts: Scripts,
    peers: Peers,
    recent: Recent,
    trust: Arc<Trust>,
    staleness: Duration,
    clock: Clock,
}

/// A store on a Redis server, or on one with the same protocol, such as Valkey.
#[derive(Debug)]
pub struct RedisStore {
    shared: RedisState,
    reader: Mutex<EventReader>,
    /// Held by the call that reads the heartbeats of the other gateways, for all calls that wait.
    asking: Mutex<()>,
}

/// The answer of a script for an end: its kind ([`WON`], [`USED`] or zero), and its event or the time of the last use.
type EndReply = (u8, String);

/// Why a store cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotConnected {
    /// The server cannot be reached, or refuses the connection.
    Unavailable,
    /// The server's certificate is not trusted, or has another name.
    Untrusted,
    /// Fewer replicas than required confirm a write.
    TooFewReplicas,
    /// The store belongs to gateways with other keys. The password stamps of its sessions could not be verified, so all
    /// of them would end.
    OtherKeys,
}

impl From<Unavailable> for NotConnected {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

impl RedisStore {
    /// Connects to the server. The session table must be filled after this call, so that no event is missed.
    /// `staleness` is the time for which this gateway may use its table after its last heartbeat.
    ///
    /// # Errors
    /// [`NotConnected`]
    pub async fn connect(
        address: &RedisAddress,
        staleness: Duration,
        clock: Clock,
        keys: &MacKeys,
    ) -> Result<Self, NotConnected> {
        let place = address.place().map_err(|_| Unavailable)?;
        let own = SessionId::generate().map_err(|NoRandomness| Unavailable)?.key().handle().to_string();
        let (link, scripts) = (Link::new(place, address.replicas()), Scripts::new());
        link.begin().await?;
        let read = begin(&link, &scripts, &own, keys).await?;
        let shared = RedisState {
            link,
            scripts,
            peers: Peers::new(own),
            recent: Recent::default(),
            trust: Arc::new(Trust::untrusted(staleness)),
            staleness,
            clock,
        };
        Ok(Self { shared, reader: Mutex::new(EventReader::from(read)), asking: Mutex::default() })
    }

    /// Waits, for a limited time, until the table is trusted for the first time.
    pub async fn first_trusted(&self) {
        for _ in 0..START_CHECKS {
            if self.shared.trust.holds_at(self.shared.clock.now()) {
                return;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Leaves the group of gateways at a stop: the table is no longer trusted, and no other gateway waits for this one.
    pub async fn leave(&self) {
        // Events are not followed any more, so the lock is free.
        let left = self.reader.lock().await.leave(&self.shared).await;
        let _ = self.shared.link.log_state(left);
    }

    /// Waits until every gateway that still serves has read this event. `said` are the heartbeats after the event.
    async fn known(&self, event: Option<EventId>, said: Heartbeats) -> Result<(), Unavailable> {
        let RedisState { link, peers, clock, .. } = &self.shared;
        peers.note(said, clock.now());
        let Some(event) = event else { return Ok(()) };
        while !peers.have_read(event, clock.now()) {
            let _asking = self.asking.lock().await;
            if !peers.have_read(event, clock.now()) {
                tokio::time::sleep(POLL_INTERVAL).await;
                peers.note(link.read_heartbeats().await?, clock.now());
            }
        }
        Ok(())
    }

    /// Like [`Self::known`], with a timeout, for changes that others may miss for a while without letting anyone in.
    async fn known_soon(&self, event: &str, said: Heartbeats) {
        let known = self.known(EventId::parse(event), said);
        if timeout(ACKNOWLEDGEMENT_TIMEOUT, known).await.is_err() {
            tracing::debug!("another gateway on the session store has not read a change of this one yet");
        }
    }

    /// `false` if the store remembers that the session has ended.
    async fn insert(&self, record: Record) -> Result<bool, Unavailable> {
        let Record { name, further, user: whose, created, last_seen, version, about, jar } = record;
        let arguments = |call: &mut redis::ScriptInvocation<'_>| {
            call.arg(encoded_key(&name)).arg(Scripts::TIME_TO_LIVE).arg(lines(&further)).arg(user(&whose));
            call.arg(created.0).arg(last_seen.0).arg(version).arg(about).arg(jar);
        };
        self.shared.link.call(&self.shared.scripts.open, arguments).await
    }

    async fn load_some(&self, keys: &[SessionKey]) -> Result<Vec<Option<Record>>, Unavailable> {
        let RedisState { link, scripts, .. } = &self.shared;
        // Callers cache that a key is absent, so the answer of a primary that was replaced must not be used.
        let is_absence = |found: &Vec<Option<RecordReply>>| found.iter().any(Option::is_none);
        let found = link.call_confirmed(&scripts.load, |call| keys_of(call, keys), is_absence).await?;
        Ok(found.into_iter().map(|found| found.map(|RecordReply(record)| record)).collect())
    }
}

/// Checks that the store belongs to gateways with these keys. Returns the event after which the reader begins.
async fn begin(link: &Link, scripts: &Scripts, own: &str, keys: &MacKeys) -> Result<EventId, NotConnected> {
    let sign = keys.sign(MacPurpose::SharedStore, &[]).encode();
    let ask = |replace: u8| link.call(&scripts.begin, move |call| _ = call.arg(own).arg(sign.clone()).arg(replace));
    let (event, theirs): (EventId, String) = ask.clone()(0).await?;
    let verified = Mac::parse(theirs.as_bytes()).is_some_and(|mac| keys.verify(MacPurpose::SharedStore, &[], &mac));
    if !verified {
        return Err(NotConnected::OtherKeys);
    }
    // The stored fingerprint may be of an earlier key of the same gateways: replace it.
    let _: (EventId, String) = ask(1).await?;
    Ok(event)
}

/// The kinds of answers of a script for an end. Zero is an absent session.
const WON: u8 = 1;
const USED: u8 = 2;

/// The server's cursor of a scan, if it was issued by this server.
fn cursor_of(cursor: &[u8], server: &str) -> Option<u64> {
    let (number, of) = cursor.split_first_chunk()?;
    (of == server.as_bytes()).then(|| u64::from_be_bytes(*number))
}

fn keys_of(call: &mut redis::ScriptInvocation<'_>, keys: &[SessionKey]) {
    keys.iter().for_each(|key| _ = call.arg(encoded_key(key)));
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn open(&self, record: Record) -> Result<(), Unavailable> {
        if self.insert(record).await? { Ok(()) } else { Err(Unavailable) }
    }

    async fn take_over(&self, record: Record) -> Result<bool, Unavailable> {
        self.insert(record).await
    }

    async fn load(&self, key: &SessionKey) -> Result<Option<Record>, Unavailable> {
        Ok(self.load_some(std::slice::from_ref(key)).await?.pop().flatten())
    }

    async fn load_many(&self, keys: &[SessionKey]) -> Result<Vec<Option<Record>>, Unavailable> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BATCH_SIZE) {
            found.extend(self.load_some(keys).await?);
        }
        Ok(found)
    }

    async fn load_all_of(&self, whose: &UserKey, beyond: usize) -> Result<Vec<Record>, Unavailable> {
        let RedisState { link, scripts, .. } = &self.shared;
        let arguments = |call: &mut redis::ScriptInvocation<'_>| _ = call.arg(user(whose)).arg(beyond);
        let found: Vec<RecordReply> = link.call(&scripts.load_all_of, arguments).await?;
        Ok(found.into_iter().map(|RecordReply(record)| record).collect())
    }

    async fn page(&self, from: Option<Cursor>, about: usize) -> Result<RecordPage, Unavailable> {
        let RedisState { link, scripts, .. } = &self.shared;
        // The cursor of a scan is only valid on the server that issued it.
        let server = link.server().ok_or(Unavailable)?;
        let cursor = from.map(|Cursor(bytes)| cursor_of(&bytes, &server).ok_or(Unavailable)).transpose()?;
        let arguments = |call: &mut redis::ScriptInvocation<'_>| _ = call.arg(cursor.unwrap_or_default()).arg(about);
        let (next, names): (u64, Vec<String>) = link.call(&scripts.scan, arguments).await?;
        let names = names.iter().filter_map(|name| name.get(PREFIX.len() + 2..));
        let names: Vec<_> = names.filter_map(key).collect();
        let records = self.load_many(&names).await?.into_iter().flatten().collect();
        let cursor = || Cursor([&next.to_be_bytes(), server.as_bytes()].concat());
        Ok(RecordPage { records, next: (next != 0).then(cursor) })
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), Unavailable> {
        for uses in uses.chunks(BATCH_SIZE) {
            let pairs = |call: &mut redis::ScriptInvocation<'_>| {
                uses.iter().for_each(|used| _ = call.arg(encoded_key(&used.session)).arg(used.at.0));
            };
            let _: u8 = self.shared.link.call(&self.shared.scripts.touch, pairs).await?;
        }
        Ok(())
    }

    async fn add_key(&self, session: &SessionKey, HostKey { key, host }: HostKey) -> Result<bool, Unavailable> {
        let arguments = |call: &mut redis::ScriptInvocation<'_>| {
            call.arg(self.shared.peers.own_name())
                .arg(encoded_key(session))
                .arg(encoded_key(&key))
                .arg(&*host)
                .arg(Scripts::TIME_TO_LIVE);
        };
        let (added, said, event): (bool, Heartbeats, String) =
            self.shared.link.call(&self.shared.scripts.add_key, arguments).await?;
        self.known_soon(&event, said).await;
        Ok(added)
    }

    async fn set_jar(&self, session: &SessionKey, version: u32, jar: &[u8]) -> Result<JarWrite, Unavailable> {
        let arguments = |call: &mut redis::ScriptInvocation<'_>| {
            call.arg(self.shared.peers.own_name()).arg(encoded_key(session)).arg(version).arg(jar);
        };
        let (written, said, event): (u8, Heartbeats, String) =
            self.shared.link.call(&self.shared.scripts.set_jar, arguments).await?;
        self.known_soon(&event, said).await;
        Ok(match written {
            0 => JarWrite::Gone,
            1 => JarWrite::Outdated,
            _ => JarWrite::Written,
        })
    }

    async fn set_about(&self, session: &SessionKey, about: &[u8]) -> Result<bool, Unavailable> {
        let arguments = |call: &mut redis::ScriptInvocation<'_>| {
            call.arg(self.shared.peers.own_name()).arg(encoded_key(session)).arg(about);
        };
        let (is_there, said, event): (bool, Heartbeats, String) =
            self.shared.link.call(&self.shared.scripts.set_about, arguments).await?;
        self.known_soon(&event, said).await;
        Ok(is_there)
    }

    async fn end(&self, sessions: &[SessionKey]) -> Result<Vec<End>, Unavailable> {
        let RedisState { link, scripts, peers, recent, clock, .. } = &self.shared;
        recent.note(sessions.iter().map(encoded_key), clock.now());
        let mut ends = Vec::with_capacity(sessions.len());
        for sessions in sessions.chunks(BATCH_SIZE) {
            let arguments = |call: &mut redis::ScriptInvocation<'_>| {
                call.arg(peers.own_name()).arg(Scripts::REMEMBERED);
                keys_of(call, sessions);
            };
            let (said, done): (Heartbeats, Vec<EndReply>) = link.call(&scripts.end, arguments).await?;
            self.known(done.iter().filter_map(|(_, event)| EventId::parse(event)).max(), said).await?;
            ends.extend(done.iter().map(|(what, _)| end_of(*what)));
        }
        Ok(ends)
    }

    async fn end_all_of(&self, whose: &UserKey) -> Result<Vec<Record>, Unavailable> {
        let RedisState { link, scripts, peers, recent, clock, .. } = &self.shared;
        let arguments = |call: &mut redis::ScriptInvocation<'_>| {
            call.arg(peers.own_name()).arg(Scripts::REMEMBERED).arg(user(whose));
        };
        let (said, last, ended): (Heartbeats, String, Vec<RecordReply>) =
            link.call(&scripts.end_all_of, arguments).await?;
        recent.note(ended.iter().map(|RecordReply(record)| encoded_key(&record.name)), clock.now());
        self.known(EventId::parse(&last), said).await?;
        Ok(ended.into_iter().map(|RecordReply(record)| record).collect())
    }

    async fn end_if_idle(&self, sessions: &[SessionKey], cut_off: WallTime) -> Result<Vec<IdleEnd>, Unavailable> {
        let RedisState { link, scripts, peers, .. } = &self.shared;
        let mut ends = Vec::with_capacity(sessions.len());
        for sessions in sessions.chunks(BATCH_SIZE) {
            let arguments = |call: &mut redis::ScriptInvocation<'_>| {
                call.arg(peers.own_name()).arg(Scripts::REMEMBERED).arg(cut_off.0);
                keys_of(call, sessions);
            };
            // No client was told that these sessions have ended, so the call does not wait for the other gateways.
            let done: Vec<EndReply> = link.call(&scripts.end_if_idle, arguments).await?;
            ends.extend(done.into_iter().map(|(what, seen)| match (what, seen.parse()) {
                (USED, Ok(seen)) => IdleEnd::Used(WallTime(seen)),
                _ => IdleEnd::Ended(end_of(what)),
            }));
        }
        Ok(ends)
    }

    async fn use_keys(&self, keys: &MacKeys) -> Result<bool, Unavailable> {
        let RedisState { link, scripts, peers, .. } = &self.shared;
        match begin(link, scripts, peers.own_name(), keys).await {
            Ok(_) => Ok(true),
            Err(NotConnected::OtherKeys) => Ok(false),
            Err(NotConnected::Unavailable | NotConnected::Untrusted | NotConnected::TooFewReplicas) => Err(Unavailable),
        }
    }

    async fn exchange_connections(&self, own: &[SessionConnections]) -> Result<Vec<SessionConnections>, Unavailable> {
        self.shared.exchange_connections(own).await
    }

    async fn put_notes(&self, notes: &[Note]) -> Result<(), Unavailable> {
        self.shared.put_notes(notes).await
    }

    async fn notes(&self, kind: NoteKind, most: usize) -> Result<Vec<Note>, Unavailable> {
        self.shared.notes(kind, most).await
    }

    async fn note(&self, kind: NoteKind, key: &[u8]) -> Result<Option<Note>, Unavailable> {
        self.shared.note(kind, key).await
    }

    async fn put_code(&self, code: &[u8; 32], content: &[u8], life: Duration) -> Result<(), Unavailable> {
        self.shared.put_code(code, content, life).await
    }

    async fn take_code(&self, code: &[u8; 32]) -> Result<Option<Vec<u8>>, Unavailable> {
        self.shared.take_code(code).await
    }

    async fn events(&self) -> Result<Vec<StoreEvent>, Unavailable> {
        let events = self.reader.lock().await.next(&self.shared).await;
        self.shared.link.log_state(events)
    }

    fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.shared.trust)
    }

    fn longest_end(&self) -> Duration {
        // A gateway that was killed is waited for until its table would no longer be trusted.
        self.shared.staleness + Duration::from_secs(2)
    }
}

fn end_of(what: u8) -> End {
    if what == WON { End::Won } else { End::Lost }
}
