//! The simplest store, for tests: records in the memory of the process, shared by all replicas of a test. It is the
//! reference for the other stores.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    Cursor, End, HostKey, IdleEnd, JarWrite, Note, NoteKind, Record, RecordPage, SessionConnections, SessionStore,
    StoreEvent, Trust, Unavailable, Use,
};
use crate::session::sync::Mutex;
use crate::values::identity::UserKey;
use crate::values::session_id::SessionKey;
use crate::values::time::WallTime;

/// The connection of one replica to the records.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    shared: Arc<Mutex<MemoryContents>>,
    number: usize,
    events: tokio::sync::Mutex<UnboundedReceiver<StoreEvent>>,
    trust: Arc<Trust>,
}

#[derive(Debug, Default)]
struct MemoryContents {
    records: BTreeMap<SessionKey, Record>,
    names: HashMap<SessionKey, SessionKey>,
    replicas: Vec<UnboundedSender<StoreEvent>>,
    notes: BTreeMap<(NoteKind, Vec<u8>), Note>,
    connections: BTreeMap<usize, Vec<SessionConnections>>,
}

impl MemoryContents {
    fn find(&mut self, key: &SessionKey) -> Option<&mut Record> {
        self.records.get_mut(self.names.get(key)?)
    }

    fn remove(&mut self, key: &SessionKey) -> Option<Record> {
        let record = self.records.remove(self.names.get(key)?)?;
        record.keys().for_each(|key| _ = self.names.remove(key));
        Some(record)
    }

    fn publish(&self, from: usize, event: StoreEvent) {
        let others = self.replicas.iter().enumerate().filter(|(number, _)| *number != from);
        others.for_each(|(_, replica)| _ = replica.send(event));
    }

    fn end(&mut self, from: usize, key: &SessionKey) -> End {
        let Some(record) = self.remove(key) else { return End::Lost };
        self.publish(from, StoreEvent::Ended(record.name));
        End::Won
    }
}

impl MemoryStore {
    /// A store that only this process uses.
    pub(crate) fn new() -> Self {
        Self::joined(Arc::default())
    }

    /// The connection of another replica to the same records.
    pub(crate) fn replica(&self) -> Self {
        Self::joined(Arc::clone(&self.shared))
    }

    /// Drops the events that were not read yet, and reports a gap.
    pub(crate) fn lose_events(&self) {
        let mut events = self.events.try_lock().unwrap();
        while events.try_recv().is_ok() {}
        self.shared.lock().replicas[self.number].send(StoreEvent::Gap).unwrap();
    }

