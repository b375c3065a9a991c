//! Follows the events of the other gateways, and extends the trust in the table.
//!
//! On a separate connection it repeats two commands in one pipeline: the heartbeat of this gateway ([`super::peers`]),
//! and a blocking read of new events. The answer shows the state of the store after they were sent, so the table is
//! trusted until `staleness` after that moment, once the events have been applied.
//!
//! Events may have been missed if the stream no longer has the last event that was read, or ends before it, and if the
//! server is another one or was restarted, since it may have lost confirmed writes. Then a gap is reported to the
//! table, and the ends of the last minutes are repeated, before the table is trusted again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, ParsingError, Pipeline, RedisResult, Value, cmd};
use tokio::time::timeout;

use super::event_id::EventId;
use super::eviction;
use super::link::{self, ServerIdentity, invocation, timed_out};
use super::peers::{Heartbeats, LEFT, heartbeat_value};
use super::records::key;
use super::topology::problem;
use super::{EVENTS, PREFIX, RedisState, Scripts};
use crate::session::store::StoreEvent;
use crate::values::time::Moment;

/// The maximum number of events in one answer.
const MAX_EVENTS: usize = 1000;

/// The state of the reader.
#[derive(Debug)]
pub(super) struct EventReader {
    connection: Option<EventConnection>,
    /// The last event that was read.
    read: EventId,
    /// The counter of heartbeats.
    count: u64,
    /// Whether events may have been missed and this was not reported to the table yet.
    gap: bool,
    /// The moment until which the table is trusted once it has applied the events that were returned last.
    promised: Option<Moment>,
    /// The policy by which the server evicts keys, if it does.
    eviction: Option<String>,
}

#[derive(Clone, Debug)]
struct EventConnection(MultiplexedConnection, ServerIdentity);

type EventFields = HashMap<String, String>;
/// The events of each stream; `None` if there are none.
type StreamEvents = Option<Vec<(String, Vec<(EventId, EventFields)>)>>;
/// The answer to one round of commands.
struct RoundReply {
    beat: HeartbeatReply,
    /// The number of replicas that have the heartbeat.
    replicas: u32,
    read: StreamEvents,
}

impl FromRedisValue for RoundReply {
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

/// The first event of the stream, the last one, the heartbeats of all gateways, and the history of the server's data.
type HeartbeatReply = (EventId, EventId, Heartbeats, String);

impl EventReader {
    /// A reader of the events after this one.
    pub(super) fn from(read: EventId) -> Self {
        Self { connection: None, read, count: 0, gap: false, promised: None, eviction: None }
    }

