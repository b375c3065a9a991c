//! One request and its answer: the fields of its access line, and its metrics.

use std::ops::Range;
use std::sync::Arc;

use http::header::{HOST, REFERER, USER_AGENT};
use http::{Method, StatusCode};

use crate::audit::{AccessLine, Format, Log};
use crate::http1::headers::{Headers, RequestHead};
use crate::metrics::Metrics;
use crate::routes::table::Route;
use crate::session::record::Session;
use crate::values::client_address::ClientAddress;
use crate::values::interruption::Interruption;
use crate::values::own_hosts::OwnHosts;
use crate::values::reason::{Reason, Refusal};
use crate::values::reply::Reply;
use crate::values::time::{Clock, Moment};

/// Writes the access line and counts the exchange when it is dropped, so that an exchange which is cut has both, too.
#[derive(Debug)]
pub(crate) struct Exchange {
    record: Option<Box<AccessRecord>>,
    meter: Option<Box<Meter>>,
}

/// Counts and times one exchange.
#[derive(Debug)]
struct Meter {
    metrics: Arc<Metrics>,
    clock: Clock,
    begun: Moment,
    /// When the request was sent to an upstream that has not answered yet.
    handed_over: Option<Moment>,
    status: Option<StatusCode>,
    refused: Option<Reason>,
}

impl Meter {
    fn begin(log: &Log, clock: &Clock) -> Option<Box<Self>> {
        log.metrics().measures_requests().then(|| {
            let (metrics, clock, begun) = (Arc::clone(log.metrics()), clock.clone(), clock.now());
            Box::new(Self { metrics, clock, begun, handed_over: None, status: None, refused: None })
        })
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.metrics.request(self.status, self.refused, self.clock.now().duration_since(self.begun));
    }
}

#[derive(Debug)]
struct AccessRecord {
    log: Log,
    clock: Clock,
    begun: Moment,
    method: Method,
    words: ClientText,
    client: Option<ClientAddress>,
    session: Option<Arc<Session>>,
    route: Option<Arc<Route>>,
    note: Option<&'static str>,
    cut: Option<Interruption>,
    served: Option<Box<str>>,
    detail: Option<Box<str>>,
    status: Option<StatusCode>,
    bytes: u64,
}

/// Texts of the client that the access line needs after the head is gone, in one buffer: `Host`, `User-Agent`,
/// `Referer`, path.
#[derive(Debug, Default)]
struct ClientText {
    bytes: Vec<u8>,
    ends: [usize; 3],
}

impl ClientText {
    fn read(headers: &dyn Headers, raw_target: &[u8], whole: bool) -> Self {
        let line = |name| headers.first(&name).unwrap_or_default();
        let (agent, referer) = if whole { (line(USER_AGENT), line(REFERER)) } else { Default::default() };
        let mut words = Self { bytes: Vec::with_capacity(INITIAL_SIZE), ends: [0; 3] };
        let [host, agent, referer] = [without_user(line(HOST)), agent, without_user(without_query(referer))];
        for (end, word) in words.ends.iter_mut().zip([host, agent, referer]) {
            words.bytes.extend_from_slice(word.get(..MAX_WORD).unwrap_or(word));
            *end = words.bytes.len();
        }
        words.set_path(without_user(without_query(raw_target)));
        words
    }

    fn set_path(&mut self, path: &[u8]) {
        let [.., begin] = self.ends;
        self.bytes.truncate(begin);
        self.bytes.extend_from_slice(path.get(..MAX_WORD).unwrap_or(path));
    }

    /// `Host`, `User-Agent`, `Referer`, path.
    fn split(&self) -> [&[u8]; 4] {
        let [host, agent, referer] = self.ends;
        let range = |range: Range<usize>| self.bytes.get(range).unwrap_or_default();
        [range(0..host), range(host..agent), range(agent..referer), range(referer..self.bytes.len())]
    }
}

/// The initial size of the buffer, which is enough for most requests.
const INITIAL_SIZE: usize = 256;
/// The maximum length of one logged field, in bytes.
const MAX_WORD: usize = 1024;

/// Removes the query of an address: queries are not logged.
fn without_query(address: &[u8]) -> &[u8] {
    memchr::memchr2(b'?', b'#', address).and_then(|end| address.get(..end)).unwrap_or(address)
}

/// Removes a user name and a password from an address (`http://u:p@host/`, `u:p@host`). A path may contain an `@`.
fn without_user(address: &[u8]) -> &[u8] {
    if memchr::memchr(b'@', address).is_none() {
        return address;
    }
    let authority = match memchr::memmem::find(address, b"//") {
        Some(slashes) if slashes == 0 || address.get(slashes - 1) == Some(&b':') => slashes + 2,
        _ if address.starts_with(b"/") => return address,
        _ => 0,
    };
    let rest = address.get(authority..).unwrap_or_default();
    let end = if authority == 0 { rest.len() } else { memchr::memchr(b'/', rest).unwrap_or(rest.len()) };
    let user = rest.get(..end).and_then(|authority| memchr::memrchr(b'@', authority));
    user.map_or(address, |at| rest.get(at + 1..).unwrap_or_default())
}

