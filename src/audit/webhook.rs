//! The thread that sends each event to a server: one request for each event, in order, with retries.
//!
//! Requests follow the Standard Webhooks specification, with the headers `webhook-id`, `webhook-timestamp`, and
//! `webhook-signature`, the HMAC-SHA256 of the other two and of the body.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderName, HeaderValue, StatusCode};
use ring::hmac;
use tokio::time::timeout;

use super::outbox::Outbox;
use super::record::AuditRecord;
use super::settings::{WebhookSecrets, WebhookSettings};
use crate::metrics::{AuditTarget, Metrics};
use crate::outbound::{OutboundClient, OutboundError};
use crate::values::time::{Clock, WallTime};

/// The timeout of one attempt.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum number of attempts for one event.
const ATTEMPTS: u32 = 12;

/// The pauses between attempts (exponential backoff).
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    /// The pause after the first attempt; it doubles with each further one.
    pub(super) first: Duration,
    /// The maximum pause.
    pub(super) most: Duration,
}

impl Backoff {
    /// With these pauses all attempts take about five minutes.
    pub(super) const USUAL: Self = Self { first: Duration::from_millis(500), most: Duration::from_secs(60) };

    fn after(self, attempt: u32) -> Duration {
        self.first.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.most)
    }
}

/// Queues events for the thread. Dropping it ends the thread, after one attempt for each queued event.
#[derive(Debug)]
pub(super) struct WebhookTarget {
    outbox: Arc<Outbox>,
    metrics: Arc<Metrics>,
}

impl WebhookTarget {
    /// Starts the thread.
    ///
    /// # Errors
    /// The certificates cannot be used, or the thread cannot be started.
    pub(super) fn open(
        settings: WebhookSettings,
        backoff: Backoff,
        clock: &Clock,
        metrics: &Arc<Metrics>,
    ) -> io::Result<Self> {
        let WebhookSettings { endpoint, secrets, authorities } = settings;
        let client = OutboundClient::new(endpoint, authorities.as_deref())?;
        let outbox = Arc::<Outbox>::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (sent, clock, counted) = (Arc::clone(&outbox), clock.clone(), Arc::clone(metrics));
        let mut delivery = Delivery { client, keys: keys(&secrets), backoff, outbox: sent, clock, metrics: counted };
        thread::Builder::new().name("audit-webhook".into()).spawn(move || runtime.block_on(delivery.run()))?;
        Ok(Self { outbox, metrics: Arc::clone(metrics) })
    }

    /// Queues an event. If the queue is full, the event is dropped and counted.
    pub(super) fn push(&self, record: &AuditRecord) {
        if !self.outbox.push(record) {
            self.metrics.audit_lost(AuditTarget::Webhook, 1);
        }
    }

    /// Waits until every queued event is delivered or given up, at most for `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        self.outbox.flush(patience);
    }

    /// The number of queued events.
    pub(super) fn waiting(&self) -> usize {
        self.outbox.waiting()
    }
}

impl Drop for WebhookTarget {
    fn drop(&mut self) {
        self.outbox.close();
    }
}

fn keys(secrets: &WebhookSecrets) -> Vec<hmac::Key> {
    secrets.each().map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret)).collect()
}

struct Delivery {
    client: OutboundClient,
    keys: Vec<hmac::Key>,
    backoff: Backoff,
    outbox: Arc<Outbox>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Delivery {
    async fn run(&mut self) {
        let mut down = false;
        while let Some(record) = self.outbox.next().await {
            let delivered = self.deliver(&record, &mut down).await;
            match delivered {
                true => self.metrics.audit_written(AuditTarget::Webhook, 1),
                false => self.metrics.audit_lost(AuditTarget::Webhook, 1),
            }
            self.outbox.done();
        }
    }

    /// Sends an event, with retries; `false` if it is given up. `down` says whether the last attempt of all failed.
    async fn deliver(&mut self, record: &AuditRecord, down: &mut bool) -> bool {
        for attempt in 0..ATTEMPTS {
            let failure = match timeout(TIMEOUT, self.send(record)).await {
                Ok(Ok(status)) if status.is_success() => {
                    if std::mem::take(down) {
                        tracing::warn!("the audit webhook accepts events again");
                    }
                    return true;
                }
                Ok(Ok(status)) => format!("status {}", status.as_u16()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} seconds", TIMEOUT.as_secs()),
            };
            if !std::mem::replace(down, true) {
                let waiting = self.outbox.waiting();
                tracing::error!(failure, waiting, "the audit webhook accepts no events: they are queued for a retry");
            }
            if attempt + 1 == ATTEMPTS || self.outbox.closes_within(self.backoff.after(attempt)).await {
                tracing::error!(failure, id = record.id, "an event was not delivered to the audit webhook");
                break;
            }
            self.metrics.audit_retry(AuditTarget::Webhook);
        }
        false
    }

    async fn send(&mut self, record: &AuditRecord) -> Result<StatusCode, OutboundError> {
        let lines = signed(&record.id, self.clock.wall(), &record.json, &self.keys);
        self.client.post(&lines, &record.json).await
    }
}

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The headers that authenticate the sender and the time of sending, by which the receiver refuses replays.
fn signed(id: &str, at: WallTime, body: &Bytes, keys: &[hmac::Key]) -> Vec<(HeaderName, HeaderValue)> {
    let time = at.0.to_string();
    let message = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
    let signatures = keys.iter().map(|key| format!("v1,{}", BASE64.encode(hmac::sign(key, &message).as_ref())));
    let signatures = signatures.collect::<Vec<_>>().join(" ");
    let lines = [(ID, id), (TIMESTAMP, &time), (SIGNATURE, &signatures)];
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    lines.map(|(name, text)| (name, value(text))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secrets = WebhookSecrets::parse(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = Bytes::from_static(b"{\"test\": 2432232314}");
        let lines = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", WallTime(1_614_265_330), &body, &keys(&secrets));
        let want = ["msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="];
        assert_eq!(lines.iter().map(|(_, value)| value.to_str().unwrap()).collect::<Vec<_>>(), want);
    }

    #[test]
    fn pauses_between_attempts_grow_up_to_a_limit() {
        let seconds = |attempt| Backoff::USUAL.after(attempt).as_secs_f32();
        assert_eq!([0, 1, 2, 6, 7, 11, 40].map(seconds), [0.5, 1.0, 2.0, 32.0, 60.0, 60.0, 60.0]);
        let all: f32 = (0..ATTEMPTS - 1).map(seconds).sum();
        assert!((240.0..360.0).contains(&all), "{all} seconds");
    }
}
