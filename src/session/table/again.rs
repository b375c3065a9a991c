//! A sign-in of a user who is signed in already in the same browser: the new session goes on with the connections and
//! the application cookies of the earlier one. Only the earlier one's name and keys end.

use std::sync::Arc;

use super::ends::{ended, wait_for_writes};
use super::{NotOpened, Opened, SessionTable};
use crate::session::record::{Ended, Session};
use crate::session::sign_in::SignIn;
use crate::session::store::{End, Unavailable};
use crate::values::end_cause::EndCause;
use crate::values::session_id::SessionId;
use crate::values::time::Moment;

/// Whether an earlier session goes on in a new one.
#[derive(Debug)]
enum Again {
    /// It does.
    Opened(Opened, Ended),
    /// It is over, with all that acts in its name.
    Over(Vec<Ended>),
}

impl SessionTable {
    /// Whether a sign-in goes on with an earlier session of the same browser: it is live, and of the same user.
    pub(crate) fn goes_on(&self, earlier: &Session, sign_in: &SignIn, now: Moment) -> bool {
        let is_live = !earlier.has_ended() && !earlier.is_succeeded() && self.expiry(earlier, now).is_none();
        is_live && earlier.user() == &*sign_in.user
    }

    /// Opens a session of the user of an earlier one in the same browser, and ends that one. What was under way goes on
    /// in the new one's name, unless another request ends the earlier one at the same time, or the store does not
    /// confirm its end. Answers what became of the earlier one, too.
    pub(crate) async fn open_again(
        &self,
        earlier: &Arc<Session>,
        sign_in: SignIn,
        now: Moment,
    ) -> (Vec<Ended>, Result<Opened, NotOpened>) {
        match self.go_on(earlier, &sign_in, now).await {
            Ok(Again::Opened(Opened { id, session, .. }, earlier)) => {
                let evicted = self.end_all(self.surplus(&session), EndCause::OneTooMany).await;
                (vec![earlier], Ok(Opened { id, session, evicted }))
            }
            Ok(Again::Over(ended)) => (ended, self.open(sign_in, now).await),
            Err(problem) => (Vec::new(), Err(problem)),
        }
    }

    /// # Errors
    /// No session was made, and the earlier one lives.
    async fn go_on(&self, earlier: &Arc<Session>, sign_in: &SignIn, now: Moment) -> Result<Again, NotOpened> {
        let Some(vault) = earlier.open_vault() else { return Ok(Again::Over(Vec::new())) };
        // Two sign-ins at the same time follow one another, and no cookies are written meanwhile.
        let _exchange = vault.exchange.lock().await;
        if !self.goes_on(earlier, sign_in, now) {
            return Ok(Again::Over(Vec::new()));
        }
        let id = SessionId::generate().map_err(|_| NotOpened::NoRandomness)?;
        let reservation = self.reserve()?;
        let sign_in = SignIn { user: self.shared(Arc::clone(&sign_in.user)), ..sign_in.clone() };
        let session = Arc::new(Session::after(earlier, sign_in, id.key(), now));
        if let Some(backing) = &self.backing {
            session.confirm(backing.epoch(), 0);
            backing.open(&session).await.map_err(|Unavailable| NotOpened::StoreUnavailable)?;
            if let Some(ended) = self.end_stored(earlier).await {
                self.take_back(&session).await;
                return Ok(Again::Over(ended));
            }
        }
        reservation.keep();
        if self.put_in_place_of(earlier, &session, now) {
            vault.note_moved(0);
            let name = Ended { goes_on: true, quiet: true, ..ended_here(earlier) };
            return Ok(Again::Opened(Opened { id, session, evicted: Vec::new() }, name));
        }
        self.take_back(&session).await;
        // The store has told the call that set the mark that the session had ended before: the rest is to be done here.
        let ended = self.backing.is_some().then(|| ended_here(earlier));
        Ok(Again::Over(ended.into_iter().collect()))
    }

    /// Enters the new session, and strikes out the earlier one, whose life goes on in it. False if that is over: then
    /// neither is left.
    fn put_in_place_of(&self, earlier: &Arc<Session>, session: &Arc<Session>, now: Moment) -> bool {
        // Before the life is passed on: an end that comes right after finds the new session.
        self.enter_new(session, now);
        let goes_on = session.follow(earlier);
        if goes_on {
            self.strike_out(earlier);
        } else {
            self.strike_out(session);
            self.remove(earlier);
        }
        goes_on
    }

    /// Ends an earlier session in the store, and nowhere else: `None`. If another request was faster, or if the store
    /// does not confirm it, the session is over, as after every end.
    async fn end_stored(&self, earlier: &Arc<Session>) -> Option<Vec<Ended>> {
        let backing = self.backing.as_ref()?;
        let (one, cause) = (std::slice::from_ref(earlier), EndCause::SignedInAgain);
        backing.dead.begin(one);
        let ends = backing.end(one).await;
        let is_free = ends.as_deref() == Ok(&[End::Won]);
        let is_marked = !is_free && self.mark(earlier, cause).is_some();
        if is_marked {
            self.remove(earlier);
            wait_for_writes(one).await;
        }
        let ended = self.settled(backing, vec![Arc::clone(earlier)], cause, ends).await;
        (!is_free).then(|| if is_marked { ended } else { Vec::new() })
    }

    /// Removes a session from the store whose key no browser has received.
    async fn take_back(&self, session: &Arc<Session>) {
        let Some(backing) = &self.backing else { return };
        backing.dead.begin(std::slice::from_ref(session));
        let ends = backing.end(std::slice::from_ref(session)).await;
        // No browser has the session, so nothing else is to be done for it.
        drop(self.settled(backing, vec![Arc::clone(session)], EndCause::SignedInAgain, ends).await);
    }
}

fn ended_here(earlier: &Arc<Session>) -> Ended {
    ended(Arc::clone(earlier), earlier.ended().unwrap_or(EndCause::SignedInAgain), End::Won, true)
}
