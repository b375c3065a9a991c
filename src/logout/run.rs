//! The one pipeline that every end of a session runs through, whatever its cause.

use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};

use super::application::{EndedSession, LogoutAction};
use super::calls::{Calls, LogoutRef};
use super::ending::{Ending, Terms};
use super::plan::{PlanStep, plan};
use super::receipts::{self, Receipts};
use crate::audit::{Event, Log};
use crate::session::record::{Ended, Session};
use crate::session::table::{SessionTable, UserEnds};
use crate::values::application_outcome::ApplicationOutcome;
use crate::values::end_cause::EndCause;
use crate::values::identity::UserKey;
use crate::values::receipt::{self, ApplicationReceipt, Receipt, StepReceipt, StepResult};
use crate::values::session_id::SessionKey;
use crate::values::time::{Clock, Moment};
use crate::vault::debts::Debts;
use crate::vault::last_jar::LastJar;
use crate::vault::store::ClosedVault;

/// Sessions of one batch whose steps run concurrently, so that one slow application does not delay the others.
const MAX_CONCURRENT: usize = 64;

/// Which sessions are to end.
#[derive(Debug)]
pub(crate) enum SessionsToEnd {
    /// These sessions.
    These(Vec<Arc<Session>>, EndCause),
    /// All that a request names: these sessions, and those of these keys, which the store could not look up.
    Named(Vec<Arc<Session>>, Vec<SessionKey>),
    /// All sessions of a user, at every replica.
    AllOf(UserKey, EndCause),
    /// All expired sessions.
    Expired,
    /// All pending ends, which the store has not confirmed.
    Pending,
    /// Sessions that have already ended, at the limit for a user or at another replica.
    Ended(Vec<Ended>),
}

/// Ends sessions, and runs the steps that follow. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The sessions.
    pub sessions: Arc<SessionTable>,
    /// Cookies to expire in browsers whose sessions ended without them.
    pub(crate) debts: Arc<Debts>,
    /// The logout calls.
    pub(crate) calls: Arc<Calls>,
    /// The log for receipts.
    pub log: Log,
    /// The time.
    pub clock: Clock,
}

impl Pipeline {
    /// Ends these sessions and runs the plan of each. It is completed and audited even if the caller's future is
    /// dropped.
    pub(crate) async fn end(&self, which: SessionsToEnd, terms: Terms) -> Receipts {
        self.end_as(receipts::new_id(), which, terms).await
    }

    /// The same, as a part of the logout with this id.
    pub(super) async fn end_as(&self, id: String, which: SessionsToEnd, terms: Terms) -> Receipts {
        let pipeline = self.clone();
        // After a panic nothing counts as confirmed.
        let run = tokio::spawn(async move { pipeline.run(id, which, terms).await });
        run.await.unwrap_or_else(|_| Receipts::unconfirmed())
    }

    async fn run(&self, id: String, which: SessionsToEnd, terms: Terms) -> Receipts {
        let begun = self.clock.now();
        let UserEnds { ended, confirmed } = self.mark(which, begun).await;
        let endings = ended.into_iter().map(|ended| Ending { ended, terms: terms.clone() });
        let each = in_parallel(endings, |ending| self.carry_out(ending, &id, begun)).await;
        Receipts { id, each, confirmed }
    }

    /// Ends the sessions. Nothing that follows can prevent or undo it.
    async fn mark(&self, which: SessionsToEnd, now: Moment) -> UserEnds {
        let confirmed = |ended| UserEnds { ended, confirmed: true };
        match which {
            SessionsToEnd::These(sessions, cause) => confirmed(self.sessions.end_all(sessions, cause).await),
            SessionsToEnd::Named(mut sessions, mut unknown) => {
                // These keys are in the table; only whether they have ended at another replica is unknown.
                sessions.extend(self.sessions.take_entered(&mut unknown));
                self.sessions.schedule_end_of(&unknown, now).await;
                let ended = self.sessions.end_all(sessions, EndCause::Logout).await;
                UserEnds { ended, confirmed: unknown.is_empty() }
            }
            SessionsToEnd::AllOf(user, cause) => self.sessions.end_all_of(&user, cause).await,
            SessionsToEnd::Expired => confirmed(self.sessions.expired(now).await),
            SessionsToEnd::Pending => confirmed(self.sessions.retry_unconfirmed(now).await),
            SessionsToEnd::Ended(ended) => confirmed(ended),
        }
    }

