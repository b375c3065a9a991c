//! What is kept of one exchange while the engine carries it.

use std::sync::Arc;

use http::StatusCode;

use super::connection::Connection;
use super::dispatch::Dispatch;
use crate::gateway::{Exchange, Forward};
use crate::values::reason::Reason;

/// One exchange. Dropped with it, whether it finished or was cut.
#[derive(Default)]
pub struct Context {
    pub(super) connection: Option<Arc<Connection>>,
    pub(super) forward: Option<Box<Forward>>,
    pub(super) dispatch: Option<Dispatch>,
    pub(super) exchange: Option<Exchange>,
    waits: Waits,
    interim: u8,
}

/// Interim answers (1xx) that one exchange may have.
const MAX_INTERIM: u8 = 32;

/// What an exchange that is forwarded waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Waits {
    /// The whole of the request: the client has its own time for that.
    #[default]
    Request,
    /// The head of an answer, which the application owes.
    Answer,
    /// The next piece of its body: what has begun may take its time, but not for ever.
    Piece,
}

impl Context {
    /// The client has done its part: from now on the application owes an answer.
    pub(super) fn request_complete(&mut self) {
        if self.waits == Waits::Request {
            self.waits = Waits::Answer;
            self.expect_answer();
        }
    }

    /// A head came; an interim one is a sign of life, and gives the application its time anew. False: it has given
    /// more of them than any application needs, or switches protocols, which nobody asked for on this way.
    pub(super) fn head_came(&mut self, status: StatusCode) -> bool {
        self.interim = self.interim.saturating_add(u8::from(status.is_informational()));
        if !status.is_informational() {
            self.waits = Waits::Piece;
            self.piece_came(false);
        } else if self.waits == Waits::Answer {
            self.expect_answer();
        }
        self.interim <= MAX_INTERIM && status != StatusCode::SWITCHING_PROTOCOLS
    }

    /// A piece of the answer's body came, or its end.
    pub(super) fn piece_came(&self, last: bool) {
        match (&self.connection, &self.dispatch) {
            (Some(connection), Some(dispatch)) if !last => connection.answer_within(dispatch.stream_patience()),
            (Some(connection), _) => connection.answer_came(),
            (None, _) => {}
        }
    }

    fn expect_answer(&self) {
        if let (Some(connection), Some(dispatch)) = (&self.connection, &self.dispatch) {
            connection.answer_within(dispatch.patience());
        }
    }

    /// Whether the application has not answered in time, or fell silent within its answer.
    pub(super) fn answer_is_overdue(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.answer_is_overdue())
    }

    /// What is wrong with the request's body.
    pub(super) fn body_fault(&self) -> Option<Reason> {
        self.connection.as_ref().and_then(|connection| connection.body_fault())
    }

    /// Gives the exchange to somebody who outlives the engine's part of it.
    pub(super) fn take_exchange(&mut self) -> Option<Exchange> {
        self.exchange.take()
    }

    /// Changes what the access line will say, if there is to be one.
    pub(super) fn exchange(&mut self, change: impl FnOnce(&mut Exchange)) {
        if let Some(exchange) = &mut self.exchange {
            change(exchange);
        }
    }

    /// Notes the answer's status.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.exchange(|exchange| exchange.answered(status));
    }

    /// Notes why there is none of the application.
    pub(super) fn refused(&mut self, reason: Reason) {
        self.exchange(|exchange| exchange.refused(reason));
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if let (Some(exchange), Some(connection)) = (&mut self.exchange, &self.connection) {
            exchange.sent(connection.bytes_out());
        }
    }
}
