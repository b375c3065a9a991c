//! The test suite of the contract of [`SessionStore`]. The tests of each store run it, with the connections of two
//! replicas to the same records. Restarts of stores without replicas are tested in their own tests.

use std::time::Duration;

use futures_util::FutureExt;

use super::{
    Cursor, End, HostKey, IdleEnd, JarWrite, Note, NoteKind, Record, RecordPage, SessionStore, StoreEvent, Use,
};
use crate::values::identity::UserKey;
use crate::values::session_id::{SessionId, SessionKey};
use crate::values::time::WallTime;

const SIGN_IN: WallTime = WallTime(1_767_225_600);

/// Checks a store for a single process: `store` serves as both connections, and there are no events.
pub(crate) async fn holds_alone(store: &dyn SessionStore) {
    opened_sessions_are_loaded_by_every_key(store).await;
    a_host_has_one_key(store).await;
    absent_sessions_stay_absent(store).await;
    uses_only_move_forward_and_never_create_a_session(store).await;
    the_data_of_a_sign_in_is_replaced(store).await;
    jars_are_written_one_version_after_the_other(store).await;
    one_of_many_that_end_a_session_wins(store, store).await;
    other_users_keep_their_sessions(store).await;
    idle_sessions_end_and_used_ones_do_not(store, store).await;
    nothing_brings_an_ended_session_back(store).await;
    batches_have_one_answer_for_each_entry(store).await;
    all_pages_have_every_session(store).await;
}

/// Checks a store that replicas share.
pub(crate) async fn holds(store: &dyn SessionStore, replica: &dyn SessionStore) {
    holds_alone(store).await;
    one_of_many_that_end_a_session_wins(store, replica).await;
    idle_sessions_end_and_used_ones_do_not(store, replica).await;
    replicas_are_told(store, replica).await;
    replicas_are_told_of_changes(store, replica).await;
    connections_are_told(store, replica).await;
}

/// Checks the notes of a store.
pub(crate) async fn keeps_notes(store: &dyn SessionStore) {
    let note = |kind, key: u8, second, content: &str| Note {
        kind,
        key: vec![key; 32],
        at: at(second),
        content: content.as_bytes().to_vec(),
    };
    let (debt, learned) = (NoteKind::Debt, NoteKind::Learned);
    let first = [note(debt, 1, 10, "one"), note(debt, 2, 30, "two"), note(learned, 1, 20, "other")];
    store.put_notes(&first).await.unwrap();
    assert_eq!(store.notes(debt, 9).await, Ok(vec![first[1].clone(), first[0].clone()]), "the newest first");
    assert_eq!(store.notes(learned, 9).await, Ok(vec![first[2].clone()]));
    assert_eq!(store.notes(debt, 1).await, Ok(vec![first[1].clone()]));
    let one = note(debt, 1, 40, "another");
    store.put_notes(&[one.clone(), note(debt, 2, 50, ""), note(debt, 3, 50, "")]).await.unwrap();
    assert_eq!(store.notes(debt, 9).await, Ok(vec![one]));
    assert_eq!(store.put_notes(&[]).await, Ok(()));
    store.put_notes(&[note(debt, 1, 0, ""), note(learned, 1, 0, "")]).await.unwrap();
    assert_eq!((store.notes(debt, 9).await, store.notes(learned, 9).await), (Ok(vec![]), Ok(vec![])));
}

