//! Properties of all requests, tested with many that are generated from pieces of attacks. The seed is fixed.

use http::{HeaderName, HeaderValue};
use url::Url;

use super::*;
use crate::values::target::Target;

/// A small random generator (splitmix64).
pub(super) struct Rng(pub(super) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(count).unwrap()).unwrap()
    }

    pub(super) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn pieces(&mut self, text: &mut String, from: &[&str], most: usize) {
        for _ in 0..self.below(most + 1) {
            text.push_str(self.pick(from));
        }
    }

    /// Nine of ten start like a path, and half of those on a public route.
    fn target(&mut self, text: &mut String) {
        const STARTS: [&str; 10] =
            ["/", "/", "/", "/public/", "/public/", "/public", "/public/a/", "/staff/", "http://app.test/", ""];
        const PIECES: [&str; 44] = [
            "a", "b", "public", "staff", "logout", "login", ".exeunt", "/", "/", "/", "/a", "/..", "/../", "/.", "/./",
            "//", ".", "..", ";", "/;", ";/", ";x=1", "..;", "%2e", "%2E", "%2e%2e", "/%2e%2e/", "/.%2e/", "%2f",
            "%5c", "\\", "%3b", "%61", "%20", "%c3%a4", "%c0%af", "%00", "%25", "%", "?", "?x=/../", "#", "@",
            "\u{7f}",
        ];
        text.clear();
        text.push_str(self.pick(&STARTS));
        self.pieces(text, &PIECES, 6);
    }

    /// A path, an address of an allowed origin, or an imitation of one.
    fn redirect(&mut self, text: &mut String) {
        const STARTS: [&str; 10] = [
            "/", "/a", "https://app.test", "https://x.app.test", "HTTPS://APP.test", "http://port.test:8080", "https:",
            "//", "\\", "",
        ];
        const PIECES: [&str; 38] = [
            "/", "/", "a", "b/", "//", "\\", "/\\", ".", "..", "/../", "?", "#", "?next=https://evil.test", "@",
            "@evil.test", ":", ":443", ":8080", ":0443", "evil.test", ".app.test", "app.test", "%2f",
            "%2F%2Fevil.test", "%5c", "%09", "%00", "\t", " ", "%20", "[::1]", "xn--a", "https://", "javascript:", ";",
            "&", "%c0%af", "ä",
        ];
        text.clear();
        text.push_str(self.pick(&STARTS));
        self.pieces(text, &PIECES, 5);
    }

    /// The name of one of the gateway's headers, in a spelling that some application takes for it.
    fn owned_name(&mut self) -> String {
        const OWNED: [&str; 18] = [
            "x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username",
            "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix", "remote-user",
            "remote-groups", "x-exeunt-assertion", "forwarded", "x-real-ip", "x-remote-user", "x-original-url",
            "x-original-host", "x-ssl-client-cert", "proxy",
        ];
        const BETWEEN: [&str; 10] = ["-", "-", "-", "_", ".", "--", "~", "-_", "!", "|"];
        let mut name = self.pick(&["", "", "", "HTTP_", "http-", "Http_", "-", "_"]).to_owned();
        for letter in self.pick(&OWNED).chars() {
            match letter {
                '-' => name.push_str(self.pick(&BETWEEN)),
                letter if self.below(2) == 0 => name.push(letter.to_ascii_uppercase()),
                letter => name.push(letter),
            }
        }
        name + self.pick(&["", "", "", "", "-", "_", "."])
    }
}

/// Whether the bytes are the one spelling of a target that does not climb, decoded or not.
fn is_canonical(target: &str) -> bool {
    let path = target.split('?').next().unwrap();
    let climbs = |path: &str| {
        let mut names = path.split(['/', '\\']).map(|segment| segment.split([';', '?', '#']).next().unwrap());
        names.any(|name| name == "." || name == "..")
    };
    let once = String::from_utf8_lossy(&percent_encoding::percent_decode_str(path).collect::<Vec<_>>()).into_owned();
    path.starts_with('/')
        && !path.starts_with("//")
        && !once.starts_with("//")
        && !once.contains(|letter: char| letter.is_ascii_control())
        && !climbs(path)
        && !climbs(&once)
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#')
}

#[test]
fn a_million_targets_have_one_spelling_or_none() {
    let (mut dice, mut raw, mut accepted) = (Rng(1), String::new(), 0);
    for _ in 0..1_000_000 {
        dice.target(&mut raw);
        let Ok(target) = Target::parse(raw.as_bytes()) else { continue };
        accepted += 1;
        let forwarded = String::from_utf8(target.to_bytes()).unwrap();
        assert!(is_canonical(&forwarded), "{raw} became {forwarded}");
        let again = Target::parse(forwarded.as_bytes()).unwrap();
        assert!(again.rewritten().is_none() && again.query() == target.query(), "{raw} became {forwarded}");
        assert_eq!(again.path().loose(), target.path().loose(), "{raw} became {forwarded}");
    }
    assert!(accepted > 200_000, "only {accepted} were accepted");
}

