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
    /// Runs the plan of an ended session. `begun` is when its end began, `cookies` how many the answer expires.
    pub fn run(&self, ended: &Ended, begun: Moment, grace: Duration, cookies: usize) -> Receipt {
        let mut receipt = self.empty_receipt();
        let user = ended.session.identity().user();
        receipt.user = Some(user.to_owned());
        let mut since = begun;
        for &step in LogoutPlan::of(ended.cause).steps() {
            let (count, result) = match step {
                Step::End if ended.confirmed => (1, None),
                Step::End => (1, Some(StepResult::Failed)),
                Step::Cut => (ended.session.cut(grace), None),
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
    pub fn nobody(&self, cookies: usize) -> Receipt {
        let step = |step, count| StepReceipt::counted(step, count, Duration::ZERO);
        let steps = vec![step(Step::End, 0), step(Step::Cut, 0), step(Step::Answer, cookies)];
        Receipt { steps, ..self.empty_receipt() }
    }

    fn empty_receipt(&self) -> Receipt {
        let mut id = [0; 10];
        // Without randomness ids repeat, and that is all: they open nothing.
        let _ = getrandom::fill(&mut id);
        let logout_id = BASE32_NOPAD.encode(&id).to_ascii_lowercase();
        Receipt { logout_id, user: None, target: None, steps: Vec::new() }
    }
}

/// Whether every step that had something to do did it.
pub fn is_confirmed(receipt: &Receipt) -> bool {
    receipt.steps.iter().all(|step| step.result != StepResult::Failed)
}
