//! Sessions that several gateways share: `store = "redis://…"`, and where replicas take over `"redis+sentinel://…"` and
//! `"redis+cluster://…"`.
//!
//! Each gateway answers from its own table, and follows what the others end ([`reader`]). Every change is one script,
//! so that it is done whole or not at all; an end is answered when no gateway that serves can still let its session in
//! ([`peers`]). All keys of the store begin with [`PREFIX`].

mod address;
mod event_id;
mod eviction;
mod link;
mod notes;
mod peers;
mod place;
mod reader;
mod records;
#[cfg(test)]
mod tests;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::timeout;

pub use self::address::{NotAnAddress, RedisAddress};
use self::event_id::EventId;
use self::link::{Code, Link};
pub(crate) use self::peers::LONGEST as LONGEST_STALENESS;
use self::peers::{Peers, Said};
use self::reader::{Reader, Recent};
use self::records::{Kept, key, lines, user, word};
use super::{
    Cursor, End, HostKey, IdleEnd, JarWrite, Note, NoteKind, Page, Record, SessionStore, StoreEvent, Trust,
    Unavailable, Use,
};
use crate::values::identity::UserKey;
use crate::values::mac::{Mac, MacKeys, Purpose};
use crate::values::session_id::{NoRandomness, SessionId, SessionKey};
use crate::values::time::{Clock, WallTime};

/// What all keys begin with. The braces keep them in one slot.
pub(crate) const PREFIX: &str = "{exeunt}:";
/// The stream of events.
const EVENTS: &str = "{exeunt}:e";
/// Keys in one call of a script: others wait while it runs.
const TOGETHER: usize = 1000;
/// How often it is looked whether a gateway that has just started may serve.
const FIRST_LOOKS: usize = 1000;
/// How long a change of a session may take until the others have read it: after that it is answered all the same.
const ACKNOWLEDGING: Duration = Duration::from_millis(500);
/// How often the others are asked whether they have read an event.
const ASKING: Duration = Duration::from_millis(2);

/// The scripts. Each begins with `common.lua`.
#[derive(Debug)]
struct Scripts {
    begin: Code,
    beat: Code,
    open: Code,
    load: Code,
    load_all_of: Code,
    touch: Code,
    add_key: Code,
    set_jar: Code,
    set_about: Code,
    end: Code,
    end_if_idle: Code,
    end_all_of: Code,
    scan: Code,
    put_notes: Code,
    notes: Code,
    note: Code,
    put_code: Code,
    take_code: Code,
}

impl Scripts {
    /// When a session that nobody uses or ends any more is deleted by the server itself, in milliseconds: later than
    /// the longest life that can be configured.
    const NET: u64 = 366 * 24 * 60 * 60 * 1000;
    /// For how long the server remembers of a key that its session has ended, in milliseconds: for late calls.
    const REMEMBERED: u64 = 60 * 60 * 1000;

    fn new() -> Self {
        // What has been answered is there after a failover; when sessions were used, and whether idle ones are over, is
        // known to the gateways as well.
        let (script, kept) = (|text| Code::new(text, false), |text| Code::new(text, true));
        Self {
            begin: script(include_str!("begin.lua")),
            beat: script(include_str!("beat.lua")),
            open: kept(include_str!("open.lua")),
            load: script(include_str!("load.lua")),
            load_all_of: script(include_str!("load_all_of.lua")),
            touch: script(include_str!("touch.lua")),
            add_key: kept(include_str!("add_key.lua")),
            set_jar: kept(include_str!("set_jar.lua")),
            set_about: kept(include_str!("set_about.lua")),
            end: kept(include_str!("end.lua")),
            end_if_idle: script(include_str!("end_if_idle.lua")),
            end_all_of: kept(include_str!("end_all_of.lua")),
            scan: script(include_str!("scan.lua")),
            put_notes: script(include_str!("put_notes.lua")),
            notes: script(include_str!("notes.lua")),
            note: script(include_str!("note.lua")),
            put_code: script(include_str!("put_code.lua")),
            take_code: kept(include_str!("take_code.lua")),
        }
    }
}

