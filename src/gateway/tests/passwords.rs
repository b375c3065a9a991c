//! Users change their passwords.

use data_encoding::BASE64;

use super::*;
use crate::credentials::user_file::change::UsersFile;
use crate::credentials::user_file::htpasswd::WeakHashes;

const CHANGE: &str = "old=wonder+land&password=something+new&again=something+new";
const PAGE: &str = "/.exeunt/password";

/// A gateway with the usual users, in a file that can be written.
fn harness() -> (Harness, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    let hash = password::hash(&Password::new("wonder land".to_owned()).unwrap()).unwrap();
    let text = format!("[users.alice]\npassword = \"{hash}\"\n[users.bob]\npassword = \"{hash}\"\n");
    std::fs::write(&path, &text).unwrap();
    let harness = harness_with(|settings| {
        settings.users = Arc::new(Users::parse(&path, &text).unwrap());
        settings.login.change_password = Some(UsersFile { path, weak: WeakHashes::Refuse });
        settings.routes.push(RouteSettings { basic: true, ..route("/dav", Access::SignedIn) });
    });
    (harness, folder)
}

fn file(folder: &tempfile::TempDir) -> String {
    std::fs::read_to_string(folder.path().join("users.toml")).unwrap()
}

async fn signs_in(harness: &Harness, password: &str) -> bool {
    let body = format!("username=alice&password={}", password.replace(' ', "+"));
    harness.ask("POST", "/login", &[FORM], body.leak()).await.status == 303
}

#[tokio::test]
async fn a_new_password_takes_effect_and_ends_everything_else() {
    let (harness, folder) = harness();
    let (own, bob) = (harness.sign_in("alice").await, harness.sign_in("bob").await);
    let other = harness.sign_in("alice").await;
    let basic = format!("Authorization: Basic {}", BASE64.encode(b"alice:wonder land"));
    let cut = Cut::new();
    let received = harness.receive_on(&cut, "GET", "/dav/x", &[&basic]).await;
    assert!(matches!(received, Received::Forward(_)), "{received:?}");

    let reply = harness.ask("POST", PAGE, &[FORM, &own], CHANGE).await;
    assert_eq!((reply.status.as_u16(), &json(&reply)["sessions_ended"]), (200, &1.into()));
    assert_eq!(header(&reply, "cache-control"), Some("no-store"));
    assert_eq!([&own, &other, &bob].map(|cookie| harness.is_signed_in(cookie)), [true, false, true]);
    assert!(cut.signalled().is_some(), "exchanges of the old password are cut");
    let dav = harness.receive_later("GET", "/dav/x", &[&basic]).await;
    assert!(matches!(&dav, Received::Answer(reply) if reply.status == 401), "{dav:?}");
    assert_eq!((signs_in(&harness, "wonder land").await, signs_in(&harness, "something new").await), (false, true));
    let there = Users::parse("users.toml".as_ref(), &file(&folder)).unwrap();
    let typed = Password::new("something new".to_owned()).unwrap();
    assert_eq!(there.find("alice").unwrap().hash.matches(&typed), Ok(true), "it is in the file");
    let lines = harness.lines.lock().join("\n");
    assert!(lines.contains("event=password_changed user=alice") && lines.contains("sessions_ended=1"), "{lines}");
    assert!(lines.contains("cause=password_changed"), "{lines}");
    assert!(!lines.contains("something") && !lines.contains("wonder"), "{lines}");
}

#[tokio::test]
async fn the_session_that_changed_the_password_outlives_the_next_reload() {
    let (harness, _folder) = harness();
    let own = harness.sign_in("alice").await;
    assert_eq!(harness.ask("POST", PAGE, &[FORM, &own], CHANGE).await.status, 200);
    assert_eq!(harness.gateway.review_sessions(None).await, 0);
    assert!(harness.is_signed_in(&own));
}

