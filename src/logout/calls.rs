//! When logout calls are made: at once if a browser waits for them, otherwise from a queue.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::call::LogoutCall;
use super::client::ApplicationClient;
use super::passed_on::PassedOn;
use crate::audit::{Event, Log};
use crate::session::record::Session;
use crate::values::application_outcome::ApplicationOutcome;
use crate::values::receipt::ApplicationReceipt;
use crate::values::time::Clock;

/// The maximum number of queued calls. Each holds the cookies of one session for one host.
const WAITING: usize = 10_000;

/// Makes logout calls, and counts those in the queue.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    client: OnceLock<Arc<dyn ApplicationClient>>,
    waiting: AtomicUsize,
}

/// The logout that a call belongs to.
#[derive(Clone, Debug)]
pub(crate) struct LogoutRef {
    /// The id of the logout.
    pub(crate) logout_id: String,
    /// The session.
    pub(crate) session: Arc<Session>,
    /// The log for the outcome.
    pub(crate) log: Log,
    /// The time.
    pub(crate) clock: Clock,
}

/// A place in the queue, freed when dropped.
struct QueueSlot(Arc<Calls>);

impl Drop for QueueSlot {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Calls {
    /// Sets the client that makes the calls. Later clients are ignored.
    pub(crate) fn set_client(&self, client: Arc<dyn ApplicationClient>) {
        self.client.get_or_init(|| client);
    }

    /// Makes a call now.
    pub(crate) async fn make(&self, call: LogoutCall, part: &LogoutRef) -> ApplicationReceipt {
        let application = call.application().into();
        let Some(client) = self.client.get() else {
            return ApplicationReceipt { application, result: ApplicationOutcome::NotAttempted };
        };
        let receipt = ApplicationReceipt { application, result: call.make(&**client).await };
        part.report(&receipt);
        receipt
    }

    /// Forwards the browser's own request.
    pub(crate) async fn pass_on(&self, request: &PassedOn, part: &LogoutRef) -> ApplicationReceipt {
        let application = request.application().into();
        let Some(client) = self.client.get() else {
            return ApplicationReceipt { application, result: ApplicationOutcome::NotAttempted };
        };
        let receipt = ApplicationReceipt { application, result: request.send(&**client).await };
        part.report(&receipt);
        receipt
    }

    /// Queues a call, if the queue is not full.
    pub(crate) fn queue(self: &Arc<Self>, call: LogoutCall, part: &LogoutRef) -> ApplicationReceipt {
        let application = call.application().into();
        let Some(place) = self.place() else {
            return ApplicationReceipt { application, result: ApplicationOutcome::NotAttempted };
        };
        let (calls, part, turns) = (Arc::clone(self), part.clone(), Arc::clone(&call.route().call_turns));
        tokio::spawn(async move {
            // The semaphore is never closed, so this cannot fail.
            let turn = turns.acquire().await;
            drop(place);
            calls.make(call, &part).await;
            drop(turn);
        });
        ApplicationReceipt { application, result: ApplicationOutcome::Queued }
    }

    /// The number of queued calls.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn place(self: &Arc<Self>) -> Option<QueueSlot> {
        let taken = self
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |waiting| (waiting < WAITING).then_some(waiting + 1));
        taken.is_ok().then(|| QueueSlot(Arc::clone(self)))
    }
}

impl LogoutRef {
    fn report(&self, receipt: &ApplicationReceipt) {
        let (identity, session) = (self.session.identity(), self.session.handle());
        let event = Event::ApplicationLogout {
            user: identity.user(),
            session,
            logout_id: &self.logout_id,
            application: receipt,
        };
        self.log.event(self.clock.wall(), &event);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use async_trait::async_trait;

    use super::super::application::tests::{applications, last, route_with_call};
    use super::super::application::{EndedSession, LogoutAction};
    use super::super::client::{OwnAnswer, OwnRequest};
    use super::*;
    use crate::audit::{Format, LogSettings};
    use crate::routes::pool::Pool;
    use crate::session::record::tests::session;
    use crate::values::application_outcome::CallFailure;
    use crate::values::end_cause::EndCause;
    use crate::values::time::WallTime;

    /// A slow application that counts its concurrent calls.
    #[derive(Debug, Default)]
    struct Slow {
        now: AtomicUsize,
        most: AtomicUsize,
        done: AtomicUsize,
    }

    #[async_trait]
    impl ApplicationClient for Slow {
        async fn send(&self, _: &Pool, _: u64, _: OwnRequest) -> Result<OwnAnswer, CallFailure> {
            self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // After these yields all calls that may run concurrently have begun.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            self.now.fetch_sub(1, Ordering::SeqCst);
            self.done.fetch_add(1, Ordering::SeqCst);
            Ok(OwnAnswer { status: 200, ..OwnAnswer::default() })
        }
    }

    #[test]
    fn eight_at_a_time() {
        const ALL: usize = 40;
        let (of, jars) = (applications(vec![route_with_call("POST /logout")]), [last("app.test", &["sid=1; Path=/"])]);
        let (session, clock, slow) = (session(), Clock::manual().0, Arc::new(Slow::default()));
        let (log, _) = Log::to_memory(LogSettings { format: Format::Text, access: false });
        let leaving = EndedSession {
            session: &session,
            cause: EndCause::Idle,
            jars: &jars,
            browser: None,
            passed_on: None,
            now: WallTime(0),
        };
        let part = LogoutRef { logout_id: "id".into(), session: Arc::clone(&session), log, clock };
        let calls = Arc::new(Calls::default());
        calls.set_client(Arc::<Slow>::clone(&slow));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            for _ in 0..ALL {
                let Some(LogoutAction::Call(call)) = of.due(leaving).pop() else { panic!("no call") };
                assert_eq!(calls.queue(*call, &part).result, ApplicationOutcome::Queued);
            }
            poll_fn(|context| {
                context.waker().wake_by_ref();
                if slow.done.load(Ordering::SeqCst) == ALL { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        });
        assert_eq!(slow.most.load(Ordering::SeqCst), 8);
    }

    #[test]
    fn the_queue_is_limited() {
        let calls = Arc::new(Calls::default());
        let places: Vec<_> = (0..WAITING).map_while(|_| calls.place()).collect();
        assert!(places.len() == WAITING && calls.place().is_none());
        drop(places);
        assert!(calls.place().is_some() && calls.waiting.load(Ordering::SeqCst) == 0);
    }
}
