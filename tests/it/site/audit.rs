//! The audit file of a gateway: what happens over the wire is in it, in order, and no secret is.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use exeunt::audit::{AuditSettings, FileSettings};
use http::Method;
use serde_json::Value;
use tempfile::TempDir;

use super::echo::Echo;
use super::harness::{FORM, IDLE, PASSWORD, Site, until};
use super::secrets;
use crate::admin::Office;

/// A site whose events are in a file, too.
struct Audited {
    site: Site,
    _echo: Echo,
    folder: TempDir,
}

impl Audited {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit =
            AuditSettings { file: Some(FileSettings { path, size: 1 << 20, older: 0, sync: true }), webhook: None };
        let (site, echo) = Site::with_echo_and(|settings| settings.audit = audit).await;
        Self { site, _echo: echo, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// Waits until there is this number of events, and gives them.
    async fn events(&self, count: usize) -> Vec<Value> {
        until(|| self.text().lines().count() >= count).await;
        let text = self.text();
        secrets::lines(&text.lines().map(str::to_owned).collect::<Vec<_>>());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The values of a line of cookies: the session's and the known browser's.
fn values(cookies: &str) -> impl Iterator<Item = &str> {
    cookies.split("; ").map(|cookie| cookie.split_once('=').unwrap().1)
}

/// The words that matter of an event.
fn summary(event: &Value) -> String {
    let words = ["event", "user", "reason", "cause", "act", "about"].map(|key| event[key].as_str());
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_events_have_no_secrets() {
    let audited = Audited::start().await;
    let site = &audited.site;
    let office = Office::of(site);
    let alice = site.sign_in("alice").await;
    let wrong = "username=alice&password=wrong-but-secret";
    for status in [401, 401, 401, 401, 401, 429] {
        assert_eq!(site.ask("POST", "/login", &[FORM], wrong).await.status, status);
    }
    site.sign_out(&alice).await;
    let idle = site.session_of("bob").await;
    site.advance(IDLE + Duration::from_secs(1)).await;
    let bob = site.sign_in("bob").await;
    office.ask(Method::DELETE, "/bans/alice").await;
    office.ask(Method::DELETE, "/users/bob/sessions").await;
    office.ask(Method::DELETE, "/sessions/aaaaaaaaaaaaaaaa").await;
    let cookie = values(&bob).next().unwrap();
    for target in [format!("sessions/exeunt={cookie}"), format!("users/{cookie}/sessions"), format!("bans/{cookie}")] {
        office.ask(Method::DELETE, &format!("/{target}")).await;
    }
    office.ask(Method::DELETE, &format!("/sessions?user={cookie}")).await;
    office.ask(Method::POST, "/reload").await;

    let events = audited.events(19).await;
    let reason = "sign_in_refused alice credentials_wrong";
    let want = [
        "signed_in alice",
        reason,
        reason,
        reason,
        reason,
        reason,
        "sign_in_refused alice too_many_attempts",
        "session_ended alice logout",
        "session_ended bob idle",
        "signed_in bob",
        "operator_request unban alice",
        "session_ended bob revoked",
        "operator_request revoke_user bob",
        "operator_request revoke_session aaaaaaaaaaaaaaaa",
        "operator_request revoke_session exeunt=[session cookie]",
        "operator_request revoke_user [session cookie]",
        "operator_request unban [session cookie]",
        "operator_request revoke_selected user=[session cookie]",
        "operator_request reload",
    ];
    assert_eq!(events.iter().map(summary).collect::<Vec<_>>(), want);
    let done: Vec<_> = events[10..].iter().map(|event| event["done"].as_str().unwrap_or("-")).collect();
    assert_eq!(done, ["yes", "-", "yes", "no", "no", "no", "no", "no", "yes"]);
    // The kernel says who asked: the user who runs this test.
    assert!(events[10]["operator"].as_str().is_some_and(|name| !name.is_empty() && name != "unknown"));
    let receipt = &events[7]["receipt"];
    assert_eq!((&receipt["logout_id"], &receipt["steps"][0]["result"]), (&events[7]["logout_id"], &"done".into()));

    let text = audited.text();
    let cookies = [&alice, &idle, &bob].into_iter().flat_map(|line| values(line));
    for secret in cookies.chain([PASSWORD, "wonder+land", "wrong-but-secret"]) {
        assert!(!text.contains(secret), "{secret}");
    }
}

/// `[audit]` holds after a reload, and events go to the new file alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_the_targets() {
    let audited = Audited::start().await;
    let site = &audited.site;
    site.sign_in("alice").await;
    audited.events(1).await;
    let path = audited.folder.path().join("other.jsonl");
    let settings = || {
        let mut settings = super::harness::settings(&["http://127.0.0.1:9".to_owned()]);
        let file = FileSettings { path: path.clone(), size: 1 << 20, older: 0, sync: true };
        settings.audit = AuditSettings { file: Some(file), webhook: None };
        settings
    };
    site.service().apply(settings(), None).await.unwrap();
    site.sign_in("bob").await;
    until(|| fs::read_to_string(&path).is_ok_and(|text| text.contains("\"user\":\"bob\""))).await;
    assert_eq!(audited.text().lines().count(), 1);
    // A target that cannot be used refuses the reload, and the old ones stay.
    let mut broken = settings();
    broken.audit.file.as_mut().unwrap().path = audited.folder.path().join("no/such.jsonl");
    let refused = site.service().apply(broken, None).await.unwrap_err().to_string();
    assert!(refused.contains("no/such.jsonl cannot be written"), "{refused}");
    site.sign_in("bob").await;
    until(|| fs::read_to_string(&path).is_ok_and(|text| text.lines().count() == 2)).await;
}
