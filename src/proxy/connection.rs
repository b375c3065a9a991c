//! The state of one client connection, shared by the task that serves it, the sweep that enforces its deadlines, and
//! the exchange that runs on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;

use super::connection_state::{CloseReason, ConnectionState, ConnectionTimeouts, StateWord, WaitTimes};
use crate::session::live::Cut;
use crate::values::client_address::Peer;
use crate::values::reason::Reason;
use crate::values::remembered_key::RememberedKey;
use crate::values::time::{Clock, Moment};

/// One client connection.
#[derive(Debug)]
pub struct Connection {
    peer: Peer,
    cut: Arc<Cut>,
    clock: Clock,
    draining: Arc<AtomicBool>,
    state: AtomicU64,
    /// The time at which the connection ends in any state, in milliseconds of the clock; `u64::MAX` for none.
    end_by: AtomicU64,
    /// The deadline for the head of the application's response, or for its next piece, in milliseconds of the clock.
    /// `u64::MAX` for none; [`OVERDUE`] if it has passed; with [`FRESH`] it is a duration that starts at the next
    /// sweep.
    answer_by: AtomicU64,
    waker: AtomicWaker,
    /// The generation of the configuration by which the running exchange was judged; [`NOTHING_JUDGED`] between
    /// exchanges.
    judged: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// Since when more of the client's body is awaited, in milliseconds of the clock; `u64::MAX` if nothing is awaited.
    body_awaited_since: AtomicU64,
    /// How long this exchange has waited for its client so far, in milliseconds: for the body, and for the client to
    /// take the answer.
    waited_for_body: AtomicU64,
    waited_to_send: AtomicU64,
    /// Whether the time for the body is over.
    body_is_late: AtomicBool,
    last_key: RememberedKey,
}

/// No exchange with a permit is running.
const NOTHING_JUDGED: u64 = u64::MAX;
/// The deadline has passed. Real deadlines are never zero.
const OVERDUE: u64 = 0;
/// Marks a deadline that the next sweep has to start, so that the clock is not read for each piece of a response.
const FRESH: u64 = 1 << 63;

impl Connection {
    pub(super) fn new(peer: Peer, clock: Clock, draining: Arc<AtomicBool>) -> Arc<Self> {
        let now = clock.now().millis();
        Arc::new(Self {
            peer,
            cut: Cut::new(),
            clock,
            draining,
            state: AtomicU64::new(StateWord::new(ConnectionState::Silent, now).0),
            end_by: AtomicU64::new(u64::MAX),
            answer_by: AtomicU64::new(u64::MAX),
            waker: AtomicWaker::new(),
            judged: AtomicU64::new(NOTHING_JUDGED),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            body_awaited_since: AtomicU64::new(u64::MAX),
            waited_for_body: AtomicU64::new(0),
            waited_to_send: AtomicU64::new(0),
            body_is_late: AtomicBool::new(false),
            last_key: RememberedKey::default(),
        })
    }

    /// The peer.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// The signal that cuts what this connection is doing.
    pub fn cut(&self) -> &Arc<Cut> {
        &self.cut
    }

    /// The last session cookie on this connection.
    pub(super) fn last_key(&self) -> &RememberedKey {
        &self.last_key
    }

    /// Whether the gateway is stopping, so that the answer should have `Connection: close`.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether its client has not sent anything yet. When the server stops, such a client gets a short time to do so
    /// ([`ConnectionTimeouts::while_stopping`]).
    pub(super) fn is_awaiting_first(&self) -> bool {
        self.state() == ConnectionState::Silent
    }