/// Checks a store in which gateways share notes and codes.
pub(crate) async fn shares_notes(store: &dyn SessionStore, replica: &dyn SessionStore) {
    let note = Note { kind: NoteKind::Debt, key: vec![7; 32], at: at(10), content: b"\0theirs\xff".to_vec() };
    assert_eq!(store.put_notes(std::slice::from_ref(&note)).await, Ok(()));
    assert_eq!(replica.note(NoteKind::Debt, &note.key).await, Ok(Some(note.clone())));
    assert_eq!(replica.note(NoteKind::Learned, &note.key).await, Ok(None));
    let many: Vec<_> =
        (0..1500_u64).map(|key| Note { key: key.to_be_bytes().to_vec(), at: at(key), ..note.clone() }).collect();
    assert_eq!(store.put_notes(&many).await, Ok(()));
    let newest: Vec<_> = many.iter().rev().take(1200).cloned().collect();
    assert_eq!(replica.notes(NoteKind::Debt, 1200).await, Ok(newest));
    let learned = Note { kind: NoteKind::Learned, key: b"http://upstream".to_vec(), ..note };
    let last = opened(store, "last").await.name;
    let work = async {
        assert_eq!(store.put_notes(std::slice::from_ref(&learned)).await, Ok(()));
        assert_eq!(store.end(&[last]).await, Ok(vec![End::Won]));
    };
    let told = events_during(replica, last, work).await;
    assert!(told.ends_with(&[StoreEvent::Learned, StoreEvent::Ended(last)]), "{told:?}");
    let (code, life) = ([9; 32], Duration::from_secs(30));
    assert_eq!(store.put_code(&code, b"good", life).await, Ok(()));
    let (ours, theirs) = tokio::join!(store.take_code(&code), replica.take_code(&code));
    let taken = [ours.unwrap(), theirs.unwrap()];
    assert_eq!(taken.iter().flatten().collect::<Vec<_>>(), [b"good"], "a code is redeemed once");
}

/// Checks a store whose gateways do not load every session into their tables.
pub(crate) async fn gives_all_of_a_user(store: &dyn SessionStore, replica: &dyn SessionStore) {
    let (one, two, bob) = (opened(store, "owner").await, opened(store, "owner").await, opened(store, "other").await);
    let mut all = replica.load_all_of(&one.user, 1).await.unwrap();
    let mut want = vec![one.clone(), two];
    all.sort_by_key(|record| record.name);
    want.sort_by_key(|record| record.name);
    assert_eq!(all, want);
    assert_eq!(replica.load_all_of(&one.user, 2).await, Ok(Vec::new()), "there are no more than that");
    assert_eq!(replica.load_all_of(&bob.user, 0).await, Ok(vec![bob]));
    assert_eq!(replica.load_all_of(&record("nobody").user, 0).await, Ok(Vec::new()));
}

/// The record of a new session.
pub(crate) fn record(user: &str) -> Record {
    Record {
        name: key(),
        further: Vec::new(),
        user: UserKey { source: "file".into(), subject: user.into() },
        created: SIGN_IN,
        last_seen: SIGN_IN,
        version: 0,
        about: b"\x01not for the store to read \xff\0".to_vec(),
        jar: Vec::new(),
    }
}

/// A new key of a further host.
pub(crate) fn further(host: &str) -> HostKey {
    HostKey { key: key(), host: host.into() }
}

fn key() -> SessionKey {
    SessionId::generate().unwrap().key()
}

fn at(seconds: u64) -> WallTime {
    WallTime(SIGN_IN.0 + seconds)
}

async fn opened(store: &dyn SessionStore, user: &str) -> Record {
    let record = record(user);
    store.open(record.clone()).await.unwrap();
    record
}

async fn load(store: &dyn SessionStore, key: &SessionKey) -> Option<Record> {
    store.load(key).await.unwrap()
}

async fn opened_sessions_are_loaded_by_every_key(store: &dyn SessionStore) {
    let mut record = Record { further: vec![further("a.test"), further("b.test")], ..record("alice") };
    store.open(record.clone()).await.unwrap();
    let later = further("c.test");
    assert!(store.add_key(&record.further[0].key, later.clone()).await.unwrap(), "any key finds the session");
    record.further.push(later);
    for key in record.keys() {
        assert_eq!(load(store, key).await.as_ref(), Some(&record));
    }
    let (other, further) = (opened(store, "bob").await, record.further[1].key);
    let loaded = store.load_many(&[further, key(), other.name, record.name]).await;
    assert_eq!(loaded, Ok(vec![Some(record.clone()), None, Some(other), Some(record)]));
    assert_eq!(store.load_many(&[]).await, Ok(Vec::new()));
}

