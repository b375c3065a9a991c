//! Counters to which every module adds, and their text for Prometheus.
//!
//! Counting is one atomic addition, without a lock. Requests are measured only if `[metrics]` is configured, since that
//! reads the clock twice for each request.

mod histogram;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;

use self::histogram::Histogram;
pub use self::text::Gauges;
use crate::values::end_cause::EndCause;
use crate::values::host_receipt::HostOutcome;
use crate::values::reason::Reason;
use crate::values::receipt::{Receipt, Step, StepResult};

/// The classes of status codes; `none` for exchanges that ended without an answer.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// `N` counters, found by index.
#[derive(Debug)]
struct Counters<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Counters<N> {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; N])
    }
}

impl<const N: usize> Counters<N> {
    fn add(&self, at: usize, count: u64) {
        if let Some(counter) = self.0.get(at) {
            // The counters guard no other memory, so `Relaxed` is enough.
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn get(&self, at: usize) -> u64 {
        self.0.get(at).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

/// The targets of events besides the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuditTarget {
    /// The audit file.
    File,
    /// The webhook.
    Webhook,
}

impl AuditTarget {
    /// All targets.
    pub(crate) const ALL: [Self; 2] = [Self::File, Self::Webhook];

    /// The name of the target as a label.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Webhook => "webhook",
        }
    }
}

/// All counters since the start of the program.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    measures_requests: AtomicBool,
    requests: Counters<{ CLASSES.len() }>,
    durations: Histogram,
    upstreams: Histogram,
    refused: Counters<{ Reason::ALL.len() }>,
    signed_in: AtomicU64,
    sign_in_refused: Counters<{ Reason::ALL.len() }>,
    ended: Counters<{ EndCause::ALL.len() }>,
    steps: [Counters<{ StepResult::ALL.len() }>; Step::ALL.len()],
    reloads: Counters<2>,
    dropped_lines: AtomicU64,
    vault_overflows: AtomicU64,
    audit_written: Counters<{ AuditTarget::ALL.len() }>,
    audit_lost: Counters<{ AuditTarget::ALL.len() }>,
    audit_retries: Counters<{ AuditTarget::ALL.len() }>,
}

impl Metrics {
    /// Enables or disables the measurement of requests.
    pub(crate) fn measure_requests(&self, wanted: bool) {
        self.measures_requests.store(wanted, Ordering::Relaxed);
    }

    /// Whether requests are measured. If not, callers do not read the clock.
    pub(crate) fn measures_requests(&self) -> bool {
        self.measures_requests.load(Ordering::Relaxed)
    }

    /// Counts an exchange; `status` is `None` if it ended before an answer was sent.
    pub(crate) fn request(&self, status: Option<StatusCode>, refused: Option<Reason>, took: Duration) {
        self.requests.add(status.map_or(0, |status| usize::from(status.as_u16() / 100)), 1);
        self.durations.add(took);
        if let Some(reason) = refused {
            self.refused.add(reason as usize, 1);
        }
    }

    /// Counts an answer of an upstream; `took` is the time until its head was received.
    pub(crate) fn upstream_answered(&self, took: Duration) {
        self.upstreams.add(took);
    }