/// What calls and the reader have in common.
#[derive(Debug)]
struct Shared {
    link: Link,
    scripts: Scripts,
    peers: Peers,
    recent: Recent,
    trust: Arc<Trust>,
    staleness: Duration,
    clock: Clock,
}

/// A store on a Redis server, or one that speaks its protocol.
#[derive(Debug)]
pub struct RedisStore {
    shared: Shared,
    reader: Mutex<Reader>,
    /// Whoever asks what the others have read: the answer is for all who wait.
    asking: Mutex<()>,
}

/// What became of an end: whether this call did it, or when the session was used; and its event.
type Done = (u8, String);

/// Why a store cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotConnected {
    /// The server cannot be reached, or refuses.
    Unavailable,
    /// Its certificate is none that is trusted, or is another server's.
    Untrusted,
    /// Fewer replicas confirm a write than have to.
    TooFewReplicas,
    /// The sessions there are of gateways with other keys: they would be taken for those of changed users.
    OtherKeys,
}

impl From<Unavailable> for NotConnected {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

impl RedisStore {
    /// Connects to the server at this address, where there may be sessions already. The table that is filled from the
    /// store has to be filled after this.
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
        let shared = Shared {
            link,
            scripts,
            peers: Peers::new(own),
            recent: Recent::default(),
            trust: Arc::new(Trust::not_yet(staleness)),
            staleness,
            clock,
        };
        Ok(Self { shared, reader: Mutex::new(Reader::from(read)), asking: Mutex::default() })
    }

    /// Waits until the table may be believed for the first time, for a while.
    pub async fn first_trusted(&self) {
        for _ in 0..FIRST_LOOKS {
            if self.shared.trust.holds_at(self.shared.clock.now()) {
                return;
            }
            tokio::time::sleep(ASKING).await;
        }
    }

    /// Stops serving: from now on the table is not believed any more, and no other gateway waits for this one.
    pub async fn leave(&self) {
        // Nobody follows any more.
        let left = self.reader.lock().await.leave(&self.shared).await;
        let _ = self.shared.link.noted(left);
    }

    /// Waits until no gateway that serves can be without this event. `said` is what they said after it.
    async fn known(&self, event: Option<EventId>, said: Said) -> Result<(), Unavailable> {
        let Shared { link, peers, clock, .. } = &self.shared;
        peers.note(said, clock.now());
        let Some(event) = event else { return Ok(()) };
        while !peers.have_read(event, clock.now()) {
            let _asking = self.asking.lock().await;
            if !peers.have_read(event, clock.now()) {
                tokio::time::sleep(ASKING).await;
                peers.note(link.others().await?, clock.now());
            }
        }
        Ok(())
    }

    /// The same, for what others may be without for a while: their answers are older then, and nobody is let in.
    async fn known_soon(&self, event: &str, said: Said) {
        let known = self.known(EventId::parse(event), said);
        if timeout(ACKNOWLEDGING, known).await.is_err() {
            tracing::debug!("a gateway on the session store has not read yet what this one changed");
        }
    }

    /// False where the session has ended before it began.
    async fn insert(&self, record: Record) -> Result<bool, Unavailable> {
        let Record { name, further, user: whose, created, last_seen, version, about, jar } = record;
        let arguments = |call: &mut redis::ScriptInvocation<'_>| {
            call.arg(word(&name)).arg(Scripts::NET).arg(lines(&further)).arg(user(&whose));
            call.arg(created.0).arg(last_seen.0).arg(version).arg(about).arg(jar);
        };
        self.shared.link.call(&self.shared.scripts.open, arguments).await
    }

    async fn load_some(&self, keys: &[SessionKey]) -> Result<Vec<Option<Record>>, Unavailable> {
        let Shared { link, scripts, .. } = &self.shared;
        // What is absent is absent for good: a primary that was replaced must not say so.
        let is_absence = |found: &Vec<Option<Kept>>| found.iter().any(Option::is_none);
        let found = link.call_confirmed(&scripts.load, |call| keys_of(call, keys), is_absence).await?;
        Ok(found.into_iter().map(|found| found.map(|Kept(record)| record)).collect())
    }
}

