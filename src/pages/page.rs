//! The pages, and the variables of their templates.

use std::time::Duration;

use minijinja::{Value, context};

use super::policy::{LEAD_ON, Needs, SHOW_PASSWORD};
use super::tabs::CLOSE_TABS;
use crate::values::application_outcome::ApplicationOutcome;
use crate::values::device::Device;
use crate::values::host_receipt::HostReceipt;
use crate::values::own_path;
use crate::values::reason::{Reason, Refusal};
use crate::values::receipt::{ApplicationReceipt, Receipt, Step, StepReceipt, StepResult};

/// What the sign-in form shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignInForm<'a> {
    /// The host to sign in to.
    pub(crate) site: &'a str,
    /// Where the sign-in leads.
    pub(crate) next: &'a str,
    /// The name that was typed before.
    pub(crate) user: &'a str,
    /// Why the last attempt failed.
    pub(crate) problem: Option<&'a Refusal>,
}

/// The sign-in page for a signed-in user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedInPage<'a> {
    /// The user.
    pub(crate) user: &'a str,
    /// Where the button "Continue" leads.
    pub(crate) next: &'a str,
    /// The sign-in form for another user.
    pub(crate) switch: &'a str,
    /// Whether Continue led back to this page.
    pub(crate) came_back: bool,
    /// Where the user's sessions are shown.
    pub(crate) sessions: &'a str,
    /// The page for changing the password; `None` where passwords cannot be changed.
    pub(crate) password: Option<&'a str>,
}

/// The page on which users change their passwords.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PasswordPage<'a> {
    /// The user.
    pub(crate) user: &'a str,
    /// The shortest new password, in characters.
    pub(crate) shortest: usize,
    /// What is shown.
    pub(crate) state: PasswordState<'a>,
}

/// The state of a change of the password.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PasswordState<'a> {
    /// The form, with the reason why the last attempt failed.
    Asked(Option<&'a Refusal>),
    /// The password has been changed, and this many other sessions ended.
    Done(usize),
    /// The gateway cannot change passwords.
    Fixed,
}

/// The sessions of a user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionsPage<'a> {
    /// The user.
    pub(crate) user: &'a str,
    /// The sessions, that of this browser first.
    pub(crate) lines: &'a [SessionLine],
    /// How many more there are.
    pub(crate) hidden: usize,
    /// Whether the store has confirmed the ends that were asked for just now.
    pub(crate) confirmed: bool,
    /// Whether the gateway has more than one host: only then are the hosts of each session shown.
    pub(crate) several_hosts: bool,
}

/// One session on that page.
#[derive(Clone, Debug)]
pub(crate) struct SessionLine {
    /// Its handle, which is safe to show.
    pub(crate) handle: String,
    /// Whether it is the session of this browser.
    pub(crate) current: bool,
    /// The browser of the sign-in.
    pub(crate) device: Device,
    /// Where the sign-in came from.
    pub(crate) address: String,
    /// The time since the sign-in.
    pub(crate) age: Duration,
    /// The time since the last use.
    pub(crate) idle: Duration,
    /// Its open connections.
    pub(crate) connections: usize,
    /// The own hosts that it is open on.
    pub(crate) hosts: Vec<Box<str>>,
    /// The names of the application cookies that the gateway keeps for it.
    pub(crate) cookies: Vec<String>,
}

/// What the script of the goodbye page does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GoodbyeScript<'a> {
    /// There is none.
    None,
    /// It sends the other tabs of this host to the sign-in page.
    CloseTabs,
    /// It tests which other hosts the browser can connect to, and goes on with these. Without scripts, the page
    /// redirects to this address.
    LeadOn(&'a str),
}

