//! What is known about one client connection while it lives, shared by the task that serves it, by the sweep
//! that keeps its deadlines, and by the exchange that runs on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;

use super::connection_state::{CloseReason, ConnectionState, ConnectionTimeouts, StateWord, Waited};
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
    /// Millisecond of the clock at which the connection ends whatever it does; `u64::MAX`: none.
    end_by: AtomicU64,
    /// Millisecond of the clock by which the head of the application's response is due, or the next piece of it;
    /// `u64::MAX`: nothing is due, [`OVERDUE`]: the time is up, with [`FRESH`]: this many milliseconds from the next
    /// sweep.
    answer_by: AtomicU64,
    waker: AtomicWaker,
    /// The number of the configuration by which the running exchange was judged; [`NOTHING_JUDGED`] between exchanges.
    judged: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// Millisecond of the clock since which more of the client's body is awaited; `u64::MAX`: none is.
    body_awaited_since: AtomicU64,
    /// Milliseconds that this exchange has waited for its client until now: for a body, and until it took an answer.
    waited_for_body: AtomicU64,
    waited_to_send: AtomicU64,
    /// The client has had its time for the body.
    body_is_late: AtomicBool,
    last_key: RememberedKey,
}

/// No exchange is under way that a permit was made for.
const NOTHING_JUDGED: u64 = u64::MAX;
/// Never a real deadline: no patience is that short.
const OVERDUE: u64 = 0;
/// Marks a deadline that has not been started: the sweep starts it, so that the clock is not read for each piece of a
/// response.
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

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// The way to end, from outside, what this connection is doing.
    pub fn cut(&self) -> &Arc<Cut> {
        &self.cut
    }

    /// The session cookie that came over it last.
    pub(super) fn last_key(&self) -> &RememberedKey {
        &self.last_key
    }

    /// Whether the gateway is stopping: the answer should say `Connection: close`.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether its client has not sent anything yet. When the server stops, it has a moment to do so
    /// ([`ConnectionTimeouts::while_stopping`]).
    pub(super) fn is_awaiting_first(&self) -> bool {
        self.state() == ConnectionState::Silent
    }

    /// Bytes that the client has sent in this exchange, head included.
    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// Bytes that were written to the client in this exchange, head included.
    pub(crate) fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    pub(super) fn count_in(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn count_out(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A new exchange begins with the first bytes of its head: this many have been received already.
    pub(super) fn begin_head(&self, bytes: usize) -> bool {
        self.bytes_in.store(bytes as u64, Ordering::Relaxed);
        self.bytes_out.store(0, Ordering::Relaxed);
        self.body_awaited_since.store(u64::MAX, Ordering::Relaxed);
        self.waited_for_body.store(0, Ordering::Relaxed);
        self.waited_to_send.store(0, Ordering::Relaxed);
        self.answer_came();
        self.enter(ConnectionState::Head)
    }

    /// The running exchange was judged by this configuration.
    pub(super) fn note_judged(&self, generation: u64) {
        self.judged.store(generation, Ordering::Release);
    }

    /// The exchange is over, and there is nothing to judge.
    pub(super) fn forget_judged(&self) {
        self.note_judged(NOTHING_JUDGED);
    }

    /// Whether the running exchange was judged by an older configuration than this. It is woken to be judged again.
    pub(super) fn wake_if_judged_before(&self, generation: u64) -> bool {
        let is_before = self.judged.load(Ordering::Acquire) < generation;
        if is_before {
            self.waker.wake();
        }
        is_before
    }

    /// The exchange is over, and with it its cut. False: the connection closes.
    pub(super) fn enter_idle(&self) -> bool {
        if self.is_draining() {
            return false;
        }
        self.cut.disarm();
        self.end_by.store(u64::MAX, Ordering::Release);
        // A server that begins to stop sets the flag before it sets a time: one that was just taken back is not missed.
        self.enter(ConnectionState::Idle) && !self.is_draining()
    }

    /// From now on more of the client's body is awaited.
    pub(super) fn await_body(&self) {
        let now = self.clock.now().millis();
        // A second call while it is awaited does not extend the client's time.
        let _ = self.body_awaited_since.compare_exchange(u64::MAX, now, Ordering::AcqRel, Ordering::Acquire);
    }

    /// More of the body came.
    pub(super) fn body_came(&self) {
        let since = self.body_awaited_since.swap(u64::MAX, Ordering::AcqRel);
        let waited = if since == u64::MAX { 0 } else { self.clock.now().millis().saturating_sub(since) };
        self.waited_for_body.fetch_add(waited, Ordering::Relaxed);
    }

    /// What is wrong with the body of the request.
    pub(super) fn body_fault(&self) -> Option<Reason> {
        self.body_is_late.load(Ordering::Acquire).then_some(Reason::BodyTooSlow)
    }

    /// The client takes again what is sent to it.
    pub(super) fn client_reads_again(&self) {
        let word = StateWord(self.state.load(Ordering::Acquire));
        if word.state() == ConnectionState::Stalled {
            let waited = self.clock.now().millis().saturating_sub(word.since_ms());
            self.waited_to_send.fetch_add(waited, Ordering::Relaxed);
        }
        self.enter(ConnectionState::Exchange);
    }

    /// Goes on to `state`, as of now; false if the connection was ended meanwhile.
    pub(super) fn enter(&self, state: ConnectionState) -> bool {
        let next = StateWord::new(state, self.clock.now().millis());
        self.forgive_stall(next.since_ms());
        self.go_on(|_| next)
    }

    /// The head is whole. An exchange has no limit of time as a whole, so the clock is not read.
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

    /// While its client takes nothing the application is not read, so that time is not its own.
    fn forgive_stall(&self, now_ms: u64) {
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

    /// Ends the connection. The first reason stays.
    pub(super) fn end(&self, ending: CloseReason) {
        if self.enter(ConnectionState::Ended(ending)) {
            self.waker.wake();
        }
    }

    /// Ends the connection at `moment` whatever it does then; an earlier such moment stays.
    pub(super) fn end_by(&self, moment: Moment) {
        self.end_by.fetch_min(moment.millis(), Ordering::AcqRel);
    }

    /// Gives what is running this long from now.
    pub(super) fn end_within(&self, grace: Duration) {
        self.end_by(self.clock.now() + grace);
    }

    /// From now on the application has to send the head of an answer, or its next piece, within `patience`.
    pub(super) fn answer_within(&self, patience: Duration) {
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX) & !FRESH;
        self.answer_by.store(FRESH | patience, Ordering::Release);
    }

    /// Nothing is awaited from the application, or no longer.
    pub(super) fn answer_came(&self) {
        self.answer_by.store(u64::MAX, Ordering::Release);
    }

    /// Whether the application has not answered in time.
    pub(super) fn answer_is_overdue(&self) -> bool {
        self.answer_by.load(Ordering::Acquire) == OVERDUE
    }

    /// Wakes the exchange whose answer is overdue. One that comes at the same moment has come.
    fn sweep_answer(&self, now: Moment) {
        if self.state() != ConnectionState::Exchange {
            return;
        }
        let by = self.answer_by.load(Ordering::Acquire);
        if by != u64::MAX && by & FRESH != 0 {
            let due = now.millis().saturating_add(by & !FRESH);
            // If a piece came at this moment, its own patience begins at the next sweep.
            let _ = self.answer_by.compare_exchange(by, due, Ordering::AcqRel, Ordering::Acquire);
            return;
        }
        let late = by != OVERDUE && by <= now.millis();
        if late && self.answer_by.compare_exchange(by, OVERDUE, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.waker.wake();
        }
    }

    /// Wakes the exchange whose client does not send its body, or lets it trickle.
    fn sweep_body(&self, now: Moment, limits: &ConnectionTimeouts) {
        let since = self.body_awaited_since.load(Ordering::Acquire);
        if since == u64::MAX {
            return;
        }
        let pause = Duration::from_millis(now.millis().saturating_sub(since));
        let before = Duration::from_millis(self.waited_for_body.load(Ordering::Relaxed));
        if limits.body_is_too_slow(Waited { pause, before, bytes: self.bytes_in() })
            && self.body_awaited_since.compare_exchange(since, u64::MAX, Ordering::AcqRel, Ordering::Acquire).is_ok()
        {
            self.body_is_late.store(true, Ordering::Release);
            self.waker.wake();
        }
    }

    /// Ends the connection if its time is up, unless it left the state that timed out at the same moment.
    pub(super) fn sweep(&self, now: Moment, limits: &ConnectionTimeouts) {
        self.sweep_answer(now);
        self.sweep_body(now, limits);
        let word = self.state.load(Ordering::Acquire);
        let (state, since) = (StateWord(word).state(), StateWord(word).since_ms());
        let pause = Duration::from_millis(now.millis().saturating_sub(since));
        let before = Duration::from_millis(self.waited_to_send.load(Ordering::Relaxed));
        if let Some(ending) = limits.close_reason(state, Waited { pause, before, bytes: self.bytes_out() }) {
            let ended = StateWord::new(ConnectionState::Ended(ending), now.millis());
            if self.state.compare_exchange(word, ended.0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                self.waker.wake();
            }
        } else if self.end_by.load(Ordering::Acquire) <= now.millis() {
            self.end(CloseReason::GraceOver);
        }
    }

    /// Ready once the connection was ended. Polled by the task that serves it, and by no other.
    pub(super) fn poll_ended(&self, context: &mut Context<'_>) -> Poll<CloseReason> {
        self.waker.register(context.waker());
        match self.state() {
            ConnectionState::Ended(ending) => Poll::Ready(ending),
            _ => Poll::Pending,
        }
    }
}

/// Ready when what runs on a connection must stop now. A cut with grace only sets the time by which it must be over.
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
    fn a_request_that_begins_in_time_is_not_taken_for_silence() {
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
    fn an_answer_is_overdue_until_something_is_begun_anew() {
        let (clock, clock_handle) = Clock::manual();
        let connection = connection(&clock);
        let sweep = || connection.sweep(clock.now(), &ConnectionTimeouts::of(&ServerSettings::default()));
        connection.enter(ConnectionState::Exchange);
        connection.answer_within(Duration::from_secs(60));
        sweep();
        clock_handle.advance(Duration::from_millis(59_999));
        sweep();
        assert!(!connection.answer_is_overdue());
        connection.answer_came();
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
    fn while_its_client_takes_nothing_no_answer_is_overdue() {
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
    fn nothing_goes_on_after_the_end() {
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
