//! What a logout did, step by step.

use std::time::Duration;

use serde::Serialize;

/// A step of the logout pipeline (SESSIONS.md 4.1), in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The session is dead in the table and in the store.
    End,
    /// Its live connections are cut.
    Cut,
    /// The browser forgets its cookies.
    Answer,
}

/// How a step came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// Done.
    Done,
    /// There was nothing to do.
    Nothing,
    /// It could not be done.
    Failed,
}

/// One line of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepReceipt {
    /// Which step.
    pub step: Step,
    /// How it came out.
    pub result: StepResult,
    /// How many sessions, connections or cookies it was about.
    pub count: usize,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// What one logout did. Its id is the same in the answer, the audit line and the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Names this logout; opens nothing.
    pub logout_id: String,
    /// Who was signed in; absent when nobody was.
    pub user: Option<String>,
    /// Where the person goes from here; absent for the goodbye page.
    pub target: Option<String>,
    /// What was done, in order.
    pub steps: Vec<StepReceipt>,
}

impl StepReceipt {
    /// A step that took `took`, with `count` things done.
    pub fn counted(step: Step, count: usize, took: Duration) -> Self {
        let result = if count == 0 { StepResult::Nothing } else { StepResult::Done };
        Self { step, result, count, ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX) }
    }
}
