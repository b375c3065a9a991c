//! A request's further resources: `Destination` and the tags of `If`.

use http::{HeaderName, header};

use super::*;

fn dav() -> Harness {
    harness_with(|settings| {
        settings.routes = vec![
            route("/", Access::Public),
            route("/dav", Access::Public),
            route("/dav/staff", Access::Groups(vec!["staff".into()])),
        ];
        settings.routes[1].upstream_host = Authority::parse("dav.internal:8080");
    })
}

/// The header as the application receives it, or the reason of the refusal.
fn forwarded(harness: &Harness, method: &str, target: &str, lines: &[&str], name: &str) -> Result<String, Reason> {
    match harness.receive(method, target, lines) {
        Received::Forward(forward) => {
            let headers = sent(&forward, &head(method, lines).headers);
            let value = headers.get(HeaderName::from_bytes(name.as_bytes()).unwrap());
            Ok(value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default())
        }
        Received::Answer(reply) => Err(reply.reason.unwrap()),
        other => panic!("{target}: {other:?}"),
    }
}

#[tokio::test]
async fn a_destination_is_a_target_of_the_same_route() {
    let harness = dav();
    let passes = [
        ("/dav/b", "http://dav.internal:8080/dav/b"),
        ("http://app.test/dav/b%2fc", "http://dav.internal:8080/dav/b%2Fc"),
        ("http://app.test:80/dav/./x/../b", "http://dav.internal:8080/dav/b"),
    ];
    for (destination, want) in passes {
        for method in ["COPY", "MOVE"] {
            let line = format!("Destination: {destination}");
            let got = forwarded(&harness, method, "/dav/a", &[&line], "destination");
            assert_eq!(got.as_deref(), Ok(want), "{destination}");
        }
    }
    let refused = [
        "/dav/staff/b", "/dav/%73taff/b", "/dav%2Fstaff/b", "/dav/staff%2Fb", "/dav/STAFF/b", "/dav/staff./b",
        "/dav/staff;x/b", "/dav/x/../staff/b", "/dav/x/..%2Fstaff/b", "/dav//staff/b", "/x", "/login", "/Logout",
        "/.exeunt/session", "http://app.test/dav/staff/b", "/dav/%252e%252e/x", "dav/b",
    ];
    for destination in refused {
        let line = format!("Destination: {destination}");
        let got = forwarded(&harness, "MOVE", "/dav/a", &[&line], "destination");
        assert_eq!(got, Err(Reason::DestinationRefused), "{destination}");
        let by_header = [&*line, "X-HTTP-Method-Override: MOVE"];
        assert!(forwarded(&harness, "GET", "/dav/a", &by_header, "destination").is_err(), "{destination}");
        assert!(forwarded(&harness, "POST", "/dav/a", &[&line], "destination").is_err(), "{destination}");
    }
    let foreign = forwarded(&harness, "COPY", "/dav/a", &["Destination: http://evil.test/dav/b"], "destination");
    assert_eq!(foreign, Err(Reason::DestinationForeign));
    assert_eq!(Reason::DestinationForeign.status(), StatusCode::BAD_GATEWAY);
    // Without `upstream_host` the application gets the client's Host.
    let plain = forwarded(&harness, "MOVE", "/a", &["Destination: /b"], "destination");
    assert_eq!(plain.as_deref(), Ok("http://app.test/b"));
}

#[tokio::test]
async fn conditions_about_other_resources_are_about_the_same_route() {
    let harness = dav();
    let of = |value: &str| forwarded(&harness, "PUT", "/dav/a", &[&format!("If: {value}")], "if");
    let cases = [
        ("(<urn:uuid:1>)", Ok("(<urn:uuid:1>)")),
        (
            "<http://app.test/dav/b> (<urn:uuid:1> [\"e\"])",
            Ok("<http://dav.internal:8080/dav/b> (<urn:uuid:1> [\"e\"])"),
        ),
        ("</dav/b> (Not <DAV:no-lock>)", Ok("<http://dav.internal:8080/dav/b> (Not <DAV:no-lock>)")),
        ("<http://evil.test/b> (<urn:uuid:1>)", Ok("<http://evil.test/b> (<urn:uuid:1>)")),
        ("<http://app.test/dav/staff/b> ([\"e\"])", Err(Reason::DestinationRefused)),
        ("</dav/b> (<urn:uuid:1>) </login> (<urn:uuid:1>)", Err(Reason::DestinationRefused)),
        ("</dav/b", Err(Reason::HeadMalformed)),
    ];
    for (value, want) in cases {
        assert_eq!(of(value), want.map(str::to_owned), "{value}");
    }
    let twice = forwarded(&harness, "PUT", "/dav/a", &["If: (<urn:a>)", "If: </dav/b> (<urn:a>)"], "if");
    assert_eq!(twice, Err(Reason::HeadMalformed));
    let about = harness.receive("GET", "/dav/a", &[&format!("{}: (<urn:a>)", header::IF_MATCH)]);
    assert!(matches!(about, Received::Forward(_)));
}