/// Otherwise the reload would restore the old password.
#[tokio::test]
async fn a_change_waits_while_a_reload_reads_the_users() {
    let (harness, folder) = harness();
    let own = harness.sign_in("alice").await;
    let (reading, before) = (harness.gateway.hold_users().await, file(&folder));
    let lines = [FORM, &own];
    let mut change = Box::pin(harness.ask("POST", PAGE, &lines, CHANGE));
    assert!(futures_util::poll!(change.as_mut()).is_pending());
    // Two later checks have finished, so the check of the old password has finished too.
    for _ in 0..2 {
        harness.sign_in("bob").await;
    }
    // A paused clock advances as soon as nothing else runs, but not while a file is written.
    tokio::time::pause();
    assert!(tokio::time::timeout(Duration::from_secs(1), change.as_mut()).await.is_err(), "the change did not wait");
    tokio::time::resume();
    assert_eq!(file(&folder), before);
    drop(reading);
    assert_eq!(change.await.status, 200);
    assert_ne!(file(&folder), before);
}

#[tokio::test]
async fn a_change_needs_the_old_password_and_a_valid_new_one() {
    let (harness, folder) = harness();
    let (own, other, before) = (harness.sign_in("alice").await, harness.sign_in("alice").await, file(&folder));
    let cases: [(&[&str], &str, u16, &str); 9] = [
        (&[], "old=wrong&password=something+new", 401, "credentials_wrong"),
        (&[], "old=wonder+land&password=short", 400, "new_password_unfit"),
        (&[], "old=wonder+land&password=wonder+land", 400, "new_password_unfit"),
        (&[], "old=wonder+land&password=something+new&again=something", 400, "new_passwords_differ"),
        (&[], "old=wonder+land", 400, "form_malformed"),
        (&["Origin: http://evil.test"], CHANGE, 403, "cross_site"),
        (&["Sec-Fetch-Site: cross-site"], CHANGE, 403, "cross_site"),
        (&["Sec-Fetch-Site: same-site"], CHANGE, 403, "cross_site"),
        (&["Content-Type: text/plain"], CHANGE, 400, "form_malformed"),
    ];
    for (lines, body, status, reason) in cases {
        let lines: Vec<&str> = [&[own.as_str()], lines].concat();
        let typed = lines.iter().any(|line| line.starts_with("Content-Type"));
        let lines = if typed { lines } else { [&lines[..], &[FORM]].concat() };
        let reply = harness.ask("POST", PAGE, &lines, body).await;
        assert_eq!((reply.status.as_u16(), &json(&reply)["error"]), (status, &reason.into()), "{body} {lines:?}");
    }
    let reply = harness.ask("POST", PAGE, &[FORM], CHANGE).await;
    assert_eq!((reply.status.as_u16(), &json(&reply)["error"]), (401, &"sign_in_required".into()));
    let basic = format!("Authorization: Basic {}", BASE64.encode(b"alice:wonder land"));
    assert_eq!(harness.ask("POST", PAGE, &[FORM, &basic], CHANGE).await.status, 401, "Basic is not enough");
    assert_eq!(harness.ask("DELETE", PAGE, &[&own], "").await.status, 405);
    assert!(harness.is_signed_in(&other));
    assert_eq!(file(&folder), before);
}

#[tokio::test]
async fn wrong_old_passwords_ban_like_wrong_sign_ins() {
    let (harness, _folder) = harness();
    let own = harness.sign_in("alice").await;
    for _ in 0..5 {
        let reply = harness.ask("POST", PAGE, &[FORM, &own], "old=wrong&password=something+new").await;
        assert_eq!(reply.status, 401);
    }
    let reply = harness.ask("POST", PAGE, &[FORM, &own], CHANGE).await;
    assert_eq!((reply.status.as_u16(), header(&reply, "retry-after")), (429, Some("5")));
    let page = harness.ask("POST", PAGE, &[FORM, BROWSER, &own], CHANGE).await;
    assert!(text(&page).contains("You can try again in 5 s."), "{}", text(&page));
    assert!(!signs_in(&harness, "wonder land").await, "both count together");
    assert!(harness.is_signed_in(&own));
}

