//! The first sign-in method: name and password from the form, checked against the users' file.

use std::sync::Arc;

use async_trait::async_trait;

use super::current::CurrentUsers;
use super::{SOURCE, Users};
use crate::credentials::account_status::AccountStatus;
use crate::credentials::methods::{Accepted, Means, SignInMethod, Verdict};
use crate::credentials::username_password::{CredentialSource, UsernamePassword};
use crate::values::identity::UserKey;

/// The users of a file, who sign in with the form.
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

    async fn judge(&self, presented: &UsernamePassword, means: Means<'_>) -> Verdict {
        match presented.way {
            CredentialSource::Form => check(&self.0.get(), presented, means, self.name()).await,
            CredentialSource::Basic => Verdict::Absent,
        }
    }

    fn status_of(&self, user: &UserKey) -> Option<AccountStatus> {
        (*user.source == *SOURCE).then(|| self.0.get().status_of(&user.subject))
    }
}

/// Checks a name and a password against a file of users, for the method of this name.
pub(crate) async fn check(
    users: &Users,
    presented: &UsernamePassword,
    means: Means<'_>,
    method: &'static str,
) -> Verdict {
    match means.passwords.verify(users, &presented.user, presented.password.clone(), means.share).await {
        Ok(user) => Verdict::Accept(Accepted { user: user.key(), identity: Arc::clone(&user.identity), method }),
        Err(reason) => Verdict::Refuse(reason),
    }
}