    /// Waits for events of other gateways. The caller must have applied the events of the previous call.
    pub(super) async fn next(&mut self, shared: &RedisState) -> RedisResult<Vec<StoreEvent>> {
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

    async fn round(&mut self, shared: &RedisState) -> RedisResult<Vec<StoreEvent>> {
        let EventConnection(mut connection, server) = match &self.connection {
            Some(connection) => connection.clone(),
            None => self.connect(shared).await?,
        };
        // Without trust the read does not block, so that the heartbeat is answered at once; a gap is reported at once.
        let hurries = self.gap || !shared.trust.holds_at(shared.clock.now());
        let wait = if hurries { Duration::from_millis(1) } else { shared.staleness / 5 };
        self.count += 1;
        let commands = self.commands(shared, wait);
        let answer = timeout(wait + shared.staleness, commands.query_async::<RoundReply>(&mut connection));
        let RoundReply { beat, replicas, read } = answer.await.unwrap_or_else(|_| Err(timed_out()))?;
        let (first, last, said, history) = beat;
        // With the next connection it is another server.
        if !server.contains(&history) {
            return Err(problem("the session store was a replica meanwhile"));
        }
        shared.link.require_replicas(replicas)?;
        shared.peers.note(said, shared.clock.now());
        let missed = first > self.read || last < self.read;
        if missed {
            tracing::warn!("events of the session store were missed: every session is confirmed again");
            self.gap = true;
            self.read = last;
        }
        let mut told = Vec::from_iter(std::mem::take(&mut self.gap).then_some(StoreEvent::Gap));
        for (id, fields) in read.into_iter().flatten().flat_map(|(_, events)| events) {
            self.read = self.read.max(id);
            if fields.get("r").is_some_and(|by| by != shared.peers.own_name()) {
                told.extend(event(&fields));
            }
        }
        Ok(told)
    }

    fn commands(&self, shared: &RedisState, wait: Duration) -> Pipeline {
        let mut commands = redis::pipe();
        let beat = commands.cmd("EVALSHA").arg(shared.scripts.beat.script.get_hash()).arg(2).arg(PREFIX).arg(EVENTS);
        // The last event of another server may have a later id than the next one of this server.
        let read = if self.gap { EventId::default() } else { self.read };
        beat.arg(shared.peers.own_name()).arg(heartbeat_value(read, self.count, shared.staleness));
        for (name, said) in shared.peers.forgotten(shared.clock.now()) {
            beat.arg(name).arg(said);
        }
        // A primary that was replaced without knowing it gets no confirmation from its replicas.
        if shared.link.replicas() > 0 {
            commands.add_command(link::wait(shared.link.replicas()));
        }
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let read = commands.cmd("XREAD").arg("COUNT").arg(MAX_EVENTS).arg("BLOCK").arg(wait);
        read.arg("STREAMS").arg(EVENTS).arg(self.read);
        commands
    }

    /// Connects to a primary that has enough replicas. If it is another server than before, writes that the earlier one
    /// had confirmed may be lost.
    async fn connect(&mut self, shared: &RedisState) -> RedisResult<EventConnection> {
        let ready = async {
            let (server, mut connection) = shared.link.dedicated().await?;
            shared.scripts.beat.script.load_async(&mut connection).await?;
            let eviction = eviction::policy(&mut connection).await?;
            Ok::<_, redis::RedisError>((server, connection, eviction))
        };
        let (server, connection, eviction) =
            timeout(shared.staleness, ready).await.unwrap_or_else(|_| Err(timed_out()))?;
        if !shared.link.is_current_server(&server) {
            tracing::warn!("the session store has restarted, or is another server: every session is confirmed again");
            shared.recent.repeat(shared, &connection).await?;
            shared.peers.forget_reads();
            shared.link.set_server(&server).await;
            self.gap = true;
        }
        if eviction != self.eviction {
            if let Some(policy) = &eviction {
                eviction::warn(policy);
            }
            self.eviction = eviction;
        }
        let connection = EventConnection(connection, server);
        self.connection = Some(connection.clone());
        Ok(connection)
    }

    /// Withdraws the trust in the table, then tells the other gateways that this one has left.
    pub(super) async fn leave(&mut self, shared: &RedisState) -> RedisResult<()> {
        shared.trust.set_until(Moment::default());
        self.promised = None;
        let connection = self.connection.take();
        let say = async {
            let mut connection = match connection {
                Some(EventConnection(connection, _)) => connection,
                None => shared.link.dedicated().await?.1,
            };
            let mut command = cmd("HSET");
            command.arg(format!("{PREFIX}r")).arg(shared.peers.own_name()).arg(LEFT);
            command.query_async(&mut connection).await
        };
        timeout(shared.staleness, say).await.unwrap_or_else(|_| Err(timed_out()))
    }
}

/// Parses an event; `None` if it is of a kind that this version does not know.
fn event(fields: &EventFields) -> Option<StoreEvent> {
    let key_in = |field: &str| fields.get(field).and_then(|word| key(word));
    if let Some(name) = key_in("n") {
        return Some(StoreEvent::Ended(name));
    }
    if fields.contains_key("o") {
        return Some(StoreEvent::Learned);
    }
    let session = key_in("c")?;
    if fields.contains_key("a") {
        return Some(StoreEvent::AboutWritten(session));
    }
    match fields.get("v") {
        Some(version) => Some(StoreEvent::JarWritten { session, version: version.parse().ok()? }),
        None => fields.contains_key("x").then(|| StoreEvent::KeyAdded { session, replaced: key_in("x") }),
    }
}

/// The recent ends of this gateway, which are repeated on a server that takes over: it may not know of them.
#[derive(Debug, Default)]
pub(super) struct Recent(parking_lot::Mutex<VecDeque<(Moment, String)>>);

/// The time for which recent ends are kept.
const KEPT: Duration = Duration::from_secs(600);
/// The maximum number of recent ends.
const MAX_RECENT: usize = 100_000;

impl Recent {
    pub(super) fn note(&self, names: impl Iterator<Item = String>, now: Moment) {
        let mut recent = self.0.lock();
        recent.extend(names.map(|name| (now, name)));
        let surplus = recent.len().saturating_sub(MAX_RECENT);
        recent.drain(..surplus);
        while recent.front().is_some_and(|(at, _)| now.duration_since(*at) > KEPT) {
            recent.pop_front();
        }
    }

    async fn repeat(&self, shared: &RedisState, connection: &MultiplexedConnection) -> RedisResult<()> {
        let names: Vec<_> = self.0.lock().iter().map(|(_, name)| name.clone()).collect();
        for names in names.chunks(MAX_EVENTS) {
            let mut call = invocation(&shared.scripts.end.script);
            call.arg(shared.peers.own_name()).arg(Scripts::REMEMBERED).arg(names);
            let _: Value = call.invoke_async(&mut connection.clone()).await?;
        }
        Ok(())
    }
}