/// The event to begin with, where the sessions are of gateways with these keys.
async fn begin(link: &Link, scripts: &Scripts, own: &str, keys: &MacKeys) -> Result<EventId, NotConnected> {
    let sign = keys.sign(Purpose::SharedStore, &[]).encode();
    let ask = |replace: u8| link.call(&scripts.begin, move |call| _ = call.arg(own).arg(sign.clone()).arg(replace));
    let (event, theirs): (EventId, String) = ask.clone()(0).await?;
    let verified = Mac::parse(theirs.as_bytes()).is_some_and(|mac| keys.verify(Purpose::SharedStore, &[], &mac));
    if !verified {
        return Err(NotConnected::OtherKeys);
    }
    // An earlier key of the same gateways.
    let _: (EventId, String) = ask(1).await?;
    Ok(event)
}

/// The numbers that scripts answer for an end; of a session that is not there it is zero.
const WON: u8 = 1;
const USED: u8 = 2;

/// The server's own cursor, if it is this server's.
fn place_in(cursor: &[u8], server: &str) -> Option<u64> {
    let (number, of) = cursor.split_first_chunk()?;
    (of == server.as_bytes()).then(|| u64::from_be_bytes(*number))
}

fn keys_of(call: &mut redis::ScriptInvocation<'_>, keys: &[SessionKey]) {
    keys.iter().for_each(|key| _ = call.arg(word(key)));
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
        for keys in keys.chunks(TOGETHER) {
            found.extend(self.load_some(keys).await?);
        }
        Ok(found)
    }

    async fn load_all_of(&self, whose: &UserKey, beyond: usize) -> Result<Vec<Record>, Unavailable> {
        let Shared { link, scripts, .. } = &self.shared;
        let arguments = |call: &mut redis::ScriptInvocation<'_>| _ = call.arg(user(whose)).arg(beyond);
        let found: Vec<Kept> = link.call(&scripts.load_all_of, arguments).await?;
        Ok(found.into_iter().map(|Kept(record)| record).collect())
    }

    async fn page(&self, from: Option<Cursor>, about: usize) -> Result<Page, Unavailable> {
        let Shared { link, scripts, .. } = &self.shared;
        // Where a reading stands means nothing to another server.
        let server = link.server().ok_or(Unavailable)?;
        let cursor = from.map(|Cursor(bytes)| place_in(&bytes, &server).ok_or(Unavailable)).transpose()?;
        let arguments = |call: &mut redis::ScriptInvocation<'_>| _ = call.arg(cursor.unwrap_or_default()).arg(about);
        let (next, names): (u64, Vec<String>) = link.call(&scripts.scan, arguments).await?;
        let names = names.iter().filter_map(|name| name.get(PREFIX.len() + 2..));
        let names: Vec<_> = names.filter_map(key).collect();
        let records = self.load_many(&names).await?.into_iter().flatten().collect();
        let cursor = || Cursor([&next.to_be_bytes(), server.as_bytes()].concat());
        Ok(Page { records, next: (next != 0).then(cursor) })
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), Unavailable> {
        for uses in uses.chunks(TOGETHER) {
            let pairs = |call: &mut redis::ScriptInvocation<'_>| {
                uses.iter().for_each(|used| _ = call.arg(word(&used.session)).arg(used.at.0));
            };
            let _: u8 = self.shared.link.call(&self.shared.scripts.touch, pairs).await?;
        }
        Ok(())
    }

    async fn add_key(&self, session: &SessionKey, HostKey { key, host }: HostKey) -> Result<bool, Unavailable> {
        let arguments = |call: &mut redis::ScriptInvocation<'_>| {
            call.arg(self.shared.peers.own()).arg(word(session)).arg(word(&key)).arg(&*host).arg(Scripts::NET);
        };
        let (added, said, event): (bool, Said, String) =
            self.shared.link.call(&self.shared.scripts.add_key, arguments).await?;
        self.known_soon(&event, said).await;
        Ok(added)
    }

    async fn set_jar(&self, session: &SessionKey, version: u32, jar: &[u8]) -> Result<JarWrite, Unavailable> {
        let arguments = |call: &mut redis::ScriptInvocation<'_>| {
            call.arg(self.shared.peers.own()).arg(word(session)).arg(version).arg(jar);
        };
        let (written, said, event): (u8, Said, String) =
            self.shared.link.call(&self.shared.scripts.set_jar, arguments).await?;
        self.known_soon(&event, said).await;
        Ok(match written {
            0 => JarWrite::Gone,
            1 => JarWrite::Outdated,
            _ => JarWrite::Written,
        })
    }

    async fn set_about(&self, session: &SessionKey, about: &[u8]) -> Result<bool, Unavailable> {
        let arguments = |call: &mut redis::ScriptInvocation<'_>| _ = call.arg(word(session)).arg(about);
        self.shared.link.call(&self.shared.scripts.set_about, arguments).await
    }

    async fn end(&self, sessions: &[SessionKey]) -> Result<Vec<End>, Unavailable> {
        let Shared { link, scripts, peers, recent, clock, .. } = &self.shared;
        recent.note(sessions.iter().map(word), clock.now());
        let mut ends = Vec::with_capacity(sessions.len());
        for sessions in sessions.chunks(TOGETHER) {
            let arguments = |call: &mut redis::ScriptInvocation<'_>| {
                call.arg(peers.own()).arg(Scripts::REMEMBERED);
                keys_of(call, sessions);
            };
            let (said, done): (Said, Vec<Done>) = link.call(&scripts.end, arguments).await?;
            self.known(done.iter().filter_map(|(_, event)| EventId::parse(event)).max(), said).await?;
            ends.extend(done.iter().map(|(what, _)| end_of(*what)));
        }
        Ok(ends)
    }

    async fn end_all_of(&self, whose: &UserKey) -> Result<Vec<Record>, Unavailable> {
        let Shared { link, scripts, peers, recent, clock, .. } = &self.shared;
        let arguments = |call: &mut redis::ScriptInvocation<'_>| {
            call.arg(peers.own()).arg(Scripts::REMEMBERED).arg(user(whose));
        };
        let (said, last, ended): (Said, String, Vec<Kept>) = link.call(&scripts.end_all_of, arguments).await?;
        recent.note(ended.iter().map(|Kept(record)| word(&record.name)), clock.now());
        self.known(EventId::parse(&last), said).await?;
        Ok(ended.into_iter().map(|Kept(record)| record).collect())
    }

    async fn end_if_idle(&self, sessions: &[SessionKey], cut_off: WallTime) -> Result<Vec<IdleEnd>, Unavailable> {
        let Shared { link, scripts, peers, .. } = &self.shared;
        let mut ends = Vec::with_capacity(sessions.len());
        for sessions in sessions.chunks(TOGETHER) {
            let arguments = |call: &mut redis::ScriptInvocation<'_>| {
                call.arg(peers.own()).arg(Scripts::REMEMBERED).arg(cut_off.0);
                keys_of(call, sessions);
            };
            // Nobody was told that these have ended: the others learn of it in their own time.
            let done: Vec<Done> = link.call(&scripts.end_if_idle, arguments).await?;
            ends.extend(done.into_iter().map(|(what, seen)| match (what, seen.parse()) {
                (USED, Ok(seen)) => IdleEnd::Used(WallTime(seen)),
                _ => IdleEnd::Ended(end_of(what)),
            }));
        }
        Ok(ends)
    }

    async fn use_keys(&self, keys: &MacKeys) -> Result<bool, Unavailable> {
        let Shared { link, scripts, peers, .. } = &self.shared;
        match begin(link, scripts, peers.own(), keys).await {
            Ok(_) => Ok(true),
            Err(NotConnected::OtherKeys) => Ok(false),
            Err(NotConnected::Unavailable | NotConnected::Untrusted | NotConnected::TooFewReplicas) => Err(Unavailable),
        }
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
        self.shared.link.noted(events)
    }

    fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.shared.trust)
    }

    fn longest_end(&self) -> Duration {
        // A gateway that was killed is waited for until it would have stopped serving.
        self.shared.staleness + Duration::from_secs(2)
    }
}

fn end_of(what: u8) -> End {
    if what == WON { End::Won } else { End::Lost }
}
