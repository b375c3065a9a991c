//! The one pipeline that every end of a session runs through, whatever its cause.

use std::time::Duration;

use data_encoding::BASE32_NOPAD;

use super::plan::LogoutPlan;
use crate::audit::{Event, Log};
use crate::session::record::Ended;
use crate::values::receipt::{Receipt, Step, StepReceipt, StepResult};
use crate::values::time::{Clock, Moment};

/// Runs what is left of a logout after the end of the session.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Where the receipt is written.
    pub log: Log,
    /// The time.
    pub clock: Clock,
}

impl Pipeline {
    /// Runs the plan of each of these sessions, which ended for one reason, and writes an audit line for each. The
    /// receipt is about all of them, or about nobody. `begun` is when their end began, `cookies` how many the answer
    /// expires.
    pub fn run(&self, ended: &[Ended], begun: Moment, grace: Duration, cookies: usize) -> Receipt {
        let mut whole = self.without_session(cookies);
        let receipts = ended.iter().map(|one| self.run_one(one, &whole.logout_id, begun, grace, cookies));
        if let Some(all) = receipts.reduce(together) {
            whole = all;
        }
        whole
    }

    fn run_one(&self, ended: &Ended, id: &str, begun: Moment, grace: Duration, cookies: usize) -> Receipt {
        let user = ended.session.identity().user();
        let mut receipt =
            Receipt { logout_id: id.to_owned(), user: Some(user.to_owned()), target: None, steps: Vec::new() };
        let mut since = begun;
        for &step in LogoutPlan::of(ended.cause).steps() {
            let (count, result) = match step {
                Step::End if ended.confirmed => (1, None),
                Step::End => (1, Some(StepResult::Failed)),
                Step::Cut if ended.quiet => (ended.session.cut(grace), None),
                Step::Cut => (ended.session.cut(grace), Some(StepResult::TimedOut)),
                Step::Answer => (cookies, None),
            };
            let now = self.clock.now();
            let line = StepReceipt::counted(step, count, now.duration_since(since));
            receipt.steps.push(StepReceipt { result: result.unwrap_or(line.result), ..line });
            since = now;
        }
        let event = Event::Ended { user, session: ended.session.handle(), cause: ended.cause, receipt: &receipt };
        self.log.event(self.clock.wall(), &event);
        receipt
    }

    /// The receipt of a logout where nobody was signed in: only the cookies go.
    fn without_session(&self, cookies: usize) -> Receipt {
        let step = |step, count| StepReceipt::counted(step, count, Duration::ZERO);
        let steps = vec![step(Step::End, 0), step(Step::Cut, 0), step(Step::Answer, cookies)];
        Receipt { logout_id: new_id(), user: None, target: None, steps }
    }
}

/// One receipt about both. The cookies are the same ones; a name stands there only if it is everybody's.
fn together(mut one: Receipt, other: Receipt) -> Receipt {
    one.user = one.user.filter(|user| other.user.as_ref() == Some(user));
    for (step, more) in one.steps.iter_mut().zip(&other.steps).filter(|(step, _)| step.step != Step::Answer) {
        step.add(more);
    }
    one
}

fn new_id() -> String {
    let mut id = [0; 10];
    // Without randomness ids repeat, and that is all: they open nothing.
    let _ = getrandom::fill(&mut id);
    BASE32_NOPAD.encode(&id).to_ascii_lowercase()
}

/// Whether every step that had something to do did it.
pub fn is_confirmed(receipt: &Receipt) -> bool {
    receipt.steps.iter().all(|step| step.result != StepResult::Failed)
}
