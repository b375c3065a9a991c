//! The first sign-in method: name and password from the form, checked against the users' file.

use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::current::CurrentUsers;
use super::{SOURCE, UserEntry, Users};
use crate::credentials::account_status::AccountStatus;
use crate::credentials::hashing::PasswordChecker;
use crate::credentials::methods::{Accepted, Means, SignInMethod, Verdict};
use crate::credentials::password::Password;
use crate::credentials::username_password::{CredentialSource, UsernamePassword};
use crate::throttle::fair_queue::Share;
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

    fn key_of(&self, name: &str) -> Option<UserKey> {
        Some(UserKey { source: SOURCE.into(), subject: name.into() })
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

/// Checks a name and a password against the users of a file; `method` is the name of the method that asks.
pub(crate) async fn check(
    users: &Users,
    presented: &UsernamePassword,
    means: Means<'_>,
    method: &'static str,
) -> Verdict {
    match users.verify(means.passwords, &presented.user, presented.password.clone(), means.share).await {
        Ok(user) => Verdict::Accept(Accepted { user: user.key(), identity: Arc::clone(&user.identity), method }),
        Err(reason) => Verdict::Refuse(reason),
    }
}

impl Users {
    /// The user with this name and password.
    ///
    /// One hash is computed even if the user is disabled or does not exist, so that the response time does not reveal
    /// which users exist. (For unknown names the most common cost of the file is used, so users whose hashes differ
    /// from it in kind or cost can be distinguished.) The password's length is checked first, which reveals nothing
    /// about users.
    ///
    /// # Errors
    /// [`Reason::CredentialsWrong`], or the reason why no check could be queued.
    pub(crate) async fn verify(
        &self,
        passwords: &PasswordChecker,
        name: &str,
        password: Zeroizing<String>,
        share: Share,
    ) -> Result<&UserEntry, Reason> {
        let password = Password::new(password).map_err(|_| Reason::CredentialsWrong)?;
        let user = self.find(name);
        let hash = user.map_or_else(|| self.decoy(), |user| user.hash.clone());
        let matches = passwords.matches(hash, password, share).await?;
        user.filter(|user| user.enabled && matches).ok_or(Reason::CredentialsWrong)
    }
}
