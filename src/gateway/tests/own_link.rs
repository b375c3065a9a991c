//! The application's own logout link, with two requests for it that are judged before either of them ends the session.

use async_trait::async_trait;
use futures_util::future::join_all;

use super::*;
use crate::logout::client::{OwnAnswer, OwnRequest};
use crate::routes::logout_link::LogoutLink;
use crate::routes::pool::Pool;
use crate::values::application_outcome::CallFailure;
use crate::values::configured_path::ConfiguredPath;

/// A client that records what would be sent to the application.
#[derive(Debug, Default)]
struct Sent(Mutex<Vec<String>>);

#[async_trait]
impl ApplicationClient for Sent {
    async fn send(&self, _: &Pool, _: u64, request: OwnRequest) -> Result<OwnAnswer, CallFailure> {
        self.0.lock().push(format!("{request:?}"));
        Ok(OwnAnswer { status: 302, is_whole: true, ..OwnAnswer::default() })
    }
}

/// A gateway in front of an application with such a link.
fn with_link() -> (Harness, Arc<Sent>) {
    let harness = harness_with(|settings| {
        let logout = &mut settings.routes[0].logout;
        logout.links = vec![LogoutLink::new(ConfiguredPath::parse("/bye").unwrap(), Vec::new())];
        (logout.passes_on, logout.is_known) = (true, true);
    });
    let sent = Arc::new(Sent::default());
    harness.gateway.set_call_client(Arc::<Sent>::clone(&sent));
    (harness, sent)
}

impl Harness {
    /// A request for the link that has been judged and is ready to be sent.
    fn judged(&self, cookie: &str) -> Box<SignInOutRequest> {
        let Received::BuiltIn(mut request) = self.receive("POST", "/bye", &[cookie]) else { panic!("no logout") };
        let lines = head("POST", &[cookie]);
        request.keep_last_request(RequestHead::of(&lines, b"/bye"), &fields(&lines.headers));
        request
    }
}

#[tokio::test]
async fn of_two_judged_requests_only_one_is_sent() {
    let (harness, sent) = with_link();
    let alice = harness.session_of("alice").await;
    let both = [harness.judged(&alice), harness.judged(&alice)];
    let end = |request| harness.gateway.sign_in_or_out(request, async { Ok(Bytes::new()) });
    join_all(both.map(end)).await;
    assert_eq!(*sent.0.lock(), ["POST /bye"]);
    assert!(!harness.is_signed_in(&alice));
}

/// It would be sent for a session that another request has ended.
#[tokio::test]
async fn a_request_judged_before_another_end_is_not_sent() {
    let (harness, sent) = with_link();
    let alice = harness.session_of("alice").await;
    let request = harness.judged(&alice);
    assert_eq!(harness.ask("POST", "/logout", &[&alice], "").await.status, 200);
    let reply = harness.gateway.sign_in_or_out(request, async { Ok(Bytes::new()) }).await;
    assert_eq!((reply.status.as_u16(), sent.0.lock().len()), (200, 0));
}

/// The end does not cut the exchange that has asked for it.
#[tokio::test]
async fn the_end_does_not_cut_its_own_request() {
    let (harness, sent) = with_link();
    let alice = harness.session_of("alice").await;
    let request = harness.judged(&alice);
    let session = request.sessions[0].clone();
    assert_eq!(session.live_connections(), 0);
    harness.gateway.sign_in_or_out(request, async { Ok(Bytes::new()) }).await;
    assert_eq!(sent.0.lock().len(), 1);
    assert!(harness.lines.lock().iter().any(|line| line.contains("cut:nothing:0")), "{:?}", harness.lines.lock());
}
