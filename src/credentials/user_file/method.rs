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
    match users.verify(means.passwords, &presented.user, presented.password.clone(), means.share).await {
        Ok(user) => Verdict::Accept(Accepted { user: user.key(), identity: Arc::clone(&user.identity), method }),
        Err(reason) => Verdict::Refuse(reason),
    }
}

impl Users {
    /// The user of this name, if this is the password.
    ///
    /// One hash is computed whether the user exists, is disabled, or not, so that the response time reveals nothing.
    /// (Users whose stored hashes differ in kind or cost can be told apart; for unknown names the most common cost is
    /// used.) The password's length is checked first: that reveals nothing about users.
    ///
    /// # Errors
    /// [`Reason::CredentialsWrong`], or that too many wait.
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
