//! Tests of the audit targets, with a real file and a real receiver over http and https.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ring::hmac;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::settings::{AuditSettings, FileSettings, WebhookSecrets, WebhookSettings};
use super::targets::AuditTargets;
use super::webhook::Backoff;
use super::{Act, Event, Operation, UserChangeKind};
use crate::metrics::{Gauges, Metrics};
use crate::outbound::OutboundEndpoint;
use crate::values::application_outcome::ApplicationOutcome;
use crate::values::client_address::ClientAddress;
use crate::values::device::Device;
use crate::values::end_cause::EndCause;
use crate::values::host_receipt::HostOutcome;
use crate::values::invisible::is_invisible;
use crate::values::reason::Reason;
use crate::values::receipt::{ApplicationReceipt, Receipt, Step, StepReceipt};
use crate::values::session_id::SessionId;
use crate::values::time::{Clock, WallTime};

const NOW: WallTime = WallTime(1_767_225_600);
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
/// A limit that only a hanging test reaches.
const PATIENCE: Duration = Duration::from_secs(60);
const AT_ONCE: Backoff = Backoff { first: Duration::from_millis(1), most: Duration::from_millis(1) };

fn open(settings: AuditSettings) -> (AuditTargets, Arc<Metrics>) {
    let metrics = Arc::<Metrics>::default();
    let (clock, _) = Clock::manual();
    (AuditTargets::open_with(settings, AT_ONCE, &clock, &metrics).unwrap(), metrics)
}

fn file_in(folder: &Path) -> AuditSettings {
    let path = folder.join("audit.jsonl");
    AuditSettings { file: Some(FileSettings { path, size: 1 << 24, older: 1, sync: true }), webhook: None }
}

fn count(metrics: &Arc<Metrics>, line: &str) -> u64 {
    let text = metrics.to_text(Gauges::default());
    let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {line}")).parse().unwrap()
}

fn written(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn signed_out<'a>(user: &'a str, receipt: &'a Receipt) -> Event<'a> {
    Event::Ended { user, session: None, cause: EndCause::Logout, receipt }
}

fn receipt() -> Receipt {
    let steps = vec![StepReceipt::counted(Step::End, 1, Duration::ZERO)];
    Receipt {
        logout_id: "k3v9".into(),
        user: Some("al\u{202e}ice".into()),
        target: None,
        steps,
        applications: Vec::new(),
        hosts: Vec::new(),
    }
}

fn refused(user: &str) -> Event<'_> {
    Event::SignInRefused { user, client: ClientAddress::Unix, reason: Reason::TooManyAttempts }
}

/// Every event of a session, and the fields that the targets receive besides time and id; `None` for nothing.
fn of_sessions<'a>(
    receipt: &'a Receipt,
    application: &'a ApplicationReceipt,
    (handle, id): (&str, &SessionId),
) -> Vec<(Event<'a>, Option<Value>)> {
    let (session, client) = (Some(id.key().handle()), ClientAddress::Unix);
    let device = Device::from_user_agent("");
    vec![
        (
            Event::SignedIn { user: "alice", session, client, method: "password", device },
            Some(json!({ "event": "signed_in", "user": "alice", "session": handle, "client": "unix",
                "method": "password", "device": device.to_string() })),
        ),
        (
            Event::HostEntered { user: "alice", session: Some(id.key().handle()), client, host: "shop.test" },
            Some(json!({ "event": "host_entered", "user": "alice", "session": handle, "client": "unix",
                "host": "shop.test" })),
        ),
        (
            refused("a\u{1b}[31m\"b"),
            Some(json!({ "event": "sign_in_refused", "client": "unix", "reason": "too_many_attempts",
                "user": "a\u{1b}[31m\"b" })),
        ),
        (
            Event::PasswordChanged { user: "alice", session: Some(id.key().handle()), client, ended: 3 },
            Some(json!({ "event": "password_changed", "user": "alice", "session": handle, "client": "unix",
                "sessions_ended": 3 })),
        ),
        (
            Event::SiteData { logout_id: "k3v9", host: "shop.test", result: HostOutcome::Cleared, client },
            Some(json!({ "event": "site_data", "logout_id": "k3v9", "host": "shop.test", "result": "cleared",
                "client": "unix" })),
        ),
        (Event::LikelyProxy { client }, None),
        (
            Event::ApplicationLogout { user: "alice", session: None, logout_id: "k3v9", application },
            Some(json!({ "event": "application_logout", "user": "alice", "session": null, "logout_id": "k3v9",
                "application": "app.test/", "result": "ended by call" })),
        ),
        (
            signed_out("alice", receipt),
            Some(json!({ "event": "session_ended", "user": "alice", "session": null, "cause": "logout",
                "logout_id": "k3v9", "steps": "end:done:1", "receipt": receipt })),
        ),
    ]
}

