//! A logout clears the data that its browser stores for every host of the session, and nothing in other browsers.

use super::hand_over::{ALICE, BLOG, Browser, LOGIN, SHOP, Shown, on_three_hosts};
use super::*;

const BYE: &str = "http://app.test/logout";

fn clearing() -> Harness {
    clearing_and(|_| {})
}

fn clearing_and(change: impl FnOnce(&mut GatewaySettings)) -> Harness {
    harness_with(|settings| {
        on_three_hosts(settings);
        settings.logout.clear_site_data = Some(http::HeaderValue::from_static("\"storage\""));
        let own = settings.hosts.origins().map(OriginPattern::from);
        settings.logout.allowed = AllowedOrigins::new(own);
        change(settings);
    })
}

/// A browser that is signed in at three hosts.
async fn everywhere(harness: &Harness) -> Browser {
    let mut browser = Browser::default();
    browser.arrive(harness, "http://shop.test/x", "alice").await;
    assert!(matches!(browser.visit(harness, "http://blog.test/x").await, Shown::Application));
    browser
}

/// The page of the own host that the answer to a sign-out leads to.
fn begin(shown: &Shown) -> String {
    let Shown::Page(page) = shown else { panic!("{shown:?}") };
    let begin = header(page, "refresh").unwrap().strip_prefix("0; url=").unwrap().to_owned();
    assert!(begin.starts_with("http://app.test/.exeunt/clear?"), "{begin}");
    begin
}

/// The first stop after this page, if the browser can connect to every host.
async fn first_stop(harness: &Harness, shown: &Shown) -> String {
    lead_on(harness, shown, "").await
}

/// The same if the browser cannot connect to these.
async fn lead_on(harness: &Harness, shown: &Shown, unreached: &str) -> String {
    let path = begin(shown).replacen("http://app.test", "", 1);
    let onward = harness.ask("GET", &format!("{path}&unreached={unreached}"), &[BROWSER], "").await;
    header(&onward, "location").unwrap().to_owned()
}

#[tokio::test]
async fn the_data_of_every_host_is_cleared_before_the_goodbye_page() {
    let harness = clearing();
    let mut browser = everywhere(&harness).await;
    let out = browser.step(&harness, "POST", BYE, "").await;
    assert!(out.text().contains("Goodbye, alice."), "{out:?}");
    let mut url = first_stop(&harness, &out).await;
    for host in [SHOP, BLOG] {
        assert!(url.starts_with(&format!("http://{host}/.exeunt/clear?")), "{url}");
        let Shown::Page(stop) = browser.step(&harness, "GET", &url, "").await else { panic!() };
        assert_eq!((stop.status.as_u16(), header(&stop, "clear-site-data")), (303, Some("\"storage\"")), "{host}");
        assert!(!browser.has(host, "exeunt"), "{host} keeps the cookie of the ended session");
        url = header(&stop, "location").unwrap().to_owned();
    }
    assert!(url.starts_with("http://app.test/.exeunt/goodbye?receipt="), "{url}");
    assert!(browser.visit(&harness, &url).await.text().contains("Goodbye, alice."));
    // With a target the redirects end there.
    let mut browser = everywhere(&harness).await;
    let out = browser.step(&harness, "POST", "http://app.test/logout", "next=/public/bye").await;
    assert!(matches!(browser.visit(&harness, &first_stop(&harness, &out).await).await, Shown::Application));
    assert_eq!(browser.way.last().map(String::as_str), Some("http://app.test/public/bye"));
    // Programs get a receipt, and a session at one host needs no redirects.
    let out = harness.ask("POST", "/logout", &[&everywhere(&harness).await.line(LOGIN)], "").await;
    assert_eq!((out.status.as_u16(), header(&out, "refresh")), (200, None));
    let cookie = harness.sign_in("alice").await;
    let out = harness.ask("POST", "/logout", &[BROWSER, &cookie], "").await;
    assert!(header(&out, "refresh").unwrap().starts_with("0; url=/.exeunt/goodbye?"));
}

