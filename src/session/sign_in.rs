//! The data of a sign-in, from which a session is made.

use std::sync::Arc;

use crate::values::client_address::ClientAddress;
use crate::values::credential_stamp::CredentialStamp;
use crate::values::device::Device;
use crate::values::identity::{Identity, UserKey};

/// The data of a sign-in.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The key of the user, for indexes and limits.
    pub user: Arc<UserKey>,
    /// The identity of the user, for display and for applications.
    pub identity: Arc<Identity>,
    /// The stamp of the user's stored password; `None` if the method stores none.
    pub stamp: Option<CredentialStamp>,
    /// Browser and operating system.
    pub device: Device,
    /// The client's address.
    pub address: ClientAddress,
    /// The host of the sign-in, if it is not the login host.
    pub host: Option<Box<str>>,
}

impl SignIn {
    /// A sign-in without a stored password, browser and address, for tests and benchmarks.
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
