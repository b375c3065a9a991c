//! The cookie by which a browser in which a user has signed in before is recognised. It grants no access: the password
//! is still required, and the browser only has a separate counter of attempts.
//!
//! The cookie is self-contained, so there is no table of known browsers that sign-ins could fill. It contains a random
//! id, and for each of the last users who signed in the day and a MAC over the user's name, the id and the day. It does
//! not reveal the names.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;

use super::mac::{Mac, MacKeys, MacPurpose};
use super::secret::NoRandomness;
use super::time::WallTime;

/// The number of days for which a browser is known after a sign-in.
pub(crate) const KNOWN_DAYS: u32 = 180;
/// The maximum number of users in a cookie: the most recent ones.
const MAX_USERS: usize = 4;
/// The length of an id in bytes.
const ID_LENGTH: usize = 16;
/// The maximum length of a cookie value in bytes. Longer values are ignored.
const MAX_LENGTH: usize = 512;

/// The random id of a browser. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BrowserId([u8; ID_LENGTH]);

/// The content of a browser's cookie: well-formed, but not verified. [`KnownBrowser::vouches_for`] verifies it.
#[derive(Clone)]
pub(crate) struct KnownBrowser {
    id: BrowserId,
    /// The most recent sign-in first.
    sign_ins: Vec<KnownUser>,
}

#[derive(Clone, Copy)]
struct KnownUser {
    /// The day of the sign-in, in days since 1970.
    day: u32,
    mac: Mac,
}

impl KnownBrowser {
    /// Parses a cookie value.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= MAX_LENGTH)?;
        let mut parts = text.split('.');
        let id = BASE64URL_NOPAD.decode(parts.next()?.as_bytes()).ok()?.try_into().ok()?;
        let mut sign_ins = Vec::with_capacity(MAX_USERS);
        while let Some(day) = parts.next() {
            let day = day.bytes().all(|byte| byte.is_ascii_digit()).then(|| day.parse().ok())??;
            sign_ins.push(KnownUser { day, mac: Mac::parse(parts.next()?.as_bytes())? });
        }
        (sign_ins.len() <= MAX_USERS).then_some(Self { id: BrowserId(id), sign_ins })
    }

    /// The cookie value.
    pub(crate) fn cookie_value(&self) -> String {
        let id = BASE64URL_NOPAD.encode(&self.id.0);
        self.sign_ins.iter().fold(id, |value, KnownUser { day, mac }| format!("{value}.{day}.{}", mac.encode()))
    }

    /// The id of the browser.
    pub(crate) fn id(&self) -> BrowserId {
        self.id
    }

    /// Whether this user signed in with this browser within the last [`KNOWN_DAYS`]. `name` must be normalised, so that
    /// all spellings of an account are the same.
    pub(crate) fn vouches_for(&self, name: &str, keys: &MacKeys, now: WallTime) -> bool {
        self.sign_ins.iter().any(|sign_in| is_recent(sign_in.day, now) && self.is_of(sign_in, name, keys))
    }

    /// The cookie after a sign-in of this user: with the previous id, and this user first.
    ///
    /// # Errors
    /// The random source for a new id fails.
    pub(crate) fn after_sign_in(
        before: Option<&Self>,
        name: &str,
        keys: &MacKeys,
        now: WallTime,
    ) -> Result<Self, NoRandomness> {
        let id = before.map_or_else(BrowserId::generate, |before| Ok(before.id))?;
        let day = day_of(now);
        let first =
            KnownUser { day, mac: keys.sign(MacPurpose::KnownBrowser, &[name.as_bytes(), &id.0, &day.to_be_bytes()]) };
        let others = before.into_iter().flat_map(|before| {
            before
                .sign_ins
                .iter()
                .filter(|other| is_recent(other.day, now) && !before.is_of(other, name, keys))
                .copied()
        });
        let sign_ins = std::iter::once(first).chain(others).take(MAX_USERS).collect();
        Ok(Self { id, sign_ins })
    }

    fn is_of(&self, sign_in: &KnownUser, name: &str, keys: &MacKeys) -> bool {
        keys.verify(MacPurpose::KnownBrowser, &[name.as_bytes(), &self.id.0, &sign_in.day.to_be_bytes()], &sign_in.mac)
    }
}

impl BrowserId {
    /// A new id.
    ///
    /// # Errors
    /// The operating system's random source fails.
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0; ID_LENGTH];
        getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for KnownBrowser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownBrowser(…)")
    }
}

impl fmt::Debug for BrowserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrowserId(…)")
    }
}

fn day_of(now: WallTime) -> u32 {
    u32::try_from(now.0 / 86_400).unwrap_or(u32::MAX)
}

