//! Another configuration for a gateway at work: what is cut, what goes on, and what outlives it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use exeunt::audit::{Format, LogSettings};
use exeunt::config::{Settings, StartValues};
use exeunt::routes::access::Access;
use exeunt::routes::settings::RouteSettings;
use exeunt::service::{ApplyOutcome, Current, NotReloaded, Reloader, Sources};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::harness::{GRACE, Site, settings, users_without};
use super::sockets::{closed, echoes, open, site_with};
use super::streams::{STREAM, Slow, finishes, is_cut};
use crate::upstream;

/// The settings of the harness with these routes.
fn with(routes: &[RouteSettings]) -> Settings {
    let mut settings = settings(&[]);
    settings.gateway.routes = routes.to_vec();
    settings
}

async fn reload(site: &Site, settings: Settings) -> (usize, usize) {
    let ApplyOutcome { sessions_ended, exchanges_cut, .. } = site.apply(settings, None).await.unwrap();
    (sessions_ended, exchanges_cut)
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_cut_that_the_new_groups_refuse_and_no_others() {
    let mut routes = Vec::new();
    let (site, _) = site_with(|setup| routes = setup.gateway.routes.clone()).await;
    let (alice, bob) = (site.sign_in("alice").await, site.sign_in("bob").await);
    let mut staff = open(&site, "/staff/socket", &[&alice]).await.unwrap();
    let mut others = [open(&site, "/socket", &[&alice]).await.unwrap(), open(&site, "/socket", &[&bob]).await.unwrap()];
    assert_eq!(reload(&site, with(&routes)).await, (0, 0));
    echoes(&mut staff, "still there").await;
    let mut next = with(&routes);
    next.gateway.users = users_without("groups = [\"staff\"]\n");
    assert_eq!(reload(&site, next).await, (0, 1));
    assert_eq!(closed(&mut staff).await, (CloseCode::Policy, "no longer allowed".to_owned()));
    for other in &mut others {
        echoes(other, "still there").await;
    }
    let lines = site.access_lines(1, "path=/staff/socket").await;
    assert!(lines[0].contains("cut=refused"), "{lines:?}");
    assert_eq!(site.get("/staff/x", &[&alice]).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_users_lose_their_sessions_and_sockets() {
    let mut routes = Vec::new();
    let (site, _) = site_with(|setup| routes = setup.gateway.routes.clone()).await;
    let (alice, bob) = (site.sign_in("alice").await, site.sign_in("bob").await);
    let mut gone = open(&site, "/socket", &[&bob]).await.unwrap();
    let mut stays = open(&site, "/socket", &[&alice]).await.unwrap();
    let mut next = with(&routes);
    next.gateway.users = users_without("[users.bob]");
    assert_eq!(reload(&site, next).await, (1, 0));
    assert_eq!(closed(&mut gone).await, (CloseCode::Policy, "session ended".to_owned()));
    echoes(&mut stays, "still there").await;
    assert_eq!(site.get("/x", &[&bob]).await.status, 401);
    assert!(site.lines().iter().any(|line| line.contains("cause=user_removed")), "{:?}", site.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_that_makes_a_route_private_cuts_its_streams() {
    for (head, is_stream) in [(STREAM, true), ("", false)] {
        let mut routes = Vec::new();
        let slow = Slow::with(head, |setup| routes = setup.gateway.routes.clone()).await;
        let (mut client, _) = slow.begun_at("/public/x", &[]).await;
        routes[1].access = Access::SignedIn;
        assert_eq!(reload(&slow.site, with(&routes)).await, (0, 1));
        if is_stream {
            is_cut(&mut client).await;
            continue;
        }
        slow.go_on.add_permits(1);
        assert_eq!(client.chunk().await.as_deref(), Some(b"piece".as_slice()), "within its grace it goes on");
        slow.site.advance(GRACE + Duration::from_millis(1)).await;
        assert!(!finishes(&mut client).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exchange_allowed_by_the_new_rules_finishes() {
    let mut routes = Vec::new();
    let slow = Slow::with("", |setup| routes = setup.gateway.routes.clone()).await;
    let (mut client, _) = slow.begun_at("/public/x", &[]).await;
    assert_eq!(reload(&slow.site, with(&routes)).await, (0, 0));
    slow.go_on.add_permits(2);
    assert!(finishes(&mut client).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_upstreams_outlive_it_and_limits_and_log_settings_change() {
    let app = upstream::start(async |mut connection, number| {
        while connection.request().await.is_some() {
            connection.answer(200, "", &number.to_string()).await;
        }
    })
    .await;
    let mut routes = Vec::new();
    let site = Site::before(&[format!("http://{app}")], |setup| routes = setup.gateway.routes.clone());
    let first = site.get("/public/x", &[]).await.text().to_owned();
    let mut next = with(&routes);
    next.server.head.size = 1024;
    next.log = LogSettings { format: Format::Json, access: true };
    reload(&site, next).await;
    assert_eq!(site.get("/public/x", &[]).await.text(), first, "the same connection");
    assert_eq!(site.get("/public/x", &[&format!("X-Long: {}", "x".repeat(1024))]).await.status, 431);
    let lines = site.lines();
    assert!(!lines[0].starts_with('{') && lines.last().unwrap().starts_with('{'), "{lines:?}");
}

/// A configuration with its files, for a service that is started with it.
fn write(folder: &Path, config: &str, users: &str) {
    fs::write(folder.join("config.toml"), config).unwrap();
    fs::write(folder.join("htpasswd"), users).unwrap();
    fs::set_permissions(folder.join("htpasswd"), fs::Permissions::from_mode(0o640)).unwrap();
}

const CONFIG: &str = "listen = ['127.0.0.1:0']\npublic_url = 'http://app.test'\n[login]\nusers = 'htpasswd'\n\
                      [[route]]\nupstream = 'http://127.0.0.1:9'\n";
const ALICE: &str = "alice:$2y$04$kdobx0du3W5uscfIgeVS0uHM65Dfc09xmpm6upiSeD3A5RXBnoNX2\n";

#[tokio::test(flavor = "multi_thread")]
async fn faulty_files_are_reported_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), CONFIG, ALICE);
    let path = folder.path().join("config.toml");
    let (started, _) = exeunt::config::load(&path).unwrap();
    let start = (StartValues::of(&started), Current::of(&started));
    let site = Site::with_settings(started);
    let (log, lines) = exeunt::audit::Log::to_memory(LogSettings { format: Format::Text, access: true });
    let reloader = Arc::new(Reloader::new(
        site.service(),
        Sources { configuration: path, keys: None },
        start,
        log,
        site.clock.clone(),
    ));

    let broken_line = format!("{ALICE}bob:$2y$04$broken\n");
    let cases = [
        (CONFIG.replace("upstream = ", "upstrem = "), ALICE, "upstrem"),
        ("listen = [\n".to_owned(), ALICE, "config.toml"),
        (CONFIG.to_owned(), broken_line.as_str(), "1 line of"),
    ];
    for (config, users, want) in cases {
        write(folder.path(), &config, users);
        let refused = Arc::clone(&reloader).reload().await.unwrap_err();
        assert!(matches!(&refused, NotReloaded::Refused(report) if report.to_string().contains(want)), "{refused:?}");
        assert_eq!(site.gateway.generation(), 0, "nothing has changed");
    }
    assert_eq!(lines.lock().iter().filter(|line| line.contains("event=reload_refused problems=")).count(), 3);

    let (config, users) = (CONFIG.replace(":0'", ":1'"), format!("{ALICE}{}", ALICE.replace("alice", "bob")));
    write(folder.path(), &format!("{config}access = 'public'\n"), &users);
    let (one, other) = tokio::join!(Arc::clone(&reloader).reload(), Arc::clone(&reloader).reload());
    // Either may be the first.
    let (one, other) = (one.unwrap(), other.unwrap());
    let (one, other) = if one.keys.is_empty() { (other, one) } else { (one, other) };
    assert_eq!((one.keys.concat(), one.users.added), ("listenroute[/].access".to_owned(), 1));
    assert!(other.keys.is_empty() && other.users.added == 0, "one after the other: {other:?}");
    let waits = one.warnings.findings().iter().find(|finding| finding.key == "listen").unwrap();
    assert_eq!(one.warnings.line(waits), Some(1));
    assert_eq!((site.gateway.generation(), site.get("/x", &[]).await.status), (2, 502), "the route is public now");
    let said = lines.lock().join("\n");
    assert!(
        said.contains("event=reloaded changed=\"listen,route[/].access\"")
            || said.contains("event=reloaded changed=listen,route[/].access"),
        "{said}"
    );
}