async fn a_host_has_one_key(store: &dyn SessionStore) {
    let mut record = Record { further: vec![further("a.test"), further("b.test")], ..record("alice") };
    store.open(record.clone()).await.unwrap();
    let other = Record { further: vec![further("a.test")], ..self::record("bob") };
    store.open(other.clone()).await.unwrap();
    let (earlier, later) = (record.further.remove(0), further("a.test"));
    assert_eq!(store.add_key(&record.name, later.clone()).await, Ok(true));
    record.further.push(later);
    assert_eq!(load(store, &earlier.key).await, None, "the earlier key of the host still opens the session");
    for key in record.keys() {
        assert_eq!(load(store, key).await.as_ref(), Some(&record));
    }
    assert_eq!(load(store, &other.further[0].key).await, Some(other), "another session has lost its key");
}

async fn absent_sessions_stay_absent(store: &dyn SessionStore) {
    let unknown = key();
    assert_eq!(load(store, &unknown).await, None);
    store.touch(&[Use { session: unknown, at: SIGN_IN }]).await.unwrap();
    assert!(!store.add_key(&unknown, further("a.test")).await.unwrap());
    assert_eq!(store.set_jar(&unknown, 1, b"jar").await, Ok(JarWrite::Gone));
    assert_eq!(store.set_about(&unknown, b"about").await, Ok(false));
    assert_eq!(store.end(&[unknown]).await, Ok(vec![End::Lost]));
    assert_eq!(store.end_if_idle(&[unknown], at(9)).await, Ok(vec![IdleEnd::Ended(End::Lost)]));
    assert_eq!(load(store, &unknown).await, None);
}

async fn uses_only_move_forward_and_never_create_a_session(store: &dyn SessionStore) {
    let (one, other) = (opened(store, "alice").await, opened(store, "bob").await);
    let uses = [(one.name, 60), (key(), 60), (other.name, 30), (other.name, 20)];
    store.touch(&uses.map(|(session, second)| Use { session, at: at(second) })).await.unwrap();
    store.touch(&[Use { session: one.name, at: at(50) }]).await.unwrap();
    assert_eq!(load(store, &one.name).await, Some(Record { last_seen: at(60), ..one }));
    assert_eq!(load(store, &other.name).await, Some(Record { last_seen: at(30), ..other }));
}

async fn the_data_of_a_sign_in_is_replaced(store: &dyn SessionStore) {
    let (alice, bob) = (opened(store, "alice").await, opened(store, "bob").await);
    assert_eq!(store.set_about(&alice.name, b"another").await, Ok(true));
    assert_eq!(load(store, &alice.name).await, Some(Record { about: b"another".to_vec(), ..alice }));
    assert_eq!(load(store, &bob.name).await, Some(bob));
}

async fn jars_are_written_one_version_after_the_other(store: &dyn SessionStore) {
    let record = opened(store, "alice").await;
    let cases: [(u32, &[u8], JarWrite); 6] = [
        (0, b"none", JarWrite::Outdated),
        (2, b"too far", JarWrite::Outdated),
        (1, b"first", JarWrite::Written),
        (1, b"twice", JarWrite::Outdated),
        (2, b"second", JarWrite::Written),
        (1, b"back", JarWrite::Outdated),
    ];
    for (version, jar, want) in cases {
        assert_eq!(store.set_jar(&record.name, version, jar).await, Ok(want), "{version}");
    }
    let kept = load(store, &record.name).await.unwrap();
    assert_eq!((kept.version, &*kept.jar), (2, b"second".as_slice()));
}

async fn one_of_many_that_end_a_session_wins(store: &dyn SessionStore, replica: &dyn SessionStore) {
    let record = Record { further: vec![further("a.test")], ..record("alice") };
    store.open(record.clone()).await.unwrap();
    let by = [record.name, record.further[0].key];
    let (ours, theirs) = tokio::join!(store.end(&by[..1]), replica.end(&by[1..]));
    let won = [ours.unwrap(), theirs.unwrap()].concat().into_iter().filter(|end| *end == End::Won).count();
    assert_eq!(won, 1);
    let twice = opened(store, "alice").await.name;
    assert_eq!(store.end(&[twice, twice]).await, Ok(vec![End::Won, End::Lost]), "a batch with a session twice");
    for key in by {
        assert_eq!((load(store, &key).await, load(replica, &key).await), (None, None));
    }
}

