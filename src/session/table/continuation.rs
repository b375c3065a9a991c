//! The sign-in of a user who is already signed in in the same browser: the new session takes over the connections and
//! the application cookies of the earlier one. Only the name and the keys of the earlier one end.

use std::sync::Arc;

use super::ends::{ended, wait_for_writes};
use super::{NotOpened, Opened, SessionTable};
use crate::session::record::{Ended, Session};
use crate::session::sign_in::SignIn;
use crate::session::store::End;
use crate::values::end_cause::EndCause;
use crate::values::session_id::SessionId;
use crate::values::time::Moment;

/// The result of continuing an earlier session in a new one.
#[derive(Debug)]
enum Continuation {
    /// The new session, and the end of the earlier one's name.
    Opened(Opened, Ended),
    /// The earlier session cannot be continued; it has ended, and its connections have to be cut.
    Over(Vec<Ended>),
}

impl SessionTable {
    /// Whether a sign-in continues an earlier session of the same browser: whether that is live and of the same user.
    pub(crate) fn can_continue(&self, earlier: &Session, sign_in: &SignIn, now: Moment) -> bool {
        let is_live = !earlier.has_ended() && !earlier.is_succeeded() && self.expiry(earlier, now).is_none();
        is_live && earlier.user() == &*sign_in.user
    }

    /// Opens a session that continues an earlier one of the same user in the same browser. Connections in progress move
    /// to the new one, unless another request ends the earlier one at the same time, or the store does not confirm its
    /// end. The first part of the result are the ends for the caller to act on.
    pub(crate) async fn open_successor(
        &self,
        earlier: &Arc<Session>,
        sign_in: SignIn,
        now: Moment,
    ) -> (Vec<Ended>, Result<Opened, NotOpened>) {
        match self.continue_session(earlier, &sign_in, now).await {
            Ok(Continuation::Opened(Opened { id, session, .. }, earlier)) => {
                let evicted = self.end_all(self.over_limit(&session), EndCause::OneTooMany).await;
                (vec![earlier], Ok(Opened { id, session, evicted }))
            }
            Ok(Continuation::Over(ended)) => (ended, self.open(sign_in, now).await),
            Err(problem) => (Vec::new(), Err(problem)),
        }
    }

    /// Continues an earlier session in a new one.
    ///
    /// # Errors
    /// No session was opened, and the earlier one is still live.
    async fn continue_session(
        &self,
        earlier: &Arc<Session>,
        sign_in: &SignIn,
        now: Moment,
    ) -> Result<Continuation, NotOpened> {
        let Some(vault) = earlier.open_vault() else { return Ok(Continuation::Over(Vec::new())) };
        // Serialises concurrent sign-ins, and excludes writes of application cookies.
        let _exchange = vault.exchange.lock().await;
        if !self.can_continue(earlier, sign_in, now) {
            return Ok(Continuation::Over(Vec::new()));
        }
        let id = SessionId::generate().map_err(|_| NotOpened::NoRandomness)?;
        let reservation = self.reserve()?;
        let (user, _) = self.by_user.shared(&sign_in.user);
        let sign_in = SignIn { user, ..sign_in.clone() };
        let session = Arc::new(Session::after(earlier, sign_in, id.key(), now));
        let mark = self.store_new(&session).await?;
        if let Some(ended) = self.end_stored(earlier).await {
            self.take_back(&session).await;
            return Ok(Continuation::Over(ended));
        }
        // Entered before the life is passed on, so that an end right afterwards finds the new session.
        let is_entered = self.enter_new(&session, reservation, mark, now).await;
        if self.replace_session(earlier, &session, is_entered) {
            vault.note_moved(0);
            let name = Ended { goes_on: true, quiet: true, ..ended_here(earlier) };
            return Ok(Continuation::Opened(Opened { id, session, evicted: Vec::new() }, name));
        }
        wait_for_writes(std::slice::from_ref(earlier)).await;
        self.take_back(&session).await;
        // If another call set the mark, the store told it that the session had already ended, so the remaining steps of
        // the logout are the task of this one.
        let ended = self.backing.is_some().then(|| ended_here(earlier));
        Ok(Continuation::Over(ended.into_iter().collect()))
    }

    /// Passes the life of the earlier session to the new one, and removes the earlier one. `false` if the new one was
    /// not entered or the earlier one has ended: then both have ended, and neither is in the table.
    fn replace_session(&self, earlier: &Arc<Session>, session: &Arc<Session>, is_entered: bool) -> bool {
        let goes_on = is_entered && session.inherit_life(earlier);
        if goes_on {
            self.remove_session(earlier);
        } else {
            // The store has ended the name of the earlier one.
            earlier.mark(EndCause::SignedInAgain);
            self.remove_session(session);
            self.remove(earlier);
        }
        goes_on
    }

    /// Ends an earlier session in the store only. Returns `None` if that succeeded. If another request was faster, or
    /// the store does not confirm it, the session has ended, and the ends for the caller are returned.
    async fn end_stored(&self, earlier: &Arc<Session>) -> Option<Vec<Ended>> {
        let backing = self.backing.as_ref()?;
        let (one, cause) = (std::slice::from_ref(earlier), EndCause::SignedInAgain);
        backing.ended.begin(one);
        let ends = backing.end(one).await;
        let is_free = ends.as_deref() == Ok(&[End::Won]);
        let is_marked = !is_free && self.mark(earlier, cause).is_some();
        if is_marked {
            self.remove(earlier);
            wait_for_writes(one).await;
        }
        let ended = self.record_answer(backing, vec![Arc::clone(earlier)], cause, ends).await;
        (!is_free).then(|| if is_marked { ended } else { Vec::new() })
    }
}

fn ended_here(earlier: &Arc<Session>) -> Ended {
    ended(Arc::clone(earlier), earlier.ended().unwrap_or(EndCause::SignedInAgain), End::Won, true)
}
