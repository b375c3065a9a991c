//! From a sign-in to a session: what is known when it begins.

use std::sync::Arc;

use crate::values::client_address::ClientAddress;
use crate::values::credential_stamp::CredentialStamp;
use crate::values::device::Device;
use crate::values::identity::{Identity, UserKey};

/// What is known at a sign-in.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Who, for indexes and limits.
    pub user: Arc<UserKey>,
    /// The user, for people and applications.
    pub identity: Arc<Identity>,
    /// What was stored of the user's password; `None` where nothing is.
    pub stamp: Option<CredentialStamp>,
    /// The browser's name for users.
    pub device: Device,
    /// Where the sign-in came from.
    pub address: ClientAddress,
    /// The own host that it was at, where that is not the login host.
    pub host: Option<Box<str>>,
}

impl SignIn {
    /// A sign-in of which nothing is known but the user: without a stored password, a browser, or an address. Tests and
    /// benchmarks open sessions with it.
    pub fn of(source: &str, identity: Identity) -> Self {
        Self {
            user: Arc::new(UserKey { source: source.into(), subject: identity.user().into() }),
            identity: Arc::new(identity),
            stamp: None,
            device: Device::from_user_agent(""),
            address: ClientAddress::Unix,
            host: None,
        }
    }
}
