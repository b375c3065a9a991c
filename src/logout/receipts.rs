//! The result of one call of the pipeline: a receipt for each session, or one for all of them.

use std::time::Duration;

use data_encoding::BASE32_NOPAD;

use crate::values::receipt::{Receipt, Step, StepReceipt, StepResult};

/// The receipts of sessions that ended together.
#[derive(Debug)]
pub(crate) struct Receipts {
    /// The id of the logout, which all receipts share.
    pub(crate) id: String,
    /// One for each session.
    pub(crate) each: Vec<Receipt>,
    /// Whether the store has confirmed that there are no further sessions to end.
    pub(crate) confirmed: bool,
}

impl Receipts {
    /// The result if it is unknown what was done.
    pub(super) fn unconfirmed() -> Self {
        Self { id: new_id(), each: Vec::new(), confirmed: false }
    }

    /// One receipt for all sessions. Without a session it only reports the expired cookies of the browser.
    pub(crate) fn together(self, cookies: usize) -> Receipt {
        let Self { id, each, confirmed } = self;
        let receipt = each.into_iter().reduce(both).unwrap_or_else(|| without_session(id, cookies));
        checked(receipt, confirmed)
    }

    /// Adds these receipts to that of the logout which they are a later part of.
    pub(super) fn added_to(self, receipt: Receipt) -> Receipt {
        checked(self.each.into_iter().fold(receipt, both), self.confirmed)
    }
}

/// Marks the receipt as unconfirmed if the store has not confirmed all ends.
fn checked(mut receipt: Receipt, confirmed: bool) -> Receipt {
    if let Some(end) = receipt.steps.iter_mut().find(|step| step.step == Step::End && !confirmed) {
        end.result = StepResult::Failed;
    }
    receipt
}

/// A new id for a logout.
pub(super) fn new_id() -> String {
    let mut id = [0; 10];
    // Without random bytes ids repeat, which is harmless: they grant no access.
    let _ = getrandom::fill(&mut id);
    BASE32_NOPAD.encode(&id).to_ascii_lowercase()
}

/// Merges two receipts of one browser, whose cookies are counted once. The user's name is kept only if it is the same.
fn both(mut one: Receipt, other: Receipt) -> Receipt {
    one.user = one.user.filter(|user| other.user.as_ref() == Some(user));
    for more in other.steps.iter().filter(|more| more.step != Step::Answer) {
        match one.steps.iter_mut().find(|step| step.step == more.step) {
            Some(step) => step.add(more),
            None => one.steps.push(more.clone()),
        }
    }
    other.applications.into_iter().for_each(|application| one.add_application(application));
    one
}

/// The receipt of a logout without a session.
fn without_session(logout_id: String, cookies: usize) -> Receipt {
    let step = |step, count| StepReceipt::counted(step, count, Duration::ZERO);
    let steps = vec![step(Step::End, 0), step(Step::Cut, 0), step(Step::Cookies, 0), step(Step::Answer, cookies)];
    Receipt { logout_id, user: None, target: None, steps, applications: Vec::new(), hosts: Vec::new() }
}

/// Whether the end itself is confirmed. The answers of applications to logout calls do not matter for that.
pub(crate) fn is_confirmed(receipt: &Receipt) -> bool {
    receipt.steps.iter().all(|step| step.step != Step::End || step.result != StepResult::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::application_outcome::{ApplicationOutcome, CallFailure};
    use crate::values::receipt::ApplicationReceipt;

    fn receipt(user: &str, counts: [usize; 4]) -> Receipt {
        let steps = [Step::End, Step::Cut, Step::Cookies, Step::Answer].into_iter().zip(counts);
        let steps = steps.map(|(step, count)| StepReceipt::counted(step, count, Duration::from_millis(3))).collect();
        let applications = Vec::new();
        Receipt {
            logout_id: "id".into(),
            user: Some(user.into()),
            target: None,
            steps,
            applications,
            hosts: Vec::new(),
        }
    }

    fn together(each: Vec<Receipt>, confirmed: bool) -> (Option<String>, Vec<usize>, bool) {
        let whole = Receipts { id: "id".into(), each, confirmed }.together(1);
        let confirmed = is_confirmed(&whole);
        (whole.user, whole.steps.iter().map(|step| step.count).collect(), confirmed)
    }

    #[test]
    fn receipts_are_merged() {
        let (one, two, bob) =
            (receipt("alice", [1, 2, 4, 1]), receipt("alice", [1, 3, 2, 1]), receipt("bob", [1, 0, 0, 1]));
        let alice = Some("alice".to_owned());
        assert_eq!(together(vec![one.clone(), two], true), (alice.clone(), vec![2, 5, 6, 1], true));
        assert_eq!(together(vec![one.clone(), bob], true), (None, vec![2, 2, 4, 1], true));
        assert_eq!(together(vec![], true), (None, vec![0, 0, 0, 1], true));
        assert_eq!(
            together(vec![], false),
            (None, vec![0, 0, 0, 1], false),
            "an end that the store could not be asked for is not confirmed"
        );
        assert_eq!(together(vec![one], false), (alice, vec![1, 2, 4, 1], false));
    }

    #[test]
    fn a_failed_step_is_not_hidden_by_others() {
        let mut failed = receipt("alice", [1, 0, 0, 1]);
        failed.steps[0].result = StepResult::Failed;
        for each in [vec![failed.clone(), receipt("alice", [1, 0, 0, 1])], vec![receipt("alice", [1, 0, 0, 1]), failed]]
        {
            assert!(!together(each, true).2);
        }
    }

    /// Some receipts have no such step, for instance that of a session which ended at another replica.
    #[test]
    fn the_applications_of_all_sessions_are_listed() {
        use ApplicationOutcome::{EndedByCall, Failed, Queued};
        let failed = Failed(CallFailure::TimedOut);
        let with = |results: &[(&str, ApplicationOutcome)]| {
            let mut receipt = receipt("alice", [1, 0, 0, 1]);
            let counted = StepReceipt::counted(Step::Application, results.len(), Duration::ZERO);
            receipt.steps.insert(3, counted);
            let line =
                |&(name, result): &(&str, ApplicationOutcome)| ApplicationReceipt { application: name.into(), result };
            receipt.applications = results.iter().map(line).collect();
            receipt.judge_applications();
            receipt
        };
        let each =
            vec![with(&[("/a", EndedByCall)]), receipt("alice", [1, 0, 0, 1]), with(&[("/a", failed), ("/b", Queued)])];
        let whole = Receipts { id: "id".into(), each, confirmed: true }.together(1);
        assert!(is_confirmed(&whole), "a failed logout call does not matter");
        let step = whole.steps.iter().find(|step| step.step == Step::Application).unwrap();
        assert_eq!((step.count, step.result), (3, StepResult::Failed));
        let told: Vec<_> = whole.applications.iter().map(|line| (&*line.application, line.result)).collect();
        assert_eq!(told, [("/a", failed), ("/b", Queued)]);
    }
}
