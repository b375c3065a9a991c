//! The other gateways on the same store: what they have read, and whether they still serve.
//!
//! Each says again and again which event it has read up to, and counts how often it said so. Only from what it last
//! said, and not for longer than `staleness`, may it believe its table. So an end is known wherever a session is served
//! once each of them has read it, or has said nothing new for that long. No clock of the server is in this: what has
//! changed is seen, and how long ago that was is measured here.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::event_id::EventId;
use crate::values::time::Moment;

/// What a gateway says when it stops: nobody has to wait for it.
pub(super) const LEFT: &str = "left";
/// After so many times `staleness` a gateway that says nothing new is forgotten by the server as well.
const FORGOTTEN: u32 = 10;

/// The longest time that a gateway may believe its table without a word.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// What gateways say, by their names.
pub(super) type Said = HashMap<String, String>;

#[derive(Debug)]
pub(super) struct Peers {
    own: String,
    others: Mutex<HashMap<String, Peer>>,
}

#[derive(Debug)]
struct Peer {
    said: String,
    /// When that was seen first.
    since: Moment,
}

impl Peers {
    pub(super) fn new(own: String) -> Self {
        Self { own, others: Mutex::default() }
    }

    /// The name of this gateway on the store.
    pub(super) fn own(&self) -> &str {
        &self.own
    }

    /// Takes note of what the server has of all gateways. One that it has nothing of may have been forgotten with
    /// everything else, and still serve.
    pub(super) fn note(&self, said: Said, now: Moment) {
        let mut others = self.others.lock();
        for (name, said) in said.into_iter().filter(|(name, _)| *name != self.own) {
            let peer = others.entry(name).or_insert_with(|| Peer { said: String::new(), since: now });
            if peer.said != said {
                *peer = Peer { said, since: now };
            }
        }
        others.retain(|_, peer| now.duration_since(peer.since) < peer.staleness() * (FORGOTTEN + 1));
    }

    /// Whether this event has been read by every gateway that serves, as far as was noted after the event.
    pub(super) fn have_read(&self, event: EventId, now: Moment) -> bool {
        self.others
            .lock()
            .values()
            .all(|peer| peer.said == LEFT || now.duration_since(peer.since) >= peer.staleness() || peer.has_read(event))
    }

    /// Those that have long been silent, and what they said last.
    pub(super) fn forgotten(&self, now: Moment) -> Vec<(String, String)> {
        let others = self.others.lock();
        let silent = others.iter().filter(|(_, peer)| now.duration_since(peer.since) >= peer.staleness() * FORGOTTEN);
        silent.map(|(name, peer)| (name.clone(), peer.said.clone())).collect()
    }
}

impl Peer {
    /// Each gateway has its own setting.
    fn staleness(&self) -> Duration {
        said_for(&self.said).unwrap_or(LONGEST).min(LONGEST)
    }

    fn has_read(&self, event: EventId) -> bool {
        let read = self.said.split_once(' ').and_then(|(read, _)| EventId::parse(read));
        read.is_some_and(|read| read >= event)
    }
}

/// For how long a gateway that said this may believe its table from then on.
pub(super) fn said_for(said: &str) -> Option<Duration> {
    let millis = said.split(' ').nth(2).and_then(|millis| millis.parse().ok());
    millis.map(Duration::from_millis)
}

/// What this gateway says: up to where it has read, how often it has said so, and for how many milliseconds it may
/// believe its table from then on.
pub(super) fn saying(read: EventId, count: u64, staleness: Duration) -> String {
    format!("{read} {count} {}", staleness.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u32) -> Moment {
        Moment::from_seconds(second)
    }

    fn event(number: u64) -> EventId {
        EventId::parse(&format!("{number}-1")).unwrap()
    }

    fn said(entries: &[(&str, &str)]) -> Said {
        entries.iter().map(|(name, said)| ((*name).to_owned(), (*said).to_owned())).collect()
    }

    #[test]
    fn everybody_who_serves_has_to_have_read_it() {
        let peers = Peers::new("me".into());
        assert!(peers.have_read(event(9), at(0)), "nobody else is there");
        let first = [("me", "1-1 1 9"), ("a", "8-1 1 5000"), ("b", "9-1 1 5000"), ("gone", LEFT), ("later", "?")];
        peers.note(said(&first), at(10));
        assert!(!peers.have_read(event(9), at(10)));
        peers.note(said(&[("a", "9-1 2 5000"), ("later", "10-0 1 5000")]), at(11));
        assert!(peers.have_read(event(9), at(11)) && !peers.have_read(event(10), at(11)));
    }

    #[test]
    fn who_is_silent_has_closed_its_door_and_who_speaks_has_not() {
        let peers = Peers::new("me".into());
        for second in 10..20 {
            let busy = saying(event(1), second.into(), Duration::from_secs(5));
            peers.note(said(&[("busy", &busy), ("patient", "1-1 1 9000"), ("unreadable", "?")]), at(second));
        }
        peers.note(said(&[]), at(20));
        assert!(!peers.have_read(event(2), at(23)), "a gateway that the server has lost still serves");
        assert!(!peers.have_read(event(2), at(24)), "what this version cannot read is silent for long");
        assert!(peers.have_read(event(2), at(70)));
        assert_eq!(peers.forgotten(at(99)), [("busy".to_owned(), "1-1 19 5000".to_owned())]);
        peers.note(said(&[]), at(1000));
        assert!(peers.others.lock().is_empty());
    }
}