/// `logout.close_tabs` after redirects over other hosts: browsers mark the last request as cross-site then.
#[tokio::test]
async fn only_the_browser_of_the_logout_closes_its_tabs() {
    let harness = clearing_and(|settings| settings.logout.close_tabs = true);
    let mut browser = everywhere(&harness).await;
    let mut url = first_stop(&harness, &browser.step(&harness, "POST", BYE, "").await).await;
    assert!(browser.has(LOGIN, "exeunt-left") && !browser.has(LOGIN, "exeunt"));
    for _ in [SHOP, BLOG] {
        let Shown::Page(stop) = browser.step(&harness, "GET", &url, "").await else { panic!() };
        url = header(&stop, "location").unwrap().to_owned();
    }
    let path = url.strip_prefix("http://app.test").unwrap();
    let mut other = everywhere(&harness).await;
    other.step(&harness, "POST", BYE, "").await;
    let (left, others) = (browser.line(LOGIN), other.line(LOGIN));
    let both = format!("{left}; {}", harness.sign_in("bob").await.strip_prefix("Cookie: ").unwrap());
    let renamed = left.replace("exeunt-left", "exeunt-Left");
    let cases = [
        ("this browser", &*left, true),
        ("a browser without the cookie", "X-Nothing: x", false),
        ("with that of another logout", &others, false),
        ("with a cookie of another name", &renamed, false),
        ("somebody has signed in", &both, false),
    ];
    for (who, line, closes) in cases {
        let page = harness.ask("GET", path, &[BROWSER, "Sec-Fetch-Site: cross-site", line], "").await;
        assert_eq!((page.status.as_u16(), text(&page).contains("<script")), (200, closes), "{who}");
        let expired = page.headers.iter().any(|(_, line)| line.to_str().unwrap().starts_with("exeunt-left=;"));
        assert_eq!(expired, closes, "{who}: once");
    }
    // Not if it is not configured, and not if the logout has a target or no redirects over other hosts.
    let usual = clearing();
    let mut browser = everywhere(&usual).await;
    browser.step(&usual, "POST", BYE, "").await;
    assert!(!browser.has(LOGIN, "exeunt-left"));
    let mut browser = everywhere(&harness).await;
    browser.step(&harness, "POST", BYE, "next=/public/bye").await;
    assert!(!browser.has(LOGIN, "exeunt-left"));
    let alice = harness.sign_in("alice").await;
    let out = harness.ask("POST", "/logout", &[&alice, BROWSER], "").await;
    assert!(!out.headers.iter().any(|(_, line)| line.to_str().unwrap().contains("-left=")));
}

