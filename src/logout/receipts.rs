//! What one call of the pipeline did: a receipt for each session, or one about all of them.

use std::time::Duration;

use data_encoding::BASE32_NOPAD;

use crate::values::receipt::{Receipt, Step, StepReceipt, StepResult};

/// The receipts of sessions that ended together.
#[derive(Debug)]
pub(crate) struct Receipts {
    /// The id that all of them have.
    pub(crate) id: String,
    /// One for each session.
    pub(crate) each: Vec<Receipt>,
    /// Whether the store has confirmed that no further session is meant.
    pub(crate) confirmed: bool,
}

impl Receipts {
    /// Nothing is known about what was done.
    pub(super) fn unconfirmed() -> Self {
        Self { id: new_id(), each: Vec::new(), confirmed: false }
    }

    /// One receipt for all of them, or for none, when only the browser's cookies are expired.
    pub(crate) fn together(self, cookies: usize) -> Receipt {
        let Self { id, each, confirmed } = self;
        let receipt = each.into_iter().reduce(both).unwrap_or_else(|| nobody(id, cookies));
        checked(receipt, confirmed)
    }

    /// The receipt of a logout, of which these are a later part.
    pub(super) fn added_to(self, receipt: Receipt) -> Receipt {
        checked(self.each.into_iter().fold(receipt, both), self.confirmed)
    }
}

/// A receipt that says so if the store has not confirmed the end of all that was meant.
fn checked(mut receipt: Receipt, confirmed: bool) -> Receipt {
    if let Some(end) = receipt.steps.iter_mut().find(|step| step.step == Step::End && !confirmed) {
        end.result = StepResult::Failed;
    }
    receipt
}

/// A new name for a logout.
pub(super) fn new_id() -> String {
    let mut id = [0; 10];
    // Without randomness ids repeat, and that is all: they open nothing.
    let _ = getrandom::fill(&mut id);
    BASE32_NOPAD.encode(&id).to_ascii_lowercase()
}

/// One receipt for both. The cookies are the same; the user's name is kept only if it is the same in all.
fn both(mut one: Receipt, other: Receipt) -> Receipt {
    one.user = one.user.filter(|user| other.user.as_ref() == Some(user));
    for (step, more) in one.steps.iter_mut().zip(&other.steps).filter(|(step, _)| step.step != Step::Answer) {
        step.add(more);
    }
    one
}

/// The receipt of a logout without a session.
fn nobody(logout_id: String, cookies: usize) -> Receipt {
    let step = |step, count| StepReceipt::counted(step, count, Duration::ZERO);
    let steps = vec![step(Step::End, 0), step(Step::Cut, 0), step(Step::Cookies, 0), step(Step::Answer, cookies)];
    Receipt { logout_id, user: None, target: None, steps }
}

/// Whether every step that had something to do did it.
pub(crate) fn is_confirmed(receipt: &Receipt) -> bool {
    receipt.steps.iter().all(|step| step.result != StepResult::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(user: &str, counts: [usize; 4]) -> Receipt {
        let steps = Step::ALL.into_iter().zip(counts);
        let steps = steps.map(|(step, count)| StepReceipt::counted(step, count, Duration::from_millis(3))).collect();
        Receipt { logout_id: "id".into(), user: Some(user.into()), target: None, steps }
    }

    fn together(each: Vec<Receipt>, confirmed: bool) -> (Option<String>, Vec<usize>, bool) {
        let whole = Receipts { id: "id".into(), each, confirmed }.together(1);
        let confirmed = is_confirmed(&whole);
        (whole.user, whole.steps.iter().map(|step| step.count).collect(), confirmed)
    }

    #[test]
    fn one_receipt_is_about_all() {
        let (one, two, bob) =
            (receipt("alice", [1, 2, 4, 1]), receipt("alice", [1, 3, 2, 1]), receipt("bob", [1, 0, 0, 1]));
        let alice = Some("alice".to_owned());
        assert_eq!(together(vec![one.clone(), two], true), (alice.clone(), vec![2, 5, 6, 1], true));
        assert_eq!(together(vec![one.clone(), bob], true), (None, vec![2, 2, 4, 1], true));
        assert_eq!(together(vec![], true), (None, vec![0, 0, 0, 1], true));
        assert_eq!(
            together(vec![], false),
            (None, vec![0, 0, 0, 1], false),
            "what could not be asked is not confirmed"
        );
        assert_eq!(together(vec![one], false), (alice, vec![1, 2, 4, 1], false));
    }

    #[test]
    fn one_that_failed_is_not_hidden_among_others() {
        let mut failed = receipt("alice", [1, 0, 0, 1]);
        failed.steps[0].result = StepResult::Failed;
        for each in [vec![failed.clone(), receipt("alice", [1, 0, 0, 1])], vec![receipt("alice", [1, 0, 0, 1]), failed]]
        {
            assert!(!together(each, true).2);
        }
    }
}
