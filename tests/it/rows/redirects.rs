//! T44-T53: a redirect leads where it was checked to lead. `redirect_cases.json`, T44, is read beside the parser.

use exeunt::config::Settings;
use exeunt::values::return_to::{AllowedOrigins, OriginPattern};

use crate::site::answer::Answer;
use crate::site::harness::{FORM, Site};

const BROWSER: &str = "Accept: text/html";

/// Targets are refused wherever one can be named: sign-in by query and form, sign-out by query and form, its
/// confirmation, the goodbye page. None of them is echoed.
async fn is_refused_everywhere(site: &Site, target: &str, evilsite: &str) {
    let escaped: String = form_urlencoded::byte_serialize(target.as_bytes()).collect();
    for field in ["next", "rd"] {
        let query = format!("{field}={escaped}");
        let form = format!("username=alice&password=wonder+land&{query}");
        let answers = [
            site.ask("POST", &format!("/login?{query}"), &[FORM], "username=alice&password=wonder+land").await,
            site.ask("POST", "/login", &[FORM], &form).await,
            site.ask("POST", &format!("/logout?{query}"), &[BROWSER], "").await,
            site.ask("POST", "/logout", &[FORM, BROWSER], &query).await,
            site.get(&format!("/login?{query}"), &[BROWSER]).await,
            site.get(&format!("/login?{query}"), &[]).await,
            site.get(&format!("/.exeunt/goodbye?{query}"), &[BROWSER]).await,
        ];
        for answer in answers {
            assert!(matches!(answer.header("location"), None | Some("/")), "{target}: {}", answer.head);
            let refresh = answer.header("refresh").unwrap_or_default();
            assert!(!refresh.contains(evilsite), "{target}: {refresh}");
            assert!(!answer.text().contains(evilsite), "{target} is echoed: {}", answer.text());
        }
    }
}

async fn lead_nowhere(cases: &[(&str, &str)]) {
    let (site, _echo) = Site::with_echo_and(allow_app_hosts).await;
    for (target, evilsite) in cases {
        is_refused_everywhere(&site, target, evilsite).await;
    }
}

