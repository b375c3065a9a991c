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
use redis::{Pipeline, RedisResult, cmd};
use tokio::time::timeout;

use super::event_id::EventId;
use super::link::timed_out;
use super::peers::{LEFT, Said, saying};
use super::records::key;
use super::{PREFIX, Scripts, Shared};
use crate::session::store::StoreEvent;
use crate::values::time::Moment;

/// The most events in one answer.
const EVENTS: usize = 1000;

/// Where the reading stands.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Option<Connection>,
    /// The last event that was read. What the table knows begins there.
    read: EventId,
    /// Which server it was read from.
    server: String,
    /// How often this was said.
    count: u64,
    /// Events may have been missed, and the table has not been told.
    gap: bool,
    /// Until when the table may be believed, once it has done what it was told last.
    promised: Option<Moment>,
}

#[derive(Debug)]
struct Connection(MultiplexedConnection);

type Fields = HashMap<String, String>;
/// For each stream its events, or nothing at all.
type Read = Option<Vec<(String, Vec<(EventId, Fields)>)>>;
/// The first event of the stream, its last one, and what all gateways say.
type Beat = (EventId, EventId, Said);

impl Reader {
    /// From this event on.
    pub(super) fn from(read: EventId) -> Self {
        Self { connection: None, read, server: String::new(), count: 0, gap: false, promised: None }
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
        let answer = timeout(wait + shared.staleness, commands.query_async::<(Beat, Read)>(&mut connection));
        let ((first, last, said), read) = answer.await.unwrap_or_else(|_| Err(timed_out()))?;
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
            let others = fields.get("r").is_some_and(|by| by != shared.peers.own());
            let name = fields.get("n").filter(|_| others).and_then(|word| key(word));
            told.extend(name.map(StoreEvent::Ended));
        }
        Ok(told)
    }

    fn commands(&self, shared: &Shared, wait: Duration) -> Pipeline {
        let mut commands = redis::pipe();
        let beat = commands.cmd("EVALSHA").arg(shared.scripts.beat.get_hash()).arg(1).arg(PREFIX);
        beat.arg(shared.peers.own()).arg(saying(self.read, self.count, shared.staleness));
        for (name, said) in shared.peers.forgotten(shared.clock.now()) {
            beat.arg(name).arg(said);
        }
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let read = commands.cmd("XREAD").arg("COUNT").arg(EVENTS).arg("BLOCK").arg(wait);
        read.arg("STREAMS").arg(format!("{PREFIX}e")).arg(self.read);
        commands
    }

    /// Makes the connection. Where it does not lead to the server that it led to before, what that one knew is in
    /// doubt.
    async fn connect(&mut self, shared: &Shared) -> RedisResult<MultiplexedConnection> {
        let ready = async {
            let mut connection = shared.link.dedicated().await?;
            shared.scripts.beat.load_async(&mut connection).await?;
            let server = identity(&mut connection).await?;
            Ok::<_, redis::RedisError>((connection, server))
        };
        let (connection, server) = timeout(shared.staleness, ready).await.unwrap_or_else(|_| Err(timed_out()))?;
        if server != self.server && !self.server.is_empty() {
            tracing::warn!("the session store has restarted, or is another server: every session is asked for again");
            shared.recent.again(shared, &connection).await?;
            self.gap = true;
        }
        self.server = server;
        self.connection = Some(Connection(connection.clone()));
        Ok(connection)
    }

    /// Tells the others that this gateway serves no more, and makes it so.
    pub(super) async fn leave(&mut self, shared: &Shared) -> RedisResult<()> {
        shared.trust.set_until(Moment::default());
        self.promised = None;
        let mut connection = match self.connection.take() {
            Some(Connection(connection)) => connection,
            None => shared.link.dedicated().await?,
        };
        let mut command = cmd("HSET");
        command.arg(format!("{PREFIX}r")).arg(shared.peers.own()).arg(LEFT);
        timeout(shared.staleness, command.query_async(&mut connection)).await.unwrap_or_else(|_| Err(timed_out()))
    }
}

/// The run of the server, and the history of its data: another one is another server, or one that was restarted.
async fn identity(connection: &mut MultiplexedConnection) -> RedisResult<String> {
    let info: String = cmd("INFO").arg("everything").query_async(connection).await?;
    let wanted = |line: &&str| ["run_id:", "master_replid:"].iter().any(|key| line.starts_with(key));
    Ok(info.lines().filter(wanted).collect::<Vec<_>>().join(" "))
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
        for names in names.chunks(EVENTS) {
            let mut call = shared.scripts.end.key(PREFIX);
            call.arg(shared.peers.own()).arg(Scripts::REMEMBERED).arg(names);
            let _: redis::Value = call.invoke_async(&mut connection.clone()).await?;
        }
        Ok(())
    }
}
