//! The stamp of the password that a session belongs to: a change of the password in its name replaces it.

use super::sync::Mutex;
use crate::values::credential_stamp::CredentialStamp;

/// The stamp, and how often it was replaced: of two stamps the one with the greater number is the later one. One byte,
/// since a larger number makes every session larger; nobody sets a password more often in the name of one session.
#[derive(Debug)]
pub(super) struct LatestStamp(Mutex<(Option<CredentialStamp>, u8)>);

impl LatestStamp {
    pub(super) fn new(stamp: Option<CredentialStamp>) -> Self {
        Self(Mutex::new((stamp, 0)))
    }

    /// The stamp, and how often it was replaced.
    pub(super) fn get(&self) -> (Option<CredentialStamp>, u8) {
        *self.0.lock()
    }

    pub(super) fn set(&self, stamp: Option<CredentialStamp>) {
        let mut known = self.0.lock();
        *known = (stamp, known.1.saturating_add(1));
    }

    /// Takes over what a store has, unless a change here came after that.
    pub(super) fn renew(&self, stamp: Option<CredentialStamp>, number: u8) {
        let mut known = self.0.lock();
        if number > known.1 {
            *known = (stamp, number);
        }
    }
}
