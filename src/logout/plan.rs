//! What is left to do after an end, as a list of steps.

use std::time::Duration;

use super::ending::Ending;
use crate::session::store::End;

/// One step, with all that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Tell how the end itself came out: it cannot be undone or prevented any more.
    End {
        /// Whether the store has confirmed it.
        confirmed: bool,
    },
    /// Ask everything that acts in the session's name to end.
    Cut {
        /// How long an exchange that has begun may take. Streams have no grace.
        grace: Duration,
        /// Whether nothing was being written any more when the end was answered.
        quiet: bool,
    },
    /// Forget the cookies of applications.
    Cookies,
    /// Make the browser forget.
    Answer {
        /// How many cookies the answer expires.
        cookies: usize,
    },
    /// Write the receipt to the audit log.
    Audit,
}

/// The steps, in order.
///
/// A replica that lost the race for a session only cuts its own connections: the winner does the rest and audits it.
pub(crate) fn plan(Ending { ended, terms }: &Ending) -> Vec<Step> {
    let end = Step::End { confirmed: ended.confirmed };
    let cut = Step::Cut { grace: terms.settings.grace, quiet: ended.quiet };
    let answer = terms.request.map(|request| Step::Answer { cookies: request.cookies });
    let audit = (ended.end == End::Won).then_some(Step::Audit);
    [Some(end), Some(cut), Some(Step::Cookies), answer, audit].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::logout::ending::{Carried, Terms};
    use crate::logout::settings::tests::settings;
    use crate::session::record::Ended;
    use crate::session::record::tests::session;
    use crate::values::end_cause::EndCause;

    #[test]
    fn what_follows_from_which_end() {
        use End::{Lost, Won};
        use Step::{Answer, Audit, Cookies, Cut};
        let grace = settings().grace;
        let (sure, unsure) = (Step::End { confirmed: true }, Step::End { confirmed: false });
        let (cut, late) = (Cut { grace, quiet: true }, Cut { grace, quiet: false });
        let browser = Some(Carried { cookies: 2 });
        let answer = Answer { cookies: 2 };
        let cases: [(End, bool, bool, Option<Carried>, &[Step]); 8] = [
            (Won, true, true, browser, &[sure, cut, Cookies, answer, Audit]),
            (Won, true, true, None, &[sure, cut, Cookies, Audit]),
            (Won, true, false, browser, &[sure, late, Cookies, answer, Audit]),
            // Everything is done and told, and the end is asked for again.
            (Won, false, true, browser, &[unsure, cut, Cookies, answer, Audit]),
            (Won, false, true, None, &[unsure, cut, Cookies, Audit]),
            // An end of another replica, which writes the receipt to the audit log.
            (Lost, true, true, browser, &[sure, cut, Cookies, answer]),
            (Lost, true, true, None, &[sure, cut, Cookies]),
            (Lost, false, false, browser, &[unsure, late, Cookies, answer]),
        ];
        for (end, confirmed, quiet, request, want) in cases {
            for cause in EndCause::ALL {
                let ended = Ended { session: session(), cause, end, confirmed, quiet };
                let terms = Terms { settings: Arc::new(settings()), request };
                assert_eq!(plan(&Ending { ended, terms }), want, "{end:?} {confirmed} {request:?} {cause:?}");
            }
        }
    }
}
