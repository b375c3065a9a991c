//! Cookies that scripts of an application make, such as `m` of RabbitMQ's management pages: name and password.

use super::app_cookies::{Browser, ENDS, SESSION, alice, end_and_sign_in_as_bob, names, with_rules};
use super::*;
use crate::vault::rules::AppCookies;

const MADE: &str = "m=alice:secret; Path=/";

fn harness_for(mode: AppCookies) -> Harness {
    with_rules(|rules| {
        rules.mode = mode;
        rules.script = names(&["m"]);
    })
}

/// A browser in which a script has set the cookie, which the application has received.
async fn alice_with_script_cookie(harness: &Harness) -> Browser {
    let mut browser = alice(harness).await;
    browser.keep([MADE]);
    assert_eq!(browser.visit(harness, "/x", &[]), "m=alice:secret");
    assert!(browser.has("m"), "scripts can read it");
    browser
}

#[tokio::test]
async fn a_logout_deletes_what_scripts_made_where_its_name_is_configured() {
    for (mode, survives) in [(AppCookies::Vault, false), (AppCookies::Track, false), (AppCookies::Pass, true)] {
        let harness = harness_for(mode);
        let mut browser = alice_with_script_cookie(&harness).await;
        browser.keep(["other=1; Path=/"]);
        browser.visit(&harness, "/x", &[]);
        browser.sign_out(&harness).await;
        assert_eq!((browser.has("m"), browser.has("other")), (survives, true), "{mode:?}");
    }
    let harness = with_rules(|rules| {
        rules.script = names(&["m"]);
        rules.keep = names(&["m"]);
    });
    let mut browser = alice_with_script_cookie(&harness).await;
    browser.sign_out(&harness).await;
    assert!(browser.has("m"), "keep_cookies has priority");
}

/// For every cause that ends the first user's session.
#[tokio::test]
async fn the_next_user_does_not_carry_what_scripts_made() {
    for end in ENDS {
        let harness = harness_for(AppCookies::Vault);
        let mut browser = alice_with_script_cookie(&harness).await;
        end_and_sign_in_as_bob(&harness, &mut browser, end).await;
        assert!(!browser.has("m"), "{end}");
        assert_eq!(browser.visit(&harness, "/x", &[]), "", "{end}");
        browser.keep(["m=bob:secret; Path=/"]);
        assert_eq!(browser.visit(&harness, "/x", &[]), "m=bob:secret", "{end}");
    }
}

/// Without a path, a script sets a cookie for the folder of its page.
#[tokio::test]
async fn it_is_deleted_for_the_path_of_the_route_too() {
    let harness = harness_for(AppCookies::Vault);
    let mut browser = alice(&harness).await;
    browser.keep(["m=1; Path=/staff"]);
    assert_eq!(browser.visit(&harness, "/staff/x", &[]), "m=1");
    browser.sign_out(&harness).await;
    assert!(!browser.has("m"), "{:?}", browser.cookies);
}

/// Otherwise a planted session id would be forwarded if its name is configured by mistake.
#[tokio::test]
async fn a_name_that_the_application_keeps_from_scripts_stays_in_the_gateway() {
    let harness = with_rules(|rules| rules.script = names(&["sid"]));
    let mut browser = Browser::default();
    browser.visit(&harness, "/public/x", &[SESSION]);
    browser.keep(["sid=planted; Path=/"]);
    browser.sign_in(&harness, "alice").await;
    assert_eq!(browser.visit(&harness, "/x", &[]), "");
    assert_eq!(browser.visit(&harness, "/x", &[SESSION]), "");
    assert_eq!(browser.visit(&harness, "/x", &[]), "sid=1");
}