    async fn carry_out(&self, ending: Ending, id: &str, begun: Moment) -> Receipt {
        let session = &ending.ended.session;
        let user = Some(session.identity().user().to_owned());
        let (steps, applications, hosts) = Default::default();
        let mut receipt = Receipt { logout_id: id.to_owned(), user, target: None, steps, applications, hosts };
        let (mut since, mut jars) = (begun, Vec::new());
        for step in plan(&ending) {
            let (name, count, result) = match step {
                PlanStep::End { confirmed } => (receipt::Step::End, 1, (!confirmed).then_some(StepResult::Failed)),
                PlanStep::Cut { grace, quiet } => {
                    (receipt::Step::Cut, session.cut(grace), (!quiet).then_some(StepResult::TimedOut))
                }
                PlanStep::Cookies => {
                    let count = cookies_of(session);
                    jars = session.take_last_jars();
                    (receipt::Step::Cookies, count, None)
                }
                PlanStep::Applications { at_once } => {
                    receipt.applications = self.sign_out_of_applications(&ending, id, &jars, at_once).await;
                    (receipt::Step::Application, ended_by_call(&receipt.applications), None)
                }
                PlanStep::Answer { cookies } => (receipt::Step::Answer, cookies, None),
                PlanStep::Audit => {
                    self.audit(&ending.ended, &receipt);
                    continue;
                }
            };
            let now = self.clock.now();
            let line = StepReceipt::counted(name, count, now.duration_since(since));
            receipt.steps.push(StepReceipt { result: result.unwrap_or(line.result), ..line });
            receipt.judge_applications();
            since = now;
        }
        receipt
    }

    /// Asks the applications that the session has used to end their own sessions.
    async fn sign_out_of_applications(
        &self,
        Ending { ended, terms }: &Ending,
        id: &str,
        jars: &[LastJar],
        at_once: bool,
    ) -> Vec<ApplicationReceipt> {
        let (session, cause, now) = (&ended.session, ended.cause, self.clock.wall());
        let browser = terms.request.as_ref().and_then(|request| request.browser.as_ref());
        let passed_on = terms.request.as_ref().and_then(|request| request.passed_on.as_ref());
        let due = terms.applications.due(EndedSession { session, cause, jars, browser, passed_on, now });
        let (log, clock) = (self.log.clone(), self.clock.clone());
        let part = &LogoutRef { logout_id: id.to_owned(), session: Arc::clone(session), log, clock };
        let one = |due| async move {
            match due {
                LogoutAction::Dropped(application) => {
                    ApplicationReceipt { application, result: ApplicationOutcome::CookiesDropped }
                }
                LogoutAction::Unknown(application) => {
                    ApplicationReceipt { application, result: ApplicationOutcome::CookiesRemain }
                }
                LogoutAction::PassOn(request) => self.calls.pass_on(&request, part).await,
                LogoutAction::Call(call) if at_once => self.calls.make(*call, part).await,
                LogoutAction::Call(call) => self.calls.queue(*call, part),
            }
        };
        join_all(due.into_iter().map(one)).await
    }

    fn audit(&self, ended: &Ended, receipt: &Receipt) {
        let (identity, session) = (ended.session.identity(), ended.session.handle());
        let event = Event::Ended { user: identity.user(), session, cause: ended.cause, receipt };
        self.log.event(self.clock.wall(), &event);
    }
}

/// The number of application cookies. If the browser waits for the answer, the answer expires those that it has;
/// otherwise they are noted as debts.
fn cookies_of(session: &Session) -> usize {
    let ClosedVault { dropped, in_browser } = session.close_vault();
    dropped + in_browser.iter().map(|(_, cookies)| cookies.len()).sum::<usize>()
}

/// The number of applications that have ended their own sessions.
fn ended_by_call(applications: &[ApplicationReceipt]) -> usize {
    applications.iter().filter(|application| application.result == ApplicationOutcome::EndedByCall).count()
}

/// Runs `work` for each, at most [`MAX_CONCURRENT`] concurrently; the results are in the order of the inputs.
async fn in_parallel<A, B, F: Future<Output = B>>(all: impl Iterator<Item = A>, work: impl Fn(A) -> F) -> Vec<B> {
    stream::iter(all).map(work).buffered(MAX_CONCURRENT).collect().await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Barrier;

    use super::*;

    #[tokio::test]
    async fn sessions_do_not_wait_for_each_others_applications() {
        let meeting = Barrier::new(MAX_CONCURRENT);
        // None of them finishes before all of them have begun.
        let done = in_parallel(0..2 * MAX_CONCURRENT, |number| {
            let meeting = &meeting;
            async move {
                meeting.wait().await;
                number
            }
        });
        assert!(done.await.into_iter().eq(0..2 * MAX_CONCURRENT), "in the order of the inputs");
    }

    #[tokio::test]
    async fn concurrency_is_limited() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let count = |_| async {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::SeqCst);
        };
        in_parallel(0..10 * MAX_CONCURRENT, count).await;
        assert_eq!(most.into_inner(), MAX_CONCURRENT);
    }
}
