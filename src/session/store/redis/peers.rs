//! The other gateways on the same store: which events they have read, and whether they still serve.
//!
//! Each gateway writes heartbeats with the last event that it has read and a counter. It trusts its table for at most
//! `staleness` after its last heartbeat. So once each gateway has read an end, or has written no new heartbeat for that
//! time, no gateway serves the ended session. No clock of the server is involved: this gateway observes when a
//! heartbeat changes, and measures the time since then with its own clock.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::event_id::EventId;
use crate::values::time::Moment;

/// The heartbeat of a gateway that has stopped: no other gateway waits for it.
pub(super) const LEFT: &str = "left";
/// After this multiple of `staleness` without a new heartbeat, a gateway is removed from the server.
const REMOVE_AFTER: u32 = 10;

/// The maximum of `staleness`.
pub(crate) const MAX_STALENESS: Duration = Duration::from_secs(60);

/// Heartbeats by the names of gateways.
pub(super) type Heartbeats = HashMap<String, String>;

#[derive(Debug)]
pub(super) struct Peers {
    own: String,
    others: Mutex<HashMap<String, PeerGateway>>,
}

#[derive(Debug)]
struct PeerGateway {
    /// The last heartbeat.
    said: String,
    /// When it was first seen.
    since: Moment,
}

impl Peers {
    pub(super) fn new(own: String) -> Self {
        Self { own, others: Mutex::default() }
    }

    /// The name of this gateway on the store.
    pub(super) fn own_name(&self) -> &str {
        &self.own
    }

    /// Records the heartbeats of all gateways on the server. A known gateway that is missing is kept: the server may
    /// have lost its data while that gateway still serves.
    pub(super) fn note(&self, said: Heartbeats, now: Moment) {
        let mut others = self.others.lock();
        for (name, said) in said.into_iter().filter(|(name, _)| *name != self.own) {
            let peer = others.entry(name).or_insert_with(|| PeerGateway { said: String::new(), since: now });
            if peer.said != said {
                *peer = PeerGateway { said, since: now };
            }
        }
        others.retain(|_, peer| now.duration_since(peer.since) < peer.staleness() * (REMOVE_AFTER + 1));
    }

    /// Forgets which events the others have read, on another server: they say it again there. How long each one serves
    /// without a heartbeat is not forgotten.
    pub(super) fn forget_reads(&self) {
        for peer in self.others.lock().values_mut().filter(|peer| peer.said != LEFT) {
            peer.said = heartbeat_value(EventId::default(), 0, peer.staleness());
        }
    }

    /// Whether every gateway that still serves has read this event. [`Self::note`] must have been called with
    /// heartbeats from after the event.
    pub(super) fn have_read(&self, event: EventId, now: Moment) -> bool {
        self.others
            .lock()
            .values()
            .all(|peer| peer.said == LEFT || now.duration_since(peer.since) >= peer.staleness() || peer.has_read(event))
    }

    /// The gateways that have been silent for long, with their last heartbeats.
    pub(super) fn forgotten(&self, now: Moment) -> Vec<(String, String)> {
        let others = self.others.lock();
        let silent =
            others.iter().filter(|(_, peer)| now.duration_since(peer.since) >= peer.staleness() * REMOVE_AFTER);
        silent.map(|(name, peer)| (name.clone(), peer.said.clone())).collect()
    }
}

impl PeerGateway {
    /// The setting of that gateway: each may have another one.
    fn staleness(&self) -> Duration {
        staleness_of(&self.said).unwrap_or(MAX_STALENESS).min(MAX_STALENESS)
    }

    fn has_read(&self, event: EventId) -> bool {
        let read = self.said.split_once(' ').and_then(|(read, _)| EventId::parse(read));
        read.is_some_and(|read| read >= event)
    }
}

/// The time for which a gateway trusts its table after this heartbeat.
pub(super) fn staleness_of(said: &str) -> Option<Duration> {
    let millis = said.split(' ').nth(2).and_then(|millis| millis.parse().ok());
    millis.map(Duration::from_millis)
}

/// The heartbeat of this gateway: the last event that it has read, a counter, and the time in milliseconds for which it
/// trusts its table afterwards.
pub(super) fn heartbeat_value(read: EventId, count: u64, staleness: Duration) -> String {
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

    fn heartbeats(entries: &[(&str, &str)]) -> Heartbeats {
        entries.iter().map(|(name, said)| ((*name).to_owned(), (*said).to_owned())).collect()
    }

    #[test]
    fn every_serving_gateway_has_to_have_read_an_event() {
        let peers = Peers::new("me".into());
        assert!(peers.have_read(event(9), at(0)), "there is no other gateway");
        let first = [("me", "1-1 1 9"), ("a", "8-1 1 5000"), ("b", "9-1 1 5000"), ("gone", LEFT), ("later", "?")];
        peers.note(heartbeats(&first), at(10));
        assert!(!peers.have_read(event(9), at(10)));
        peers.note(heartbeats(&[("a", "9-1 2 5000"), ("later", "10-0 1 5000")]), at(11));
        assert!(peers.have_read(event(9), at(11)) && !peers.have_read(event(10), at(11)));
    }

    #[test]
    fn on_another_server_nobody_has_read_anything() {
        let peers = Peers::new("me".into());
        peers.note(heartbeats(&[("a", "9-1 7 5000"), ("gone", LEFT)]), at(10));
        assert!(peers.have_read(event(9), at(11)));
        peers.forget_reads();
        assert!(!peers.have_read(event(1), at(14)) && peers.have_read(event(1), at(15)), "its staleness still counts");
        peers.note(heartbeats(&[("a", "1-1 8 5000")]), at(14));
        assert!(peers.have_read(event(1), at(14)) && !peers.have_read(event(2), at(14)));
    }

    #[test]
    fn a_silent_gateway_no_longer_serves_and_one_with_heartbeats_does() {
        let peers = Peers::new("me".into());
        for second in 10..20 {
            let busy = heartbeat_value(event(1), second.into(), Duration::from_secs(5));
            peers.note(heartbeats(&[("busy", &busy), ("patient", "1-1 1 9000"), ("unreadable", "?")]), at(second));
        }
        peers.note(heartbeats(&[]), at(20));
        assert!(!peers.have_read(event(2), at(23)), "a gateway that the server has lost still serves");
        assert!(!peers.have_read(event(2), at(24)), "the longest staleness is assumed for an unreadable heartbeat");
        assert!(peers.have_read(event(2), at(70)));
        assert_eq!(peers.forgotten(at(99)), [("busy".to_owned(), "1-1 19 5000".to_owned())]);
        peers.note(heartbeats(&[]), at(1000));
        assert!(peers.others.lock().is_empty());
    }
}
