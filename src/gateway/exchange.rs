//! One request and its answer, from the gateway's side: what the access line will say, and the way out.

use std::sync::Arc;

use http::header::{REFERER, USER_AGENT};
use http::{StatusCode, request};

use crate::audit::{AccessLine, Log};
use crate::routes::table::Route;
use crate::session::record::Session;
use crate::values::client_address::ClientAddress;
use crate::values::reason::Reason;
use crate::values::reply::Reply;
use crate::values::time::{Clock, Moment};

/// Writes the access line when it is dropped, so that an exchange which is cut has one too.
#[derive(Debug)]
pub struct Exchange {
    record: Option<Box<Record>>,
}

#[derive(Debug)]
struct Record {
    log: Log,
    clock: Clock,
    begun: Moment,
    method: String,
    host: String,
    path: String,
    agent: String,
    referer: String,
    client: Option<ClientAddress>,
    session: Option<Arc<Session>>,
    route: Option<Arc<Route>>,
    note: Option<&'static str>,
    status: Option<StatusCode>,
    bytes: u64,
}

impl Exchange {
    /// Begins an exchange. Nothing is kept of it if nobody reads access lines.
    pub(super) fn begin(log: &Log, clock: &Clock, head: &request::Parts, raw_target: &[u8]) -> Self {
        if !log.wants_access() {
            return Self { record: None };
        }
        let header = |name| {
            head.headers
                .get(name)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .unwrap_or_default()
        };
        let path = raw_target.split(|&byte| byte == b'?').next().unwrap_or_default();
        let record = Record {
            log: log.clone(),
            clock: clock.clone(),
            begun: clock.now(),
            method: head.method.to_string(),
            host: header(http::header::HOST),
            path: String::from_utf8_lossy(path).into_owned(),
            agent: header(USER_AGENT),
            referer: without_query(header(REFERER)),
            client: None,
            session: None,
            route: None,
            note: None,
            status: None,
            bytes: 0,
        };
        Self { record: Some(Box::new(record)) }
    }

    /// Notes where it comes from.
    pub(super) fn comes_from(&mut self, client: ClientAddress) {
        self.change(|record| record.client = Some(client));
    }

    /// Notes the path as it is judged.
    pub(super) fn asks_for(&mut self, path: &str) {
        self.change(|record| path.clone_into(&mut record.path));
    }

    /// Notes whose it is.
    pub(super) fn belongs_to(&mut self, session: Option<&Arc<Session>>) {
        self.change(|record| record.session = session.cloned());
    }

    /// Notes the route that covers it.
    pub(super) fn goes_to(&mut self, route: &Arc<Route>) {
        self.change(|record| record.route = Some(Arc::clone(route)));
    }

    /// Notes why it was refused.
    pub fn refused(&mut self, reason: Reason) {
        self.note(reason.id());
    }

    /// Notes something about it, the gateway's page that answered for one.
    pub fn note(&mut self, note: &'static str) {
        self.change(|record| record.note = Some(note));
    }

    /// Notes an answer of the gateway's own, and why it refuses.
    pub fn replied(&mut self, reply: &Reply) {
        self.answered(reply.status);
        reply.reason.iter().for_each(|&reason| self.refused(reason));
    }

    /// Notes the status of the answer.
    pub fn answered(&mut self, status: StatusCode) {
        self.change(|record| record.status = Some(status));
    }

    /// Notes that so many bytes of the body went out.
    pub fn sent(&mut self, bytes: u64) {
        self.change(|record| record.bytes = record.bytes.saturating_add(bytes));
    }

    fn change(&mut self, change: impl FnOnce(&mut Record)) {
        if let Some(record) = &mut self.record {
            change(record);
        }
    }
}

/// Queries are not logged, wherever they stand.
fn without_query(mut address: String) -> String {
    address.truncate(address.find(['?', '#']).unwrap_or(address.len()));
    address
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(record) = &self.record else { return };
        record.log.access(&AccessLine {
            at: record.clock.wall(),
            client: record.client,
            user: record.session.as_ref().map(|session| session.identity().user()),
            method: &record.method,
            host: &record.host,
            path: &record.path,
            status: record.status,
            bytes: record.bytes,
            took: record.clock.now().duration_since(record.begun),
            route: record.route.as_ref().map(|route| route.to_string()),
            note: record.note,
            agent: &record.agent,
            referer: &record.referer,
        });
    }
}
