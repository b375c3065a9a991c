//! The receipt of a logout: the result of each step.

use std::time::Duration;

use serde::Serialize;

use super::application_outcome::ApplicationOutcome;
use super::form::{Form, FormValue};
use super::host_receipt::{HostOutcome, HostReceipt};
use super::mac::{Mac, MacKeys, MacPurpose};

/// A step of the logout pipeline, in the order of docs/sessions-and-logout.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// End the session in the table and in the store.
    End,
    /// Cut its live connections.
    Cut,
    /// Delete the cookies of applications: those in the gateway at once, those in the browser with the answer.
    Cookies,
    /// Ask the applications to end their own sessions.
    Application,
    /// Expire the gateway's cookies in the browser.
    Answer,
    /// Redirect the browser over the other hosts of the session, to clear its data for them.
    Hosts,
}

/// The result of a step. Of several results the greatest is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepResult {
    /// There was nothing to do.
    Nothing,
    /// The step was done.
    Done,
    /// The step was done, but something in progress did not finish within the timeout.
    TimedOut,
    /// The step failed.
    Failed,
}

impl StepResult {
    /// All results.
    pub(crate) const ALL: [Self; 4] = [Self::Nothing, Self::Done, Self::TimedOut, Self::Failed];

    /// The stable id.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Done => "done",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
        }
    }
}

/// The result of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct StepReceipt {
    /// The step.
    pub(crate) step: Step,
    /// The result.
    pub(crate) result: StepResult,
    /// The number of sessions, connections, cookies, applications or hosts.
    pub(crate) count: usize,
    /// The duration in milliseconds.
    pub(crate) ms: u64,
}

/// The result for the session in one application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ApplicationReceipt {
    /// The application: the host of its route, if it has one, and the path.
    pub(crate) application: Box<str>,
    /// The outcome.
    pub(crate) result: ApplicationOutcome,
}

/// The results of one logout of one or several sessions. Its id is the same in the answer, the audit line and the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Receipt {
    /// The id of the logout. It is not secret.
    pub(crate) logout_id: String,
    /// The user; absent if there was no session.
    pub(crate) user: Option<String>,
    /// The target of the redirect; absent for the goodbye page.
    pub(crate) target: Option<String>,
    /// The results of the steps, in order.
    pub(crate) steps: Vec<StepReceipt>,
    /// The results for each application that has a logout call, or is known not to need one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) applications: Vec<ApplicationReceipt>,
    /// The results for each further host of the session whose data is to be cleared in the browser.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) hosts: Vec<HostReceipt>,
}

impl Step {
    /// All steps, in their order.
    pub(crate) const ALL: [Self; 6] =
        [Self::End, Self::Cut, Self::Cookies, Self::Application, Self::Answer, Self::Hosts];

    /// The stable id.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Cut => "cut",
            Self::Cookies => "cookies",
            Self::Application => "application",
            Self::Answer => "answer",
            Self::Hosts => "hosts",
        }
    }
}

/// The query parameter with the id.
const ID: &str = "receipt";
/// The query parameter with the user.
const USER: &str = "user";
/// The query parameter with the MAC.
const MAC: &str = "mac";
/// The query parameters with the applications. Their number is limited for the length of the URL; the log has all.
const APPLICATIONS: [&str; 8] = ["app1", "app2", "app3", "app4", "app5", "app6", "app7", "app8"];

/// The query parameters with the hosts: more than the maximum number of redirects.
const HOSTS: [&str; 12] =
    ["host1", "host2", "host3", "host4", "host5", "host6", "host7", "host8", "host9", "host10", "host11", "host12"];

