//! Pages as answers: escaping, languages, brand, headers.

use super::*;
use crate::values::device::Device;
use crate::values::own_path::OwnPath;
use crate::values::receipt::{Step, StepReceipt};
use data_encoding::BASE64;

fn pages_of(brand: Brand) -> Pages {
    let settings = PageSettings { brand, theme: Theme::built_in().unwrap() };
    let path = |text| OwnPath::parse(text).unwrap();
    let own = OwnPages::new(path("/Sign-In"), vec![path("/logout"), path("/bye")]).unwrap();
    Pages::new(settings, &Addresses::samples(), &own).unwrap()
}

fn pages() -> Pages {
    pages_of(Brand::default())
}

/// The body, with escaped slashes decoded.
fn text(reply: &Reply) -> String {
    std::str::from_utf8(&reply.body).unwrap().replace("&#x2f;", "/")
}

fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    reply.headers.iter().find(|(other, _)| other == name).unwrap().1.to_str().unwrap()
}

const FORM: SignInForm<'_> = SignInForm { site: "app.test", next: "/", user: "", problem: None };

fn german() -> http::HeaderMap {
    http::HeaderMap::from_iter([(http::header::ACCEPT_LANGUAGE, HeaderValue::from_static("de-AT, en;q=0.5"))])
}

#[test]
fn every_page_escapes_its_values() {
    let pages = pages();
    let evil = "\"><script>alert(1)</script>";
    let mut seen = 0;
    for language in [Language(0), Language(1)] {
        samples::each(evil, |page| {
            let reply = pages.page(language, StatusCode::OK, &page);
            let text = text(&reply);
            assert!(text.starts_with("<!doctype html>") && text.ends_with("</html>"), "{text}");
            let has_script = !matches!(page.needs(), policy::Needs::Form | policy::Needs::Nothing);
            let ours = usize::from(has_script);
            assert_eq!(text.matches("<script").count(), ours, "{page:?}: {text}");
            assert!(!text.contains("\"\"><"), "{page:?}: {text}");
            assert!(header(&reply, "content-security-policy").starts_with("default-src 'none'"));
            seen += usize::from(text.contains("&lt;script&gt;"));
        });
    }
    assert!(seen > 2 * Reason::ALL.len(), "the samples reach the pages: {seen}");
}

fn digest(text: &str) -> String {
    format!("'sha256-{}'", BASE64.encode(&Sha256::digest(text)))
}

#[test]
fn each_page_has_the_strictest_policy() {
    let pages = pages();
    samples::each("sample", |page| {
        let reply = pages.page(Language(0), StatusCode::OK, &page);
        let (text, policy) = (text(&reply), header(&reply, "content-security-policy"));
        assert!(!policy.contains("unsafe") && policy.contains("base-uri 'none'"), "{policy}");
        // Browsers apply form-action to the redirects that follow a form, so pages with a form have none.
        assert_eq!(policy.contains("form-action 'self'"), !text.contains("<form"), "{page:?}");
        let script = text.split("<script").nth(1).map(|rest| rest.split('>').nth(1).unwrap());
        assert_eq!(script.is_some(), policy.contains("script-src"), "{page:?}");
        assert!(script.is_none_or(|_| policy.contains("script-src 'sha256-")), "{policy}");
        assert_eq!(policy.contains("worker-src 'self'"), page.needs() == policy::Needs::Worker, "{page:?}");
    });
}

#[test]
fn the_script_of_the_form_matches_its_policy() {
    let pages = pages();
    let reply = pages.login(Language(0), StatusCode::OK, FORM);
    let body = std::str::from_utf8(&reply.body).unwrap();
    let (before, rest) = body.split_once("<script").unwrap();
    let script = rest.split_once("\">").unwrap().1.split_once("</script>").unwrap().0;
    assert!(script.contains("getElementById") && before.contains("id=\"password\""));
    let policy = header(&reply, "content-security-policy");
    assert!(policy.ends_with(&format!("; script-src {}", digest(script))), "{policy}");
}

