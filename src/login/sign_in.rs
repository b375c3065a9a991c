//! A sign-in with a name and a password: the attempt, the new session, the end of the browser's earlier sessions, and
//! the cookie that makes the browser known.

use std::sync::Arc;

use http::HeaderValue;

use super::verify::Attempts;
use crate::credentials::methods::Accepted;
use crate::credentials::username_password::UsernamePassword;
use crate::http1::cookie::SessionCookie;
use crate::logout::ending::{RequestParts, Terms};
use crate::logout::run::{Pipeline, SessionsToEnd};
use crate::session::record::Session;
use crate::session::sign_in::SignIn;
use crate::session::table::{NotOpened, Opened};
use crate::throttle::name::folded;
use crate::values::client_address::ClientAddress;
use crate::values::device::Device;
use crate::values::end_cause::EndCause;
use crate::values::known_browser::KnownBrowser;
use crate::values::mac::MacKeys;
use crate::values::reason::{Reason, Refusal};
use crate::values::time::WallTime;

/// The parts of the gateway that a sign-in needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignInFlow<'a> {
    /// Judges the attempt.
    pub(crate) attempts: Attempts<'a>,
    /// Opens and ends sessions.
    pub(crate) pipeline: &'a Pipeline,
    /// The terms on which earlier sessions end.
    pub(crate) terms: &'a Terms,
    /// How the session cookie is written.
    pub(crate) cookie: &'a SessionCookie,
    /// The keys of the cookie that makes a browser known.
    pub(crate) keys: &'a MacKeys,
}

/// The browser, or program, that signs in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Browser<'a> {
    /// Its address.
    pub(crate) client: ClientAddress,
    /// Its name for users, such as "Firefox on Linux".
    pub(crate) device: Device,
    /// The host that it signs in at; `None` for the login host.
    pub(crate) host: Option<&'a str>,
    /// The known-browser cookies that it sends.
    pub(crate) known: &'a [KnownBrowser],
    /// The sessions that its cookies name; the new one replaces them.
    pub(crate) sessions: &'a [Arc<Session>],
}

/// A new session.
#[derive(Debug)]
pub(crate) struct SignedIn {
    /// The session.
    pub(crate) session: Arc<Session>,
    /// `Set-Cookie` lines for the browser.
    pub(crate) cookies: Vec<HeaderValue>,
}

impl SignInFlow<'_> {
    /// Signs a user in.
    ///
    /// # Errors
    /// The refusal, which is already in the log.
    pub(crate) async fn sign_in(
        &self,
        presented: &UsernamePassword,
        browser: Browser<'_>,
    ) -> Result<SignedIn, Refusal> {
        let known = known_as(&presented.user, browser.known, self.keys, self.pipeline.clock.wall());
        let accepted = self.attempts.check(presented, browser.client, known.map(KnownBrowser::id)).await?;
        let mut signed_in = self.open(accepted, browser).await?;
        signed_in.cookies.extend(self.make_known(&presented.user, known.or(browser.known.first())));
        Ok(signed_in)
    }

    /// Opens the new session before it ends the previous one of this browser, so that a failure in between leaves the
    /// user with a session. Requests of the same user that are running in the previous one go on in the new one.
    async fn open(&self, accepted: Accepted, browser: Browser<'_>) -> Result<SignedIn, Refusal> {
        let Accepted { user, identity, method } = accepted;
        let stamp = self.attempts.methods.stamp_of(&user, self.keys);
        let (device, address) = (browser.device, browser.client);
        let host = browser.host.map(Into::into);
        let sign_in = SignIn { user: Arc::new(user), identity, stamp, device, address, host };
        let (sessions, now) = (&self.pipeline.sessions, self.pipeline.clock.now());
        let (over, opened) = match browser.sessions.iter().find(|earlier| sessions.can_continue(earlier, &sign_in, now))
        {
            Some(earlier) => sessions.open_successor(earlier, sign_in, now).await,
            None => (Vec::new(), sessions.open(sign_in, now).await),
        };
        let answered = self.terms.clone().answered(RequestParts { cookies: 1, ..RequestParts::default() });
        self.pipeline.end(SessionsToEnd::Ended(over), answered.clone()).await;
        let Opened { id, session, evicted } = opened.map_err(not_opened)?;
        self.pipeline.end(SessionsToEnd::Ended(evicted), self.terms.clone()).await;
        sessions.save_cookies(&session).await;
        let others = browser.sessions.iter().filter(|earlier| !earlier.is_succeeded()).cloned().collect();
        self.pipeline.end(SessionsToEnd::These(others, EndCause::SignedInAgain), answered).await;
        self.attempts.accepted(&session, method);
        Ok(SignedIn { session, cookies: vec![self.cookie.set(&id)] })
    }

    /// The cookie by which the browser is recognised at its next sign-in. `None` if there are no random bytes.
    fn make_known(&self, user: &str, before: Option<&KnownBrowser>) -> Option<HeaderValue> {
        let known = KnownBrowser::after_sign_in(before, &folded(user), self.keys, self.pipeline.clock.wall());
        known.ok().map(|known| self.cookie.set_known(&known))
    }
}

/// Moves the application cookies of the same user's earlier sessions in this browser to the new session. Those of
/// another user end with their session.
pub(crate) fn take_over_cookies(session: &Session, earlier: &[Arc<Session>]) {
    let of_user = earlier.iter().filter(|earlier| earlier.user() == session.user() && !earlier.has_ended());
    for earlier in of_user.filter_map(|earlier| earlier.vault()) {
        if let Some(vault) = session.open_vault() {
            vault.take_over(earlier);
        }
    }
}

/// The cookie that proves that this user has signed in with this browser before.
pub(crate) fn known_as<'a>(
    user: &str,
    known: &'a [KnownBrowser],
    keys: &MacKeys,
    now: WallTime,
) -> Option<&'a KnownBrowser> {
    let name = folded(user);
    known.iter().find(|known| known.vouches_for(&name, keys, now))
}

fn not_opened(problem: NotOpened) -> Refusal {
    match problem {
        NotOpened::Full => Reason::SessionsFull.into(),
        NotOpened::StoreUnavailable | NotOpened::NoRandomness => Reason::StoreUnavailable.into(),
    }
}
