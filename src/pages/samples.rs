//! Every page with values of every kind: templates are rendered with them before they are used.

use std::time::Duration;

use super::page::{
    GoodbyeScript, Page, PasswordPage, PasswordState, SessionLine, SessionsPage, SignInForm, SignedInPage,
};
use crate::values::application_outcome::ApplicationOutcome::{
    CookiesDropped, CookiesRemain, EndedByCall, Failed, NotAttempted, Queued,
};
use crate::values::application_outcome::CallFailure;
use crate::values::device::Device;
use crate::values::host_receipt::{HostOutcome, HostReceipt};
use crate::values::reason::{Reason, Refusal};
use crate::values::receipt::{ApplicationReceipt, Receipt, Step, StepReceipt, StepResult};

/// A receipt with every result that a step can have.
pub(super) fn receipt(text: &str) -> Receipt {
    let counted = |step, count| StepReceipt::counted(step, count, Duration::ZERO);
    let failed = StepReceipt { result: StepResult::Failed, ..counted(Step::End, 1) };
    let late = StepReceipt { result: StepResult::TimedOut, ..counted(Step::Cut, 1) };
    let refused = StepReceipt { result: StepResult::Failed, ..counted(Step::Application, 1) };
    let kept = StepReceipt { result: StepResult::Failed, ..counted(Step::Hosts, 1) };
    let done = Step::ALL.into_iter();
    let steps = done
        .flat_map(|step| [counted(step, 0), counted(step, 1), counted(step, 3)])
        .chain([failed, late, refused, kept])
        .collect();
    let outcomes = [EndedByCall, CookiesDropped, CookiesRemain, Queued, NotAttempted, Failed(CallFailure::TimedOut)];
    let line = |result| ApplicationReceipt { application: text.into(), result };
    let applications = outcomes.map(line).into();
    let hosts = HostOutcome::ALL.map(|result| HostReceipt { host: text.into(), result }).into();
    Receipt { logout_id: text.to_owned(), user: Some(text.to_owned()), target: None, steps, applications, hosts }
}

/// The sessions pages of users with one session, with several, and with more than the page shows.
fn sessions(text: &str, each: &mut impl FnMut(Page<'_>)) {
    let one = [session(text, 0)];
    let lines = [0, 60, 300, 3600, 90_000, 200_000, 90_000 * 40].map(|seconds| session(text, seconds));
    each(Page::Sessions(SessionsPage { user: text, lines: &one, hidden: 0, confirmed: true, several_hosts: false }));
    for (hidden, confirmed) in [(0, true), (1, true), (9, false)] {
        each(Page::Sessions(SessionsPage { user: text, lines: &lines, hidden, confirmed, several_hosts: confirmed }));
    }
}

/// A session that was opened this long ago; the newest is that of this browser.
pub(super) fn session(text: &str, seconds: u64) -> SessionLine {
    let age = Duration::from_secs(seconds);
    SessionLine {
        handle: text.to_owned(),
        current: seconds == 0,
        device: Device::from_user_agent(if seconds == 0 { "Chrome/1 (Linux)" } else { text }),
        address: text.to_owned(),
        age,
        idle: age / 2,
        connections: usize::from(seconds > 3600),
        hosts: vec![text.into()],
        cookies: vec![text.to_owned()],
    }
}

/// The goodbye page with each of its scripts.
fn goodbye_with_script(receipt: &Receipt, onward: &str, each: &mut impl FnMut(Page<'_>)) {
    for script in [GoodbyeScript::CloseTabs, GoodbyeScript::LeadOn(onward)] {
        each(Page::Goodbye { receipt: Some(receipt), unconfirmed: false, script });
    }
}

/// Calls `each` with every page, made of `text` wherever a page takes one.
pub(super) fn each(text: &str, mut each: impl FnMut(Page<'_>)) {
    let (known, nobody) = (receipt(text), Receipt { user: None, steps: Vec::new(), ..receipt(text) });
    let unnamed = Receipt { user: None, ..receipt(text) };
    let wrong = Refusal::from(Reason::CredentialsWrong);
    let banned = Refusal { retry_after: Some(900), ..Refusal::from(Reason::TooManyAttempts) };
    let form = SignInForm { site: text, next: text, user: "", problem: None };
    each(Page::Login(form));
    each(Page::Login(SignInForm { user: text, problem: Some(&wrong), ..form }));
    for seconds in [5, 900] {
        let banned = Refusal { retry_after: Some(seconds), ..Refusal::from(Reason::TooManyAttempts) };
        each(Page::Login(SignInForm { user: text, problem: Some(&banned), ..form }));
    }
    for came_back in [false, true] {
        let password = came_back.then_some(text);
        each(Page::SignedIn(SignedInPage {
            user: text,
            next: text,
            switch: text,
            came_back,
            sessions: text,
            password,
        }));
    }
    let asked = [None, Some(&wrong), Some(&banned)].map(PasswordState::Asked);
    let done = [0, 1, 2].map(PasswordState::Done);
    for state in asked.into_iter().chain(done).chain([PasswordState::Fixed]) {
        each(Page::Password(PasswordPage { user: text, shortest: 8, state }));
    }
    sessions(text, &mut each);
    each(Page::Confirm { action: text, next: None, user: None, problem: None });
    each(Page::Confirm { action: text, next: Some(text), user: Some(text), problem: Some(Reason::CrossSite) });
    let receipts =
        [(None, false), (Some(&nobody), false), (Some(&unnamed), false), (Some(&known), false), (Some(&known), true)];
    for (receipt, unconfirmed) in receipts {
        each(Page::Goodbye { receipt, unconfirmed, script: GoodbyeScript::None });
    }
    goodbye_with_script(&known, text, &mut each);
    for reason in Reason::ALL {
        each(Page::Refused { refusal: &reason.into(), switch: None });
        each(Page::Refused {
            refusal: &Refusal { message: text.to_owned().into(), ..Refusal::from(reason) },
            switch: Some(text),
        });
    }
}