/// The same for every other event.
fn of_operations() -> Vec<(Event<'static>, Option<Value>)> {
    let asked = Operation::Asked {
        operator: "root",
        act: Act::RevokeUser,
        about: Some("alice"),
        done: true,
        sessions_ended: 2,
    };
    vec![
        (
            Event::Operation(asked),
            Some(json!({ "event": "operator_request", "operator": "root", "act": "revoke_user", "about": "alice",
                "done": "yes", "sessions_ended": 2 })),
        ),
        (
            Event::Operation(Operation::UserChanged { user: "bob", change: UserChangeKind::Removed }),
            Some(json!({ "event": "user_changed", "user": "bob", "change": "removed" })),
        ),
        (
            Event::Operation(Operation::Started { version: "1.2.3", sessions: 7 }),
            Some(json!({ "event": "started", "version": "1.2.3", "sessions": 7 })),
        ),
        (Event::Operation(Operation::Stopped), Some(json!({ "event": "stopped" }))),
        (
            Event::Reloaded { keys: &[], users: [1, 2, 3], sessions_ended: 4, exchanges_cut: 5 },
            Some(json!({ "event": "reloaded", "changed": "", "users_added": 1, "users_changed": 2,
                "users_removed": 3, "sessions_ended": 4, "exchanges_cut": 5 })),
        ),
        (Event::ReloadRefused { problems: 2 }, Some(json!({ "event": "reload_refused", "problems": 2 }))),
    ]
}

#[test]
fn each_event_has_its_fields_and_a_unique_id() {
    let folder = tempfile::tempdir().unwrap();
    let (targets, metrics) = open(file_in(folder.path()));
    let (receipt, id) = (receipt(), SessionId::generate().unwrap());
    let handle = id.key().handle().to_string();
    let application = ApplicationReceipt { application: "app.test/".into(), result: ApplicationOutcome::EndedByCall };
    let mut table = of_sessions(&receipt, &application, (&handle, &id));
    table.extend(of_operations());
    table.iter().for_each(|(event, _)| targets.push(NOW, event));
    targets.flush(PATIENCE);
    let mut got = written(folder.path());
    let mut ids = std::collections::BTreeSet::new();
    for line in &mut got {
        let line = line.as_object_mut().unwrap();
        assert_eq!(line.remove("time"), Some(json!("2026-01-01T00:00:00Z")));
        let id = line.remove("id").unwrap();
        assert!(id.as_str().unwrap().len() == 26 && ids.insert(id.to_string()), "{id}");
    }
    let want: Vec<_> = table.into_iter().filter_map(|(_, want)| want).collect();
    assert_eq!(got, want);
    assert_eq!(count(&metrics, "exeunt_audit_events_total{target=\"file\",result=\"written\"}"), want.len() as u64);
    let text = fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert!(!text.lines().any(|line| line.chars().any(is_invisible)), "{text}");
    // No line contains the session id.
    assert!(!text.contains(&id.cookie_value()));
}

/// A file that cannot be written does not block the caller, no event is lost while the queue has room, and lost ones
/// are counted.
#[test]
fn events_wait_while_the_file_cannot_be_written_and_are_written_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let (targets, metrics) = open(file_in(folder.path()));
    let receipt = receipt();
    targets.push(NOW, &signed_out("first", &receipt));
    targets.flush(PATIENCE);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    targets.push(NOW, &signed_out("second", &receipt));
    let retries = || count(&metrics, "exeunt_audit_retries_total{target=\"file\"}");
    while retries() == 0 {
        std::thread::yield_now();
    }
    // More than the queue can hold: `push` must not block.
    let name = "n".repeat(1000);
    for _ in 0..10_000 {
        targets.push(NOW, &refused(&name));
    }
    targets.push(NOW, &signed_out("third", &receipt));
    let lost = count(&metrics, "exeunt_audit_events_total{target=\"file\",result=\"lost\"}");
    assert!((1..10_000).contains(&lost), "{lost}");
    fs::remove_dir(&path).unwrap();
    targets.flush(PATIENCE);
    let lines = written(folder.path());
    let ended: Vec<_> =
        lines.iter().filter(|line| line["event"] == "session_ended").map(|line| &line["user"]).collect();
    assert_eq!(ended, ["second", "third"], "refusals leave room for receipts");
    let gap: Vec<_> = lines.iter().filter(|line| line["event"] == "audit_overflow").collect();
    assert_eq!((gap.len(), &gap[0]["dropped"]), (1, &json!(lost)));
}

/// A request that the receiver accepted, with a valid signature.
struct Received {
    id: String,
    event: Value,
}

/// A server that answers with the given statuses in turn, and then with 204.
struct Receiver {
    address: SocketAddr,
    received: UnboundedReceiver<Received>,
}