#[test]
fn the_script_that_closes_tabs_matches_its_policy_and_its_worker_skips_the_gateways_pages() {
    let pages = pages();
    let reply = pages.goodbye_to_all_tabs(Language(0), &samples::receipt("x"));
    let body = std::str::from_utf8(&reply.body).unwrap();
    let script = body.split_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
    assert!(header(&reply, "content-security-policy").contains(&format!("; script-src {}; worker", digest(script))));
    assert!(script.contains("/.exeunt/tabs.js") && text(&reply).contains("data-one=\"1 other open tab "));
    let worker = pages.tabs_worker();
    assert!(text(&worker).starts_with("const login = \"/Sign-In\", own = [\"/sign-in\",\"/logout\",\"/bye\"];\n"));
    assert!(!text(&worker).contains("onfetch") && !text(&worker).contains("onmessage"), "it handles no event");
    assert_eq!(header(&worker, "service-worker-allowed"), "/");
    assert_eq!(header(&worker, "content-security-policy"), "default-src 'none'");
    assert_eq!(header(&worker, "cache-control"), "no-store");
}

#[test]
fn the_sign_in_form_shows_the_host_and_posts_to_its_own_address() {
    let pages = pages();
    let english = text(&pages.login(Language(0), StatusCode::OK, SignInForm { site: "wiki.example.com", ..FORM }));
    assert!(english.contains("to wiki.example.com") && english.contains("<form method=\"post\">"), "{english}");
    let german = text(&pages.login(Language(1), StatusCode::OK, SignInForm { site: "wiki.example.com", ..FORM }));
    assert!(german.contains("bei wiki.example.com"));
}

#[test]
fn a_session_names_its_browser_in_the_language_of_the_page() {
    let pages = pages();
    let named = |agent: &str, language| {
        let line = SessionLine { device: Device::from_user_agent(agent), ..samples::session("x", 60) };
        let page = SessionsPage { user: "x", lines: &[line], hidden: 0, confirmed: true, several_hosts: false };
        text(&pages.page(language, StatusCode::OK, &Page::Sessions(page)))
    };
    let cases = [
        ("Firefox/140 (Linux)", "<div>Firefox on Linux", "<div>Firefox unter Linux"),
        ("curl/8", "<div>curl", "<div>curl"),
        ("other (iPad)", "<div>a program on iPad", "<div>ein Programm unter iPad"),
        ("other", "<div>a program", "<div>ein Programm"),
    ];
    for (agent, english, german) in cases {
        assert!(named(agent, Language(0)).contains(english), "{agent}: {}", named(agent, Language(0)));
        assert!(named(agent, Language(1)).contains(german), "{agent}: {}", named(agent, Language(1)));
    }
}

#[test]
fn a_user_who_came_back_sees_why_and_what_to_write() {
    let pages = pages();
    let page = SignedInPage { user: "alice", next: "/", switch: "/", came_back: false, sessions: "", password: None };
    let usual = text(&pages.signed_in(Language(0), page));
    assert!(!usual.contains("role=\"alert\"") && !usual.contains("[login]"));
    let back = text(&pages.signed_in(Language(0), SignedInPage { came_back: true, ..page }));
    for words in ["role=\"alert\"", "path = \"/.exeunt/login\"", "paths = [\"/.exeunt/logout\"]"] {
        assert!(back.contains(words), "{words}: {back}");
    }
}

#[test]
fn a_name_is_escaped_like_everything_else() {
    let pages = pages_of(Brand { name: "<b>&\"".to_owned(), ..Brand::default() });
    let page = pages.login(Language(0), StatusCode::OK, FORM);
    assert!(!text(&page).contains("<b>") && text(&page).contains("&lt;b&gt;&amp;&quot;"));
}

#[test]
fn the_receipt_is_rendered_as_text() {
    let step = |step, count| StepReceipt::counted(step, count, Duration::ZERO);
    let steps = vec![step(Step::End, 1), step(Step::Cut, 3), step(Step::Answer, 0)];
    let receipt = Receipt {
        logout_id: "k3f9".into(),
        user: Some("alice".into()),
        target: None,
        steps,
        applications: Vec::new(),
        hosts: Vec::new(),
    };
    let pages = pages();
    let english = pages.goodbye(Language(0), StatusCode::OK, Some(&receipt));
    for words in
        ["Your session has ended", "3 open connections were closed", "no session cookie", "Goodbye, alice.", "k3f9"]
    {
        assert!(text(&english).contains(words), "{words}: {}", text(&english));
    }
    let german = pages.goodbye(pages.language(&german()), StatusCode::OK, Some(&receipt));
    for words in ["Ihre Sitzung ist beendet", "3 offene Verbindungen", "Auf Wiedersehen, alice."] {
        assert!(text(&german).contains(words), "{words}: {}", text(&german));
    }
}

