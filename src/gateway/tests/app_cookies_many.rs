//! A browser that has to delete more cookies than fit into one answer.

use http::header::SET_COOKIE;

use super::app_cookies::{Browser, alice, with_rules};
use super::*;
use crate::vault::rules::AppCookies;

/// The maximum size of deletions in one answer, in bytes.
const MAX_DELETIONS: usize = 3 * 1024;

fn deletions(reply: &Reply) -> usize {
    let lines = reply.headers.iter().filter(|(name, _)| name == SET_COOKIE).map(|(_, line)| line.to_str().unwrap());
    lines.filter(|line| line.contains("Max-Age=0") && !line.starts_with("exeunt")).map(str::len).sum()
}

impl Browser {
    fn has_of_application(&self) -> usize {
        self.cookies.iter().filter(|[name, _, _]| !name.starts_with("exeunt")).count()
    }

    /// Sends requests until no more deletions come; returns how many.
    async fn ask_until_all_is_deleted(&mut self, harness: &Harness, target: &str) -> usize {
        for answers in 1..20 {
            let reply = self.ask(harness, "GET", target, "").await;
            assert!(deletions(&reply) <= MAX_DELETIONS, "{}", deletions(&reply));
            if deletions(&reply) == 0 {
                return answers;
            }
        }
        panic!("the deletions never end");
    }
}

/// A browser with 200 cookies that the application has set as HttpOnly.
async fn with_200_learned_cookies(harness: &Harness) -> Browser {
    let mut browser = Browser::default();
    let lines: Vec<_> = (0..200).map(|number| format!("learned-{number}=1; HttpOnly; Path=/")).collect();
    for lines in lines.chunks(50) {
        browser.visit(harness, "/public/x", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    }
    assert_eq!(browser.has_of_application(), 200);
    browser.sign_in(harness, "alice").await;
    browser
}

#[tokio::test]
async fn deletions_that_do_not_fit_are_sent_in_later_answers() {
    let harness = harness();
    let mut browser = with_200_learned_cookies(&harness).await;
    let reply = browser.ask(&harness, "POST", "/logout", "").await;
    let told = deletions(&reply);
    assert!(told <= MAX_DELETIONS && told > MAX_DELETIONS - 100, "{told}");
    let left = browser.has_of_application();
    assert!(left > 50 && browser.has("exeunt"), "{left}: nothing shows which browser it is");
    let mut other = browser.clone();
    assert!(browser.ask_until_all_is_deleted(&harness, "/x").await > 1);
    assert_eq!(browser.has_of_application(), 0);
    assert_eq!(other.ask_until_all_is_deleted(&harness, "/x").await, 1, "all were deleted before");
    assert_eq!(other.ask(&harness, "GET", "/.exeunt/session", "").await.status, 401, "the cookie opens nothing");
}

#[tokio::test]
async fn cookies_to_delete_do_not_reach_the_application() {
    for mode in [AppCookies::Track, AppCookies::Vault] {
        let harness = with_rules(|rules| rules.mode = mode);
        let mut browser = alice(&harness).await;
        let long = "n".repeat(220);
        let lines: Vec<_> = (0..32).map(|number| format!("{long}{number}=alice; Path=/")).collect();
        browser.visit(&harness, "/x", &lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(browser.has_of_application(), 32);
        browser.sign_in(&harness, "bob").await;
        let left = browser.has_of_application();
        assert!(left > 0 && left < 32, "{left}");
        // The application sets one of the same name for bob.
        let (last, of_bob) = (format!("{long}31"), format!("{long}31=bob; Path=/"));
        assert!(browser.has(&last), "not deleted yet");
        assert_eq!(browser.visit(&harness, "/public/x", &[&of_bob]), "", "{mode:?}: alice's reached the application");
        assert!(browser.has_of_application() > 2, "they do not fit into one more answer");
        for _ in 0..3 {
            assert_eq!(browser.visit(&harness, "/x", &[]), format!("{last}=bob"), "{mode:?}");
        }
        assert_eq!(browser.has_of_application(), 1);
        browser.sign_out(&harness).await;
        assert_eq!(browser.has_of_application(), 0, "{mode:?}");
    }
}

/// Debts that were not sent stay: an answer that caches may store has no deletions.
#[tokio::test]
async fn a_refusal_has_deletions_too() {
    let harness = with_rules(|rules| rules.mode = AppCookies::Track);
    let mut browser = alice(&harness).await;
    browser.visit(&harness, "/x", &["mine=alice; Path=/"]);
    drop(harness.gateway.revoke_all_of("alice").await);
    browser.ask(&harness, "GET", "/.exeunt/style.css", "").await;
    assert!(browser.has("mine"), "caches may store that answer");
    browser.ask(&harness, "FIND", "/public/x", "").await;
    browser.ask(&harness, "GET", "/x", "").await;
    assert!(!browser.has("mine"));
}
