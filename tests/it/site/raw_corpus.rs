//! `tests/corpus/raw_requests.json` and `raw_requests_more.json`, byte for byte, against the whole gateway: what
//! reached the application is what was judged, or nothing did. `tests/e2e/raw` puts them to real servers behind it.

use std::time::Duration;

use serde::Deserialize;

use super::answer::Answer;
use super::echo::Echo;
use super::harness::Site;
use crate::rows::harness::open_site_with;
use crate::server::client::Client;
use crate::upstream::header;

/// Some bodies of the corpus never come.
const BODY_TIMEOUT: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
struct Case {
    id: String,
    category: String,
    name: String,
    raw: Option<String>,
    raw_repeat: Option<Repeated>,
    expect: String,
}

#[derive(Deserialize)]
struct Repeated {
    prefix: String,
    unit: String,
    count: usize,
    suffix: String,
}

impl Case {
    /// Each character of the corpus is one byte.
    fn bytes(&self) -> Vec<u8> {
        let text = match (&self.raw, &self.raw_repeat) {
            (Some(raw), None) => raw.clone(),
            (None, Some(Repeated { prefix, unit, count, suffix })) => {
                let units = (0..*count).map(|number| unit.replace("{i}", &number.to_string()));
                format!("{prefix}{}{suffix}", units.collect::<String>())
            }
            _ => panic!("{} has no bytes", self.id),
        };
        text.chars().map(|at| u8::try_from(u32::from(at)).unwrap()).collect()
    }
}

fn corpus() -> Vec<Case> {
    let read = |name| {
        let path = format!("{}/tests/corpus/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_slice::<Vec<Case>>(&std::fs::read(path).unwrap()).unwrap()
    };
    ["raw_requests", "raw_requests_more"].into_iter().flat_map(read).collect()
}

/// What came of a case: the answers until the connection was closed, and what the application saw.
struct Outcome {
    answers: Vec<Answer>,
    seen: Vec<String>,
}

async fn run(case: &Case) -> Outcome {
    let (site, echo) = open_site_with(BODY_TIMEOUT).await;
    send(case, case.bytes(), &site, &echo).await
}

async fn send(case: &Case, bytes: Vec<u8>, site: &Site, echo: &Echo) -> Outcome {
    let mut client = site.client().await;
    let to_head = bytes.starts_with(b"HEAD ");
    // The connection may be closed before the last byte of a refused request is taken.
    let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, &bytes).await;
    let mut answers = Vec::new();
    let first = site.turning(client.one_answer(to_head)).await;
    let goes_on =
        first.as_ref().is_some_and(|first| first.status >= 200 && first.header("connection") != Some("close"));
    answers.extend(first);
    if goes_on {
        // An honest request behind it: answered if the connection is in step, not at all if it was closed.
        let _ =
            tokio::io::AsyncWriteExt::write_all(&mut client.stream, b"GET /after HTTP/1.1\r\nHost: app.test\r\n\r\n")
                .await;
        answers.extend(site.turning(client.one_answer(false)).await);
    }
    for refusal in answers.iter().filter(|answer| answer.status >= 400 && !to_head) {
        let reason = refusal.json()["error"].as_str().map(|id| format!("note={id}"));
        let line = reason.unwrap_or_else(|| panic!("{} is not told why: {refusal:?}", case.id));
        site.access_lines(1, &line).await;
    }
    let mut other = Client::to(site.address()).await;
    assert_eq!(other.get("/x").await.split(' ').nth(1), Some("421"), "{}: the gateway lives", case.id);
    Outcome { answers, seen: echo.take().into_iter().filter(|request| !request.starts_with("GET /after ")).collect() }
}

impl Outcome {
    fn status(&self) -> u16 {
        self.answers.first().map_or(0, |answer| answer.status)
    }

    fn is_refused(&self, with: &[u16]) -> bool {
        self.seen.is_empty() && (self.answers.is_empty() || with.contains(&self.status()))
    }

    /// Nothing that was a body or a second request within the first was taken for a request.
    fn is_one_request(&self) -> bool {
        self.seen.len() <= 1 && !self.seen.iter().any(|request| request.starts_with("GET /smuggled"))
    }

    /// What was answered second is the honest request.
    fn is_in_step(&self) -> bool {
        self.answers.get(1).is_none_or(|second| second.text().starts_with("GET /after "))
    }

