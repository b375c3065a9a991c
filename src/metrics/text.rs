//! The text format for Prometheus (OpenMetrics 1.0). The names are stable.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use super::histogram::Histogram;
use super::{AuditTarget, CLASSES, Counters, Metrics};
use crate::values::end_cause::EndCause;
use crate::values::reason::Reason;
use crate::values::receipt::{Step, StepResult};

/// Values that are measured when the metrics are requested.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    /// Live sessions.
    pub sessions: usize,
    /// Open client connections.
    pub connections: usize,
    /// Whether the session table may be used; `false` if the store has not answered for too long.
    pub store_trusted: bool,
    /// The size of the queue for the audit file, in bytes.
    pub audit_file_waiting: usize,
    /// The length of the queue for the audit webhook, in events.
    pub audit_webhook_waiting: usize,
    /// The number of queued password checks.
    pub passwords_waiting: usize,
    /// The number of queued logout calls to applications.
    pub calls_waiting: usize,
}

/// The counters and gauges of one request for the metrics.
#[derive(Debug)]
struct Scrape {
    metrics: Arc<Metrics>,
    gauges: Gauges,
}

/// All metrics as text.
pub(super) fn of(metrics: &Arc<Metrics>, gauges: Gauges) -> String {
    let mut registry = Registry::with_prefix("exeunt");
    registry.register_collector(Box::new(Scrape { metrics: Arc::clone(metrics), gauges }));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, f64>> = None;

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (metrics, gauges, to) = (&self.metrics, self.gauges, &mut encoder);
        gauge(to, "sessions", "Live sessions", gauges.sessions)?;
        gauge(to, "connections", "Open client connections", gauges.connections)?;
        gauge(to, "store_trusted", "1 while the session table may be used", usize::from(gauges.store_trusted))?;
        gauge(to, "password_checks_waiting", "Passwords that wait to be checked", gauges.passwords_waiting)?;
        let help = "Logout calls to applications that wait for their turn";
        gauge(to, "application_calls_waiting", help, gauges.calls_waiting)?;
        let help = "Bytes that wait for the audit file";
        gauge(to, "audit_file_waiting_bytes", help, gauges.audit_file_waiting)?;
        let help = "Events that wait for the audit webhook";
        gauge(to, "audit_webhook_waiting", help, gauges.audit_webhook_waiting)?;
        counter(to, "log_lines_dropped", "Log lines that were dropped", metrics.dropped_lines.load(Ordering::Relaxed))?;
        let help = "Cookies of applications that were passed to browsers since the vault was full";
        counter(to, "vault_overflows", help, metrics.vault_overflows.load(Ordering::Relaxed))?;
        counter(to, "sign_ins", "Sign-ins", metrics.signed_in.load(Ordering::Relaxed))?;
        let reasons = Reason::ALL.map(|reason| (reason.id(), reason as usize));
        let help = "Sign-ins that were refused, by reason";
        counters(to, "sign_ins_refused", help, "reason", reasons, &metrics.sign_in_refused)?;
        let causes = EndCause::ALL.map(|cause| (cause.id(), cause as usize));
        counters(to, "sessions_ended", "Sessions that this gateway ended, by cause", "cause", causes, &metrics.ended)?;
        self.steps(to)?;
        let results = [("applied", 0), ("refused", 1)];
        counters(to, "reloads", "Reloads of the configuration", "result", results, &metrics.reloads)?;
        self.audit(to)?;
        let classes = std::array::from_fn::<_, { CLASSES.len() }, _>(|at| (CLASSES.get(at).copied().unwrap_or(""), at));
        counters(to, "requests", "Requests, by class of the status", "status", classes, &metrics.requests)?;
        counters(to, "requests_refused", "Requests that were refused, by reason", "reason", reasons, &metrics.refused)?;
        self.durations(to)
    }
}

impl Scrape {
    fn steps(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Steps of the ends of sessions, by result";
        let mut family = encoder.encode_descriptor("logout_steps", help, None, MetricType::Counter)?;
        for (step, results) in Step::ALL.iter().zip(&self.metrics.steps) {
            for result in StepResult::ALL {
                let labels = [("step", step.id()), ("result", result.id())];
                family.encode_family(&labels)?.encode_counter(&results.get(result as usize), NO_EXEMPLAR)?;
            }
        }
        Ok(())
    }

    fn audit(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Events that an audit target has, or will never have";
        let mut family = encoder.encode_descriptor("audit_events", help, None, MetricType::Counter)?;
        for (result, events) in [("written", &self.metrics.audit_written), ("lost", &self.metrics.audit_lost)] {
            for target in AuditTarget::ALL {
                let labels = [("target", target.id()), ("result", result)];
                family.encode_family(&labels)?.encode_counter(&events.get(target as usize), NO_EXEMPLAR)?;
            }
        }
        let targets = AuditTarget::ALL.map(|target| (target.id(), target as usize));
        let help = "Attempts of an audit target that failed and are made again";
        counters(encoder, "audit_retries", help, "target", targets, &self.metrics.audit_retries)
    }

    fn durations(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "From the head of a request to the end of its answer";
        histogram(encoder, "request_duration_seconds", help, &self.metrics.durations)?;
        let help = "From a connection to an upstream to the head of its answer";
        histogram(encoder, "upstream_duration_seconds", help, &self.metrics.upstreams)
    }
}

fn histogram(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, durations: &Histogram) -> fmt::Result {
    let (sum, buckets) = durations.read();
    let count = buckets.iter().map(|(_, count)| count).sum();
    let mut histogram = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    histogram.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: usize) -> fmt::Result {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Counter)?.encode_counter(&value, NO_EXEMPLAR)
}

/// One counter for each value of a label.
fn counters<const N: usize, const M: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: [(&'static str, usize); M],
    values_of: &Counters<N>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (value, at) in values {
        let labels = [(label, value)];
        family.encode_family(&labels)?.encode_counter(&values_of.get(at), NO_EXEMPLAR)?;
    }
    Ok(())
}