impl Exchange {
    /// Begins an exchange. Its fields are only collected if access lines are enabled.
    pub(super) fn begin(log: &Log, clock: &Clock, head: RequestHead<'_>) -> Self {
        let meter = Meter::begin(log, clock);
        if !log.wants_access() {
            return Self { record: None, meter };
        }
        let record = AccessRecord {
            log: log.clone(),
            clock: clock.clone(),
            begun: clock.now(),
            method: head.method.clone(),
            words: ClientText::read(head.headers, head.target, log.format() == Format::Combined),
            client: None,
            session: None,
            route: None,
            note: None,
            cut: None,
            served: None,
            detail: None,
            status: None,
            bytes: 0,
        };
        Self { record: Some(Box::new(record)), meter }
    }

    /// Notes the client's address.
    pub(super) fn note_client(&mut self, client: ClientAddress) {
        self.change(|record| record.client = Some(client));
    }

    /// Notes the canonical path.
    pub(super) fn note_path(&mut self, path: &str) {
        self.change(|record| record.words.set_path(path.as_bytes()));
    }

    /// Notes the session.
    pub(super) fn note_session(&mut self, session: Option<&Arc<Session>>) {
        self.change(|record| record.session = session.cloned());
    }

    /// Notes the route.
    pub(super) fn note_route(&mut self, route: &Arc<Route>) {
        self.change(|record| record.route = Some(Arc::clone(route)));
    }

    /// Notes the reason of a refusal.
    pub(crate) fn refused(&mut self, reason: Reason) {
        if let Some(meter) = &mut self.meter {
            meter.refused = Some(reason);
        }
        self.note(reason.id());
    }

    /// Notes a word about it, such as the gateway's own page that answered.
    pub(crate) fn note(&mut self, note: &'static str) {
        self.change(|record| record.note = Some(note));
    }

    /// Notes why the answer or the WebSocket was interrupted. The first note counts.
    pub(crate) fn cut(&mut self, why: Interruption) {
        self.change(|record| record.cut = record.cut.or(Some(why)));
    }

    /// Notes the names that are served, for a request with another `Host`.
    pub(super) fn note_served_hosts(&mut self, hosts: &OwnHosts) {
        self.change(|record| record.served = Some(hosts.list().into()));
    }

    /// Notes the part of the request that caused the refusal, if known.
    pub(super) fn note_refusal(&mut self, refusal: &Refusal) {
        self.change(|record| record.detail = refusal.because.clone());
    }

    /// Notes an answer of the gateway itself, with the reason if it is a refusal.
    pub(crate) fn note_reply(&mut self, reply: &Reply) {
        self.answered(reply.status);
        if let Some(reason) = reply.reason {
            self.refused(reason);
        }
    }

    /// Notes the status of the answer.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        if let Some(meter) = &mut self.meter {
            meter.status = Some(status);
        }
        self.change(|record| record.status = Some(status));
    }

    /// Notes that the request is being sent to an upstream.
    pub(crate) fn handed_over(&mut self) {
        if let Some(meter) = &mut self.meter {
            meter.handed_over = Some(meter.clock.now());
        }
    }

    /// Notes that the upstream has answered.
    pub(crate) fn upstream_answered(&mut self) {
        if let Some(meter) = &mut self.meter
            && let Some(since) = meter.handed_over.take()
        {
            meter.metrics.upstream_answered(meter.clock.now().duration_since(since));
        }
    }

    /// Counts bytes of the answer's body as sent.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.change(|record| record.bytes = record.bytes.saturating_add(bytes));
    }

    fn change(&mut self, change: impl FnOnce(&mut AccessRecord)) {
        if let Some(record) = &mut self.record {
            change(record);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(record) = &self.record else { return };
        let [host, agent, referer, path] = record.words.split();
        let identity = record.session.as_ref().map(|session| session.identity());
        record.log.access(&AccessLine {
            at: record.clock.wall(),
            client: record.client,
            user: identity.as_ref().map(|identity| identity.user()),
            method: record.method.as_str(),
            host,
            path,
            status: record.status,
            bytes: record.bytes,
            took: record.clock.now().duration_since(record.begun),
            route: record.route.as_ref().map(|route| &*route.name),
            note: record.note,
            cut: record.cut,
            served: record.served.as_deref(),
            because: record.detail.as_deref(),
            agent,
            referer,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_and_no_query_is_logged() {
        let cases = [
            ("/a@b?mail=c@d", "/a@b"),
            ("/a//b@c", "/a//b@c"),
            ("/a#b", "/a"),
            ("http://u:p@h/a@b?q", "h/a@b"),
            ("http://u:p@x@h/a", "h/a"),
            ("http://h/a@b", "http://h/a@b"),
            ("http://h", "http://h"),
            ("//u:p@h/a", "h/a"),
            ("u:p@h:443", "h:443"),
            ("http:/u:p@h/a", "h/a"),
            ("http:\\\\u:p@h/a", "h/a"),
            ("*", "*"),
            ("", ""),
        ];
        for (address, want) in cases {
            let shown = without_user(without_query(address.as_bytes()));
            assert_eq!(String::from_utf8_lossy(shown), want, "{address}");
        }
    }
}
