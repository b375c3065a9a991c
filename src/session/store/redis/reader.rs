//! Follows the events of the other gateways, and moves the trust in the table.
//!
//! One connection of its own, and on it again and again two commands in one go: what this gateway has read is said
//! ([`super::peers`]), and what is new is waited for. What came back says how the store was after they were sent; so
//! the table may be believed until `staleness` after that moment, once it has done what the events say.
//!
//! Events may have been missed where the stream does not reach back to the last one that was read, or has less than
//! that; and where this is another server, or the same one after a restart: it may have lost what it had confirmed.
//! Then the table is told of a gap, and the ends of the last minutes are asked for again, before it is believed.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, ParsingError, Pipeline, RedisResult, Value, cmd};
use tokio::time::timeout;

use super::event_id::EventId;
use super::eviction;
use super::link::{self, invocation, timed_out};
use super::peers::{LEFT, Said, saying};
use super::records::key;
use super::{EVENTS, PREFIX, Scripts, Shared};
use crate::session::store::StoreEvent;
use crate::values::time::Moment;

/// The most events in one answer.
const AT_ONCE: usize = 1000;

/// Where the reading stands.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Option<Connection>,
    /// The last event that was read. What the table knows begins there.
    read: EventId,
    /// How often this was said.
    count: u64,
    /// Events may have been missed, and the table has not been told.
    gap: bool,
    /// Until when the table may be believed, once it has done what it was told last.
    promised: Option<Moment>,
    /// By which policy the server deletes keys.
    eviction: Option<String>,
}

#[derive(Debug)]
struct Connection(MultiplexedConnection);

type Fields = HashMap<String, String>;
/// For each stream its events, or nothing at all.
type Read = Option<Vec<(String, Vec<(EventId, Fields)>)>>;
/// What one round answers.
struct Answer {
    beat: Beat,
    /// So many have what was said.
    replicas: u32,
    read: Read,
}

impl FromRedisValue for Answer {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (beat, replicas, read) = match value {
            Value::Array(ref answers) if answers.len() == 2 => {
                let (beat, read) = redis::from_redis_value(value)?;
                (beat, 0, read)
            }
            _ => redis::from_redis_value(value)?,
        };
        Ok(Self { beat, replicas, read })
    }
}

/// The first event of the stream, its last one, and what all gateways say.
type Beat = (EventId, EventId, Said);

impl Reader {
    /// From this event on.
    pub(super) fn from(read: EventId) -> Self {
        Self { connection: None, read, count: 0, gap: false, promised: None, eviction: None }
    }

    /// Waits for events of others. Whoever calls it has done what the last call returned.
    pub(super) async fn next(&mut self, shared: &Shared) -> RedisResult<Vec<StoreEvent>> {
        if let Some(until) = self.promised.take() {
            shared.trust.set_until(until);
        }
        loop {
            let sent = shared.clock.now();
            let events = match self.round(shared).await {
                Ok(events) => events,
                Err(error) => {
                    self.connection = None;
                    return Err(error);
                }
            };
            let until = sent + shared.staleness;
            if !events.is_empty() {
                self.promised = Some(until);
                return Ok(events);
            }
            shared.trust.set_until(until);
        }
    }

    async fn round(&mut self, shared: &Shared) -> RedisResult<Vec<StoreEvent>> {
        let mut connection = match &self.connection {
            Some(Connection(connection)) => connection.clone(),
            None => self.connect(shared).await?,
        };
        // Whoever is not trusted does not wait for events that may be long in coming; and a gap is told at once.
        let hurries = self.gap || !shared.trust.holds_at(shared.clock.now());
        let wait = if hurries { Duration::from_millis(1) } else { shared.staleness / 5 };
        self.count += 1;
        let commands = self.commands(shared, wait);
        let answer = timeout(wait + shared.staleness, commands.query_async::<Answer>(&mut connection));
        let Answer { beat: (first, last, said), replicas, read } = answer.await.unwrap_or_else(|_| Err(timed_out()))?;
        shared.link.enough(replicas)?;
        shared.peers.note(said, shared.clock.now());
        let missed = first > self.read || last < self.read;
        if missed {
            tracing::warn!("events of the session store were missed: every session is asked for again");
            self.gap = true;
            self.read = last;
        }
        let mut told = Vec::from_iter(std::mem::take(&mut self.gap).then_some(StoreEvent::Gap));
        for (id, fields) in read.into_iter().flatten().flat_map(|(_, events)| events) {
            self.read = self.read.max(id);
            if fields.get("r").is_some_and(|by| by != shared.peers.own()) {
                told.extend(event(&fields));
            }
        }
        Ok(told)
    }

