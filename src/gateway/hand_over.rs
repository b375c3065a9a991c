//! Handing a session over from the login host to another own host ([`super::elsewhere`] is the way).

use std::sync::Arc;

use http::header::{LOCATION, REFRESH, SET_COOKIE};
use http::{HeaderValue, StatusCode};

use super::Gateway;
use super::answers::{self, Audience};
use super::app_cookies::host_name;
use super::built_in_pages::signed_in_page;
use super::elsewhere::{self, Asked, Entering};
use super::sign_in_out::SignInOutRequest;
use crate::login::sign_in::take_over_cookies;
use crate::logout::ending::Carried;
use crate::logout::run::Which;
use crate::session::hand_over::NotOffered;
use crate::session::record::Session;
use crate::session::store::{HostKey, Unavailable};
use crate::values::end_cause::EndCause;
use crate::values::reason::Reason;
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;
use crate::values::session_id::SessionId;

impl Gateway {
    /// Sends a browser back to the host that asked for its session.
    pub(super) fn offer(&self, request: &SignInOutRequest, asked: &Asked) -> Reply {
        let (assembled, now) = (&request.assembled, self.pipeline.clock.now());
        let code = match self.hand_overs.offer(&asked.session, host_name(assembled, asked.host), asked.hop, now) {
            Ok(code) => code.encode(),
            Err(problem) => {
                let reason = match problem {
                    NotOffered::Full => Reason::SignInBusy,
                    NotOffered::NoRandomness => Reason::StoreUnavailable,
                };
                return answers::refusal_for(assembled, request.reader, &reason.into());
            }
        };
        let mut location = elsewhere::address_with(&code, asked, assembled).header_value();
        location.set_sensitive(true);
        Reply::empty(StatusCode::SEE_OTHER).with(LOCATION, location)
    }

    /// Opens the session of a code at this host.
    pub(super) async fn enter(&self, request: &SignInOutRequest, entering: &Entering) -> Reply {
        let (assembled, now) = (&request.assembled, self.pipeline.clock.now());
        let host = host_name(assembled, request.host);
        let handed = entering.code.and_then(|code| self.hand_overs.redeem(&code, host, &entering.hops, now));
        let entered = match (handed, &entering.live) {
            // Another tab was faster.
            (Some(session), Some(live)) if Arc::ptr_eq(&session, live) => Ok((session, None)),
            (Some(session), _) => self.open_at(host, session, request).await.map(|(session, id)| (session, Some(id))),
            (None, Some(live)) if !live.has_ended() => Ok((Arc::clone(live), None)),
            (None, _) => Err(Reason::HandOverRefused),
        };
        match entered {
            Ok((session, id)) => {
                let cookie = id.map(|id| (SET_COOKIE, assembled.cookie.set(&id)));
                let mut reply = entered_page(request, &session, &entering.next);
                reply.headers.extend([(SET_COOKIE, assembled.cookie.expire_hop())].into_iter().chain(cookie));
                reply
            }
            Err(reason) => {
                let again = elsewhere::address_again(&entering.next, request.host, assembled).to_string();
                answers::refusal_with(assembled, request.reader, &reason.into(), Some(&again))
            }
        }
    }

    /// Gives the session a key for this host. As with a sign-in, every other session ends that the request names.
    async fn open_at(
        &self,
        host: &str,
        session: Arc<Session>,
        request: &SignInOutRequest,
    ) -> Result<(Arc<Session>, SessionId), Reason> {
        let id = SessionId::generate().map_err(|_| Reason::StoreUnavailable)?;
        let key = HostKey { key: id.key(), host: host.into() };
        let added = self.sessions().add_key(&session, key).await;
        if !added.map_err(|Unavailable| Reason::StoreUnavailable)? {
            return Err(Reason::HandOverRefused);
        }
        let others: Vec<_> = request.sessions.iter().filter(|other| !Arc::ptr_eq(other, &session)).cloned().collect();
        if !others.is_empty() {
            take_over_cookies(&session, &others);
            self.sessions().save_cookies(&session).await;
        }
        let terms = request.assembled.terms().answered(Carried { cookies: 1, ..Carried::default() });
        self.pipeline.end(Which::These(others, EndCause::SignedInAgain), terms).await;
        Ok((session, id))
    }
}

/// On to the page. Where browsers withhold the cookie from what another site leads to, this page leads there.
fn entered_page(request: &SignInOutRequest, session: &Session, next: &ReturnTo) -> Reply {
    match request.reader {
        Audience::Person(language) if request.assembled.cookie.is_strict() => {
            let refresh = HeaderValue::try_from(format!("0; url={next}"));
            let page = signed_in_page(language, session, (next, request.host), false, &request.assembled);
            refresh.into_iter().fold(page, |page, refresh| page.with(REFRESH, refresh))
        }
        Audience::Person(_) | Audience::Program => Reply::see_other(next),
    }
}
