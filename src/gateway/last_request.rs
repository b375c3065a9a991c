//! A request to an application's own logout link: its head is written while the session is alive, and sent by the
//! logout after the end; and the application's answer.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::SET_COOKIE;

use super::assembled::Assembled;
use super::forward::Forward;
use crate::admission::head_rules::RequestContext;
use crate::admission::upstream_response::CookieEdits;
use crate::http1::head_lines::HeadFields;
use crate::http1::header_edits::HeaderEdit;
use crate::http1::headers::{Headers, RequestHead};
use crate::logout::client::OwnRequest;
use crate::logout::passed_on::PassedOn;
use crate::routes::table::Route;
use crate::values::reason::Reason;
use crate::values::reply::Reply;
use crate::vault::answer::is_deletion;

/// Such a request, whose exchange is no longer registered with the session, since the end would cut it.
#[derive(Debug)]
pub(super) struct LastRequest {
    request: Arc<PassedOn>,
    route: Arc<Route>,
    context: RequestContext,
}

impl LastRequest {
    /// The request with this head, whose lines are `fields`, as its permit allows it. The permit is dropped here.
    pub(super) fn written(forward: &Forward, head: RequestHead<'_>, fields: &HeadFields) -> Option<Self> {
        let target = String::from_utf8(forward.target().unwrap_or(head.target).to_vec()).ok()?;
        let mut lines = BytesMut::new();
        forward.put_request(&mut lines, fields);
        let request = OwnRequest { method: head.method.clone(), target, lines, body: Bytes::new() };
        let request = Arc::new(PassedOn::new(forward.route(), forward.session()?, forward.affinity(), request));
        Some(Self { request, route: Arc::clone(forward.route()), context: forward.context().clone() })
    }

    /// The request, for the pipeline.
    pub(super) fn request(&self) -> &Arc<PassedOn> {
        &self.request
    }

    /// Provides the body that the browser has sent.
    pub(super) fn give_body(&self, body: &Result<Bytes, Reason>) {
        self.request.give_body(body.as_ref().ok().cloned());
    }

    /// The application's answer, if it has signed the user out. Of its cookies only deletions are kept.
    pub(super) fn answer(&self, assembled: &Assembled) -> Option<Reply> {
        let answer = self.request.answer()?;
        let (status, head) = (StatusCode::from_u16(answer.status).ok()?, answer.head.as_ref()?);
        let headers: &dyn Headers = head;
        let (cookie, now) = (&assembled.cookie, assembled.clock.wall());
        let deletions = headers.lines(&SET_COOKIE).filter(|line| !cookie.is_set_by(line) && is_deletion(line, now));
        let deletions = deletions.filter_map(|line| line.try_into().ok());
        let mut edits = vec![HeaderEdit::Remove(SET_COOKIE)];
        edits.extend(deletions.map(|line| HeaderEdit::Add(SET_COOKIE, line)));
        let cookies = CookieEdits { lines: edits, expires: true };
        let headers = assembled.heads.last_answer(status, head, &self.route, &self.context, cookies);
        Some(Reply { status, headers, body: answer.body.clone().into(), reason: None })
    }
}
