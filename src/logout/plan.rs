//! What an end leads to, as a list.

use crate::values::end_cause::EndCause;
use crate::values::receipt::Step;

/// The steps of one logout, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutPlan(Vec<Step>);

impl LogoutPlan {
    /// The plan for an end of this cause.
    pub fn of(cause: EndCause) -> Self {
        let always = [Step::End, Step::Cut];
        let answer = cause.faces_browser().then_some(Step::Answer);
        Self(always.into_iter().chain(answer).collect())
    }

    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_which_cause() {
        use Step::{Answer, Cut, End};
        let cases: [(EndCause, &[Step]); 7] = [
            (EndCause::Logout, &[End, Cut, Answer]),
            (EndCause::SignedInAgain, &[End, Cut, Answer]),
            (EndCause::Idle, &[End, Cut]),
            (EndCause::Revoked, &[End, Cut]),
            (EndCause::Absolute, &[End, Cut]),
            (EndCause::OneTooMany, &[End, Cut]),
            (EndCause::CookieConflict, &[End, Cut]),
        ];
        for (cause, want) in cases {
            assert_eq!(LogoutPlan::of(cause).steps(), want, "{cause:?}");
        }
    }
}