/// What looks most like the refused targets is allowed.
fn allow_app_hosts(setup: &mut Settings) {
    let allowed = ["http://app.test", "https://app.test", "https://*.ok.test", "https://ok.test"];
    setup.gateway.logout.allowed = AllowedOrigins::new(allowed.iter().map(|text| OriginPattern::parse(text).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn t45_targets_with_backslashes_extra_slashes_or_excess_length_are_refused() {
    let long = format!("/evilsite{}", "x".repeat(2048));
    lead_nowhere(&[
        ("/\\evilsite.test", "evilsite"),
        ("\\\\evilsite.test", "evilsite"),
        ("///evilsite.test", "evilsite"),
        ("/\t/evilsite.test", "evilsite"),
        ("/%09/evilsite.test", "evilsite"),
        ("//evilsite.test", "evilsite"),
        ("https://evilsite.ok.test.evilsite.test/", "evilsite"),
        ("https://evilsiteok.test/", "evilsite"),
        (&long, "evilsite"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t46_one_rule_for_sign_in_sign_out_and_errors() {
    lead_nowhere(&[
        ("https://evilsite.test/", "evilsite"),
        ("javascript:alert(1)", "alert"),
        ("data:text/html,evilsite", "evilsite"),
        ("evilsite", "value=\"evilsite"),
        ("?evilsite", "evilsite"),
        ("https:evilsite.test", "evilsite"),
        ("ftp://app.test/evilsite", "evilsite"),
    ])
    .await;
    let (site, _echo) = Site::with_echo_and(allow_app_hosts).await;
    let wrong = site.ask("POST", "/login", &[FORM, BROWSER], "username=a&password=b&next=//evilsite.test").await;
    assert!(wrong.status == 401 && !wrong.text().contains("evilsite"), "{}", wrong.text());
    let foreign =
        site.ask("POST", "/logout", &[FORM, BROWSER, "Origin: http://x.test"], "next=https://evilsite.test/").await;
    assert!(foreign.status == 403 && foreign.header("location").is_none(), "{}", foreign.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn t47_nothing_is_normalised_after_it_was_checked() {
    lead_nowhere(&[
        ("/a/../\\evilsite", "evilsite"),
        ("/a/..//evilsite.test", "evilsite"),
        ("/./\\evilsite.test", "evilsite"),
    ])
    .await;
    let (site, _echo) = Site::with_echo().await;
    let form = "username=alice&password=wonder+land&next=/a/../b";
    let answer = site.ask("POST", "/login", &[FORM], form).await;
    assert_eq!(answer.header("location"), Some("/a/../b"), "what was checked is what is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn t48_user_info_and_patterns_cannot_widen_allowed_origins() {
    lead_nowhere(&[
        ("https://app.test@evilsite.test/", "evilsite"),
        ("https://app.test:x@evilsite.test/", "evilsite"),
        ("https://u:evilsite@app.test/", "evilsite"),
        ("https://appxtest/evilsite", "evilsite"),
        ("https://app.test.evilsite.test/", "evilsite"),
        ("https://*.ok.test/evilsite", "evilsite"),
        ("https://ok.test%2eevilsite.test/", "evilsite"),
        ("https://x..ok.test/evilsite", "evilsite"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t49_targets_with_control_characters_or_odd_hosts_are_refused() {
    lead_nowhere(&[
        ("http:\\\\\\evilsite.test", "evilsite"),
        ("\u{1}https://evilsite.test", "evilsite"),
        ("https://evilsite.test\u{0}", "evilsite"),
        ("https://0x7f000001/evilsite", "evilsite"),
        ("https://2130706433/evilsite", "evilsite"),
        ("https://[::ffff:1.2.3.4]/evilsite", "evilsite"),
        (" //evilsite.test", "evilsite"),
    ])
    .await;
    let (site, echo) = Site::with_echo().await;
    for target in ["//evilsite.test/", "//evilsite.test", "/%2fevilsite.test/", "/x/..//evilsite.test/.."] {
        let answer = site.get(target, &[BROWSER]).await;
        assert!(!answer.header("location").unwrap_or_default().starts_with("//"), "{target}: {}", answer.head);
        assert!(answer.status == 400 || answer.status == 303, "{target}");
    }
    assert_eq!(echo.take(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t51_a_location_is_never_made_of_the_request() {
    let (site, echo) = Site::with_echo().await;
    let alice = site.session_of("alice").await;
    let claims =
        ["X-Forwarded-Host: evilsite.test", "X-Forwarded-Proto: https", "Forwarded: host=evilsite.test", BROWSER];
    let of = |answer: &Answer| {
        assert!(!answer.head.contains("evilsite"), "{}", answer.head);
        answer.header("location").map(str::to_owned)
    };
    let page = site.get("/x", &claims).await;
    assert_eq!(of(&page).as_deref(), Some("/login?next=%2Fx"));
    let out = site.ask("POST", "/logout?next=/bye", &[&claims[..], &[&alice]].concat(), "").await;
    assert_eq!(of(&out).as_deref(), Some("/bye"));
    let foreign = site.ask("POST", "/logout?next=/bye", &["Host: evilsite.test", BROWSER], "").await;
    assert_eq!((foreign.status, of(&foreign)), (421, None));
    assert_eq!(echo.take(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t52_line_breaks_cannot_enter_a_location() {
    let (site, _echo) = Site::with_echo().await;
    for next in ["/x%0d%0aSet-Cookie:a=b", "/x%0aSet-Cookie:a=b", "/x%250d%250aSet-Cookie:a=b", "/x%0d", "/x%e5%98%8a"]
    {
        let answers = [
            site.ask("POST", &format!("/logout?next={next}"), &[], "").await,
            site.ask("POST", "/logout", &[FORM], &format!("next={next}")).await,
            site.ask("POST", "/login", &[FORM], &format!("username=alice&password=wonder+land&next={next}")).await,
        ];
        for answer in answers {
            assert!(answer.headers("location").len() <= 1 && !answer.head.contains("a=b"), "{next}: {}", answer.head);
            assert!(matches!(answer.header("location"), None | Some("/")), "{next}: {}", answer.head);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t53_repeated_target_parameter_is_ignored() {
    let (site, _echo) = Site::with_echo().await;
    for query in [
        "next=/ok&next=//evilsite.test", "next=//evilsite.test&next=/ok", "next=/a&next=/b", "next=/a&rd=/b",
        "rd=/a&rd=/a",
    ] {
        let out = site.ask("POST", &format!("/logout?{query}"), &[], "").await;
        assert_eq!((out.status, out.header("location")), (200, None), "{query}");
        let form = format!("username=alice&password=wonder+land&{query}");
        let answer = site.ask("POST", "/login", &[FORM], &form).await;
        assert_eq!(answer.header("location"), Some("/"), "{query}");
    }
}