async fn other_users_keep_their_sessions(store: &dyn SessionStore) {
    let user = "leaver";
    let (one, two, bob) = (opened(store, user).await, opened(store, user).await, opened(store, "bob").await);
    let namesake = UserKey { source: "ldap".into(), subject: user.into() };
    let other_source = Record { user: namesake, ..record(user) };
    store.open(other_source.clone()).await.unwrap();
    let mut removed = store.end_all_of(&one.user).await.unwrap();
    let mut want = vec![one.clone(), two];
    removed.sort_by_key(|record| record.name);
    want.sort_by_key(|record| record.name);
    assert_eq!(removed, want);
    assert_eq!(store.end_all_of(&one.user).await, Ok(Vec::new()));
    assert_eq!(load(store, &one.name).await, None);
    for other in [bob, other_source] {
        assert_eq!(load(store, &other.name).await, Some(other));
    }
}

async fn idle_sessions_end_and_used_ones_do_not(store: &dyn SessionStore, replica: &dyn SessionStore) {
    let (idle, used, gone) = (opened(store, "alice").await, opened(store, "bob").await, opened(store, "carol").await);
    replica.touch(&[Use { session: used.name, at: at(61) }]).await.unwrap();
    store.touch(&[Use { session: idle.name, at: at(60) }]).await.unwrap();
    assert_eq!(replica.end(&[gone.name]).await, Ok(vec![End::Won]));
    let want = vec![IdleEnd::Ended(End::Won), IdleEnd::Used(at(61)), IdleEnd::Ended(End::Lost)];
    assert_eq!(store.end_if_idle(&[idle.name, used.name, gone.name], at(60)).await, Ok(want));
    assert!(load(store, &idle.name).await.is_none() && load(replica, &used.name).await.is_some());
}

async fn nothing_brings_an_ended_session_back(store: &dyn SessionStore) {
    let record = opened(store, "alice").await;
    assert_eq!(store.end(&[record.name]).await, Ok(vec![End::Won]));
    store.touch(&[Use { session: record.name, at: at(99) }]).await.unwrap();
    let further = further("a.test");
    assert!(!store.add_key(&record.name, further.clone()).await.unwrap());
    assert_eq!(store.set_jar(&record.name, 1, b"jar").await, Ok(JarWrite::Gone));
    assert_eq!((load(store, &record.name).await, load(store, &further.key).await), (None, None));
}

async fn batches_have_one_answer_for_each_entry(store: &dyn SessionStore) {
    let mut names = Vec::new();
    for _ in 0..100 {
        names.push(opened(store, "many").await.name);
    }
    let uses: Vec<_> = names.iter().map(|&session| Use { session, at: at(1) }).collect();
    store.touch(&uses).await.unwrap();
    let unknown = key();
    names.insert(50, unknown);
    let ends = store.end(&names).await.unwrap();
    let lost: Vec<_> = names.iter().zip(&ends).filter(|(_, end)| **end == End::Lost).map(|(name, _)| *name).collect();
    assert_eq!((ends.len(), lost), (101, vec![unknown]));
}

/// Pages of different sizes, while other sessions are opened and ended.
async fn all_pages_have_every_session(store: &dyn SessionStore) {
    let mut lasting =
        vec![Record { further: vec![further("a.test"), further("b.test")], jar: b"jar".to_vec(), ..record("pages") }];
    store.open(lasting[0].clone()).await.unwrap();
    for _ in 0..20 {
        lasting.push(opened(store, "pages").await);
    }
    for about in [1, 7, 1000] {
        let (mut from, mut read) = (None::<Cursor>, Vec::new());
        loop {
            let RecordPage { records, next } = store.page(from, about).await.unwrap();
            read.extend(records);
            let passing = opened(store, "passing").await.name;
            assert_eq!(store.end(&[passing]).await, Ok(vec![End::Won]));
            let Some(next) = next else { break };
            from = Some(next);
        }
        assert!(lasting.iter().all(|lasting| read.contains(lasting)), "pages of {about}");
    }
}