#[tokio::test]
async fn the_page_is_linked_only_if_passwords_can_be_changed() {
    let (harness, folder) = harness();
    let own = harness.sign_in("alice").await;
    let page = async |lines: &[&str]| harness.ask("GET", PAGE, &[&[BROWSER], lines].concat(), "").await;
    let linked = async |cookie: &str| text(&harness.ask("GET", "/login", &[BROWSER, cookie], "").await).contains(PAGE);
    let asked = page(&[&own]).await;
    assert_eq!((asked.status.as_u16(), header(&asked, "cache-control")), (200, Some("no-store")));
    assert!(text(&asked).contains("name=\"old\"") && text(&asked).contains("value=\"alice\""), "{}", text(&asked));
    assert!(linked(&own).await);
    let fields = json(&harness.ask("GET", PAGE, &[&own], "").await);
    assert_eq!((&fields["user"], &fields["possible"]), (&"alice".into(), &true.into()));
    let away = page(&[]).await;
    assert_eq!((away.status.as_u16(), header(&away, "location")), (303, Some("/login")));
    let wrong = harness.ask("POST", PAGE, &[FORM, BROWSER, &own], "old=wrong&password=something+new").await;
    assert_eq!(wrong.status, 401);
    assert!(text(&wrong).contains("The current password is wrong.") && !text(&wrong).contains("something"));
    let done = harness.ask("POST", PAGE, &[FORM, BROWSER, &own], CHANGE).await;
    assert!(text(&done).contains("Your password has been changed") && text(&done).contains("nowhere else"));

    // A user who is not in the file, and a file whose folder is gone.
    let stranger = harness.session_of("bob").await;
    assert!(text(&page(&[&stranger]).await).contains("cannot be changed here") && !linked(&stranger).await);
    let reply = harness.ask("POST", PAGE, &[FORM, &stranger], CHANGE).await;
    assert_eq!((reply.status.as_u16(), &json(&reply)["error"]), (409, &"password_not_changed".into()));
    drop(folder);
    assert!(text(&page(&[&own]).await).contains("login.change_password") && !linked(&own).await);
    let off = harness_with(|_| {});
    let cookie = off.sign_in("alice").await;
    assert_eq!(off.ask("GET", PAGE, &[&cookie], "").await.status, 404, "it is switched off");
}

/// A change by the operator in the file counts, even if the gateway has not read it yet.
#[tokio::test]
async fn a_user_changed_by_the_operator_cannot_change_the_password() {
    let (harness, folder) = harness();
    let own = harness.sign_in("alice").await;
    let disabled = file(&folder).replace("[users.bob]", "enabled = false\n[users.bob]");
    std::fs::write(folder.path().join("users.toml"), &disabled).unwrap();
    let reply = harness.ask("POST", PAGE, &[FORM, &own], CHANGE).await;
    assert_eq!((reply.status.as_u16(), &json(&reply)["error"]), (409, &"password_not_changed".into()));
    assert_eq!(file(&folder), disabled);
}

/// Of two concurrent changes with the same old password only one succeeds.
#[tokio::test]
async fn only_one_of_two_concurrent_changes_succeeds() {
    let (harness, _folder) = harness();
    let own = harness.sign_in("alice").await;
    let lines = [FORM, &own];
    let changes = ["something new", "something else"].map(|new| {
        let body: &'static str = format!("old=wonder+land&password={}", new.replace(' ', "+")).leak();
        harness.ask("POST", PAGE, &lines, body)
    });
    let statuses = futures_util::future::join_all(changes).await.into_iter().map(|reply| reply.status.as_u16());
    let mut statuses: Vec<_> = statuses.collect();
    statuses.sort_unstable();
    assert!([[200, 401], [200, 409]].contains(&[statuses[0], statuses[1]]), "{statuses:?}");
}
