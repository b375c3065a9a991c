//! The second sign-in method: HTTP Basic (RFC 7617) against the users' file, on routes with `basic = true`, for
//! programs without cookies: git, Subversion, Mercurial, WebDAV and CalDAV clients, Docker.
//!
//! [`header`] reads the credentials out of a request. They are checked once, like those of the sign-in form, and then
//! remembered for a minute by [`verified`]: such programs send them with every request.

pub(crate) mod header;
pub(crate) mod verified;

use std::sync::Arc;

use async_trait::async_trait;

use crate::credentials::account_status::AccountStatus;
use crate::credentials::methods::{MethodContext, SignInMethod, Verdict};
use crate::credentials::password::Password;
use crate::credentials::stored_hash::StoredHash;
use crate::credentials::user_file::current::CurrentUsers;
use crate::credentials::user_file::method::check;
use crate::credentials::username_password::{CredentialSource, UsernamePassword};
use crate::values::identity::UserKey;

/// HTTP Basic against the users of a file.
#[derive(Debug)]
pub(crate) struct Basic(Arc<CurrentUsers>);

impl Basic {
    /// These users.
    pub(crate) fn new(users: Arc<CurrentUsers>) -> Self {
        Self(users)
    }
}

#[async_trait]
impl SignInMethod for Basic {
    fn name(&self) -> &'static str {
        "basic"
    }

    /// Always `None`: its users are those of the form.
    fn source(&self) -> Option<&str> {
        None
    }

    async fn judge(&self, presented: &UsernamePassword, password: &Password, means: MethodContext<'_>) -> Verdict {
        match presented.way {
            CredentialSource::Basic => check(&self.0.get(), &presented.user, password, means, self.name()).await,
            CredentialSource::Form => Verdict::Absent,
        }
    }

    fn decoy(&self, presented: &UsernamePassword) -> Option<StoredHash> {
        (presented.way == CredentialSource::Basic).then(|| self.0.get().decoy())
    }

    /// Always `None`: the method of the form knows the status of its users.
    fn status_of(&self, _: &UserKey) -> Option<AccountStatus> {
        None
    }
}
