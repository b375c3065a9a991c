//! The hand-over of sessions to another host of the gateway: codes that the login host has issued and that have not
//! been redeemed yet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::record::Session;
use crate::values::hop::{EnterCode, EnterKey, HopHash};
use crate::values::secret::NoRandomness;
use crate::values::session_id::SessionKey;
use crate::values::time::Moment;

/// The lifetime of a code: a browser follows a redirect at once.
pub(crate) const CODE_LIFE: Duration = Duration::from_secs(30);
/// The maximum number of outstanding codes.
const MAX_CODES: usize = 10_000;
/// The maximum number of outstanding codes of one session, enough for the tabs of a browser that starts.
const MAX_CODES_OF_SESSION: usize = 32;

/// Why no code was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotOffered {
    /// Too many codes are outstanding.
    Full,
    /// The system's random source failed.
    NoRandomness,
    /// The shared store has not confirmed the code.
    StoreUnavailable,
}

/// The outstanding codes by their hashes. If gateways share a store, codes are redeemed there, and these are only the
/// ones that this gateway has issued, for the limits.
#[derive(Debug, Default)]
pub(crate) struct HandOvers(Mutex<HashMap<EnterKey, Offer>>);

/// The session of a code, and the conditions for redeeming it.
#[derive(Debug)]
struct Offer {
    session: Arc<Session>,
    /// The host that requested the code.
    host: Box<str>,
    /// The hash of the hop cookie of the browser that requested it.
    hop: HopHash,
    until: Moment,
}

impl HandOvers {
    /// Issues a code for this host, and for the browser with this hop cookie.
    pub(crate) fn offer(
        &self,
        session: &Arc<Session>,
        host: &str,
        hop: HopHash,
        now: Moment,
    ) -> Result<EnterCode, NotOffered> {
        let code = EnterCode::generate().map_err(|NoRandomness| NotOffered::NoRandomness)?;
        let mut offers = self.0.lock();
        if offers.len() >= MAX_CODES {
            offers.retain(|_, offer| offer.until > now);
        }
        let of_session = offers.values().filter(|offer| Arc::ptr_eq(&offer.session, session)).count();
        if offers.len() >= MAX_CODES || of_session >= MAX_CODES_OF_SESSION {
            return Err(NotOffered::Full);
        }
        offers
            .insert(code.key(), Offer { session: Arc::clone(session), host: host.into(), hop, until: now + CODE_LIFE });
        Ok(code)
    }

    /// The live session of a code, if it was issued for this host and this browser. The code is invalid afterwards,
    /// even if another host or browser presented it.
    pub(crate) fn redeem(&self, code: &EnterKey, host: &str, hops: &[HopHash], now: Moment) -> Option<Arc<Session>> {
        let offer = self.0.lock().remove(code)?;
        let is_meant = offer.until > now && *offer.host == *host && hops.contains(&offer.hop);
        (is_meant && !offer.session.has_ended()).then_some(offer.session)
    }

    /// Removes expired codes.
    pub(crate) fn sweep(&self, now: Moment) {
        self.0.lock().retain(|_, offer| offer.until > now);
    }
}

/// The content of a code in a shared store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SharedOffer {
    /// The name of the session.
    pub(crate) session: SessionKey,
    /// The hash of the hop cookie of the browser that requested the code.
    pub(crate) hop: HopHash,
    /// The host that requested the code.
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

    /// Whether the code was issued for this host, and for a browser with one of these hop cookies.
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

    /// Each row fails without one of the guards.
    #[test]
    fn a_code_is_redeemed_once_on_its_host_by_its_browser_before_it_expires() {
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
            assert!(offers.redeem(&code, SHOP, &[own], START).is_none(), "{host} {seconds}: redeemed twice");
        }
    }

    #[test]
    fn the_content_of_a_code_in_a_store_reads_back() {
        let (own, other) = (hop(), hop());
        let offer = SharedOffer { session: *session().name(), hop: own, host: SHOP.into() };
        assert_eq!(SharedOffer::read(&offer.write()).as_ref(), Some(&offer));
        assert_eq!(SharedOffer::read(&offer.write()[..63]), None);
        let is_for = |host, hops: &[HopHash]| offer.is_for(host, hops);
        assert!(is_for(SHOP, &[other, own]) && !is_for(SHOP, &[other]) && !is_for(SHOP, &[]));
        assert!(!is_for("blog.test", &[own]) && !is_for("", &[own]));
    }

    #[test]
    fn unknown_codes_and_codes_of_ended_sessions_are_refused() {
        let (offers, alice, own) = (HandOvers::default(), session(), hop());
        let code = offers.offer(&alice, SHOP, own, START).unwrap().key();
        assert!(offers.redeem(&EnterCode::generate().unwrap().key(), SHOP, &[own], START).is_none());
        assert!(alice.mark(EndCause::Logout));
        assert!(offers.redeem(&code, SHOP, &[own], START).is_none());
    }

    #[test]
    fn outstanding_codes_are_limited_in_total_and_for_each_session() {
        let (offers, alice, bob) = (HandOvers::default(), session(), session());
        for _ in 0..MAX_CODES_OF_SESSION {
            offers.offer(&alice, SHOP, hop(), START).unwrap();
        }
        assert_eq!(offers.offer(&alice, SHOP, hop(), START).unwrap_err(), NotOffered::Full);
        assert!(offers.offer(&bob, SHOP, hop(), START).is_ok());
        while offers.0.lock().len() < MAX_CODES {
            offers.offer(&session(), SHOP, hop(), START).unwrap();
        }
        assert_eq!(offers.offer(&bob, SHOP, hop(), START).unwrap_err(), NotOffered::Full);
        let later = START + CODE_LIFE;
        assert!(offers.offer(&bob, SHOP, hop(), later).is_ok(), "expired codes are removed");
        assert_eq!(offers.0.lock().len(), 1);
        offers.sweep(later + CODE_LIFE);
        assert!(offers.0.lock().is_empty());
    }
}
