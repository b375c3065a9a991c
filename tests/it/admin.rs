//! The operator's socket over a real unix socket, with sessions that are really open.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use exeunt::admin::client::{AdminCallError, ask};
use exeunt::admin::{AdminSettings, AdminSocket, Reload, ReloadRefused, ReloadReport};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::site::harness::{FORM, Site};

/// A program that reloads the first time and refuses from then on.
#[derive(Debug, Default)]
struct Reloads(AtomicBool);

#[async_trait]
impl Reload for Reloads {
    async fn reload(self: Arc<Self>) -> Result<ReloadReport, ReloadRefused> {
        match self.0.swap(true, Ordering::Relaxed) {
            false => Ok(ReloadReport {
                changed: vec!["limits.idle".to_owned()],
                sessions_ended: 2,
                ..ReloadReport::default()
            }),
            true => Err(ReloadRefused { report: "error: listen: is missing\n".to_owned() }),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_on_the_admin_socket_reads_the_configuration_again() {
    let (site, _echo) = Site::with_echo().await;
    let office = Office::of(&site);
    let (status, answer) = office.ask(Method::POST, "/reload").await;
    assert_eq!((status, &answer["sessions_ended"], &answer["changed"][0]), (200, &2.into(), &"limits.idle".into()));
    let (status, answer) = office.ask(Method::POST, "/reload").await;
    assert_eq!((status, &answer["error"]), (422, &"reload_refused".into()));
    assert_eq!(answer["report"], "error: listen: is missing\n");
    assert_eq!(office.ask(Method::GET, "/reload").await.0, 405);
}

/// The socket of a site. It is closed with this.
pub struct Office {
    folder: TempDir,
    task: JoinHandle<()>,
    stopping: Arc<Notify>,
}

impl Office {
    pub fn of(site: &Site) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let socket = AdminSocket::bind(&AdminSettings { path, group: None }).unwrap();
        let stopping = Arc::new(Notify::new());
        let stop = Arc::clone(&stopping);
        let stopped = async move { stop.notified().await };
        let task = tokio::spawn(socket.serve(Arc::clone(&site.gateway), Arc::new(Reloads::default()), stopped));
        Self { folder, task, stopping }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    pub async fn ask(&self, method: Method, target: &str) -> (u16, Value) {
        let (status, answer) = ask(&self.path(), method, target).await.unwrap();
        (status.as_u16(), answer)
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_may_open_the_socket() {
    let (site, _echo) = Site::with_echo().await;
    let office = Office::of(&site);
    assert_eq!(fs::metadata(office.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let shared = office.folder.path().join("shared.sock");
    // The group of the folder: one that this process may give files to.
    let group = std::os::unix::fs::MetadataExt::gid(&fs::metadata(office.folder.path()).unwrap());
    let socket = AdminSocket::bind(&AdminSettings { path: shared.clone(), group: Some(group) }).unwrap();
    assert_eq!(fs::metadata(&shared).unwrap().permissions().mode() & 0o777, 0o660);
    drop(socket);
    assert!(!shared.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_and_ends_sessions() {
    let (site, _echo) = Site::with_echo().await;
    let office = Office::of(&site);
    let (alice, bob) = (site.sign_in("alice").await, site.sign_in("bob").await);
    let (_, everybody) = office.ask(Method::GET, "/sessions").await;
    assert_eq!(everybody.as_array().unwrap().len(), 2);
    let (_, list) = office.ask(Method::GET, "/sessions?user=alice").await;
    assert_eq!((list.as_array().unwrap().len(), &list[0]["user"]), (1, &"alice".into()));

    let handle = list[0]["session"].as_str().unwrap();
    let (status, shown) = office.ask(Method::GET, &format!("/sessions/{handle}")).await;
    assert_eq!((status, &shown["user"], &shown["groups"][0]), (200, &"alice".into(), &"staff".into()));
    assert_eq!((&shown["hosts"][0]["host"], &shown["hosts"][0]["cookies"]), (&"app.test".into(), &json!([])));
    assert_eq!(office.ask(Method::GET, "/sessions/none").await.0, 404);
    let (status, receipt) = office.ask(Method::DELETE, &format!("/sessions/{handle}")).await;
    assert_eq!((status, &receipt["user"], &receipt["steps"][0]["result"]), (200, &"alice".into(), &"done".into()));
    assert_eq!(site.get("/x", &[&alice]).await.status, 401);
    assert_eq!(site.get("/x", &[&bob]).await.status, 200);
    let again = office.ask(Method::DELETE, &format!("/sessions/{handle}")).await;
    assert_eq!((again.0, &again.1["error"]), (404, &"no_session".into()));

    let (_, receipts) = office.ask(Method::DELETE, "/users/bob/sessions").await;
    assert_eq!(receipts.as_array().unwrap().len(), 1);
    assert_eq!(site.get("/x", &[&bob]).await.status, 401);
    let lines = site.lines().join("\n");
    assert_eq!(lines.matches("event=session_ended").count(), 2, "{lines}");
    assert_eq!(lines.matches("cause=revoked").count(), 2, "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_ends_the_selected_sessions_and_never_all_by_mistake() {
    let (site, _echo) = Site::with_echo().await;
    let office = Office::of(&site);
    let old = site.sign_in("alice").await;
    site.advance(Duration::from_secs(60)).await;
    let (new, bob) = (site.sign_in("alice").await, site.sign_in("bob").await);
    let count =
        async |query: &str| office.ask(Method::GET, &format!("/sessions?{query}")).await.1.as_array().unwrap().len();
    assert_eq!([count("").await, count("age=60").await, count("user=alice&age=61").await], [3, 1, 0]);
    assert_eq!([count("address=127.0.0.0/8").await, count("address=10.0.0.1").await], [3, 0]);
    for mistake in ["", "?", "?usr=alice", "?user=alice&user=bob", "?idle=soon"] {
        assert_eq!(office.ask(Method::DELETE, &format!("/sessions{mistake}")).await.0, 400, "{mistake}");
    }
    let (status, answer) = office.ask(Method::DELETE, "/sessions?user=alice&idle=60").await;
    assert_eq!((status, answer), (200, json!({ "sessions_ended": 1, "confirmed": true })));
    for (cookie, status) in [(&old, 401), (&new, 200), (&bob, 200)] {
        assert_eq!(site.get("/x", &[cookie]).await.status, status);
    }
    let (_, answer) = office.ask(Method::DELETE, "/sessions?all=yes").await;
    assert_eq!(answer["sessions_ended"], 2);
    assert_eq!(site.get("/x", &[&bob]).await.status, 401);
    let lines = site.lines().join("\n");
    assert!(lines.contains("act=revoke_selected about=\"user=alice&idle=60\" done=yes sessions_ended=1"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_ends_a_ban() {
    let (site, _echo) = Site::with_echo().await;
    let office = Office::of(&site);
    let sign_in = async |password: &str| {
        let form = format!("username=alice&password={password}");
        site.ask("POST", "/login", &[FORM], &form).await
    };
    for _ in 0..5 {
        assert_eq!(sign_in("wrong").await.status, 401);
    }
    let banned = sign_in("wonder+land").await;
    assert_eq!((banned.status, banned.header("retry-after")), (429, Some("5")));
    let (status, answer) = office.ask(Method::DELETE, "/bans/ALICE").await;
    assert_eq!((status, &answer["was_banned"]), (200, &true.into()));
    assert_eq!(sign_in("wonder+land").await.status, 303);
    let (_, answer) = office.ask(Method::DELETE, "/bans/alice").await;
    assert_eq!(answer["was_banned"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn is_ready_until_the_gateway_stops() {
    let (site, _echo) = Site::with_echo().await;
    let office = Office::of(&site);
    assert_eq!(office.ask(Method::GET, "/healthz").await.0, 200);
    assert_eq!(office.ask(Method::GET, "/readyz").await.0, 200);
    office.stopping.notify_one();
    while office.ask(Method::GET, "/readyz").await.0 == 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(office.ask(Method::GET, "/readyz").await.0, 503);
    assert_eq!(office.ask(Method::GET, "/healthz").await.0, 200);
}

#[tokio::test]
async fn reports_that_no_gateway_listens() {
    let answer = ask(Path::new("/nonexistent/admin.sock"), Method::GET, "/healthz").await;
    assert!(matches!(answer, Err(AdminCallError::Unreachable(_))), "{answer:?}");
}