impl Receipt {
    /// The receipt as a query with a MAC, for the page to which the browser is redirected. It contains the counts of
    /// the steps, not their results, so it is only for receipts whose failures are those of applications and hosts.
    pub(crate) fn to_query(&self, keys: &MacKeys) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair(ID, &self.logout_id);
        for step in &self.steps {
            query.append_pair(step.step.id(), &step.count.to_string());
        }
        query.extend_pairs(APPLICATIONS.iter().zip(self.applications.iter().map(ApplicationReceipt::text)));
        query.extend_pairs(HOSTS.iter().zip(self.hosts.iter().map(HostReceipt::text)));
        query.extend_pairs(self.user.iter().map(|user| (USER, user)));
        query.append_pair(MAC, &keys.sign(MacPurpose::Receipt, &bytes(&self.parts())).encode());
        query.finish()
    }

    /// The receipt of a query; `None` if the MAC is not valid. Without it an attacker could craft a link to the page
    /// and choose its text.
    pub(crate) fn from_query(query: &Form, keys: &MacKeys) -> Option<Self> {
        let field = |name: &str| match query.field(&[name]) {
            FormValue::One(text) => Some(text),
            FormValue::Absent | FormValue::Several => None,
        };
        let step = |step: Step| Some(StepReceipt::counted(step, field(step.id())?.parse().ok()?, Duration::ZERO));
        let applications = APPLICATIONS.iter().map_while(|name| ApplicationReceipt::read(field(name)?)).collect();
        let mut receipt = Self {
            logout_id: field(ID)?.to_owned(),
            user: field(USER).map(str::to_owned),
            target: None,
            steps: Step::ALL.into_iter().filter_map(step).collect(),
            applications,
            hosts: HOSTS.iter().map_while(|name| HostReceipt::read(field(name)?)).collect(),
        };
        receipt.judge_applications();
        receipt.judge_hosts();
        let mac = Mac::parse(field(MAC)?.as_bytes())?;
        keys.verify(MacPurpose::Receipt, &bytes(&receipt.parts()), &mac).then_some(receipt)
    }

    /// The parts that the MAC covers.
    fn parts(&self) -> Vec<String> {
        let steps = self.steps.iter().flat_map(|step| [step.step.id().to_owned(), step.count.to_string()]);
        let applications = self.applications.iter().take(APPLICATIONS.len());
        // In pairs, like the steps, so that the optional user at the end is unambiguous.
        let applications = applications.flat_map(|application| ["app".to_owned(), application.text()]);
        let hosts = self.hosts.iter().take(HOSTS.len()).flat_map(|host| ["host".to_owned(), host.text()]);
        let results = steps.chain(applications).chain(hosts);
        std::iter::once(self.logout_id.clone()).chain(results).chain(self.user.clone()).collect()
    }

    /// Records the outcome for a host, and replaces an earlier one.
    pub(crate) fn note_host(&mut self, host: &str, result: HostOutcome) {
        match self.hosts.iter_mut().find(|known| *known.host == *host) {
            Some(known) => known.result = result,
            None => self.hosts.push(HostReceipt { host: host.into(), result }),
        }
        self.judge_hosts();
    }

    /// Updates the step [`Step::Hosts`]: the number of cleared hosts, and whether any failed.
    fn judge_hosts(&mut self) {
        if self.hosts.is_empty() {
            return;
        }
        let count = self.hosts.iter().filter(|host| host.result == HostOutcome::Cleared).count();
        let mut line = StepReceipt::counted(Step::Hosts, count, Duration::ZERO);
        if self.hosts.iter().any(|host| host.result.is_failure()) {
            line.result = StepResult::Failed;
        }
        match self.steps.iter_mut().find(|step| step.step == Step::Hosts) {
            Some(step) => *step = line,
            None => self.steps.push(line),
        }
    }

    /// Records the outcome for an application; of several outcomes the greatest is kept.
    pub(crate) fn add_application(&mut self, more: ApplicationReceipt) {
        match self.applications.iter_mut().find(|known| known.application == more.application) {
            Some(known) => known.result = known.result.max(more.result),
            None => self.applications.push(more),
        }
    }

    /// Marks the step [`Step::Application`] as failed if the outcome for any application is a failure.
    pub(crate) fn judge_applications(&mut self) {
        let failed = |application: &ApplicationReceipt| application.result >= ApplicationOutcome::NotAttempted;
        if let Some(step) = self.steps.iter_mut().find(|step| step.step == Step::Application)
            && self.applications.iter().any(failed)
        {
            step.result = StepResult::Failed;
        }
    }
}

impl ApplicationReceipt {
    /// The outcome and the application, separated by a bar.
    fn text(&self) -> String {
        format!("{}|{}", self.result, self.application)
    }

    fn read(text: &str) -> Option<Self> {
        let (result, application) = text.split_once('|')?;
        Some(Self { application: application.into(), result: ApplicationOutcome::parse(result)? })
    }
}

fn bytes(parts: &[String]) -> Vec<&[u8]> {
    parts.iter().map(String::as_bytes).collect()
}

impl StepReceipt {
    /// Adds the result of the same step for another session.
    pub(crate) fn add(&mut self, other: &Self) {
        self.result = self.result.max(other.result);
        self.count = self.count.saturating_add(other.count);
        self.ms = self.ms.max(other.ms);
    }

