//! The serialised data of a sign-in in the record of a session: user, device and address. Stores do not parse it. The
//! first byte is the version of the format, so that a later version can still read what this one wrote.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::sign_in::SignIn;
use crate::values::client_address::ClientAddress;
use crate::values::credential_stamp::CredentialStamp;
use crate::values::device::Device;
use crate::values::identity::{Identity, UserKey};

/// The current version of the format: JSON.
const FORM: u8 = 1;

/// Strings without escapes are borrowed: a start may read a million of these.
#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    #[serde(borrow)]
    user: BorrowedText<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    email: Option<BorrowedText<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    name: Option<BorrowedText<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<BorrowedText<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    stamp: Option<BorrowedText<'a>>,
    /// How often that was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stamps: Option<u8>,
    #[serde(borrow)]
    device: BorrowedText<'a>,
    #[serde(borrow)]
    address: BorrowedText<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<Box<str>>,
}

/// A `Cow` that borrows in an `Option` and in a `Vec` as well.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct BorrowedText<'a>(#[serde(borrow)] Cow<'a, str>);

impl AsRef<str> for BorrowedText<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'a, T: Into<Cow<'a, str>>> From<T> for BorrowedText<'a> {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// Serialises the data of a sign-in.
pub(super) fn write(
    identity: &Identity,
    (stamp, stamps): (Option<CredentialStamp>, u8),
    device: Device,
    address: ClientAddress,
    host: Option<&str>,
) -> Vec<u8> {
    let saved = Saved {
        user: identity.user().into(),
        email: identity.email().map(BorrowedText::from),
        name: identity.name().map(BorrowedText::from),
        groups: identity.groups().map(BorrowedText::from).collect(),
        stamp: stamp.map(|stamp| stamp.encode().into()),
        stamps: (stamps > 0).then_some(stamps),
        device: device.to_string().into(),
        address: address.to_string().into(),
        host: host.map(Into::into),
    };
    let mut bytes = vec![FORM];
    // Serialising strings into memory cannot fail.
    let _ = serde_json::to_writer(&mut bytes, &saved);
    bytes
}

/// Parses the data, and how often the stamp was replaced since the sign-in. `None` if the format is of a later version
/// or damaged: such a session is treated as absent.
pub(super) fn read(user: Arc<UserKey>, about: &[u8]) -> Option<(SignIn, u8)> {
    let (&FORM, json) = about.split_first()? else { return None };
    let saved: Saved<'_> = serde_json::from_slice(json).ok()?;
    let Saved { user: shown, email, name, groups, .. } = &saved;
    let [email, name] = [email, name].map(|text| text.as_ref().map(AsRef::as_ref));
    let identity = Identity::of_texts(shown.as_ref(), email, name, groups).ok()?;
    let sign_in = SignIn {
        user,
        identity: Arc::new(identity),
        stamp: saved.stamp.as_ref().and_then(|stamp| CredentialStamp::parse(stamp.as_ref())),
        device: Device::from_words(saved.device.as_ref()),
        address: ClientAddress::parse(saved.address.as_ref())?,
        host: saved.host,
    };
    Some((sign_in, saved.stamps.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Arc<UserKey> {
        Arc::new(UserKey { source: "file".into(), subject: "zoë".into() })
    }

    #[test]
    fn a_sign_in_reads_back() {
        let groups = ["staff".to_owned(), "a,b".to_owned()];
        let whole = Identity::new("zoë", Some("zoe@app.test"), Some("Zoë \"Z\" Ü"), &groups).unwrap();
        let device = Device::from_user_agent("Mozilla/5.0 (X11; Linux) Firefox/140.0");
        let bare = Identity::new("a", None, None, &[]).unwrap();
        for (identity, address, host) in [(whole, "2001:db8::1", Some("shop.test")), (bare, "unix", None)] {
            let address = ClientAddress::parse(address).unwrap();
            let (read, stamps) = read(user(), &write(&identity, (None, 3), device, address, host)).unwrap();
            assert_eq!(stamps, 3);
            assert_eq!((&*read.identity, read.device, read.address), (&identity, device, address));
            assert_eq!(read.host.as_deref(), host);
        }
    }

    #[test]
    fn version_one_of_the_format_stays_readable() {
        let kept = br#"?{"user":"zoe","email":"z@a.test","groups":["staff"],"device":"curl","address":"10.0.0.1"}"#;
        let mut kept = kept.to_vec();
        kept[0] = 1;
        let (read, stamps) = read(user(), &kept).unwrap();
        assert_eq!((read.identity.user(), read.identity.email(), stamps), ("zoe", Some("z@a.test"), 0));
        assert!(read.identity.is_in("staff") && read.device.to_string() == "curl");
    }

    #[test]
    fn later_versions_and_damaged_data_are_not_read() {
        let sound = write(
            &Identity::new("a", None, None, &[]).unwrap(),
            (None, 0),
            Device::from_words(""),
            ClientAddress::Unix,
            None,
        );
        let (later, cut) = ([&[2], &sound[1..]].concat(), &sound[..sound.len() - 1]);
        for about in [&[], &later[..], cut, b"\x01{}", b"\x01null"] {
            assert!(read(user(), about).is_none(), "{about:?}");
        }
        assert!(read(user(), &sound).is_some());
    }
}
