//! A store whose failures a test controls: it fails, delays its answers until it is released, or lets another replica
//! act first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::memory::MemoryStore;
use super::{
    Cursor, End, HostKey, IdleEnd, JarWrite, Note, NoteKind, Record, RecordPage, SessionConnections, SessionStore,
    StoreEvent, Trust, Unavailable, Use,
};
use crate::values::identity::UserKey;
use crate::values::mac::MacKeys;
use crate::values::session_id::SessionKey;
use crate::values::time::WallTime;

/// The behaviour of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultMode {
    /// They succeed.
    Sound,
    /// They fail without effect.
    Down,
    /// They take effect, but fail.
    Deaf,
    /// They wait until the behaviour changes, and are carried out then.
    Lagging,
    /// They are carried out at once, and answered when the behaviour changes. Events of others arrive at once.
    Late,
    /// Another replica ends the sessions just before each call.
    Beaten,
}

#[derive(Debug)]
pub(crate) struct FaultyStore {
    store: MemoryStore,
    other: MemoryStore,
    mood: watch::Sender<FaultMode>,
    loads: AtomicUsize,
    ends: Mutex<Vec<usize>>,
    held: Mutex<Option<oneshot::Receiver<()>>>,
}

impl FaultyStore {
    pub(crate) fn new() -> Arc<Self> {
        Self::wrap(MemoryStore::new())
    }

    pub(crate) fn wrap(store: MemoryStore) -> Arc<Self> {
        let (other, mood) = (store.replica(), watch::Sender::new(FaultMode::Sound));
        Arc::new(Self {
            store,
            other,
            mood,
            loads: AtomicUsize::new(0),
            ends: Mutex::default(),
            held: Mutex::default(),
        })
    }

    /// Drops the events that were not read yet, and reports a gap.
    pub(crate) fn lose_events(&self) {
        self.store.lose_events();
    }

    /// The connection of another replica to the same records.
    pub(crate) fn other(&self) -> &MemoryStore {
        &self.other
    }

    pub(crate) fn set_mode(&self, mood: FaultMode) {
        self.mood.send_replace(mood);
    }

    /// Delays only the next call, until the returned sender is dropped.
    pub(crate) fn block_next_call(&self) -> oneshot::Sender<()> {
        let (sender, receiver) = oneshot::channel();
        *self.held.lock() = Some(receiver);
        sender
    }

    /// The number of loads, of one session or of several.
    pub(crate) fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// The sizes of the batches of ends.
    pub(crate) fn ends(&self) -> Vec<usize> {
        self.ends.lock().clone()
    }

    async fn call<T>(&self, done: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
        let held = self.held.lock().take();
        if let Some(held) = held {
            let _ = held.await;
        }
        let mut mood = self.mood.subscribe();
        let now = *mood.wait_for(|mood| *mood != FaultMode::Lagging).await.map_err(|_| Unavailable)?;
        match now {
            FaultMode::Late => {
                let answer = done.await;
                mood.wait_for(|mood| *mood != FaultMode::Late).await.map_err(|_| Unavailable)?;
                answer
            }
            FaultMode::Down => Err(Unavailable),
            FaultMode::Deaf => done.await.and(Err(Unavailable)),
            FaultMode::Sound | FaultMode::Lagging | FaultMode::Beaten => done.await,
        }
    }

    /// Lets another replica end the sessions first.
    async fn lose_race(&self, sessions: &[SessionKey]) {
        if *self.mood.borrow() == FaultMode::Beaten {
            self.other.end(sessions).await.unwrap();
        }
    }
}

#[async_trait]
impl SessionStore for FaultyStore {
    async fn open(&self, record: Record) -> Result<(), Unavailable> {
        self.call(self.store.open(record)).await
    }

    async fn load(&self, key: &SessionKey) -> Result<Option<Record>, Unavailable> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.call(self.store.load(key)).await
    }

    async fn load_many(&self, keys: &[SessionKey]) -> Result<Vec<Option<Record>>, Unavailable> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.call(self.store.load_many(keys)).await
    }

    async fn page(&self, from: Option<Cursor>, about: usize) -> Result<RecordPage, Unavailable> {
        self.call(self.store.page(from, about)).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), Unavailable> {
        self.call(self.store.touch(uses)).await
    }

    async fn add_key(&self, session: &SessionKey, key: HostKey) -> Result<bool, Unavailable> {
        self.lose_race(&[*session]).await;
        self.call(self.store.add_key(session, key)).await
    }

    async fn set_jar(&self, session: &SessionKey, version: u32, jar: &[u8]) -> Result<JarWrite, Unavailable> {
        self.lose_race(&[*session]).await;
        self.call(self.store.set_jar(session, version, jar)).await
    }

    async fn set_about(&self, session: &SessionKey, about: &[u8]) -> Result<bool, Unavailable> {
        self.lose_race(&[*session]).await;
        self.call(self.store.set_about(session, about)).await
    }

    async fn end(&self, sessions: &[SessionKey]) -> Result<Vec<End>, Unavailable> {
        self.ends.lock().push(sessions.len());
        self.lose_race(sessions).await;
        self.call(self.store.end(sessions)).await
    }

    async fn end_all_of(&self, user: &UserKey) -> Result<Vec<Record>, Unavailable> {
        if *self.mood.borrow() == FaultMode::Beaten {
            self.other.end_all_of(user).await?;
        }
        self.call(self.store.end_all_of(user)).await
    }

    async fn end_if_idle(&self, sessions: &[SessionKey], cut_off: WallTime) -> Result<Vec<IdleEnd>, Unavailable> {
        self.lose_race(sessions).await;
        self.call(self.store.end_if_idle(sessions, cut_off)).await
    }

    async fn put_notes(&self, notes: &[Note]) -> Result<(), Unavailable> {
        self.call(self.store.put_notes(notes)).await
    }

    async fn notes(&self, kind: NoteKind, most: usize) -> Result<Vec<Note>, Unavailable> {
        self.call(self.store.notes(kind, most)).await
    }

    async fn exchange_connections(&self, own: &[SessionConnections]) -> Result<Vec<SessionConnections>, Unavailable> {
        self.call(self.store.exchange_connections(own)).await
    }

    async fn use_keys(&self, keys: &MacKeys) -> Result<bool, Unavailable> {
        self.call(self.store.use_keys(keys)).await
    }

    async fn events(&self) -> Result<Vec<StoreEvent>, Unavailable> {
        self.store.events().await
    }

    fn trust(&self) -> Arc<Trust> {
        self.store.trust()
    }
}

#[tokio::test]
async fn the_faulty_store_keeps_the_contract_while_it_is_sound() {
    let store = FaultyStore::new();
    super::contract::holds(&*store, store.other()).await;
}
