//! One attempt to sign in, by any method: bans, the check of the credentials, and the count of wrong passwords.

use std::time::Duration;

use crate::audit::{Event, Log};
use crate::credentials::hashing::PasswordChecker;
use crate::credentials::methods::{Accepted, MethodContext, SignInMethods};
use crate::credentials::username_password::UsernamePassword;
use crate::session::record::Session;
use crate::throttle::{Banned, SignInClient, Throttle, Ticket};
use crate::values::client_address::{ClientAddress, TrustedProxies};
use crate::values::known_browser::BrowserId;
use crate::values::reason::{Reason, Refusal};
use crate::values::time::Clock;

/// The parts of the gateway that an attempt needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempts<'a> {
    /// The methods, in their order.
    pub(crate) methods: &'a SignInMethods,
    /// Checks passwords, a few at a time.
    pub(crate) passwords: &'a PasswordChecker,
    /// Counts wrong passwords, and bans.
    pub(crate) throttle: &'a Throttle,
    /// Proxies in front, which are not banned.
    pub(crate) trusted: &'a TrustedProxies,
    /// The longest ban that wrong passwords lead to.
    pub(crate) ban_max: Duration,
    /// The log, in which every attempt is written.
    pub(crate) log: &'a Log,
    /// The time.
    pub(crate) clock: &'a Clock,
}

impl Attempts<'_> {
    /// Authenticates the presented credentials. `known` is the browser or program, if it has proved that this user has
    /// signed in with it before: its attempts are counted separately.
    ///
    /// # Errors
    /// The refusal, which is written to the log.
    pub(crate) async fn check(
        &self,
        presented: &UsernamePassword,
        client: ClientAddress,
        known: Option<BrowserId>,
    ) -> Result<Accepted, Refusal> {
        let refused = |refusal| self.refused(&presented.user, client, refusal);
        let requester = SignInClient { user: &presented.user, client, known };
        let ticket = self.throttle.attempt(&requester, self.trusted, self.clock.now());
        let ticket = ticket.map_err(|banned| refused(self.banned(banned)))?;
        match self.methods.judge(presented, MethodContext { passwords: self.passwords, share: ticket.share() }).await {
            Ok(accepted) => {
                ticket.succeeded(self.clock.now());
                Ok(accepted)
            }
            Err(reason) => {
                self.count(ticket, reason);
                Err(refused(reason.into()))
            }
        }
    }

    /// Writes a sign-in to the log.
    pub(crate) fn accepted(&self, session: &Session, method: &'static str) {
        let identity = session.identity();
        let event = Event::SignedIn {
            user: identity.user(),
            session: session.handle(),
            client: session.address(),
            method,
            device: session.device(),
        };
        self.log.event(self.clock.wall(), &event);
    }

    /// Writes a refused attempt to the log.
    pub(crate) fn refused(&self, user: &str, client: ClientAddress, refusal: Refusal) -> Refusal {
        self.log.event(self.clock.wall(), &Event::SignInRefused { user, client, reason: refusal.reason });
        refusal
    }

    /// Only a wrong password counts as a failure: a busy gateway is not the client's fault.
    fn count(&self, ticket: Ticket<'_>, reason: Reason) {
        if reason != Reason::CredentialsWrong {
            return;
        }
        if let Some(client) = ticket.failed(self.ban_max, self.clock.now()) {
            self.log.event(self.clock.wall(), &Event::LikelyProxy { client });
        }
    }

    /// The refusal during a ban, whether the password is right or wrong.
    fn banned(&self, banned: Banned) -> Refusal {
        let wait = banned.until.duration_since(self.clock.now());
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let message = format!("Too many attempts to sign in. Try again in {seconds} seconds.").into();
        Refusal { message, retry_after: Some(seconds), ..Refusal::from(Reason::TooManyAttempts) }
    }
}