    fn joined(shared: Arc<Mutex<MemoryContents>>) -> Self {
        let (sender, receiver) = unbounded_channel();
        let number = {
            let mut shared = shared.lock();
            shared.replicas.push(sender);
            shared.replicas.len() - 1
        };
        Self { shared, number, events: receiver.into(), trust: Arc::new(Trust::always()) }
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn open(&self, record: Record) -> Result<(), Unavailable> {
        let mut shared = self.shared.lock();
        for key in record.keys() {
            shared.names.insert(*key, record.name);
        }
        shared.records.insert(record.name, record);
        Ok(())
    }

    async fn load(&self, key: &SessionKey) -> Result<Option<Record>, Unavailable> {
        Ok(self.shared.lock().find(key).cloned())
    }

    async fn load_many(&self, keys: &[SessionKey]) -> Result<Vec<Option<Record>>, Unavailable> {
        let mut shared = self.shared.lock();
        Ok(keys.iter().map(|key| shared.find(key).cloned()).collect())
    }

    async fn page(&self, from: Option<Cursor>, about: usize) -> Result<RecordPage, Unavailable> {
        let last = from.and_then(|Cursor(name)| Some(SessionKey::from_bytes(name.try_into().ok()?)));
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let shared = self.shared.lock();
        let records: Vec<_> =
            shared.records.range((after, Bound::Unbounded)).take(about).map(|(_, record)| record.clone()).collect();
        let next = records.last().map(|record| Cursor(record.name.as_bytes().to_vec()));
        Ok(RecordPage { records, next })
    }

    async fn exchange_connections(&self, own: &[SessionConnections]) -> Result<Vec<SessionConnections>, Unavailable> {
        let mut shared = self.shared.lock();
        shared.connections.insert(self.number, own.to_vec());
        let others = shared.connections.iter().filter(|(number, _)| **number != self.number);
        Ok(others.flat_map(|(_, told)| told).copied().collect())
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), Unavailable> {
        let mut shared = self.shared.lock();
        for Use { session, at } in uses {
            if let Some(record) = shared.find(session) {
                record.last_seen = record.last_seen.max(*at);
            }
        }
        Ok(())
    }

    async fn add_key(&self, session: &SessionKey, key: HostKey) -> Result<bool, Unavailable> {
        let mut shared = self.shared.lock();
        let Some(record) = shared.find(session) else { return Ok(false) };
        let name = record.name;
        let earlier = record.further.iter().position(|earlier| earlier.host == key.host);
        let earlier = earlier.map(|earlier| record.further.remove(earlier).key);
        record.further.push(key.clone());
        if let Some(earlier) = &earlier {
            shared.names.remove(earlier);
        }
        shared.names.insert(key.key, name);
        shared.publish(self.number, StoreEvent::KeyAdded { session: name, replaced: earlier });
        Ok(true)
    }

    async fn set_jar(&self, session: &SessionKey, version: u32, jar: &[u8]) -> Result<JarWrite, Unavailable> {
        let mut shared = self.shared.lock();
        let Some(record) = shared.find(session) else { return Ok(JarWrite::Gone) };
        if version != record.version + 1 {
            return Ok(JarWrite::Outdated);
        }
        record.version = version;
        record.jar = jar.to_vec();
        let written = StoreEvent::JarWritten { session: record.name, version };
        shared.publish(self.number, written);
        Ok(JarWrite::Written)
    }

    async fn set_about(&self, session: &SessionKey, about: &[u8]) -> Result<bool, Unavailable> {
        let mut shared = self.shared.lock();
        let Some(record) = shared.find(session) else { return Ok(false) };
        record.about = about.to_vec();
        let written = StoreEvent::AboutWritten(record.name);
        shared.publish(self.number, written);
        Ok(true)
    }

    async fn end(&self, sessions: &[SessionKey]) -> Result<Vec<End>, Unavailable> {
        let mut shared = self.shared.lock();
        Ok(sessions.iter().map(|key| shared.end(self.number, key)).collect())
    }

    async fn end_all_of(&self, user: &UserKey) -> Result<Vec<Record>, Unavailable> {
        let mut shared = self.shared.lock();
        let theirs = shared.records.values().filter(|record| record.user == *user);
        let names: Vec<_> = theirs.map(|record| record.name).collect();
        let removed: Vec<_> = names.iter().filter_map(|name| shared.remove(name)).collect();
        removed.iter().for_each(|record| shared.publish(self.number, StoreEvent::Ended(record.name)));
        Ok(removed)
    }

    async fn end_if_idle(&self, sessions: &[SessionKey], cut_off: WallTime) -> Result<Vec<IdleEnd>, Unavailable> {
        let mut shared = self.shared.lock();
        let one = |key| match shared.find(key) {
            Some(record) if record.last_seen > cut_off => IdleEnd::Used(record.last_seen),
            _ => IdleEnd::Ended(shared.end(self.number, key)),
        };
        Ok(sessions.iter().map(one).collect())
    }

    async fn put_notes(&self, notes: &[Note]) -> Result<(), Unavailable> {
        let mut shared = self.shared.lock();
        for note in notes.iter().cloned() {
            let key = (note.kind, note.key.clone());
            match note.content.is_empty() {
                true => shared.notes.remove(&key),
                false => shared.notes.insert(key, note),
            };
        }
        Ok(())
    }

    async fn notes(&self, kind: NoteKind, most: usize) -> Result<Vec<Note>, Unavailable> {
        let shared = self.shared.lock();
        let mut notes: Vec<_> = shared.notes.values().filter(|note| note.kind == kind).cloned().collect();
        notes.sort_by_key(|note| std::cmp::Reverse(note.at));
        notes.truncate(most);
        Ok(notes)
    }

    async fn events(&self) -> Result<Vec<StoreEvent>, Unavailable> {
        let mut events = self.events.lock().await;
        let mut told = Vec::new();
        match events.recv_many(&mut told, 1000).await {
            0 => std::future::pending().await,
            _ => Ok(told),
        }
    }

    fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.trust)
    }
}

#[tokio::test]
async fn the_memory_store_keeps_the_contract() {
    let first = MemoryStore::new();
    let second = first.replica();
    super::contract::holds(&first, &second).await;
    super::contract::keeps_notes(&first).await;
}
