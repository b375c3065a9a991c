//! Users return to the page that they requested.

use super::*;

const SIGN_IN: &str = "username=alice&password=wonder+land";

fn next_of(location: &str) -> String {
    let query = location.split_once('?').unwrap().1;
    let mut fields = form_urlencoded::parse(query.as_bytes());
    fields.find(|(name, _)| name == "next").unwrap().1.into_owned()
}

fn form_field(page: &Reply) -> String {
    let text = text(page);
    let field = text.split("name=\"next\" value=\"").nth(1).unwrap();
    field.split('"').next().unwrap().to_owned()
}

/// Where a sign-in leads after a request for this target, with a wrong password in between.
async fn comes_back_to(harness: &Harness, target: &str) -> String {
    let reply = harness.ask("GET", target, &[BROWSER], "").await;
    let location = header(&reply, "location").unwrap().to_owned();
    assert!(location.len() <= 3500, "{target}: {}", location.len());
    let page = harness.ask("GET", &location, &[BROWSER], "").await;
    let next = form_field(&page);
    let body = |password: &str| {
        let fields = [("username", "alice"), ("password", password), ("next", &*next)];
        form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    };
    let wrong = harness.ask("POST", "/login", &[FORM, BROWSER], body("wrong").leak()).await;
    assert_eq!(form_field(&wrong), next, "the target is kept after a wrong password");
    let right = harness.ask("POST", "/login", &[FORM, BROWSER], body("wonder land").leak()).await;
    header(&right, "location").unwrap().to_owned()
}

#[tokio::test]
async fn a_judged_target_is_kept_unchanged() {
    let long = format!("/a?q={}", "x".repeat(2000));
    let escapes = format!("/a?q={}", "%0A".repeat(640));
    let targets = [
        "/x?y=z", "/wiki/What%3F%2Fis%23this%5C", "/a//b", "/100%25", "/caf%E9", "/a?b=%0Ac%0D", "/a?b=\\c&d=\"<>`",
        "/a?next=//evil.test", &long, &escapes,
    ];
    for target in targets {
        let harness = harness();
        assert_eq!(comes_back_to(&harness, target).await, target);
        let json = harness.ask("GET", target, &[], "").await;
        let body: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
        let login = body["login"].as_str().unwrap().to_owned();
        let reply = harness.ask("POST", &login, &[FORM], SIGN_IN).await;
        assert_eq!(header(&reply, "location"), Some(target), "the same for programs");
    }
    assert_eq!(comes_back_to(&harness(), "/%41?b=c").await, "/A?b=c", "in the spelling that is forwarded");
}

#[tokio::test]
async fn a_target_that_is_too_long_leads_to_the_default() {
    let long = format!("/a?q={}", "%0A".repeat(1000));
    let reply = harness().ask("GET", &long, &[BROWSER], "").await;
    assert_eq!(header(&reply, "location"), Some("/login"));
    let patient = harness_with(|settings| settings.login.return_size = 8000);
    let reply = patient.ask("GET", &long, &[BROWSER], "").await;
    assert!(header(&reply, "location").unwrap().starts_with("/login?next=."));
}

#[tokio::test]
async fn a_forged_target_is_not_accepted() {
    let (one, other) = (harness(), harness());
    let signed = async |harness: &Harness, target: &str| {
        next_of(header(&harness.ask("GET", target, &[BROWSER], "").await, "location").unwrap())
    };
    let lands = async |harness: &Harness, next: &str| {
        let fields = [("username", "alice"), ("password", "wonder land"), ("next", next)];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        header(&harness.ask("POST", "/login", &[FORM], body.leak()).await, "location").unwrap().to_owned()
    };
    let ours = signed(&one, "/a%2Fb").await;
    assert_eq!(lands(&one, &ours).await, "/a%2Fb");
    let forged = format!("{}{}", &ours[..23], data_encoding::BASE64URL_NOPAD.encode(b"//evil.test"));
    let longer = format!("{ours}AA");
    for stranger in
        [&*signed(&other, "/a%2Fb").await, &forged, &longer, &ours[1..], ".", ".AAAA", "/a%2F", "//evil.test"]
    {
        assert_eq!(lands(&one, stranger).await, "/", "{stranger}");
    }
    // A sign-out does not accept it.
    let out = one.ask("POST", "/logout", &[FORM], format!("next={ours}").leak()).await;
    assert_eq!(header(&out, "location"), None);
}

#[tokio::test]
async fn options_for_the_whole_server_is_not_forwarded() {
    let harness = harness();
    let reply = harness.ask("OPTIONS", "*", &[], "").await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert!(header(&reply, "allow").unwrap().starts_with("GET, HEAD, POST, "));
    let foreign = harness.ask("OPTIONS", "*", &["Host: evil.test"], "").await;
    assert_eq!(foreign.reason, Some(Reason::HostNotServed));
    assert_eq!(harness.ask("GET", "*", &[], "").await.reason, Some(Reason::TargetAmbiguous));
}