    /// The number of bytes that the client has sent in this exchange, head included.
    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// The number of bytes that were written to the client in this exchange, head included.
    pub(crate) fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    pub(super) fn count_in(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn count_out(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Begins a new exchange, with this many bytes of its head received.
    pub(super) fn begin_head(&self, bytes: usize) -> bool {
        self.bytes_in.store(bytes as u64, Ordering::Relaxed);
        self.bytes_out.store(0, Ordering::Relaxed);
        self.body_awaited_since.store(u64::MAX, Ordering::Relaxed);
        self.waited_for_body.store(0, Ordering::Relaxed);
        self.waited_to_send.store(0, Ordering::Relaxed);
        self.answer_arrived();
        self.enter(ConnectionState::Head)
    }

    /// Notes that the running exchange was judged by this configuration.
    pub(super) fn note_judged(&self, generation: u64) {
        self.judged.store(generation, Ordering::Release);
    }

    /// Notes that the exchange is over and need not be judged again.
    pub(super) fn forget_judged(&self) {
        self.note_judged(NOTHING_JUDGED);
    }

    /// Whether the running exchange was judged by an older configuration than this; if so, wakes it to be judged again.
    pub(super) fn wake_if_judged_before(&self, generation: u64) -> bool {
        let is_before = self.judged.load(Ordering::Acquire) < generation;
        if is_before {
            self.waker.wake();
        }
        is_before
    }

    /// Ends the exchange and its cut. False if the connection has to be closed.
    pub(super) fn enter_idle(&self) -> bool {
        if self.is_draining() {
            return false;
        }
        self.cut.disarm();
        self.end_by.store(u64::MAX, Ordering::Release);
        // A stopping server sets the flag before the deadline, so that a deadline which was just reset is not missed.
        self.enter(ConnectionState::Idle) && !self.is_draining()
    }

    /// Starts to wait for more of the client's body.
    pub(super) fn await_body(&self) {
        let now = self.clock.now().millis();
        // A second call while it is awaited does not extend the client's time.
        let _ = self.body_awaited_since.compare_exchange(u64::MAX, now, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Notes that more of the body has arrived.
    pub(super) fn body_arrived(&self) {
        let since = self.body_awaited_since.swap(u64::MAX, Ordering::AcqRel);
        let waited = if since == u64::MAX { 0 } else { self.clock.now().millis().saturating_sub(since) };
        self.waited_for_body.fetch_add(waited, Ordering::Relaxed);
    }

    /// The problem of the request's body, if it is too slow.
    pub(super) fn body_fault(&self) -> Option<Reason> {
        self.body_is_late.load(Ordering::Acquire).then_some(Reason::BodyTooSlow)
    }

    /// Notes that the client takes data again.
    pub(super) fn client_reads_again(&self) {
        let word = StateWord(self.state.load(Ordering::Acquire));
        if word.state() == ConnectionState::Stalled {
            let waited = self.clock.now().millis().saturating_sub(word.since_ms());
            self.waited_to_send.fetch_add(waited, Ordering::Relaxed);
        }
        self.enter(ConnectionState::Exchange);
    }

    /// Changes to `state` at the current time; false if the connection was ended meanwhile.
    pub(super) fn enter(&self, state: ConnectionState) -> bool {
        let next = StateWord::new(state, self.clock.now().millis());
        self.extend_by_stall(next.since_ms());
        self.go_on(|_| next)
    }

    /// Notes that the head is complete. An exchange has no time limit as a whole, so the clock is not read.
    pub(super) fn begin_exchange(&self) -> bool {
        self.go_on(|word| StateWord::new(ConnectionState::Exchange, word.since_ms()))
    }

    fn go_on(&self, next: impl Fn(StateWord) -> StateWord) -> bool {
        let unless_ended = |word| match StateWord(word).state() {
            ConnectionState::Ended(_) => None,
            _ => Some(next(StateWord(word)).0),
        };
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, unless_ended).is_ok()
    }

    /// Extends the application's deadline by the time in which its client took nothing, since the application was not
    /// read meanwhile.
    fn extend_by_stall(&self, now_ms: u64) {
        let word = StateWord(self.state.load(Ordering::Acquire));
        if word.state() == ConnectionState::Stalled {
            let stalled = now_ms.saturating_sub(word.since_ms());
            let later = |by: u64| (by != OVERDUE && by & FRESH == 0).then_some(by.saturating_add(stalled));
            let _ = self.answer_by.fetch_update(Ordering::AcqRel, Ordering::Acquire, later);
        }
    }

    pub(super) fn state(&self) -> ConnectionState {
        StateWord(self.state.load(Ordering::Acquire)).state()
    }

    /// Ends the connection. The first reason counts.
    pub(super) fn end(&self, ending: CloseReason) {
        if self.enter(ConnectionState::Ended(ending)) {
            self.waker.wake();
        }
    }

    /// Ends the connection at `moment` in any state; an earlier such deadline stays.
    pub(super) fn end_by(&self, moment: Moment) {
        self.end_by.fetch_min(moment.millis(), Ordering::AcqRel);
    }

    /// Ends what is running after this time.
    pub(super) fn end_within(&self, grace: Duration) {
        self.end_by(self.clock.now() + grace);
    }

    /// Sets the deadline for the head of the application's answer, or its next piece, to `patience` from now.
    pub(super) fn answer_within(&self, patience: Duration) {
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX) & !FRESH;
        self.answer_by.store(FRESH | patience, Ordering::Release);
    }

    /// Clears the deadline of the application.
    pub(super) fn answer_arrived(&self) {
        self.answer_by.store(u64::MAX, Ordering::Release);
    }

    /// Whether the application has not answered in time.
    pub(super) fn answer_is_overdue(&self) -> bool {
        self.answer_by.load(Ordering::Acquire) == OVERDUE
    }

    /// Wakes the exchange if its answer is overdue. An answer that arrives at the same time is in time.
    fn sweep_answer(&self, now: Moment) {
        if self.state() != ConnectionState::Exchange {
            return;
        }
        let by = self.answer_by.load(Ordering::Acquire);
        if by != u64::MAX && by & FRESH != 0 {
            let due = now.millis().saturating_add(by & !FRESH);
            // If a piece arrives at this moment, its own deadline starts at the next sweep.
            let _ = self.answer_by.compare_exchange(by, due, Ordering::AcqRel, Ordering::Acquire);
            return;
        }
        let late = by != OVERDUE && by <= now.millis();
        if late && self.answer_by.compare_exchange(by, OVERDUE, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.waker.wake();
        }
    }

    /// Wakes the exchange if its client sends the body too slowly.
    fn sweep_body(&self, now: Moment, limits: &ConnectionTimeouts) {
        let since = self.body_awaited_since.load(Ordering::Acquire);
        if since == u64::MAX {
            return;
        }
        let pause = Duration::from_millis(now.millis().saturating_sub(since));
        let before = Duration::from_millis(self.waited_for_body.load(Ordering::Relaxed));
        if limits.body_is_too_slow(WaitTimes { pause, before, bytes: self.bytes_in() })
            && self.body_awaited_since.compare_exchange(since, u64::MAX, Ordering::AcqRel, Ordering::Acquire).is_ok()
        {
            self.body_is_late.store(true, Ordering::Release);
            self.waker.wake();
        }
    }

    /// Ends the connection if its time is over, unless it leaves that state at the same moment.
    pub(super) fn sweep(&self, now: Moment, limits: &ConnectionTimeouts) {
        self.sweep_answer(now);
        self.sweep_body(now, limits);
        let word = self.state.load(Ordering::Acquire);
        let (state, since) = (StateWord(word).state(), StateWord(word).since_ms());
        let pause = Duration::from_millis(now.millis().saturating_sub(since));
        let before = Duration::from_millis(self.waited_to_send.load(Ordering::Relaxed));
        if let Some(ending) = limits.close_reason(state, WaitTimes { pause, before, bytes: self.bytes_out() }) {
            let ended = StateWord::new(ConnectionState::Ended(ending), now.millis());
            if self.state.compare_exchange(word, ended.0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                self.waker.wake();
            }
        } else if self.end_by.load(Ordering::Acquire) <= now.millis() {
            self.end(CloseReason::GraceOver);
        }
    }

    /// Ready once the connection has been ended. Only the task that serves it may poll this.
    pub(super) fn poll_ended(&self, context: &mut Context<'_>) -> Poll<CloseReason> {
        self.waker.register(context.waker());
        match self.state() {
            ConnectionState::Ended(ending) => Poll::Ready(ending),
            _ => Poll::Pending,
        }
    }
}

/// Ready when what runs on a connection must stop now. A cut with grace only sets its deadline.
pub(super) fn poll_interrupted(connection: &Connection, context: &mut Context<'_>) -> Poll<CloseReason> {
    if let Poll::Ready(ending) = connection.poll_ended(context) {
        return Poll::Ready(ending);
    }
    match connection.cut().poll_signalled(context) {
        Poll::Ready(grace) if grace.is_zero() => Poll::Ready(CloseReason::Cut),
        Poll::Ready(grace) => {
            connection.end_within(grace);
            Poll::Pending
        }
        Poll::Pending => Poll::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::settings::ServerSettings;

    fn connection(clock: &Clock) -> Arc<Connection> {
        Connection::new(Peer::Unix, clock.clone(), Arc::default())
    }

    #[test]
    fn a_request_that_begins_in_time_does_not_time_out() {
        let (clock, clock_handle) = Clock::manual();
        let connection = connection(&clock);
        clock_handle.advance(Duration::from_secs(9));
        assert!(connection.begin_head(1));
        clock_handle.advance(Duration::from_secs(2));
        connection.sweep(clock.now(), &ConnectionTimeouts::of(&ServerSettings::default()));
        assert_eq!(connection.state(), ConnectionState::Head);
        clock_handle.advance(Duration::from_secs(8));
        connection.sweep(clock.now(), &ConnectionTimeouts::of(&ServerSettings::default()));
        assert_eq!(connection.state(), ConnectionState::Ended(CloseReason::HeadTimeout));
    }

    #[test]
    fn an_answer_is_overdue_until_a_new_deadline_is_set() {
        let (clock, clock_handle) = Clock::manual();
        let connection = connection(&clock);
        let sweep = || connection.sweep(clock.now(), &ConnectionTimeouts::of(&ServerSettings::default()));
        connection.enter(ConnectionState::Exchange);
        connection.answer_within(Duration::from_secs(60));
        sweep();
        clock_handle.advance(Duration::from_millis(59_999));
        sweep();
        assert!(!connection.answer_is_overdue());
        connection.answer_arrived();
        clock_handle.advance(Duration::from_secs(60));
        sweep();
        assert!(!connection.answer_is_overdue());
        connection.answer_within(Duration::from_secs(60));
        sweep();
        clock_handle.advance(Duration::from_secs(60));
        sweep();
        assert!(connection.answer_is_overdue());
        sweep();
        assert!(connection.answer_is_overdue() && connection.state() == ConnectionState::Exchange);
        connection.begin_head(1);
        assert!(!connection.answer_is_overdue());
    }

    #[test]
    fn an_answer_is_not_overdue_while_its_client_stalls() {
        let (clock, clock_handle) = Clock::manual();
        let connection = connection(&clock);
        let sweep = || connection.sweep(clock.now(), &ConnectionTimeouts::of(&ServerSettings::default()));
        connection.enter(ConnectionState::Exchange);
        connection.answer_within(Duration::from_secs(10));
        sweep();
        clock_handle.advance(Duration::from_secs(4));
        connection.enter(ConnectionState::Stalled);
        clock_handle.advance(Duration::from_secs(20));
        sweep();
        assert!(!connection.answer_is_overdue());
        connection.enter(ConnectionState::Exchange);
        clock_handle.advance(Duration::from_millis(5_999));
        sweep();
        assert!(!connection.answer_is_overdue());
        clock_handle.advance(Duration::from_millis(1));
        sweep();
        assert!(connection.answer_is_overdue());
    }

    #[test]
    fn an_ended_connection_changes_no_state() {
        let (clock, _) = Clock::manual();
        let connection = connection(&clock);
        connection.end(CloseReason::Stopped);
        connection.end(CloseReason::Cut);
        assert!(!connection.begin_head(1));
        assert_eq!(connection.state(), ConnectionState::Ended(CloseReason::Stopped));
    }

    #[test]
    fn the_earliest_grace_counts() {
        let (clock, clock_handle) = Clock::manual();
        let connection = connection(&clock);
        connection.enter(ConnectionState::Exchange);
        connection.end_within(Duration::from_secs(5));
        connection.end_within(Duration::from_secs(50));
        clock_handle.advance(Duration::from_secs(5));
        connection.sweep(clock.now(), &ConnectionTimeouts::of(&ServerSettings::default()));
        assert_eq!(connection.state(), ConnectionState::Ended(CloseReason::GraceOver));
    }
}
