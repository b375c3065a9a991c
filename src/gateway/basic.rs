//! Requests with HTTP Basic credentials, on routes that allow it.
//!
//! A session takes precedence. Otherwise a link such as `http://mallory:password@this-host/` would let users act as
//! another user without noticing, and a sign-out would have no effect while the browser still remembers a password.

use std::sync::Arc;

use super::Gateway;
use super::assembled::Assembled;
use crate::admission::facts::RequestFacts;
use crate::credentials::basic::header::{self, Authorization};
use crate::credentials::basic::verified::{CheckInProgress, EarlierCheck, Outcome, Turn, outcome};
use crate::credentials::username_password::UsernamePassword;
use crate::login::verify::Attempts;
use crate::routes::table::Route;
use crate::session::record::Session;
use crate::session::sign_in::SignIn;
use crate::values::client_address::ClientAddress;
use crate::values::device::Device;
use crate::values::end_cause::EndCause;
use crate::values::known_browser::BrowserId;
use crate::values::reason::{Reason, Refusal};
use crate::values::time::Moment;

/// The result of looking up the credentials of a request.
#[derive(Debug)]
pub(super) enum BasicCredentials {
    /// There are none for this route.
    Absent,
    /// They have been verified.
    Right(Arc<Session>),
    /// They are refused.
    Refused(Refusal),
    /// They have to be checked: see [`Gateway::check`].
    Unchecked(Box<Unchecked>),
}

/// Credentials that have to be checked.
#[derive(Debug)]
pub(crate) struct Unchecked {
    presented: UsernamePassword,
    /// The program that was verified with them within the last hour.
    known: Option<BrowserId>,
    client: ClientAddress,
    device: Device,
}

impl Gateway {
    /// Looks up the credentials of a request without a session. `checked` is the result if they have been checked for
    /// this request.
    pub(super) fn credentials(
        &self,
        facts: &RequestFacts<'_>,
        route: &Route,
        checked: Option<&Outcome>,
        at: Moment,
    ) -> BasicCredentials {
        match (checked, route.basic) {
            (_, false) => return BasicCredentials::Absent,
            (Some(Ok(session)), true) => return BasicCredentials::Right(Arc::clone(session)),
            (Some(Err(refusal)), true) => return BasicCredentials::Refused(refusal.clone()),
            (None, true) => {}
        }
        let presented = match header::read(facts.headers) {
            Authorization::Absent => return BasicCredentials::Absent,
            Authorization::Malformed => return BasicCredentials::Refused(Reason::CredentialsWrong.into()),
            Authorization::Several => return BasicCredentials::Refused(Reason::HeadMalformed.into()),
            Authorization::Basic(presented) => presented,
        };
        let known = match self.basic.find(&presented, at) {
            EarlierCheck::Valid(session) => return BasicCredentials::Right(session),
            EarlierCheck::Known(id) => Some(id),
            EarlierCheck::Unknown => None,
        };
        let (client, device) = (facts.provenance.client, facts.device());
        BasicCredentials::Unchecked(Box::new(Unchecked { presented, known, client, device }))
    }

    /// Checks credentials, or waits for another request that checks the same ones.
    pub(super) async fn check(&self, unchecked: &Unchecked) -> Outcome {
        loop {
            match self.basic.turn(&unchecked.presented) {
                Turn::Wait(others) => {
                    if let Some(outcome) = outcome(others).await {
                        return outcome;
                    }
                }
                Turn::Check(check) => {
                    if let Some(outcome) = self.check_now(unchecked, check).await {
                        return outcome;
                    }
                }
            }
        }
    }

    /// `None` if the users changed meanwhile.
    async fn check_now(&self, unchecked: &Unchecked, check: CheckInProgress<'_>) -> Option<Outcome> {
        let Unchecked { presented, known, client, device } = unchecked;
        // Another request may just have finished the same check.
        let outcome = match self.basic.find(presented, self.pipeline.clock.now()) {
            EarlierCheck::Valid(session) => Ok(session),
            EarlierCheck::Known(_) | EarlierCheck::Unknown => {
                let assembled = self.assembled.load_full();
                match self.attempts(&assembled).check(presented, *client, *known).await {
                    Ok(accepted) => {
                        let (method, now) = (accepted.method, self.pipeline.clock.now());
                        let (user, identity) = (accepted.user, accepted.identity);
                        let stamp = assembled.methods.stamp_of(&user, &assembled.keys);
                        let sign_in = SignIn {
                            user: Arc::new(user),
                            identity,
                            stamp,
                            device: *device,
                            address: *client,
                            host: None,
                        };
                        let session = Arc::new(Session::without_key(sign_in, now));
                        if !check.enter(presented, *known, &session, now) {
                            return None;
                        }
                        self.attempts(&assembled).accepted(&session, method);
                        Ok(session)
                    }
                    Err(refusal) => Err(refusal),
                }
            }
        };
        check.finish(&outcome);
        Some(outcome)
    }

    /// Clears the verified credentials, so that all are checked again, and ends the connections of users for whom
    /// `is_over` returns a cause. Returns how many ended. For a reload of the users.
    pub(crate) fn forget_credentials(&self, is_over: impl Fn(&Session) -> Option<EndCause>) -> usize {
        self.basic.forget(self.assembled.load().logout.grace, is_over)
    }

    /// The parts that attempts to sign in need.
    pub(super) fn attempts<'a>(&'a self, assembled: &'a Assembled) -> Attempts<'a> {
        Attempts {
            methods: &assembled.methods,
            passwords: &self.passwords,
            throttle: &self.throttle,
            trusted: &assembled.trusted,
            ban_max: assembled.login.ban_max,
            log: &self.pipeline.log,
            clock: &self.pipeline.clock,
        }
    }
}