    fn is_stripped(&self) -> bool {
        const VALUES: [&str; 8] = ["root", "evil", "true", "for=", "/evil", ": a\r\n", "https", "CN="];
        self.seen.len() == 1 && !VALUES.iter().any(|value| self.seen[0].contains(value))
    }

    fn is_as_expected(&self, expect: &str) -> bool {
        match expect {
            "reject" => self.is_refused(&[400, 405, 408, 414, 421, 431, 501, 505]),
            "414-or-400" => self.is_refused(&[414, 400]),
            "431-or-400" => self.is_refused(&[431, 400]),
            "417-or-dropped" => {
                self.is_refused(&[417]) || (self.seen.len() == 1 && header(&self.seen[0], "expect").is_none())
            }
            "either" => self.is_refused(&[400, 405, 408]) || self.seen.len() == 1,
            "accept" => self.status() == 200 && self.seen.len() == 1,
            "dropped-or-reject" => {
                self.is_refused(&[400])
                    || self.seen.iter().all(|request| !request.to_ascii_lowercase().contains("content_length"))
            }
            "one-request" => self.status() == 200 && self.is_in_step() && self.seen.is_empty(),
            // Who does not send what was announced is told so in the end.
            "100-or-wait" => matches!(self.status(), 0 | 100 | 408),
            "no-upgrade" => {
                self.status() == 200
                    && self.seen.len() == 1
                    && header(&self.seen[0], "upgrade").is_none()
                    && header(&self.seen[0], "http2-settings").is_none()
            }
            "first answered; bytes never reach the backend before a 101"
            | "first answered; second answered or connection closed; never merged" => {
                self.status() != 101 && self.is_one_request()
            }
            "stripped" => self.is_stripped(),
            "stripped-or-rebuilt" => {
                self.is_stripped() && header(&self.seen[0], "x-forwarded-for") == Some("127.0.0.1")
            }
            "identity-kept-or-reject" => {
                self.is_refused(&[400]) || header(&self.seen[0], "x-forwarded-for") == Some("127.0.0.1")
            }
            "local-or-reject" => self.is_refused(&[204, 400]),
            "authority-wins-or-reject" => self.is_refused(&[400, 421]),
            "as-/logout-or-reject"
            | "normalise->intercept"
            | "intercept"
            | "policy: 308 to /logout or intercept; never backend" => self.is_refused(&[200, 308, 405, 400]),
            "own" => self.is_refused(&[200, 400, 401, 404, 405]),
            "normalise->/admin" | "normalise / 400" | "400 (double encoding) or literal" => {
                self.is_refused(&[400, 401])
            }
            "protected: prefix rule must match on segment boundary" => {
                self.seen.len() == 1 && self.seen[0].starts_with("GET /publicadmin ")
            }
            _ if expect.starts_with("protected") => self.is_refused(&[401]),
            _ if expect.starts_with("400") => self.is_refused(&[400]),
            _ => panic!("nobody knows what {expect:?} means"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_corpus_holds() {
    let mut wrong = Vec::new();
    let mut held = 0;
    for case in corpus() {
        let outcome = run(&case).await;
        let holds = outcome.is_as_expected(&case.expect);
        held += usize::from(holds);
        if !holds {
            let (status, seen) = (outcome.status(), outcome.seen.len());
            wrong.push(format!("{} {}: wants {}, got {status}, {seen} seen", case.id, case.name, case.expect));
        }
    }
    assert!(wrong.is_empty(), "{} rows hold; these do not:\n{}", held, wrong.join("\n"));
}

/// The rows that forge an identity, sent by a signed-in user: the application gets the gateway's identity only.
#[tokio::test(flavor = "multi_thread")]
async fn no_row_changes_who_is_signed_in() {
    let (site, echo) = open_site_with(BODY_TIMEOUT).await;
    let alice = site.sign_in("alice").await;
    for case in corpus().into_iter().filter(|case| case.category == "identity") {
        let with_session = case.raw.as_ref().unwrap().replacen("\r\n\r\n", &format!("\r\n{alice}\r\n\r\n"), 1);
        let outcome = send(&case, with_session.into_bytes(), &site, &echo).await;
        let told: Vec<_> = outcome.seen.iter().map(|request| header(request, "x-forwarded-user")).collect();
        assert!(outcome.is_refused(&[400, 405]) || told == [Some("alice")], "{}: {told:?}", case.id);
        assert!(!outcome.seen.concat().contains("root"), "{}", case.id);
    }
}