    /// A successful step; [`StepResult::Nothing`] if `count` is zero.
    pub(crate) fn counted(step: Step, count: usize, took: Duration) -> Self {
        let result = if count == 0 { StepResult::Nothing } else { StepResult::Done };
        Self { step, result, count, ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::application_outcome::CallFailure;

    fn receipt(user: Option<&str>) -> Receipt {
        let steps = [1, 3, 2, 1, 0].into_iter().zip(Step::ALL);
        let steps = steps.map(|(count, step)| StepReceipt::counted(step, count, Duration::ZERO)).collect();
        let id = "k3f9x2m7qhw4zz5a".to_owned();
        let (user, applications, hosts) = (user.map(str::to_owned), Vec::new(), Vec::new());
        Receipt { logout_id: id, user, target: None, steps, applications, hosts }
    }

    fn application(name: &str, result: ApplicationOutcome) -> ApplicationReceipt {
        ApplicationReceipt { application: name.into(), result }
    }

    fn read(query: &str, keys: &MacKeys) -> Option<Receipt> {
        Receipt::from_query(&Form::parse(query.as_bytes()).unwrap(), keys)
    }

    #[test]
    fn a_receipt_survives_a_redirect() {
        let keys = MacKeys::generate().unwrap();
        for user in [None, Some("alice"), Some("Zoë & co=1")] {
            let query = receipt(user).to_query(&keys);
            assert!(
                query.starts_with("receipt=k3f9x2m7qhw4zz5a&end=1&cut=3&cookies=2&application=1&answer=0&"),
                "{query}"
            );
            assert_eq!(read(&query, &keys), Some(receipt(user)), "{query}");
        }
    }

    #[test]
    fn applications_survive_a_redirect() {
        use ApplicationOutcome::{EndedByCall, Failed};
        let keys = MacKeys::generate().unwrap();
        let failed = Failed(CallFailure::Status(403));
        let mut told = receipt(Some("alice"));
        told.add_application(application("shop.test/", EndedByCall));
        told.add_application(application("/a|b&c", failed));
        told.judge_applications();
        assert_eq!(told.steps[3].result, StepResult::Failed);
        let query = told.to_query(&keys);
        assert_eq!(read(&query, &keys), Some(told.clone()), "{query}");
        for (from, to) in [("403", "404"), ("ended+by+call", "queued"), ("app2=", "app3="), ("shop.test", "evil.test")]
        {
            let other = query.replace(from, to);
            assert_ne!(other, query);
            assert_eq!(read(&other, &keys), None, "{other}");
        }
        (0..20).for_each(|number| told.add_application(application(&number.to_string(), EndedByCall)));
        assert_eq!(read(&told.to_query(&keys), &keys).unwrap().applications, told.applications[..8]);
    }

    #[test]
    fn hosts_survive_a_redirect() {
        use HostOutcome::{Cleared, Kept, Next, NotVisited};
        let keys = MacKeys::generate().unwrap();
        let mut told = receipt(Some("alice"));
        let step = |told: &Receipt| told.steps.last().map(|step| (step.step, step.result, step.count)).unwrap();
        for (host, result, want) in [
            ("shop.test", Next, (Step::Hosts, StepResult::Nothing, 0)),
            ("blog.test", Next, (Step::Hosts, StepResult::Nothing, 0)),
            ("shop.test", Cleared, (Step::Hosts, StepResult::Done, 1)),
            ("blog.test", Kept, (Step::Hosts, StepResult::Failed, 1)),
            ("blog.test", Cleared, (Step::Hosts, StepResult::Done, 2)),
            ("[::1]", NotVisited, (Step::Hosts, StepResult::Failed, 2)),
        ] {
            told.note_host(host, result);
            assert_eq!(step(&told), want, "{host} {result:?}");
            let query = told.to_query(&keys);
            assert_eq!(read(&query, &keys), Some(told.clone()), "{query}");
        }
        let query = told.to_query(&keys);
        for (from, to) in [("not_visited", "cleared"), ("shop.test", "evil.test"), ("host3=", "host4=")] {
            let other = query.replace(from, to);
            assert_ne!(other, query);
            assert_eq!(read(&other, &keys), None, "{other}");
        }
        (0..20).for_each(|number| told.note_host(&number.to_string(), NotVisited));
        assert_eq!(read(&told.to_query(&keys), &keys).unwrap().hosts, told.hosts[..12]);
    }

    #[test]
    fn the_worst_outcome_of_an_application_is_kept() {
        use ApplicationOutcome::{EndedByCall, NotAttempted, Queued};
        let mut told = receipt(None);
        for result in [EndedByCall, NotAttempted, Queued] {
            told.add_application(application("/", result));
        }
        assert_eq!(told.applications, [application("/", NotAttempted)]);
    }

    #[test]
    fn forged_and_changed_receipts_are_refused() {
        let keys = MacKeys::generate().unwrap();
        let query = receipt(Some("alice")).to_query(&keys);
        assert_eq!(read(&query, &MacKeys::generate().unwrap()), None);
        let (without_code, code) = query.split_once("&mac=").unwrap();
        let changed = [
            ("alice", "mallory"),
            ("&user=alice", ""),
            ("&user=alice", "&user=alice&user=alice"),
            ("k3f9", "k3f8"),
            ("end=1", "end=2"),
            ("&end=1", ""),
            ("cut=3", "cut=-3"),
            ("&answer=0&user=alice", "&user=answer&user=0"),
            ("mac=", "mac=A"),
        ];
        for (from, to) in changed {
            let other = query.replace(from, to);
            assert_ne!(other, query);
            assert_eq!(read(&other, &keys), None, "{other}");
        }
        for query in ["", "end=1", without_code, &format!("mac={code}"), &format!("{without_code}&mac=")] {
            assert_eq!(read(query, &keys), None, "{query}");
        }
        let without_user = receipt(None).to_query(&keys);
        assert_eq!(read(&format!("{without_user}&user=mallory"), &keys), None, "a name cannot be added");
    }
}
