//! The sign-in methods of one configuration, in their order.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::credentials::account_status::AccountStatus;
use crate::credentials::hashing::PasswordChecker;
use crate::credentials::password::Password;
use crate::credentials::stored_hash::StoredHash;
use crate::credentials::username_password::UsernamePassword;
use crate::session::record::Session;
use crate::throttle::fair_queue::Share;
use crate::values::credential_stamp::CredentialStamp;
use crate::values::identity::{Identity, UserKey};
use crate::values::mac::MacKeys;
use crate::values::reason::Reason;

/// A method's verdict about the credentials of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The request has no credentials for this method, or names a user whom its source does not have: the next one is
    /// asked.
    Absent,
    /// The credentials are for this method and name one of its users, and they are not accepted.
    Refuse(Reason),
    /// The credentials prove that this is the user.
    Accept(Accepted),
}

/// An authenticated user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The user's key in indexes and limits.
    pub(crate) user: UserKey,
    /// The identity, as it is shown and sent to applications.
    pub(crate) identity: Arc<Identity>,
    /// The name of the method, for the log.
    pub(crate) method: &'static str,
}

/// What a method needs to check credentials.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MethodContext<'a> {
    /// Checks passwords, a few at a time.
    pub(crate) passwords: &'a PasswordChecker,
    /// The share of the checks that this attempt counts for.
    pub(crate) share: Share,
}

/// One way to authenticate a user.
#[async_trait]
pub(crate) trait SignInMethod: fmt::Debug + Send + Sync {
    /// Its name in the log. Stable.
    fn name(&self) -> &'static str;

    /// The [`UserKey::source`] of its users; `None` if they are those of another method.
    fn source(&self) -> Option<&str>;

    /// Checks the credentials of a request; `password` is theirs. The caller enforces rate limits and bans before. An
    /// empty password never gets here: an LDAP server accepts it from anybody (RFC 4513, 5.1.2).
    async fn judge(&self, presented: &UsernamePassword, password: &Password, means: MethodContext<'_>) -> Verdict;

    /// The hash to compute for a name that no method knows: of the cost that a user of this source usually has. `None`
    /// if such credentials are not for this method, or if it computes no hashes.
    fn decoy(&self, presented: &UsernamePassword) -> Option<StoredHash>;

    /// Asks the source about the users of these sessions again, before they are reviewed: at the start and at a reload.
    /// A method whose users are not in memory has to limit how long this takes.
    async fn refresh(&self, _: &[Arc<Session>]) {}

    /// The current status of a user of this source; `None` if that is not known, so that a source which does not
    /// answer ends no session.
    ///
    /// This does not wait: a review asks for each of perhaps a million sessions, also while it holds the lock of the
    /// verified Basic credentials. So a method whose users are on a server answers with what it learned at the sign-in
    /// and at the last [`Self::refresh`]. In between a session goes on, as it does for a file that is not read again.
    fn status_of(&self, user: &UserKey) -> Option<AccountStatus>;
}

/// The methods, in the order in which they are asked.
#[derive(Debug, Default)]
pub(crate) struct SignInMethods(Vec<Box<dyn SignInMethod>>);

impl SignInMethods {
    /// These methods, in this order.
    pub(crate) fn new(methods: Vec<Box<dyn SignInMethod>>) -> Self {
        Self(methods)
    }

    /// Asks one method after the other, until one does not answer [`Verdict::Absent`].
    ///
    /// If all do, a hash is computed all the same, so that the response time does not reveal which users exist. (It is
    /// the most common one of the first method that computes any: users whose hashes differ from it in kind or cost can
    /// be distinguished.) The password's length is checked first, which reveals nothing about users.
    ///
    /// # Errors
    /// That method's refusal; [`Reason::CredentialsWrong`] if all answer [`Verdict::Absent`]; the reason why no check
    /// could be queued.
    pub(crate) async fn judge(
        &self,
        presented: &UsernamePassword,
        means: MethodContext<'_>,
    ) -> Result<Accepted, Reason> {
        let password = Password::new(presented.password.clone()).map_err(|_| Reason::CredentialsWrong)?;
        for method in &self.0 {
            match method.judge(presented, &password, means).await {
                Verdict::Absent => {}
                Verdict::Refuse(reason) => return Err(reason),
                Verdict::Accept(accepted) => return Ok(accepted),
            }
        }
        if let Some(hash) = self.0.iter().find_map(|method| method.decoy(presented)) {
            means.passwords.matches(hash, password, means.share).await?;
        }
        Err(Reason::CredentialsWrong)
    }

    /// Asks every source about the users of these sessions again.
    pub(crate) async fn refresh(&self, sessions: &[Arc<Session>]) {
        for method in &self.0 {
            method.refresh(sessions).await;
        }
    }

    /// The current status of a user; `None` if the source cannot tell. A user of a source that no method reads any more
    /// counts as removed.
    pub(crate) fn status_of(&self, user: &UserKey) -> Option<AccountStatus> {
        match self.0.iter().find(|method| method.source() == Some(&*user.source)) {
            Some(method) => method.status_of(user),
            None => Some(AccountStatus::Removed),
        }
    }

    /// The keys that a user of this name has, or would have: one for each source.
    pub(crate) fn keys_of(&self, name: &str) -> impl Iterator<Item = UserKey> {
        let sources = self.0.iter().filter_map(|method| method.source());
        sources.map(move |source| UserKey { source: source.into(), subject: name.into() })
    }

    /// The credential stamp for a new session of this user; `None` if the user may not sign in.
    pub(crate) fn stamp_of(&self, user: &UserKey, keys: &MacKeys) -> Option<CredentialStamp> {
        match self.status_of(user)? {
            AccountStatus::Active(account) => Some(account.stamp(user, keys)),
            AccountStatus::Removed | AccountStatus::Disabled => None,
        }
    }
}

#[cfg(test)]
#[path = "methods_tests.rs"]
mod tests;
