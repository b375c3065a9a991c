//! Sessions on their way to another own host: codes that the login host has issued and that no browser has shown yet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::record::Session;
use crate::values::hop::{EnterCode, EnterKey, HopHash};
use crate::values::secret::NoRandomness;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// How long a code counts: a browser follows a redirect at once.
pub(crate) const CODE_LIFE: Duration = Duration::from_secs(30);
/// Codes that are on their way at the same time.
const MOST: usize = 10_000;
/// Codes of one session that are on their way at the same time: some tabs of a browser that starts.
const MOST_OF_SESSION: usize = 32;

/// Why no code was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotOffered {
    /// Too many are on their way.
    Full,
    /// The operating system gave no random bytes.
    NoRandomness,
    /// The store that gateways share has not confirmed it.
    StoreUnavailable,
}

/// The codes, each known by its hash. Where gateways share a store, codes are there, too, and count there: then these
/// are what this gateway has handed out, up to the limits.
#[derive(Debug, Default)]
pub(crate) struct HandOvers(Mutex<HashMap<EnterKey, Offer>>);

/// What one code is good for.
#[derive(Debug)]
struct Offer {
    session: Arc<Session>,
    /// The host that asked.
    host: Box<str>,
    /// The browser that asked.
    hop: HopHash,
    until: Moment,
}

impl HandOvers {
    /// A code for this host, and for the browser with this hop.
    pub(crate) fn offer(
        &self,
        session: &Arc<Session>,
        host: &str,
        hop: HopHash,
        now: Moment,
    ) -> Result<EnterCode, NotOffered> {
        let code = EnterCode::generate().map_err(|NoRandomness| NotOffered::NoRandomness)?;
        let mut offers = self.0.lock();
        if offers.len() >= MOST {
            offers.retain(|_, offer| offer.until > now);
        }
        let of_session = offers.values().filter(|offer| Arc::ptr_eq(&offer.session, session)).count();
        if offers.len() >= MOST || of_session >= MOST_OF_SESSION {
            return Err(NotOffered::Full);
        }
        offers
            .insert(code.key(), Offer { session: Arc::clone(session), host: host.into(), hop, until: now + CODE_LIFE });
        Ok(code)
    }

    /// The live session of a code, for the host and the browser that it was made for. The code is invalid afterwards,
    /// whichever browser showed it.
    pub(crate) fn redeem(&self, code: &EnterKey, host: &str, hops: &[HopHash], now: Moment) -> Option<Arc<Session>> {
        let offer = self.0.lock().remove(code)?;
        let is_meant = offer.until > now && *offer.host == *host && hops.contains(&offer.hop);
        (is_meant && !offer.session.has_ended()).then_some(offer.session)
    }

    /// Forgets the codes whose time is up.
    pub(crate) fn sweep(&self, now: Moment) {
        self.0.lock().retain(|_, offer| offer.until > now);
    }
}

/// What a code of a shared store is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SharedOffer {
    /// The name of the session.
    pub(crate) session: SessionKey,
    /// The browser that asked.
    pub(crate) hop: HopHash,
    /// The host that asked.
    pub(crate) host: Box<str>,
}

impl SharedOffer {
    pub(super) fn write(&self) -> Vec<u8> {
        [self.session.as_bytes().as_slice(), self.hop.as_bytes(), self.host.as_bytes()].concat()
    }

    pub(super) fn read(kept: &[u8]) -> Option<Self> {
        let (session, rest) = kept.split_first_chunk()?;
        let (hop, host) = rest.split_first_chunk()?;
        let host = std::str::from_utf8(host).ok()?.into();
        Some(Self { session: SessionKey::from_bytes(*session), hop: HopHash::from_bytes(*hop), host })
    }

    /// Whether it is for this host, and for a browser with one of these hops.
    pub(crate) fn is_for(&self, host: &str, hops: &[HopHash]) -> bool {
        *self.host == *host && hops.contains(&self.hop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::record::tests::session;
    use crate::values::end_cause::EndCause;
    use crate::values::hop::Hop;

    const START: Moment = Moment::from_seconds(100);
    const SHOP: &str = "shop.test";

    fn hop() -> HopHash {
        Hop::generate().unwrap().hash()
    }

    /// One guard a row: red without it.
    #[test]
    fn a_code_opens_one_session_once_at_its_host_for_its_browser_in_time() {
        let (own, other) = (hop(), hop());
        let cases: [(&str, &[HopHash], u64, bool); 8] = [
            (SHOP, &[own], 0, true),
            (SHOP, &[own], 29, true),
            (SHOP, &[other, own], 0, true),
            ("blog.test", &[own], 0, false),
            ("", &[own], 0, false),
            (SHOP, &[other], 0, false),
            (SHOP, &[], 0, false),
            (SHOP, &[own], 30, false),
        ];
        for (host, hops, seconds, opens) in cases {
            let (offers, alice) = (HandOvers::default(), session());
            let code = offers.offer(&alice, SHOP, own, START).unwrap().key();
            let later = START + Duration::from_secs(seconds);
            let redeemed = offers.redeem(&code, host, hops, later);
            assert_eq!(redeemed.is_some_and(|session| Arc::ptr_eq(&session, &alice)), opens, "{host} {seconds}");
            assert!(offers.redeem(&code, SHOP, &[own], START).is_none(), "{host} {seconds}: it was shown already");
        }
    }

    #[test]
    fn what_a_store_keeps_of_a_code_reads_back() {
        let (own, other) = (hop(), hop());
        let offer = SharedOffer { session: *session().name(), hop: own, host: SHOP.into() };
        assert_eq!(SharedOffer::read(&offer.write()).as_ref(), Some(&offer));
        assert_eq!(SharedOffer::read(&offer.write()[..63]), None);
        let is_for = |host, hops: &[HopHash]| offer.is_for(host, hops);
        assert!(is_for(SHOP, &[other, own]) && !is_for(SHOP, &[other]) && !is_for(SHOP, &[]));
        assert!(!is_for("blog.test", &[own]) && !is_for("", &[own]));
    }

    #[test]
    fn what_is_no_code_and_the_code_of_a_dead_session_open_nothing() {
        let (offers, alice, own) = (HandOvers::default(), session(), hop());
        let code = offers.offer(&alice, SHOP, own, START).unwrap().key();
        assert!(offers.redeem(&EnterCode::generate().unwrap().key(), SHOP, &[own], START).is_none());
        assert!(alice.mark(EndCause::Logout));
        assert!(offers.redeem(&code, SHOP, &[own], START).is_none());
    }

    #[test]
    fn the_table_is_bounded_and_nobody_fills_it_alone() {
        let (offers, alice, bob) = (HandOvers::default(), session(), session());
        for _ in 0..MOST_OF_SESSION {
            offers.offer(&alice, SHOP, hop(), START).unwrap();
        }
        assert_eq!(offers.offer(&alice, SHOP, hop(), START).unwrap_err(), NotOffered::Full);
        assert!(offers.offer(&bob, SHOP, hop(), START).is_ok());
        while offers.0.lock().len() < MOST {
            offers.offer(&session(), SHOP, hop(), START).unwrap();
        }
        assert_eq!(offers.offer(&bob, SHOP, hop(), START).unwrap_err(), NotOffered::Full);
        let later = START + CODE_LIFE;
        assert!(offers.offer(&bob, SHOP, hop(), later).is_ok(), "what is over makes room");
        assert_eq!(offers.0.lock().len(), 1);
        offers.sweep(later + CODE_LIFE);
        assert!(offers.0.lock().is_empty());
    }
}
