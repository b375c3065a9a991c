//! What the operator says about the heads of requests and answers.

use exeunt::config::Settings;
use exeunt::routes::access::Access;
use exeunt::values::origin::Authority;

use super::echo::Echo;
use super::harness::{Site, route};
use crate::rows::harness::{folded, the_one};
use crate::upstream::header;

#[tokio::test(flavor = "multi_thread")]
async fn the_application_gets_the_clients_host_or_the_one_that_is_configured() {
    let (site, echo) = Site::with_echo_and(|Settings { gateway, .. }| {
        gateway.routes[1].upstream_host = Authority::parse("inner.test:8000");
    })
    .await;
    let alice = site.sign_in("alice").await;
    site.get("/x", &[&alice, "Host: APP.test:8080"]).await;
    let request = the_one(&echo);
    assert_eq!(header(&request, "host"), Some("APP.test:8080"));
    assert_eq!(header(&request, "x-forwarded-host"), Some("APP.test:8080"));
    assert_eq!(header(&request, "x-forwarded-port"), Some("8080"));
    site.get("/public/x", &[]).await;
    let request = the_one(&echo);
    assert_eq!(header(&request, "host"), Some("inner.test:8000"));
    assert_eq!(header(&request, "x-forwarded-host"), Some("app.test"));
}

/// Changes of the operator's own never stand over what the gateway says.
#[tokio::test(flavor = "multi_thread")]
async fn a_routes_own_headers_are_set_both_ways() {
    use exeunt::http1::header_edits::HeaderEdit::{Remove, Set};
    use http::{HeaderName, HeaderValue};
    let name = HeaderName::from_static;
    let echo = Echo::answering("Server: app\r\n").await;
    let site = Site::before(&[echo.url()], |setup| {
        let mut route = route("/public", Access::Public, &[echo.url()]);
        route.request_headers = vec![
            Set(name("x-site"), HeaderValue::from_static("a")),
            Set(name("x-forwarded-prefix"), HeaderValue::from_static("/app")),
            Remove(name("dnt")),
        ];
        route.response_headers =
            vec![Set(name("x-frame-options"), HeaderValue::from_static("DENY")), Remove(name("server"))];
        setup.gateway.routes = vec![route];
    });
    let answer = site.get("/public/x", &["DNT: 1", "X-Site: b", "X-Forwarded-Prefix: /evil"]).await;
    assert_eq!((answer.header("x-frame-options"), answer.header("server")), (Some("DENY"), None));
    let request = the_one(&echo);
    assert_eq!((header(&request, "x-forwarded-prefix"), folded(&request, "x-forwarded-prefix")), (Some("/app"), 1));
    assert_eq!((header(&request, "x-site"), folded(&request, "dnt"), folded(&request, "x-site")), (Some("a"), 0, 1));
}