/// The receipt names every host, with the reason for those that are not cleared.
#[tokio::test]
async fn the_receipt_has_the_outcome_for_each_host() {
    let harness = clearing();
    let mut browser = everywhere(&harness).await;
    let out = browser.step(&harness, "POST", BYE, "").await;
    assert!(out.text().contains("is cleared next") && out.text().contains("shop.test: not visited yet"), "{out:?}");
    // A user has signed in at the shop meanwhile.
    let mut url = first_stop(&harness, &out).await;
    let bob = harness.ask("POST", "/login", &["Host: shop.test", FORM], "username=bob&password=wonder+land").await;
    let both = format!("{}; {}", browser.line(SHOP), cookie_line(&bob).strip_prefix("Cookie: ").unwrap());
    let path = url.strip_prefix("http://shop.test").unwrap().to_owned();
    let stop = harness.ask("GET", &path, &["Host: shop.test", BROWSER, &both], "").await;
    url = header(&stop, "location").unwrap().to_owned();
    let page = browser.visit(&harness, &url).await.text();
    for told in ["shop.test: kept, because", "blog.test: cleared", "may remain"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let changed = url.replace("kept", "cleared");
    assert_ne!(changed, url, "the address contains the receipt");
    assert!(!browser.visit(&harness, &changed).await.text().contains("shop.test: cleared"), "a changed receipt");
    // All hosts are cleared.
    let mut browser = everywhere(&harness).await;
    let url = first_stop(&harness, &browser.step(&harness, "POST", BYE, "").await).await;
    let page = browser.visit(&harness, &url).await.text();
    assert!(page.contains("for 2 other sites was cleared") && page.contains("shop.test: cleared"), "{page}");
    // A program is not redirected, and its receipt says so.
    let line = everywhere(&harness).await.line(LOGIN);
    let out = harness.ask("POST", "/logout", &[&line, "Accept: application/json"], "").await;
    let json: serde_json::Value = serde_json::from_str(&text(&out)).unwrap();
    assert_eq!(json["hosts"][1], serde_json::json!({ "host": "blog.test", "result": "not_visited" }));
    let step = json["steps"].as_array().unwrap().last().unwrap();
    assert_eq!((&step["step"], &step["result"], &step["count"]), (&"hosts".into(), &"failed".into(), &0.into()));
    // The log and the metrics have each host once.
    let lines = harness.lines.lock().join("\n");
    let told = |host: &str, result: &str| {
        let line = format!("host={host} result={result}");
        lines.lines().filter(|text| text.contains("event=site_data") && text.contains(&line)).count()
    };
    assert_eq!([told(SHOP, "cleared"), told(BLOG, "cleared")], [1, 2], "{lines}");
    assert_eq!([told(SHOP, "kept"), told(SHOP, "not_visited"), told(BLOG, "not_visited")], [1, 1, 1], "{lines}");
}

/// The link of an attacker's own logout, and other links to a stop.
#[tokio::test]
async fn a_stop_clears_nothing_in_another_browser() {
    let harness = clearing();
    let (mut mallory, alice) = (everywhere(&harness).await, everywhere(&harness).await);
    let own = mallory.clone();
    let stop = first_stop(&harness, &mallory.step(&harness, "POST", BYE, "").await).await;
    let mut signed_out = alice.clone();
    let dead = signed_out.step(&harness, "POST", BYE, "").await;
    let mut again = own.clone();
    assert!(matches!(again.visit(&harness, "http://shop.test/x").await, Shown::Page(_)));
    let late = first_stop(&harness, &dead).await.replacen("until=", "until=9", 1);
    let cases = [
        ("somebody who is signed in", alice, stop.clone()),
        ("somebody who is signed out", signed_out.clone(), stop.clone()),
        ("nobody", Browser::default(), stop.clone()),
        ("a changed link", signed_out, late),
        ("no link", own, "http://shop.test/.exeunt/clear".to_owned()),
    ];
    for (who, mut browser, url) in cases {
        let Shown::Page(stop) = browser.step(&harness, "GET", &url, "").await else { panic!("{who}") };
        assert_eq!((stop.status.as_u16(), header(&stop, "clear-site-data")), (303, None), "{who}");
        assert!(!stop.headers.iter().any(|(_, value)| value.to_str().unwrap().contains("exeunt=;")), "{who}");
    }
    harness.clock.advance(Duration::from_secs(120));
    let Shown::Page(late) = mallory.step(&harness, "GET", &stop, "").await else { panic!() };
    assert_eq!((header(&late, "clear-site-data"), header(&late, "location")), (None, Some("/.exeunt/goodbye")));
}

/// If a user has signed in again meanwhile, the data are kept.
#[tokio::test]
async fn a_stop_clears_nothing_while_a_user_is_signed_in() {
    let harness = clearing();
    let mut browser = everywhere(&harness).await;
    let dead = browser.line(SHOP);
    let stop = first_stop(&harness, &browser.step(&harness, "POST", BYE, "").await).await;
    let new = harness.ask("POST", "/login", &["Host: shop.test", FORM], ALICE).await;
    let both = format!("{dead}; {}", cookie_line(&new).replace("Cookie: ", "").replacen("exeunt", "EXEUNT", 0));
    let path = stop.strip_prefix("http://shop.test").unwrap();
    for (cookies, clears) in [(&dead, true), (&both, false)] {
        let reply = harness.ask("GET", path, &["Host: shop.test", BROWSER, cookies], "").await;
        assert_eq!(header(&reply, "clear-site-data").is_some(), clears, "{cookies}");
    }
}

/// The chain would end at an error page of the browser.
#[tokio::test]
async fn a_host_that_the_browser_cannot_reach_is_skipped() {
    let harness = clearing();
    let mut browser = everywhere(&harness).await;
    let out = browser.step(&harness, "POST", BYE, "").await;
    let Shown::Page(page) = browser.step(&harness, "GET", &begin(&out), "").await else { panic!() };
    // Without the script no host is skipped.
    let (policy, body) = (header(&page, "content-security-policy").unwrap(), text(&page));
    assert!(
        policy.contains("connect-src http: https:") && body.contains("unreached=") && body.contains("Goodbye, alice.")
    );
    let all = header(&page, "refresh").unwrap().strip_prefix("10; url=").unwrap();
    let onward = harness.ask("GET", all, &[BROWSER], "").await;
    assert!(header(&onward, "location").unwrap().starts_with("http://shop.test/.exeunt/clear?"), "{onward:?}");
    for (unreached, told) in [
        ("shop.test", ["shop.test: kept, because this browser could not connect", "blog.test: cleared"]),
        (
            "shop.test~blog.test",
            ["shop.test: kept, because this browser could", "blog.test: kept, because this browser could"],
        ),
        ("evil.test~app.test~", ["shop.test: cleared", "blog.test: cleared"]),
    ] {
        let mut browser = everywhere(&harness).await;
        let out = browser.step(&harness, "POST", BYE, "").await;
        let url = lead_on(&harness, &out, unreached).await;
        let page = browser.visit(&harness, &url).await.text();
        assert!(browser.way.last().unwrap().starts_with("http://app.test/.exeunt/goodbye?"), "{:?}", browser.way);
        told.iter().for_each(|line| assert!(page.contains(line), "{unreached}: {line}: {page}"));
    }
    let lines = harness.lines.lock().join("\n");
    let told = |host: &str| lines.matches(&format!("host={host} result=unreached")).count();
    assert_eq!([told(SHOP), told(BLOG), told("evil.test")], [2, 1, 0], "{lines}");
    // The script's request.
    let asked = harness.ask("HEAD", "/.exeunt/clear", &["Host: shop.test", "Sec-Fetch-Site: cross-site"], "").await;
    assert_eq!((asked.status.as_u16(), header(&asked, "cross-origin-resource-policy")), (204, None));
}

/// The list of hosts that cannot be reached is not signed: it counts once, at the first page.
#[tokio::test]
async fn only_the_first_page_skips_hosts() {
    let harness = clearing();
    let mut browser = everywhere(&harness).await;
    let out = browser.step(&harness, "POST", BYE, "").await;
    let path = begin(&out).replacen("http://app.test", "", 1);
    let twice = harness.ask("GET", &format!("{path}&unreached=shop.test&unreached="), &[BROWSER], "").await;
    assert_eq!((twice.status.as_u16(), header(&twice, "location")), (200, None), "two lists");
    let stop = format!("{}&unreached=blog.test", first_stop(&harness, &out).await);
    let Shown::Page(reply) = browser.step(&harness, "GET", &stop, "").await else { panic!() };
    assert_eq!(header(&reply, "clear-site-data"), Some("\"storage\""));
    assert!(header(&reply, "location").unwrap().starts_with("http://blog.test/.exeunt/clear?"), "{reply:?}");
}