    /// Counts a sign-in.
    pub(crate) fn signed_in(&self) {
        self.signed_in.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refused sign-in.
    pub(crate) fn sign_in_refused(&self, reason: Reason) {
        self.sign_in_refused.add(reason as usize, 1);
    }

    /// Counts the end of a session, and the result of each step.
    pub(crate) fn ended(&self, cause: EndCause, receipt: &Receipt) {
        self.ended.add(cause as usize, 1);
        receipt.steps.iter().for_each(|step| self.step(step.step, step.result));
    }

    /// Counts the clearing of a browser's data on a further host, as a step of its logout.
    pub(crate) fn site_data(&self, outcome: HostOutcome) {
        self.step(Step::Hosts, if outcome.is_failure() { StepResult::Failed } else { StepResult::Done });
    }

    fn step(&self, step: Step, result: StepResult) {
        if let Some(results) = self.steps.get(step as usize) {
            results.add(result as usize, 1);
        }
    }

    /// Counts a reload.
    pub(crate) fn reloaded(&self, refused: bool) {
        self.reloads.add(usize::from(refused), 1);
    }

    /// Counts log lines that were dropped.
    pub(crate) fn dropped_lines(&self, count: u64) {
        self.dropped_lines.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts cookies of applications for which a session's vault had no room.
    pub(crate) fn vault_overflowed(&self, count: u64) {
        self.vault_overflows.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts events that were written or delivered to an audit target.
    pub(crate) fn audit_written(&self, target: AuditTarget, count: u64) {
        self.audit_written.add(target as usize, count);
    }

    /// Counts events that were dropped or given up for an audit target.
    pub(crate) fn audit_lost(&self, target: AuditTarget, count: u64) {
        self.audit_lost.add(target as usize, count);
    }

    /// Counts a failed attempt that will be repeated.
    pub(crate) fn audit_retry(&self, target: AuditTarget) {
        self.audit_retries.add(target as usize, 1);
    }

    /// All metrics in the text format of Prometheus. `gauges` are the values that are not counters.
    pub(crate) fn to_text(self: &Arc<Self>, gauges: Gauges) -> String {
        text::of(self, gauges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::receipt::StepReceipt;

    fn lines(metrics: &Arc<Metrics>) -> Vec<String> {
        let gauges = Gauges { sessions: 7, connections: 9, store_trusted: true, ..Gauges::default() };
        metrics.to_text(gauges).lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_text_has_every_counter() {
        let metrics = Arc::new(Metrics::default());
        metrics.request(Some(StatusCode::OK), None, Duration::from_millis(3));
        metrics.request(Some(StatusCode::FORBIDDEN), Some(Reason::GroupMissing), Duration::from_millis(40));
        metrics.request(None, None, Duration::from_secs(99));
        metrics.upstream_answered(Duration::from_millis(6));
        metrics.signed_in();
        metrics.sign_in_refused(Reason::CredentialsWrong);
        metrics.reloaded(true);
        metrics.audit_written(AuditTarget::File, 4);
        metrics.audit_lost(AuditTarget::Webhook, 5);
        metrics.audit_retry(AuditTarget::Webhook);
        let step = StepReceipt::counted(Step::Cut, 2, Duration::ZERO);
        let (steps, applications, hosts) = (vec![step], Vec::new(), Vec::new());
        let receipt = Receipt { logout_id: "id".into(), user: None, target: None, steps, applications, hosts };
        metrics.ended(EndCause::Revoked, &receipt);
        let lines = lines(&metrics);
        for want in [
            "exeunt_requests_total{status=\"2xx\"} 1",
            "exeunt_requests_total{status=\"4xx\"} 1",
            "exeunt_requests_total{status=\"none\"} 1",
            "exeunt_request_duration_seconds_bucket{le=\"0.005\"} 1",
            "exeunt_request_duration_seconds_bucket{le=\"0.05\"} 2",
            "exeunt_request_duration_seconds_bucket{le=\"+Inf\"} 3",
            "exeunt_request_duration_seconds_count 3",
            "exeunt_upstream_duration_seconds_bucket{le=\"0.01\"} 1",
            "exeunt_upstream_duration_seconds_count 1",
            "exeunt_requests_refused_total{reason=\"group_missing\"} 1",
            "exeunt_sign_ins_total 1",
            "exeunt_sign_ins_refused_total{reason=\"credentials_wrong\"} 1",
            "exeunt_sessions_ended_total{cause=\"revoked\"} 1",
            "exeunt_sessions_ended_total{cause=\"logout\"} 0",
            "exeunt_logout_steps_total{step=\"cut\",result=\"done\"} 1",
            "exeunt_reloads_total{result=\"refused\"} 1",
            "exeunt_audit_events_total{target=\"file\",result=\"written\"} 4",
            "exeunt_audit_events_total{target=\"webhook\",result=\"lost\"} 5",
            "exeunt_audit_retries_total{target=\"webhook\"} 1",
            "exeunt_sessions 7",
            "exeunt_connections 9",
            "exeunt_store_trusted 1",
            "# EOF",
        ] {
            assert!(lines.iter().any(|line| line == want), "{want}\n{}", lines.join("\n"));
        }
    }

    /// A counter is found by the discriminant of its variant, which must be a valid index.
    #[test]
    fn every_variant_has_a_counter() {
        assert!(Reason::ALL.iter().all(|reason| (*reason as usize) < Reason::ALL.len()));
        assert!(EndCause::ALL.iter().all(|cause| (*cause as usize) < EndCause::ALL.len()));
        assert!(Step::ALL.iter().all(|step| (*step as usize) < Step::ALL.len()));
        assert!(StepResult::ALL.iter().all(|result| (*result as usize) < StepResult::ALL.len()));
    }
}
