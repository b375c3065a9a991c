//! One session on several own hosts, over real sockets: what the application sees, and what ends where.

use exeunt::config::Settings;
use exeunt::values::origin::{Host, Origin};
use exeunt::values::own_hosts::OwnHosts;

use super::answer::Answer;
use super::harness::{FORM, PASSWORD, Site};
use crate::server::client::Client;
use crate::upstream;

const BROWSER: &str = "Accept: text/html";
const STREAM: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n";

fn with_hosts(further: &'static [&'static str]) -> impl FnOnce(&mut Settings) {
    |setup| {
        let further = further.iter().map(|host| Host::parse(host).unwrap());
        setup.gateway.hosts = OwnHosts::new(&Origin::parse("http://app.test").unwrap(), further);
    }
}

/// Follows the redirects of a browser that is signed in at the login host with this cookie, up to the page. Returns
/// the cookie of the host that asked.
async fn hand_over(site: &Site, host: &str, login: &str) -> String {
    let host_line = format!("Host: {host}");
    let sent = site.get("/x", &[&host_line, BROWSER]).await;
    assert_eq!(sent.status, 303, "{sent:?}");
    let hop = sent.cookie_line();
    let to_login = sent.header("location").unwrap().strip_prefix("http://app.test").unwrap();
    let back = site.get(to_login, &[BROWSER, login]).await;
    let enter = back.header("location").unwrap().strip_prefix(&format!("http://{host}")).unwrap().to_owned();
    let entered = site.get(&enter, &[&host_line, BROWSER, &hop]).await;
    assert_eq!((entered.status, entered.header("location")), (303, Some("/x")), "{entered:?}");
    let again = site.get(&enter, &[&host_line, BROWSER, &hop]).await;
    assert_eq!(again.status, 403, "a code counts once: {again:?}");
    session_of(&entered)
}

fn session_of(answer: &Answer) -> String {
    let line = answer.headers("set-cookie").into_iter().find(|line| line.starts_with("exeunt=")).unwrap();
    format!("Cookie: {}", line.split(';').next().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn application_gets_the_identity_but_no_gateway_cookie_on_every_host() {
    let (site, echo) = Site::with_echo_and(with_hosts(&["shop.test", "blog.test"])).await;
    let login = site.sign_in("alice").await;
    for host in ["shop.test", "blog.test"] {
        let cookie = format!("{}; exeunt-hop=x; theme=dark", hand_over(&site, host, &login).await);
        assert_eq!(site.get("/x", &[&format!("Host: {host}"), &cookie]).await.status, 200);
        let seen = echo.take().concat();
        assert!(seen.contains("X-Forwarded-User: alice") && seen.contains("Cookie: theme=dark\r\n"), "{seen}");
        assert!(!seen.contains("exeunt=") && !seen.contains("exeunt-hop"), "{seen}");
    }
}

/// A tab of another host is cut, before the logout is answered.
#[tokio::test(flavor = "multi_thread")]
async fn logout_on_one_host_cuts_connections_on_another() {
    let app = upstream::start(|mut connection, _| async move {
        if connection.request().await.is_some() {
            connection.write(STREAM).await;
            while connection.request().await.is_some() {}
        }
    })
    .await;
    let site = Site::before(&[format!("http://{app}")], with_hosts(&["shop.test"]));
    let login = site.sign_in("alice").await;
    let shop = hand_over(&site, "shop.test", &login).await;
    for (running, ending) in [("shop.test", "app.test"), ("app.test", "shop.test")] {
        let (login, shop) = match running {
            "shop.test" => (login.clone(), shop.clone()),
            _ => {
                let login = site.sign_in("alice").await;
                let shop = hand_over(&site, "shop.test", &login).await;
                (login, shop)
            }
        };
        let cookie_at = |host: &str| if host == "shop.test" { shop.clone() } else { login.clone() };
        let mut client = Client::to(site.address()).await;
        client.say(&format!("GET /s HTTP/1.1\r\nHost: {running}\r\n{}\r\n\r\n", cookie_at(running))).await;
        client.up_to(b"begun").await.unwrap();
        let out = site.ask("POST", "/logout", &[&format!("Host: {ending}"), &cookie_at(ending)], "").await;
        assert_eq!(out.json()["steps"][1]["count"], 1, "{}: one connection was cut", out.text());
        assert!(client.rest().await.ends_with("0\r\n\r\n"), "the stream goes on");
        for host in ["app.test", "shop.test"] {
            let refused = site.get("/x", &[&format!("Host: {host}"), &cookie_at(host)]).await;
            assert_eq!(refused.status, 401, "{host} after a logout on {ending}");
        }
    }
}

/// The way of a user who signs in on it, by the form.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_for_another_host_leads_back_to_it() {
    let (site, _echo) = Site::with_echo_and(with_hosts(&["shop.test"])).await;
    let form = format!("username=alice&password={}&next=http://shop.test/x?y", PASSWORD.replace(' ', "+"));
    let signed_in = site.ask("POST", "/login", &[FORM, BROWSER], &form).await;
    let enter = signed_in.header("location").unwrap();
    assert_eq!(enter, "http://shop.test/.exeunt/enter?next=%2Fx%3Fy");
    let asks = site.get("/.exeunt/enter?next=%2Fx%3Fy", &["Host: shop.test", BROWSER]).await;
    assert!(asks.header("location").unwrap().starts_with("http://app.test/login?next=http%3A%2F%2Fshop.test%2Fx%3Fy&"));
}
