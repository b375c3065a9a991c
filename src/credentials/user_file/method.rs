//! The first sign-in method: name and password from the form, checked against the users' file.

use std::sync::Arc;

use async_trait::async_trait;

use super::current::CurrentUsers;
use super::{SOURCE, Users};
use crate::credentials::account_status::AccountStatus;
use crate::credentials::methods::{Accepted, MethodContext, SignInMethod, Verdict};
use crate::credentials::password::Password;
use crate::credentials::stored_hash::StoredHash;
use crate::credentials::username_password::{CredentialSource, UsernamePassword};
use crate::values::identity::UserKey;
use crate::values::reason::Reason;

/// The sign-in form, against the users of a file.
#[derive(Debug)]
pub(crate) struct UserFile(Arc<CurrentUsers>);

impl UserFile {
    /// These users.
    pub(crate) fn new(users: Arc<CurrentUsers>) -> Self {
        Self(users)
    }
}

#[async_trait]
impl SignInMethod for UserFile {
    fn name(&self) -> &'static str {
        "form"
    }

    fn source(&self) -> Option<&str> {
        Some(SOURCE)
    }

    async fn judge(&self, presented: &UsernamePassword, password: &Password, means: MethodContext<'_>) -> Verdict {
        match presented.way {
            CredentialSource::Form => check(&self.0.get(), &presented.user, password, means, self.name()).await,
            CredentialSource::Basic => Verdict::Absent,
        }
    }

    fn decoy(&self, presented: &UsernamePassword) -> Option<StoredHash> {
        (presented.way == CredentialSource::Form).then(|| self.0.get().decoy())
    }

    fn status_of(&self, user: &UserKey) -> Option<AccountStatus> {
        Some(self.0.get().status_of(&user.subject))
    }
}

/// Checks this name and password against the users of a file; `method` is the name of the method that asks.
///
/// The hash is computed even if the user is disabled, so that the response time does not reveal it.
pub(crate) async fn check(
    users: &Users,
    name: &str,
    password: &Password,
    means: MethodContext<'_>,
    method: &'static str,
) -> Verdict {
    let Some(user) = users.find(name) else { return Verdict::Absent };
    match means.passwords.matches(user.hash.clone(), password.clone(), means.share).await {
        Ok(true) if user.enabled => {
            Verdict::Accept(Accepted { user: user.key(), identity: Arc::clone(&user.identity), method })
        }
        Ok(_) => Verdict::Refuse(Reason::CredentialsWrong),
        Err(reason) => Verdict::Refuse(reason),
    }
}