/// Events are received in order, and a store does not receive those of its own changes.
async fn replicas_are_told(store: &dyn SessionStore, replica: &dyn SessionStore) {
    events_so_far(replica, store).await;
    events_so_far(store, replica).await;
    let (one, two) = (opened(store, "told").await, opened(store, "told").await);
    let ending = async {
        store.end(&[one.name, one.name]).await.unwrap();
        assert_eq!(store.end_all_of(&two.user).await.unwrap().len(), 1);
    };
    let told = events_during(replica, two.name, ending).await;
    assert_eq!(told, [&one, &two].map(|record| StoreEvent::Ended(record.name)));
    assert_eq!(events_so_far(store, replica).await.len(), 1, "a store received its own events");
}

async fn replicas_are_told_of_changes(store: &dyn SessionStore, replica: &dyn SessionStore) {
    events_so_far(replica, store).await;
    let session = opened(store, "changed").await.name;
    let [earlier, later] = [further("a.test"), further("a.test")];
    let changing = async {
        assert_eq!(store.set_jar(&session, 1, b"jar").await, Ok(JarWrite::Written));
        assert_eq!(store.set_jar(&session, 1, b"late").await, Ok(JarWrite::Outdated));
        assert_eq!(store.add_key(&session, earlier.clone()).await, Ok(true));
        assert_eq!(store.add_key(&earlier.key, later).await, Ok(true));
        assert_eq!(store.set_about(&session, b"another").await, Ok(true));
        assert_eq!(store.end(&[session]).await, Ok(vec![End::Won]));
    };
    let want = [
        StoreEvent::JarWritten { session, version: 1 },
        StoreEvent::KeyAdded { session, replaced: None },
        StoreEvent::KeyAdded { session, replaced: Some(earlier.key) },
        StoreEvent::AboutWritten(session),
        StoreEvent::Ended(session),
    ];
    assert_eq!(events_during(replica, session, changing).await, want);
    assert_eq!(events_so_far(store, replica).await.len(), 1, "a store received its own events");
}

async fn connections_are_told(store: &dyn SessionStore, replica: &dyn SessionStore) {
    // Gateways that read events count.
    events_so_far(store, replica).await;
    events_so_far(replica, store).await;
    let (one, two) = (key(), key());
    assert_eq!(store.exchange_connections(&[(one, 2), (two, 1)]).await, Ok(vec![]));
    assert_eq!(replica.exchange_connections(&[(two, 70_000)]).await, Ok(vec![(one, 2), (two, 1)]));
    assert_eq!(store.exchange_connections(&[]).await, Ok(vec![(two, 70_000)]));
    assert_eq!(replica.exchange_connections(&[]).await, Ok(vec![]), "the numbers of the last call count");
}

/// The events of a store until it has received everything that `replica` has done.
async fn events_so_far(store: &dyn SessionStore, replica: &dyn SessionStore) -> Vec<StoreEvent> {
    let last = opened(replica, "last").await.name;
    events_during(store, last, async { assert_eq!(replica.end(&[last]).await, Ok(vec![End::Won])) }).await
}

/// The events of a store while `work` runs, up to the end of `last`. Events are read all the time, as a gateway does:
/// an end is not answered before all gateways have read it.
async fn events_during(store: &dyn SessionStore, last: SessionKey, work: impl Future<Output = ()>) -> Vec<StoreEvent> {
    let (mut told, mut work) = (Vec::new(), std::pin::pin!(work.fuse()));
    let mut works = true;
    while works || !told.contains(&StoreEvent::Ended(last)) {
        tokio::select! {
            events = store.events() => told.extend(events.unwrap()),
            () = &mut work, if works => works = false,
        }
    }
    told
}