#[test]
fn an_unconfirmed_end_is_shown() {
    let page = pages().goodbye(Language(0), StatusCode::SERVICE_UNAVAILABLE, Some(&samples::receipt("x")));
    assert!(text(&page).contains("role=\"alert\"") && text(&page).contains("not confirmed"));
    for why in ["The session store did not answer.", "It was being handed to the application,"] {
        assert!(text(&page).contains(why), "what could not be done says why: {why}");
    }
    assert!(!text(&page).contains("You are signed out"));
}

#[test]
fn a_refusal_offers_next_steps() {
    let pages = pages();
    let page = |reason: Reason, switch| text(&pages.refused(Language(0), &reason.into(), switch));
    assert!(page(Reason::UpstreamUnreachable, None).contains("href=\"\">Try again"));
    assert!(page(Reason::NoRoute, None).contains("href=\"/\">Go to the start page"));
    assert!(page(Reason::GroupMissing, None).contains("href=\"/login?switch=1\">Use another account"));
    assert!(page(Reason::GroupMissing, Some("/login?x")).contains("href=\"/login?x\">Use another account"));
    assert!(page(Reason::LogoutByGet, None).contains("<form method=\"post\" action=\"/logout\""));
    let detail = Refusal { message: "write $host".into(), ..Refusal::from(Reason::HostNotServed) };
    assert!(text(&pages.refused(Language(1), &detail, None)).contains("write $host"));
}

#[test]
fn every_reason_has_a_german_text() {
    let pages = pages();
    for reason in Reason::ALL {
        let page = pages.refused(pages.language(&german()), &reason.into(), None);
        assert!(text(&page).contains("lang=\"de\"") && !text(&page).contains(reason.message()), "{reason:?}");
        assert!(text(&page).contains(reason.id()) && page.status == reason.status());
    }
}

#[test]
fn the_colour_is_readable_in_every_role() {
    for accent in ["#17694e", "#ffd400", "#000000", "#ffffff", "#808080", "#e4572e"] {
        let style = colours(Colour::parse(accent).unwrap());
        let values = |name: &str| -> Vec<Colour> {
            let name = format!("{name}: ");
            let found = style.split(&name).skip(1);
            found.map(|rest| Colour::parse(rest.split(';').next().unwrap()).unwrap()).collect()
        };
        let (areas, inks, texts) = (values(" --accent"), values("--on-accent"), values("--accent-text"));
        for theme in 0..2 {
            let paper = Colour::parse(BACKGROUNDS[theme]).unwrap();
            assert!(areas[theme].contrast(inks[theme]) >= 4.5, "{accent} {theme}");
            assert!(texts[theme].contrast(paper) >= 4.5, "{accent} {theme}");
        }
    }
}

#[test]
fn style_and_logo_can_be_cached_and_run_no_script() {
    let pages = pages();
    assert!(text(&pages.style()).starts_with(":root { --accent: #17694e;"));
    assert_eq!(header(&pages.style(), "cache-control"), "public, max-age=3600");
    let logo = pages.logo();
    assert_eq!(header(&logo, "content-type"), "image/svg+xml");
    assert_eq!(header(&logo, "x-content-type-options"), "nosniff");
    assert_eq!(header(&logo, "content-security-policy"), PICTURE_POLICY);
    let other = pages_of(Brand { colour: Colour::parse("#123").unwrap(), ..Brand::default() });
    let address = |pages: &Pages| {
        text(&pages.login(Language(0), StatusCode::OK, FORM)).split("style.css?v=").nth(1).unwrap()[..8].to_owned()
    };
    assert_ne!(address(&pages), address(&other), "another style has another address");
}

#[test]
fn a_custom_logo_replaces_the_name() {
    let logo = Logo::parse(b"\x89PNG\r\n\x1a\n".to_vec()).unwrap();
    let own = pages_of(Brand { name: "Shop".to_owned(), logo: Some(logo), ..Brand::default() });
    let page = own.login(Language(0), StatusCode::OK, FORM);
    assert!(text(&page).contains("alt=\"Shop\""));
    assert_eq!(header(&own.logo(), "content-type"), "image/png");
}

#[test]
fn a_page_of_an_unknown_host_includes_its_style() {
    let pages = pages();
    let reply = pages.refused(Language(0), &Reason::HostNotServed.into(), None);
    let text = text(&reply);
    let style = text.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    assert!(header(&reply, "content-security-policy").contains(&digest(style)));
    assert!(!text.contains("/.exeunt/"), "nothing is requested that this host does not serve");
}