impl Receiver {
    async fn start(statuses: &'static [u16], tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = unbounded_channel();
        let number = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, number, tls) = (sender.clone(), Arc::clone(&number), tls.clone());
                let answer = move |request: Request<Incoming>| {
                    let status = statuses.get(number.fetch_add(1, Ordering::SeqCst)).copied().unwrap_or(204);
                    let sender = sender.clone();
                    async move {
                        let received = verified(request).await;
                        if status < 300 {
                            sender.send(received).unwrap();
                        }
                        let mut answer = Response::new(Empty::<Bytes>::new());
                        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                        Ok::<_, Infallible>(answer)
                    }
                };
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            // A client that does not trust the certificate ends the handshake.
                            let Ok(stream) = tls.accept(stream).await else { return };
                            converse(stream, answer).await;
                        }
                        None => converse(stream, answer).await,
                    }
                });
            }
        });
        Self { address, received }
    }

    async fn next(&mut self) -> Received {
        tokio::time::timeout(PATIENCE, self.received.recv()).await.unwrap().unwrap()
    }
}

async fn converse<F>(stream: impl AsyncRead + AsyncWrite + Unpin, answer: impl Fn(Request<Incoming>) -> F)
where
    F: Future<Output = Result<Response<Empty<Bytes>>, Infallible>>,
{
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

/// Verifies a request as the Standard Webhooks specification says.
async fn verified(request: Request<Incoming>) -> Received {
    let line = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
    let (id, time, signature) = (line("webhook-id"), line("webhook-timestamp"), line("webhook-signature"));
    assert_eq!((request.method().as_str(), line("content-type").as_str()), ("POST", "application/json"));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let message = [id.as_bytes(), b".", time.as_bytes(), b".", &body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let code = BASE64.decode(signature.strip_prefix("v1,").unwrap().as_bytes()).unwrap();
    hmac::verify(&key, &message, &code).expect("a genuine signature");
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(event["id"], id);
    Received { id, event }
}

fn hook(url: &str, authorities: Option<Vec<CertificateDer<'static>>>) -> AuditSettings {
    let (endpoint, secrets) = (OutboundEndpoint::parse(url).unwrap(), WebhookSecrets::parse(SECRET).unwrap());
    AuditSettings { file: None, webhook: Some(WebhookSettings { endpoint, secrets, authorities }) }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_delivered_in_order_and_retried_until_accepted() {
    let mut receiver = Receiver::start(&[500, 404, 302], None).await;
    let (targets, metrics) = open(hook(&format!("http://{}/hook?x=1", receiver.address), None));
    let receipt = receipt();
    for user in ["one", "two", "three"] {
        targets.push(NOW, &signed_out(user, &receipt));
    }
    let mut ids = std::collections::BTreeSet::new();
    for user in ["one", "two", "three"] {
        let got = receiver.next().await;
        assert_eq!((&got.event["user"], &got.event["receipt"]["logout_id"]), (&json!(user), &json!("k3v9")));
        assert!(ids.insert(got.id));
    }
    tokio::task::spawn_blocking(move || {
        targets.flush(PATIENCE);
        assert_eq!(count(&metrics, "exeunt_audit_events_total{target=\"webhook\",result=\"written\"}"), 3);
        assert_eq!(count(&metrics, "exeunt_audit_retries_total{target=\"webhook\"}"), 3);
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_receiver_does_not_block_and_its_events_are_counted_as_lost() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (targets, metrics) = open(hook(&format!("http://{gone}/"), None));
    targets.push(NOW, &Event::Operation(Operation::Stopped));
    tokio::task::spawn_blocking(move || {
        targets.flush(PATIENCE);
        assert_eq!(count(&metrics, "exeunt_audit_events_total{target=\"webhook\",result=\"lost\"}"), 1);
        assert_eq!(count(&metrics, "exeunt_audit_retries_total{target=\"webhook\"}"), 11);
    })
    .await
    .unwrap();
}

/// A server with a certificate for 127.0.0.1, and the certificate.
fn server() -> (tokio_rustls::TlsAcceptor, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let certificate = made.cert.der().clone();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    (Arc::new(config).into(), certificate)
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https_events_go_only_to_a_receiver_with_a_trusted_certificate() {
    let ((acceptor, own), (_, others)) = (server(), server());
    let mut receiver = Receiver::start(&[], Some(acceptor)).await;
    let url = format!("https://{}/", receiver.address);
    let (wrong, metrics) = open(hook(&url, Some(vec![others])));
    wrong.push(NOW, &refused("nobody"));
    let lost = move || count(&metrics, "exeunt_audit_events_total{target=\"webhook\",result=\"lost\"}");
    assert_eq!(tokio::task::spawn_blocking(move || (wrong.flush(PATIENCE), lost())).await.unwrap().1, 1);
    let (right, _) = open(hook(&url, Some(vec![own])));
    right.push(NOW, &refused("somebody"));
    assert_eq!(receiver.next().await.event["user"], "somebody");
}
