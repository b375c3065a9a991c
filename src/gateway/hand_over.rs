//! Hands a session over from the login host to another host; [`super::host_redirects`] has the redirects.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{LOCATION, SET_COOKIE};

use super::Gateway;
use super::answers::{self, Audience};
use super::app_cookies::host_name;
use super::assembled::Assembled;
use super::built_in_pages::signed_in_page;
use super::host_redirects::{self, EnterRequest, HandOverRequest};
use super::sign_in_out::SignInOutRequest;
use crate::audit::Event;
use crate::login::sign_in::take_over_cookies;
use crate::logout::ending::RequestParts;
use crate::logout::run::SessionsToEnd;
use crate::session::hand_over::NotOffered;
use crate::session::record::Session;
use crate::session::store::{HostKey, Unavailable};
use crate::values::end_cause::EndCause;
use crate::values::hop::{EnterCode, EnterKey, HopHash};
use crate::values::reason::Reason;
use crate::values::reply::Reply;
use crate::values::return_to::ReturnTo;
use crate::values::session_id::SessionId;

/// The session of a valid code.
type RedeemedSession = Option<Arc<Session>>;

impl Gateway {
    /// Redirects a browser back to the requesting host.
    pub(super) async fn offer(&self, request: &SignInOutRequest, asked: &HandOverRequest) -> Reply {
        let assembled = &request.assembled;
        let code = match self.code_for(asked, assembled).await {
            Ok(code) => code.encode(),
            Err(problem) => {
                let reason = match problem {
                    NotOffered::Full => Reason::SignInBusy,
                    NotOffered::NoRandomness | NotOffered::StoreUnavailable => Reason::StoreUnavailable,
                };
                return answers::refusal_for(assembled, request.reader, &reason.into());
            }
        };
        let mut location = host_redirects::address_with(&code, asked, assembled).header_value();
        location.set_sensitive(true);
        Reply::empty(StatusCode::SEE_OTHER).with(LOCATION, location)
    }

    async fn code_for(&self, asked: &HandOverRequest, assembled: &Assembled) -> Result<EnterCode, NotOffered> {
        let (host, now) = (host_name(assembled, asked.host), self.pipeline.clock.now());
        let code = self.hand_overs.offer(&asked.session, host, asked.hop, now)?;
        let shared = self.sessions().share_code(&code.key(), &asked.session, host, asked.hop).await;
        shared.map_err(|Unavailable| NotOffered::StoreUnavailable)?;
        Ok(code)
    }

    /// Redeems a code, which is valid once, for its live session.
    async fn redeem(
        &self,
        code: &EnterKey,
        request: &SignInOutRequest,
        hops: &[HopHash],
    ) -> Result<RedeemedSession, Reason> {
        let (host, now) = (host_name(&request.assembled, request.host), self.pipeline.clock.now());
        // A code that other gateways can redeem is redeemed in the shared store, so that it is valid only once.
        let here = self.hand_overs.redeem(code, host, hops, now);
        if !self.sessions().is_shared() {
            return Ok(here);
        }
        let offer = self.sessions().take_shared_code(code).await.map_err(|Unavailable| Reason::StoreUnavailable)?;
        let Some(offer) = offer.filter(|offer| offer.is_for(host, hops)) else { return Ok(None) };
        if !self.load(vec![offer.session], request.client).await {
            return Err(Reason::StoreUnavailable);
        }
        Ok(self.sessions().loaded(&offer.session, now))
    }

    /// Opens the session of a code at this host.
    pub(super) async fn enter(&self, request: &SignInOutRequest, entering: &EnterRequest) -> Reply {
        let assembled = &request.assembled;
        let host = host_name(assembled, request.host);
        let handed = match &entering.code {
            Some(code) => self.redeem(code, request, &entering.hops).await,
            None => Ok(None),
        };
        let entered = match (handed, &entering.live) {
            // Another tab has opened it already.
            (Ok(Some(session)), Some(live)) if Arc::ptr_eq(&session, live) => Ok((session, None)),
            (Ok(Some(session)), _) => {
                self.open_at(host, session, request).await.map(|(session, id)| (session, Some(id)))
            }
            (Ok(None) | Err(_), Some(live)) if !live.has_ended() => Ok((Arc::clone(live), None)),
            (Ok(None), _) => Err(Reason::HandOverRefused),
            (Err(reason), _) => Err(reason),
        };
        match entered {
            Ok((session, id)) => {
                request.note_opened(&session);
                let cookie = id.map(|id| (SET_COOKIE, assembled.cookie.set(&id)));
                let mut reply = entered_page(request, &session, &entering.next);
                reply.headers.extend([(SET_COOKIE, assembled.cookie.expire_hop())].into_iter().chain(cookie));
                reply
            }
            Err(reason) => {
                let again = host_redirects::address_again(&entering.next, request.host, assembled).to_string();
                answers::refusal_with(assembled, request.reader, &reason.into(), Some(&again))
            }
        }
    }

    /// Gives the session a key for this host. As at a sign-in, all other sessions that the request names end.
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
        let (identity, client) = (session.identity(), request.client);
        let event = Event::HostEntered { user: identity.user(), session: session.handle(), client, host };
        self.pipeline.log.event(self.pipeline.clock.wall(), &event);
        let others: Vec<_> = request.sessions.iter().filter(|other| !Arc::ptr_eq(other, &session)).cloned().collect();
        if !others.is_empty() {
            take_over_cookies(&session, &others);
            self.sessions().save_cookies(&session).await;
        }
        let terms = request.assembled.terms().answered(RequestParts { cookies: 1, ..RequestParts::default() });
        self.pipeline.end(SessionsToEnd::These(others, EndCause::SignedInAgain), terms).await;
        Ok((session, id))
    }
}

/// The redirect to the page. If the cookie is `SameSite=Strict`, browsers would not send it after a redirect from
/// another site, so a page of this host leads there.
fn entered_page(request: &SignInOutRequest, session: &Session, next: &ReturnTo) -> Reply {
    match request.reader {
        Audience::Person(language) if request.assembled.cookie.is_strict() => {
            let page = signed_in_page(language, session, (next, request.host), false, &request.assembled);
            page.leading_to(next, Duration::ZERO)
        }
        Audience::Person(_) | Audience::Program => Reply::see_other(next),
    }
}
