//! What a logout did, step by step.

use std::time::Duration;

use serde::Serialize;

use super::form::{Field, Form};

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

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::End, Self::Cut, Self::Answer];

    /// The word for it.
    pub const fn id(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Cut => "cut",
            Self::Answer => "answer",
        }
    }
}

/// What a form calls the id of a receipt.
const ID: &str = "receipt";
/// The length of an id, in characters.
const ID_LENGTH: usize = 16;

impl Receipt {
    /// The receipt as a query, for the page that a redirect leads to. It says how much was ended and not whose, so
    /// that it may stand in a history. Only for receipts without a failure.
    pub fn to_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair(ID, &self.logout_id);
        for step in &self.steps {
            query.append_pair(step.step.id(), &step.count.to_string());
        }
        query.finish()
    }

    /// The receipt of such a query; `None` if it is not of that shape. Anybody can write one: it proves nothing.
    pub fn from_query(query: &Form) -> Option<Self> {
        let Field::One(id) = query.field(&[ID]) else { return None };
        let is_id = id.len() == ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let step = |step: Step| {
            let Field::One(count) = query.field(&[step.id()]) else { return None };
            Some(StepReceipt::counted(step, count.parse::<u16>().ok()?.into(), Duration::ZERO))
        };
        let steps = Step::ALL.into_iter().filter_map(step).collect();
        is_id.then(|| Self { logout_id: id.to_owned(), user: None, target: None, steps })
    }
}

impl StepReceipt {
    /// A step that took `took`, with `count` things done.
    pub fn counted(step: Step, count: usize, took: Duration) -> Self {
        let result = if count == 0 { StepResult::Nothing } else { StepResult::Done };
        Self { step, result, count, ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_survives_a_redirect_without_its_name() {
        let steps = [1, 3, 0].into_iter().zip(Step::ALL);
        let steps = steps.map(|(count, step)| StepReceipt::counted(step, count, Duration::ZERO)).collect();
        let id = "k3f9x2m7qhw4zz5a".to_owned();
        let receipt = Receipt { logout_id: id, user: Some("alice".into()), target: None, steps };
        let query = receipt.to_query();
        assert_eq!(query, "receipt=k3f9x2m7qhw4zz5a&end=1&cut=3&answer=0");
        let read = Receipt::from_query(&Form::parse(query.as_bytes()).unwrap());
        assert_eq!(read, Some(Receipt { user: None, ..receipt }));
    }

    #[test]
    fn what_is_no_receipt_is_none() {
        for query in ["", "end=1", "receipt=", "receipt=K3F9X2M7QHW4ZZ5A", "receipt=you+owe+us+money"] {
            assert_eq!(Receipt::from_query(&Form::parse(query.as_bytes()).unwrap()), None, "{query}");
        }
        let odd = "receipt=k3f9x2m7qhw4zz5a&end=-1&cut=99999999&answer=1&answer=2&more=3";
        let read = Receipt::from_query(&Form::parse(odd.as_bytes()).unwrap()).unwrap();
        assert!(read.steps.is_empty(), "{read:?}");
    }
}