#[tokio::test]
async fn the_forwarded_target_is_the_judged_one() {
    let harness = harness();
    let alice = harness.sign_in("alice").await;
    let heads = [head("GET", &[]), head("GET", &[&alice])];
    let (mut dice, mut raw, mut forwarded) = (Rng(2), String::new(), 0);
    for _ in 0..50_000 {
        dice.target(&mut raw);
        for (head, signed_in) in heads.iter().zip([false, true]) {
            let (exchange, received) =
                harness.gateway.receive(RequestHead::of(head, raw.as_bytes()), Peer::Unix, &Cut::new());
            drop(exchange);
            let line = std::mem::take(&mut *harness.lines.lock()).pop().unwrap();
            let Received::Forward(forward) = received else { continue };
            forwarded += 1;
            let written = forward.target().map_or(&*raw, |target| std::str::from_utf8(target).unwrap());
            assert!(is_canonical(written), "{raw} is written as {written}");
            let path = written.split('?').next().unwrap();
            assert!(line.contains(&logged(path)), "{written} is judged as {line}");
            assert!(signed_in || path == "/public" || path.starts_with("/public/"), "{raw} is forwarded as {written}");
            let own = ["/login", "/logout", "/.exeunt"].iter().any(|own| path.eq_ignore_ascii_case(own));
            assert!(!own && !path.to_lowercase().starts_with("/.exeunt/"), "{raw} is forwarded as {written}");
        }
    }
    assert!(forwarded > 10_000, "only {forwarded} were forwarded");
}

/// A path as a log line shows it.
fn logged(path: &str) -> String {
    let bare = !path.contains(['"', '=']);
    if bare { format!(" path={path} ") } else { format!(" path=\"{}\" ", path.replace('"', "\\\"")) }
}

#[test]
fn a_million_redirects_stay_where_they_may_lead() {
    let patterns = ["https://app.test", "https://*.app.test", "http://port.test:8080"];
    let allowed = AllowedOrigins::new(patterns.map(|pattern| OriginPattern::parse(pattern).unwrap()));
    let base = Url::parse("https://here.test/login?next=x").unwrap();
    let (mut dice, mut text, mut accepted) = (Rng(3), String::new(), 0);
    for _ in 0..1_000_000 {
        dice.redirect(&mut text);
        let Some(target) = ReturnTo::parse(&text, &allowed) else { continue };
        accepted += 1;
        let location = target.header_value();
        let location = location.to_str().unwrap();
        let Ok(url) = base.join(location) else {
            assert!(location.contains("xn--"), "{text}: browsers refuse a name that is not valid punycode");
            continue;
        };
        let below = url.host_str().unwrap().ends_with(".app.test");
        let stays = match url.origin().ascii_serialization().as_str() {
            "https://here.test" => target.origin().is_none(),
            "https://app.test" | "http://port.test:8080" => target.origin().is_some(),
            _ => below && url.scheme() == "https" && url.port().is_none() && target.origin().is_some(),
        };
        assert!(stays && url.username().is_empty(), "{text} leads to {url}");
    }
    assert!(accepted > 100_000, "only {accepted} were accepted");
}

#[tokio::test]
async fn clients_cannot_forge_headers_of_the_gateway() {
    let harness = harness();
    let alice = harness.sign_in("alice").await;
    let mut dice = Rng(4);
    for round in 0..20_000 {
        let mut head = head("GET", &["X-Harmless: kept"]);
        for _ in 0..=dice.below(3) {
            let name = HeaderName::from_bytes(dice.owned_name().as_bytes()).unwrap();
            head.headers.append(name, HeaderValue::from_static("evil"));
        }
        if round % 2 == 0 {
            head.headers.insert(http::header::COOKIE, HeaderValue::from_str(&alice["Cookie: ".len()..]).unwrap());
        }
        let received = harness.gateway.receive(RequestHead::of(&head, b"/public/x"), Peer::Unix, &Cut::new()).1;
        let Received::Forward(forward) = received else {
            panic!("{:?} is refused", head.headers);
        };
        let goes = head.headers.clone();
        let goes = sent(&forward, &goes);
        assert!(goes.values().all(|value| value != "evil"), "{:?} becomes {goes:?}", head.headers);
        assert_eq!(goes.get("x-harmless").unwrap(), "kept");
        let told: Vec<_> = goes.get_all("x-forwarded-user").iter().collect();
        assert_eq!(told, if round % 2 == 0 { vec!["alice"] } else { vec![] });
    }
}