/// Whether a day is within the last [`KNOWN_DAYS`]. Tomorrow is allowed, for a clock that was set back.
fn is_recent(day: u32, now: WallTime) -> bool {
    let today = day_of(now);
    today.saturating_sub(day) < KNOWN_DAYS && day <= today.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;
    const NOW: WallTime = WallTime(20_000 * DAY);

    fn keys() -> MacKeys {
        MacKeys::generate().unwrap()
    }

    fn sign_in(before: Option<&KnownBrowser>, name: &str, keys: &MacKeys, now: WallTime) -> KnownBrowser {
        let known = KnownBrowser::after_sign_in(before, name, keys, now).unwrap();
        KnownBrowser::parse(known.cookie_value().as_bytes()).expect("what is written is read")
    }

    #[test]
    fn it_vouches_only_for_users_who_signed_in() {
        let keys = keys();
        let known = sign_in(None, "alice", &keys, NOW);
        assert!(known.vouches_for("alice", &keys, NOW) && !known.vouches_for("bob", &keys, NOW));
        assert!(!known.vouches_for("alice", &MacKeys::generate().unwrap(), NOW), "the keys of another gateway");
        let again = sign_in(Some(&known), "bob", &keys, NOW);
        assert!(again.vouches_for("alice", &keys, NOW) && again.vouches_for("bob", &keys, NOW));
        assert!(again.id() == known.id() && sign_in(None, "alice", &keys, NOW).id() != known.id());
    }

    #[test]
    fn it_vouches_for_the_last_four_users() {
        let keys = keys();
        let names = ["a", "b", "c", "d", "c", "e"];
        let known = names
            .iter()
            .fold(None, |known: Option<KnownBrowser>, name| Some(sign_in(known.as_ref(), name, &keys, NOW)));
        let known = known.unwrap();
        assert_eq!(
            ["a", "b", "c", "d", "e"].map(|name| known.vouches_for(name, &keys, NOW)),
            [false, true, true, true, true]
        );
        assert!(known.cookie_value().len() < 150, "{}", known.cookie_value().len());
    }

    #[test]
    fn it_expires_after_180_days() {
        let keys = keys();
        let known = sign_in(None, "alice", &keys, NOW);
        let at =
            |days: i64| known.vouches_for("alice", &keys, WallTime(NOW.0.saturating_add_signed(days * DAY as i64)));
        assert_eq!([0, 179, 180, 400, -1, -2].map(at), [true, true, false, false, true, false]);
        let later = WallTime(NOW.0 + 100 * DAY);
        let again = sign_in(Some(&known), "alice", &keys, later);
        assert!(again.vouches_for("alice", &keys, WallTime(NOW.0 + 279 * DAY)), "each sign-in renews it");
        let other = sign_in(Some(&known), "bob", &keys, WallTime(NOW.0 + 200 * DAY));
        assert_eq!(other.sign_ins.len(), 1, "expired sign-ins are removed");
    }

    #[test]
    fn a_changed_cookie_is_not_accepted() {
        let keys = keys();
        let value = sign_in(None, "alice", &keys, NOW).cookie_value();
        let other = sign_in(None, "alice", &keys, NOW).cookie_value();
        let (id, rest) = value.split_once('.').unwrap();
        let (other_id, _) = other.split_once('.').unwrap();
        let forged = [
            format!("{other_id}.{rest}"),
            value.replace("20000", "20001"),
            value.clone(),
            format!("{id}.19999.{}", rest.split_once('.').unwrap().1),
        ];
        let vouches = |value: &str| {
            KnownBrowser::parse(value.as_bytes()).is_some_and(|known| known.vouches_for("alice", &keys, NOW))
        };
        assert_eq!(forged.map(|value| vouches(&value)), [false, false, true, false]);
        for at in 0..value.len() {
            let mut bytes = value.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(!vouches(std::str::from_utf8(&bytes).unwrap()), "{at}");
        }
    }

    #[test]
    fn malformed_cookies_are_not_read() {
        let keys = keys();
        let value = sign_in(None, "alice", &keys, NOW).cookie_value();
        let five = format!("{value}{}", value.split_once('.').map(|(_, rest)| format!(".{rest}")).unwrap().repeat(4));
        let odd = [
            "",
            "a",
            ".",
            &value[1..],
            &format!("{value}."),
            &format!("{value}.1"),
            &value.replace(".2", ".+2"),
            &five,
            &value.replace(".20000.", ".99999999999."),
            &"A".repeat(43),
            &format!("{value}.{}", "A".repeat(600)),
        ]
        .map(|value| KnownBrowser::parse(value.as_bytes()).is_some());
        assert_eq!(odd, [false; 11]);
        assert!(
            KnownBrowser::parse(value.split('.').next().unwrap().as_bytes()).is_some(),
            "an id without users is well-formed"
        );
        let known = KnownBrowser::parse(value.as_bytes()).unwrap();
        assert_eq!(format!("{known:?} {:?}", known.id()), "KnownBrowser(…) BrowserId(…)");
    }
}