/// A page and its values.
#[derive(Clone, Copy, Debug)]
pub(super) enum Page<'a> {
    Login(SignInForm<'a>),
    SignedIn(SignedInPage<'a>),
    Password(PasswordPage<'a>),
    Sessions(SessionsPage<'a>),
    Confirm { action: &'a str, next: Option<&'a str>, user: Option<&'a str>, problem: Option<Reason> },
    Goodbye { receipt: Option<&'a Receipt>, unconfirmed: bool, script: GoodbyeScript<'a> },
    Refused { refusal: &'a Refusal, switch: Option<&'a str> },
}

impl Page<'_> {
    /// The name of its template.
    pub(super) const fn template(&self) -> &'static str {
        match self {
            Self::Login(_) => "login.html",
            Self::SignedIn(_) => "signed_in.html",
            Self::Password(_) => "password.html",
            Self::Sessions(_) => "sessions.html",
            Self::Confirm { .. } => "confirm.html",
            Self::Goodbye { .. } => "goodbye.html",
            Self::Refused { .. } => "refused.html",
        }
    }

    /// What this page's content security policy has to allow.
    pub(super) fn needs(&self) -> Needs {
        match self {
            Self::Login(_) | Self::Password(PasswordPage { state: PasswordState::Asked(_), .. }) => {
                Needs::FormAndScript
            }
            Self::SignedIn(_) | Self::Sessions(_) | Self::Confirm { .. } => Needs::Form,
            Self::Refused { refusal, .. } if next_steps(refusal.reason).contains(&NextStep::Logout) => Needs::Form,
            Self::Goodbye { script: GoodbyeScript::CloseTabs, .. } => Needs::Worker,
            Self::Goodbye { script: GoodbyeScript::LeadOn(_), .. } => Needs::OtherHosts,
            Self::Password(_) | Self::Goodbye { .. } | Self::Refused { .. } => Needs::Nothing,
        }
    }

    /// Whether the page must not link to the gateway's addresses: it is shown under a host that is not served.
    pub(super) fn is_foreign_host(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.reason == Reason::HostNotServed)
    }

    /// The variables of its template, besides the common ones.
    pub(super) fn values(&self) -> Value {
        match *self {
            Self::Login(SignInForm { site, next, user, problem }) => {
                let wait = problem.and_then(|refusal| refusal.retry_after);
                let script = Value::from_safe_string(SHOW_PASSWORD.to_owned());
                context! { site, next, user, problem => problem.map(|refusal| refusal.reason.id()), wait, script }
            }
            Self::SignedIn(SignedInPage { user, next, switch, came_back, sessions, password }) => {
                let always = [own_path::LOGIN, own_path::LOGOUT];
                context! { user, next, switch, came_back, sessions, password, always }
            }
            Self::Sessions(SessionsPage { user, lines, hidden, confirmed, several_hosts }) => {
                let lines: Vec<Value> = lines.iter().map(render_line).collect();
                context! { user, lines, hidden, confirmed, several_hosts }
            }
            Self::Password(PasswordPage { user, shortest, state }) => {
                let (problem, ended) = match state {
                    PasswordState::Asked(problem) => (problem, None),
                    PasswordState::Done(ended) => (None, Some(ended)),
                    PasswordState::Fixed => (None, None),
                };
                let (done, fixed) = (ended.is_some(), matches!(state, PasswordState::Fixed));
                let wait = problem.and_then(|refusal| refusal.retry_after);
                let script = Value::from_safe_string(SHOW_PASSWORD.to_owned());
                let problem = problem.map(|refusal| refusal.reason.id());
                context! { user, shortest, problem, wait, script, done, ended, fixed }
            }
            Self::Confirm { action, next, user, problem } => {
                context! { action, next, user, problem => problem.map(Reason::id) }
            }
            Self::Goodbye { receipt, unconfirmed, script } => {
                let (script, onward) = match script {
                    GoodbyeScript::None => (None, None),
                    GoodbyeScript::CloseTabs => (Some(CLOSE_TABS), None),
                    GoodbyeScript::LeadOn(onward) => (Some(LEAD_ON), Some(onward)),
                };
                let script = script.map(|text| Value::from_safe_string(text.to_owned()));
                context! { receipt => receipt.map(render_receipt), unconfirmed, script, onward }
            }
            Self::Refused { refusal, switch } => {
                let reason = refusal.reason;
                let detail = (refusal.message != reason.message()).then_some(&refusal.message);
                let ways: Vec<Value> = next_steps(reason).iter().map(|way| way.value(switch)).collect();
                context! { reason => reason.id(), status => reason.status().as_u16(), detail, ways }
            }
        }
    }
}

fn render_line(line: &SessionLine) -> Value {
    let SessionLine { handle, current, device, address, age, idle, connections, hosts, cookies } = line;
    let (since, used) = (render_ago(*age), render_ago(*idle));
    let (browser, device) = (render_browser(*device), device.to_string());
    let (hosts, cookies) = (hosts.join(", "), cookies.join(", "));
    context! { handle, current, browser, device, address, since, used, connections, hosts, cookies }
}

/// The key of the text that names a browser, and its values.
fn render_browser(device: Device) -> Value {
    let (program, system) = (device.program(), device.system());
    let text = match (program, system) {
        (Some(_), Some(_)) => "browser.both",
        (Some(_), None) => "browser.program",
        (None, Some(_)) => "browser.system",
        (None, None) => "browser.unknown",
    };
    context! { text, program, system }
}

/// The key of the text for how long ago something was, and its number: in the largest unit that gives at least one (in
/// days from two on).
fn render_ago(time: Duration) -> Value {
    let minutes = time.as_secs() / 60;
    let (count, unit) = match minutes {
        0..60 => (minutes, "minute"),
        60..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    let text = match count {
        0 => "ago.now".to_owned(),
        1 => format!("ago.{unit}"),
        _ => format!("ago.{unit}s"),
    };
    context! { text, count }
}

fn render_receipt(receipt: &Receipt) -> Value {
    let steps: Vec<Value> = receipt.steps.iter().map(|step| render_step(step, receipt)).collect();
    let nobody = receipt.steps.iter().any(|step| step.step == Step::End && step.result == StepResult::Nothing);
    context! { id => receipt.logout_id.as_str(), user => receipt.user.as_deref(), nobody, steps }
}

/// A step's result, and the key of its text.
fn render_step(step: &StepReceipt, receipt: &Receipt) -> Value {
    let name = step.step.id();
    let (result, text) = match (step.result, step.count) {
        (StepResult::Failed, _) => ("failed", "failed"),
        (StepResult::TimedOut, _) => ("failed", "late"),
        (StepResult::Nothing, _) => ("nothing", "nothing"),
        (StepResult::Done, 1) => ("done", "one"),
        (StepResult::Done, _) => ("done", "other"),
    };
    // Only the step that closes connections waits for something that can be late.
    let name = if text == "late" { Step::Cut.id() } else { name };
    let detail = match (step.step, text) {
        (_, "one" | "other") => Some(format!("receipt.{name}.detail")),
        (Step::End, "failed") | (_, "late") => Some(format!("receipt.{name}.why")),
        _ => None,
    };
    let applications: Vec<Value> = match step.step {
        Step::Application => receipt.applications.iter().map(render_application).collect(),
        Step::Hosts => receipt.hosts.iter().map(render_host).collect(),
        Step::End | Step::Cut | Step::Cookies | Step::Answer => Vec::new(),
    };
    context! { result, count => step.count, text => format!("receipt.{name}.{text}"), detail, applications }
}

/// The outcome for one host, in the form of that for an application.
fn render_host(HostReceipt { host, result }: &HostReceipt) -> Value {
    context! { name => &**host, text => format!("receipt.hosts.{}", result.id()), why => "" }
}

/// The outcome for one application.
fn render_application(ApplicationReceipt { application, result }: &ApplicationReceipt) -> Value {
    let (text, why) = match result {
        ApplicationOutcome::Failed(failure) => ("failed_call", failure.to_string()),
        ApplicationOutcome::EndedByCall
        | ApplicationOutcome::CookiesDropped
        | ApplicationOutcome::CookiesRemain
        | ApplicationOutcome::Queued
        | ApplicationOutcome::NotAttempted => (result.id(), String::new()),
    };
    context! { name => &**application, text => format!("receipt.application.{text}"), why }
}

/// What a refused user can do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NextStep {
    /// Request the same page again.
    Again,
    /// Go to where a sign-in leads without a `next`.
    Home,
    /// The sign-in form.
    Login,
    /// The sign-in form whose data were refused.
    LoginAgain,
    /// The sign-in form, for another account.
    Switch,
    /// The button that signs out.
    Logout,
}

impl NextStep {
    fn value(self, switch: Option<&str>) -> Value {
        let text = match self {
            Self::Again => "again",
            Self::Home => "home",
            Self::Login => "login",
            Self::LoginAgain => "login_again",
            Self::Switch => "switch",
            Self::Logout => "logout",
        };
        context! { name => text, text => format!("refused.{text}"), switch }
    }
}

fn next_steps(reason: Reason) -> &'static [NextStep] {
    match reason {
        Reason::TargetAmbiguous
        | Reason::HeadMalformed
        | Reason::HostMissing
        | Reason::MethodNotAllowed
        | Reason::ExpectationUnknown
        | Reason::TargetTooLong
        | Reason::VersionNotSupported
        | Reason::BodyMalformed
        | Reason::NoRoute
        | Reason::CrossSite
        | Reason::DestinationRefused
        | Reason::DestinationForeign
        | Reason::NotANavigation => &[NextStep::Home],
        Reason::HostNotServed
        | Reason::SocketOrigin
        | Reason::ServiceWorker
        | Reason::SocketVersion
        | Reason::UpstreamLoop => &[],
        Reason::SignInRequired | Reason::CredentialsWrong => &[NextStep::Login],
        Reason::GroupMissing => &[NextStep::Switch, NextStep::Home],
        Reason::LogoutByGet => &[NextStep::Logout, NextStep::Home],
        Reason::NewPasswordUnfit | Reason::NewPasswordsDiffer | Reason::PasswordNotChanged => &[NextStep::Home],
        Reason::TooManyAttempts
        | Reason::FormMalformed
        | Reason::FormTooLarge
        | Reason::BodyIncomplete
        | Reason::SignInBusy
        | Reason::SignInCrowded
        | Reason::SessionsFull => &[NextStep::LoginAgain],
        Reason::StoreUnavailable
        | Reason::HeadTooLarge
        | Reason::CookiesTooLong
        | Reason::HeadTooSlow
        | Reason::BodyTooSlow
        | Reason::SessionBusy
        | Reason::HandOverRefused
        | Reason::TooManyConnections
        | Reason::AddressBusy
        | Reason::UpstreamUnreachable
        | Reason::UpstreamBroken
        | Reason::UpstreamTooSlow
        | Reason::Internal => &[NextStep::Again],
    }
}
