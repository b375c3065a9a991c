//! The sign-in methods of one configuration, in their order.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::credentials::account_status::AccountStatus;
use crate::credentials::hashing::PasswordChecker;
use crate::credentials::username_password::UsernamePassword;
use crate::throttle::fair_queue::Share;
use crate::values::credential_stamp::CredentialStamp;
use crate::values::identity::{Identity, UserKey};
use crate::values::mac::MacKeys;
use crate::values::reason::Reason;

/// A method's verdict about the credentials of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The request has no credentials for this method: the next one is asked.
    Absent,
    /// The credentials are for this method, and they are not accepted.
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
pub(crate) struct Means<'a> {
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

    /// The key that a user of this name has, or would have, in this method's source; `None` if another method has the
    /// same source.
    fn key_of(&self, name: &str) -> Option<UserKey>;

    /// Checks the credentials of a request. The caller enforces rate limits and bans before.
    async fn judge(&self, presented: &UsernamePassword, means: Means<'_>) -> Verdict;

    /// The current status, in this method's source, of a user who signed in before; `None` for users of other sources.
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
    /// # Errors
    /// That method's refusal; [`Reason::CredentialsWrong`] if all answer [`Verdict::Absent`].
    pub(crate) async fn judge(&self, presented: &UsernamePassword, means: Means<'_>) -> Result<Accepted, Reason> {
        for method in &self.0 {
            match method.judge(presented, means).await {
                Verdict::Absent => {}
                Verdict::Refuse(reason) => return Err(reason),
                Verdict::Accept(accepted) => return Ok(accepted),
            }
        }
        Err(Reason::CredentialsWrong)
    }

    /// The current status of a user. A user of a source that no method reads any more counts as removed.
    pub(crate) fn status_of(&self, user: &UserKey) -> AccountStatus {
        self.0.iter().find_map(|method| method.status_of(user)).unwrap_or(AccountStatus::Removed)
    }

    /// The keys that a user of this name has, or would have: one for each source.
    pub(crate) fn keys_of(&self, name: &str) -> impl Iterator<Item = UserKey> {
        self.0.iter().filter_map(move |method| method.key_of(name))
    }

    /// The credential stamp for a new session of this user; `None` if the user may not sign in.
    pub(crate) fn stamp_of(&self, user: &UserKey, keys: &MacKeys) -> Option<CredentialStamp> {
        match self.status_of(user) {
            AccountStatus::Active(account) => Some(account.stamp(user, keys)),
            AccountStatus::Removed | AccountStatus::Disabled => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::account_status::AccountStatus;
    use crate::credentials::hashing::HashingSettings;
    use crate::credentials::username_password::CredentialSource;

    /// Returns a fixed verdict.
    #[derive(Debug)]
    struct Says(&'static str, Verdict);

    #[async_trait]
    impl SignInMethod for Says {
        fn name(&self) -> &'static str {
            self.0
        }

        fn key_of(&self, name: &str) -> Option<UserKey> {
            (self.0 != "b").then(|| UserKey { source: self.0.into(), subject: name.into() })
        }

        async fn judge(&self, _: &UsernamePassword, _: Means<'_>) -> Verdict {
            self.1.clone()
        }

        fn status_of(&self, _: &UserKey) -> Option<AccountStatus> {
            None
        }
    }

    fn accept(method: &'static str) -> Verdict {
        let user = UserKey { source: "test".into(), subject: "alice".into() };
        Verdict::Accept(Accepted { user, identity: Arc::new(Identity::new("alice", None, None, &[]).unwrap()), method })
    }

    #[tokio::test]
    async fn the_first_method_that_reads_it_decides() {
        let passwords = PasswordChecker::new(HashingSettings::default()).unwrap();
        let share = Share { account: 1, address: 1, site: 1, is_known: false };
        let presented = UsernamePassword::new(CredentialSource::Form, "alice", "x".to_owned().into()).unwrap();
        let wrong = Verdict::Refuse(Reason::CredentialsWrong);
        let busy = Verdict::Refuse(Reason::SignInBusy);
        let cases: [(Vec<Verdict>, Result<usize, Reason>); 6] = [
            (vec![], Err(Reason::CredentialsWrong)),
            (vec![Verdict::Absent], Err(Reason::CredentialsWrong)),
            (vec![Verdict::Absent, accept("b")], Ok(1)),
            (vec![accept("a"), wrong.clone()], Ok(0)),
            (vec![wrong, accept("b")], Err(Reason::CredentialsWrong)),
            (vec![Verdict::Absent, busy, accept("c")], Err(Reason::SignInBusy)),
        ];
        for (verdicts, want) in cases {
            let names = ["a", "b", "c"];
            let message = verdicts.iter().zip(names).map(|(verdict, name)| Says(name, verdict.clone()));
            let methods = SignInMethods::new(message.map(|says| Box::new(says) as Box<dyn SignInMethod>).collect());
            let judged = methods.judge(&presented, Means { passwords: &passwords, share }).await;
            let by = judged.map(|accepted| names.iter().position(|name| *name == accepted.method).unwrap());
            assert_eq!(by, want, "{verdicts:?}");
        }
    }

    #[test]
    fn a_name_has_a_key_in_each_source() {
        let methods = ["a", "b", "c"].map(|name| Box::new(Says(name, Verdict::Absent)) as Box<dyn SignInMethod>);
        let keys: Vec<_> =
            SignInMethods::new(methods.into()).keys_of("alice").map(|key| key.source.to_string()).collect();
        assert_eq!(keys, ["a", "c"]);
    }
}