    fn commands(&self, shared: &Shared, wait: Duration) -> Pipeline {
        let mut commands = redis::pipe();
        let beat = commands.cmd("EVALSHA").arg(shared.scripts.beat.script.get_hash()).arg(2).arg(PREFIX).arg(EVENTS);
        beat.arg(shared.peers.own()).arg(saying(self.read, self.count, shared.staleness));
        for (name, said) in shared.peers.forgotten(shared.clock.now()) {
            beat.arg(name).arg(said);
        }
        // A primary that was replaced and does not know it yet has nobody who confirms.
        if shared.link.replicas() > 0 {
            commands.add_command(link::wait(shared.link.replicas()));
        }
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let read = commands.cmd("XREAD").arg("COUNT").arg(AT_ONCE).arg("BLOCK").arg(wait);
        read.arg("STREAMS").arg(EVENTS).arg(self.read);
        commands
    }

    /// Makes the connection, to a primary that has enough replicas. Where it does not lead to the server that it led to
    /// before, what that one knew is in doubt.
    async fn connect(&mut self, shared: &Shared) -> RedisResult<MultiplexedConnection> {
        let ready = async {
            let (server, mut connection) = shared.link.dedicated().await?;
            shared.scripts.beat.script.load_async(&mut connection).await?;
            let eviction = eviction::policy(&mut connection).await?;
            Ok::<_, redis::RedisError>((server, connection, eviction))
        };
        let (server, connection, eviction) =
            timeout(shared.staleness, ready).await.unwrap_or_else(|_| Err(timed_out()))?;
        if !shared.link.leads_to(&server) {
            tracing::warn!("the session store has restarted, or is another server: every session is asked for again");
            shared.recent.again(shared, &connection).await?;
            shared.link.lead_to(&server).await;
            self.gap = true;
        }
        if eviction != self.eviction {
            eviction.iter().for_each(|policy| eviction::warn(policy));
            self.eviction = eviction;
        }
        self.connection = Some(Connection(connection.clone()));
        Ok(connection)
    }

    /// Tells the others that this gateway serves no more, and makes it so.
    pub(super) async fn leave(&mut self, shared: &Shared) -> RedisResult<()> {
        shared.trust.set_until(Moment::default());
        self.promised = None;
        let connection = self.connection.take();
        let say = async {
            let mut connection = match connection {
                Some(Connection(connection)) => connection,
                None => shared.link.dedicated().await?.1,
            };
            let mut command = cmd("HSET");
            command.arg(format!("{PREFIX}r")).arg(shared.peers.own()).arg(LEFT);
            command.query_async(&mut connection).await
        };
        timeout(shared.staleness, say).await.unwrap_or_else(|_| Err(timed_out()))
    }
}

/// What an event says; `None` if this version does not know it.
fn event(fields: &Fields) -> Option<StoreEvent> {
    let key_in = |field: &str| fields.get(field).and_then(|word| key(word));
    if let Some(name) = key_in("n") {
        return Some(StoreEvent::Ended(name));
    }
    if fields.contains_key("o") {
        return Some(StoreEvent::Learned);
    }
    let session = key_in("c")?;
    match fields.get("v") {
        Some(version) => Some(StoreEvent::JarWritten { session, version: version.parse().ok()? }),
        None => fields.contains_key("x").then(|| StoreEvent::KeyAdded { session, replaced: key_in("x") }),
    }
}

/// The ends that this gateway has asked for: a server that takes over may not know of them.
#[derive(Debug, Default)]
pub(super) struct Recent(parking_lot::Mutex<VecDeque<(Moment, String)>>);

/// For how long they are kept, and how many of them.
const KEPT: Duration = Duration::from_secs(600);
const MOST: usize = 100_000;

impl Recent {
    pub(super) fn note(&self, names: impl Iterator<Item = String>, now: Moment) {
        let mut recent = self.0.lock();
        recent.extend(names.map(|name| (now, name)));
        let surplus = recent.len().saturating_sub(MOST);
        recent.drain(..surplus);
        while recent.front().is_some_and(|(at, _)| now.duration_since(*at) > KEPT) {
            recent.pop_front();
        }
    }

    async fn again(&self, shared: &Shared, connection: &MultiplexedConnection) -> RedisResult<()> {
        let names: Vec<_> = self.0.lock().iter().map(|(_, name)| name.clone()).collect();
        for names in names.chunks(AT_ONCE) {
            let mut call = invocation(&shared.scripts.end.script);
            call.arg(shared.peers.own()).arg(Scripts::REMEMBERED).arg(names);
            let _: Value = call.invoke_async(&mut connection.clone()).await?;
        }
        Ok(())
    }
}
