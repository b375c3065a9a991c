//! What is left to do after an end, as a list of steps.

use std::time::Duration;

use super::ending::Ending;
use crate::session::store::End;

/// One step, with its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanStep {
    /// Report the result of the end itself, which has already happened.
    End {
        /// Whether the store has confirmed it.
        confirmed: bool,
    },
    /// Cut the session's exchanges.
    Cut {
        /// How long an exchange that has begun may continue. Streams are cut at once.
        grace: Duration,
        /// Whether no write was in progress any more when the end was answered.
        quiet: bool,
    },
    /// Drop the cookies of applications.
    Cookies,
    /// Ask the applications to end their own sessions.
    Applications {
        /// Whether a browser waits for it, so that the calls are not queued.
        at_once: bool,
    },
    /// Make the browser delete the gateway's cookies.
    Answer {
        /// The number of cookies that the answer expires.
        cookies: usize,
    },
    /// Write the receipt to the audit log.
    Audit,
}

/// The steps, in order.
///
/// A replica that lost the race for a session only cuts its own connections; the winner does the rest and audits it. If
/// the user has signed in again in the same browser, exchanges and the cookies of applications move to the new session.
pub(crate) fn plan(Ending { ended, terms }: &Ending) -> Vec<PlanStep> {
    let end = PlanStep::End { confirmed: ended.confirmed };
    let (won, all) = (ended.end == End::Won, !ended.goes_on);
    let cut = all.then_some(PlanStep::Cut { grace: terms.settings.grace, quiet: ended.quiet });
    let cookies = all.then_some(PlanStep::Cookies);
    let browser = terms.request.as_ref().and_then(|request| request.browser.as_ref());
    let calls = all && won && !terms.applications.is_empty();
    let applications = calls.then_some(PlanStep::Applications { at_once: browser.is_some() });
    let answer = terms.request.as_ref().map(|request| PlanStep::Answer { cookies: request.cookies });
    let audit = won.then_some(PlanStep::Audit);
    [Some(end), cut, cookies, applications, answer, audit].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::logout::application::tests::{applications, browser_request, route_with_call};
    use crate::logout::ending::{RequestParts, Terms};
    use crate::logout::settings::tests::settings;
    use crate::session::record::Ended;
    use crate::session::record::tests::session;
    use crate::values::end_cause::EndCause;

    #[test]
    fn each_end_has_its_steps() {
        use End::{Lost, Won};
        use PlanStep::{Answer, Audit, Cookies, Cut};
        let grace = settings().grace;
        let (sure, unsure) = (PlanStep::End { confirmed: true }, PlanStep::End { confirmed: false });
        let (cut, late) = (Cut { grace, quiet: true }, Cut { grace, quiet: false });
        let (at_once, later) = (PlanStep::Applications { at_once: true }, PlanStep::Applications { at_once: false });
        let answer = Answer { cookies: 2 };
        let signs_in = Some(RequestParts { cookies: 2, ..RequestParts::default() });
        let browser = Some(RequestParts { cookies: 2, browser: Some(Arc::new(browser_request())), passed_on: None });
        let cases: [(End, bool, bool, &Option<RequestParts>, bool, &[PlanStep]); 13] = [
            (Won, true, true, &browser, false, &[sure, cut, Cookies, answer, Audit]),
            (Won, true, true, &None, false, &[sure, cut, Cookies, Audit]),
            (Won, true, false, &browser, false, &[sure, late, Cookies, answer, Audit]),
            // Every step runs, and the end is retried later.
            (Won, false, true, &browser, false, &[unsure, cut, Cookies, answer, Audit]),
            (Won, false, true, &None, false, &[unsure, cut, Cookies, Audit]),
            // Applications are called: a browser's logout waits for it, other ends do not.
            (Won, true, true, &browser, true, &[sure, cut, Cookies, at_once, answer, Audit]),
            (Won, false, false, &browser, true, &[unsure, late, Cookies, at_once, answer, Audit]),
            (Won, true, true, &signs_in, true, &[sure, cut, Cookies, later, answer, Audit]),
            (Won, true, true, &None, true, &[sure, cut, Cookies, later, Audit]),
            // An end of another replica, which asks the applications and writes the receipt to the audit log.
            (Lost, true, true, &browser, true, &[sure, cut, Cookies, answer]),
            (Lost, true, true, &browser, false, &[sure, cut, Cookies, answer]),
            (Lost, true, true, &None, true, &[sure, cut, Cookies]),
            (Lost, false, false, &browser, true, &[unsure, late, Cookies, answer]),
        ];
        for (end, confirmed, quiet, request, calls, want) in cases {
            for cause in EndCause::ALL {
                let ended = Ended { session: session(), cause, end, confirmed, quiet, goes_on: false };
                let routes = if calls { vec![route_with_call("POST /logout")] } else { Vec::new() };
                let applications = Arc::new(applications(routes));
                let terms = Terms { settings: Arc::new(settings()), applications, request: request.clone() };
                let mut ending = Ending { ended, terms };
                assert_eq!(plan(&ending), want, "{end:?} {confirmed} {request:?} {calls} {cause:?}");
                // Only the session's keys end; the rest moves to the new session.
                ending.ended.goes_on = true;
                let want = want.iter().filter(|step| matches!(step, PlanStep::End { .. } | Answer { .. } | Audit));
                assert!(plan(&ending).iter().eq(want), "{end:?} {request:?} {calls}: goes on");
            }
        }
    }
}
