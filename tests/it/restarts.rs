//! The program is stopped, or killed, and started again: who was signed in still is, who signed out stays out.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// So long that only a program that hangs runs into it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "wonder+land";

pub(crate) const CONFIGURATION: &str = "\
listen = [\"unix:http.sock\"]
public_url = \"http://localhost:8080\"
[[route]]
upstream = \"http://127.0.0.1:9\"
[login]
users = \"users.htpasswd\"
[session]
max_per_user = 10000
[admin]
listen = \"\"
[log]
access = false
";

/// A folder with a configuration, and the program that runs there. It is killed with the test.
pub(crate) struct Program<'a> {
    folder: &'a Path,
    child: Child,
}

/// An answer's status, where it leads, its session cookie or, without one, the cookie of a hand-over, and its body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: String,
    pub(crate) cookie: Option<String>,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) fn set_up() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), CONFIGURATION).unwrap();
    set_password(folder.path(), "wonder land");
    folder
}

/// A cheap hash: these tests are about what is stored.
pub(crate) fn set_password(folder: &Path, password: &str) {
    let path = folder.join("users.htpasswd");
    fs::write(&path, format!("alice:{}\n", bcrypt::hash(password, 4).unwrap())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn serve(folder: &Path) -> Command {
    let mut command = command(folder, env!("CARGO_BIN_EXE_exeunt"));
    command.arg("serve");
    command
}

pub(crate) fn command(folder: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
    command.current_dir(folder).stderr(log).env_remove("STATE_DIRECTORY");
    command
}

pub(crate) fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap()
}

impl<'a> Program<'a> {
    /// Starts it, and waits until it says that it serves.
    pub(crate) fn start(folder: &'a Path) -> Self {
        Self::with(folder, serve(folder))
    }

    pub(crate) fn with(folder: &'a Path, mut command: Command) -> Self {
        let notify = folder.join("notify");
        let _ = fs::remove_file(&notify);
        let manager = UnixDatagram::bind(&notify).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let program = Self { folder, child: command.env("NOTIFY_SOCKET", &notify).spawn().unwrap() };
        let mut message = [0; 64];
        let length = manager.recv(&mut message).unwrap_or_else(|error| panic!("{error}: {}", log(folder)));
        assert_eq!(&message[..length], b"READY=1\n".get(..length).unwrap());
        program
    }

    /// Stops it as a service manager does.
    pub(crate) fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{}", log(self.folder));
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn sign_in(&self) -> String {
        sign_in(self.folder).unwrap()
    }

    pub(crate) fn status(&self, cookie: &str) -> u16 {
        status(self.folder, cookie).unwrap()
    }
}

impl Program<'_> {
    /// The status once it is known: a shared store is not asked for any number of unknown keys at once.
    pub(crate) fn known_status(&self, cookie: &str) -> u16 {
        let begun = Instant::now();
        loop {
            match self.status(cookie) {
                503 if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
                status => return status,
            }
        }
    }
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks the program of this folder; `None` if it gave no answer.
pub(crate) fn ask(folder: &Path, method: &str, target: &str, cookie: &str, body: &str) -> Option<Answer> {
    ask_at(folder, "localhost:8080", method, target, cookie, body)
}

/// The same, under this name.
pub(crate) fn ask_at(
    folder: &Path,
    host: &str,
    method: &str,
    target: &str,
    cookie: &str,
    body: &str,
) -> Option<Answer> {
    let mut stream = UnixStream::connect(folder.join("http.sock")).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let cookie = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let length = body.len();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{cookie}");
    let framing = if method == "POST" { format!("{form}Content-Length: {length}\r\n") } else { String::new() };
    stream.write_all(format!("{head}{framing}\r\n{body}").as_bytes()).ok()?;
    let mut answer = Vec::new();
    // The connection of a program that was killed may be reset after its answer.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let line = |start: &str| head.lines().find(|line| line.to_ascii_lowercase().starts_with(start));
    let cookie = line("set-cookie: exeunt=").or_else(|| line("set-cookie: exeunt-hop="));
    let cookie = cookie.and_then(|line| line.split([' ', ';']).nth(1)).map(str::to_owned);
    let location = line("location: ").and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    Some(Answer { status, location, cookie, head: head.to_owned(), body: body.to_owned() })
}

pub(crate) fn sign_in(folder: &Path) -> Option<String> {
    let answer = ask(folder, "POST", "/login", "", &format!("username=alice&password={PASSWORD}"))?;
    answer.cookie.filter(|_| answer.status == 303)
}

/// True once the sign-out was answered as done.
pub(crate) fn sign_out(folder: &Path, cookie: &str) -> bool {
    ask(folder, "POST", "/logout", cookie, "").is_some_and(|answer| [200, 303].contains(&answer.status))
}

pub(crate) fn status(folder: &Path, cookie: &str) -> Option<u16> {
    status_of(folder, "/.exeunt/session", cookie)
}

pub(crate) fn status_of(folder: &Path, target: &str, cookie: &str) -> Option<u16> {
    ask(folder, "GET", target, cookie, "").map(|answer| answer.status)
}

/// The status and the body of an answer.
pub(crate) fn body_of(folder: &Path, target: &str, cookie: &str) -> Option<(u16, String)> {
    ask(folder, "GET", target, cookie, "").map(|answer| (answer.status, answer.body))
}

#[test]
fn restart_keeps_sessions_and_ends() {
    let folder = set_up();
    let program = Program::start(folder.path());
    let (stays, leaves) = (program.sign_in(), program.sign_in());
    assert!(sign_out(folder.path(), &leaves));
    assert_eq!([program.status(&stays), program.status(&leaves)], [200, 401]);
    program.stop();
    for crash in [true, false] {
        let program = Program::start(folder.path());
        assert_eq!([program.status(&stays), program.status(&leaves)], [200, 401], "{crash}");
        let late = program.sign_in();
        assert!(sign_out(folder.path(), &late));
        if crash {
            program.kill()
        } else {
            program.stop()
        }
        let program = Program::start(folder.path());
        assert_eq!([program.status(&stays), program.status(&late)], [200, 401], "{crash}");
        program.stop();
    }
}

/// The cookie that a further host has got survives as the first one does, and an end by it is for both.
#[test]
fn keys_of_other_hosts_survive_and_end_with_the_session() {
    const SHOP: &str = "shop.localhost:8080";
    let folder = set_up();
    let hosts = CONFIGURATION.replacen("\n", "\nhosts = [\"shop.localhost\"]\n", 1);
    fs::write(folder.path().join("config.toml"), hosts).unwrap();
    let program = Program::start(folder.path());
    let get = |host: &str, target: &str, cookie: &str| ask_at(folder.path(), host, "GET", target, cookie, "").unwrap();
    let status = |host: &str, cookie: &str| get(host, "/.exeunt/session", cookie).status;
    let path = |location: &str| location.splitn(4, '/').nth(3).map(|rest| format!("/{rest}")).unwrap();
    let login = program.sign_in();
    let sent = get(SHOP, "/.exeunt/enter?next=/x", "");
    let back = get("localhost:8080", &path(&sent.location), &login);
    let entered = get(SHOP, &path(&back.location), &sent.cookie.unwrap());
    let shop = entered.cookie.unwrap();
    assert_eq!((entered.status, &*entered.location, status(SHOP, &shop)), (303, "/x", 200));
    program.kill();

    let program = Program::start(folder.path());
    assert_eq!([status("localhost:8080", &login), status(SHOP, &shop)], [200, 200]);
    assert_eq!(ask_at(folder.path(), SHOP, "POST", "/logout", &shop, "").unwrap().status, 200);
    assert_eq!([status("localhost:8080", &login), status(SHOP, &shop)], [401, 401]);
    program.kill();
    let program = Program::start(folder.path());
    assert_eq!([status("localhost:8080", &login), status(SHOP, &shop)], [401, 401]);
    program.stop();
}

#[test]
fn password_changed_while_stopped_ends_sessions_at_the_start() {
    let folder = set_up();
    let program = Program::start(folder.path());
    let cookie = program.sign_in();
    program.stop();
    set_password(folder.path(), "another");
    let program = Program::start(folder.path());
    assert_eq!(program.status(&cookie), 401);
    program.stop();
    assert!(log(folder.path()).contains("cause=password_changed"));
    set_password(folder.path(), "wonder land");
    let program = Program::start(folder.path());
    assert_eq!(program.status(&cookie), 401, "it has ended for good");
    program.stop();
}

#[test]
fn unusable_store_refuses_every_session() {
    let folder = set_up();
    let program = Program::start(folder.path());
    let cookie = program.sign_in();
    let second = serve(folder.path()).status().unwrap();
    assert!(second.code() == Some(78) && log(folder.path()).contains("in use by another gateway"), "{second}");
    assert_eq!(program.status(&cookie), 200);
    program.stop();
    let path = folder.path().join("sessions.db");
    let sound = fs::read(&path).unwrap();
    let damaged = [&sound[..4096], &vec![0xa5; sound.len() - 4096]].concat();
    fs::write(&path, &damaged).unwrap();
    let refused = serve(folder.path()).status().unwrap();
    assert!(!refused.success() && log(folder.path()).contains("is damaged"), "{}", log(folder.path()));
    assert!(fs::read(&path).unwrap() == damaged, "it stays as it is");
    fs::write(&path, &sound).unwrap();
    let program = Program::start(folder.path());
    assert_eq!(program.status(&cookie), 200, "nothing was lost");
    program.stop();
}

/// An application that counts in a cookie of its own, and answers with what it got. It ends with the test.
fn count_visits(listener: UnixListener) {
    for stream in listener.incoming() {
        let mut stream = BufReader::new(stream.unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).unwrap() > 0, "{head}");
        }
        let cookie = head.lines().find_map(|line| line.strip_prefix("Cookie: ")).unwrap_or_default();
        let visits: u32 = cookie.strip_prefix("visits=secret-").map_or(0, |number| number.parse().unwrap());
        let (length, next) = (cookie.len(), visits + 1);
        let set = format!("Set-Cookie: visits=secret-{next}; HttpOnly; Path=/\r\n");
        let answer = format!("HTTP/1.1 200 OK\r\n{set}Content-Length: {length}\r\nConnection: close\r\n\r\n{cookie}");
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
    }
}

/// Visits to an application on the socket `application.sock` of this folder: with a cookie of the gateway, to what the
/// application got.
pub(crate) fn visits(folder: &Path) -> impl Fn(&str) -> String {
    let application = UnixListener::bind(folder.join("application.sock")).unwrap();
    std::thread::spawn(move || count_visits(application));
    |cookie| ask(folder, "GET", "/", cookie, "").unwrap().body
}

/// The application's cookies stay in the gateway, and are there after whatever ends it: the last answer that the
/// browser got is the last that counts.
#[test]
fn the_cookies_of_applications_survive_a_kill() {
    let folder = set_up();
    let (path, visit) = (folder.path().join("application.sock"), visits(folder.path()));
    let configuration = CONFIGURATION.replace("http://127.0.0.1:9", &format!("unix:{}", path.display()));
    fs::write(folder.path().join("config.toml"), configuration).unwrap();
    let mut program = Program::start(folder.path());
    let cookie = program.sign_in();
    assert_eq!(visit(&cookie), "");
    for visits in 1..10 {
        assert_eq!(visit(&cookie), format!("visits=secret-{visits}"));
        if visits % 2 == 0 {
            program.kill();
        } else {
            program.stop();
        }
        program = Program::start(folder.path());
    }
    assert!(sign_out(folder.path(), &cookie));
    program.stop();
    for entry in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let content = fs::read(&entry).unwrap();
        assert!(!content.windows(7).any(|bytes| bytes == b"secret-"), "{}", entry.display());
    }
}

/// What clients were told, and may rely on.
#[derive(Default)]
struct Told {
    signed_in: Vec<String>,
    signed_out: Vec<String>,
}

/// Signs in and out until the program is gone.
fn use_until_killed(folder: &Path, killed: &AtomicBool, logouts: &AtomicUsize) -> Told {
    let mut told = Told::default();
    for number in 0_usize.. {
        if killed.load(Ordering::SeqCst) {
            break;
        }
        let Some(cookie) = sign_in(folder) else { continue };
        if number % 8 == 0 {
            told.signed_in.push(cookie);
        } else if sign_out(folder, &cookie) {
            logouts.fetch_add(1, Ordering::SeqCst);
            told.signed_out.push(cookie);
        }
        // An end that was not answered may be either.
    }
    told
}

/// Kills the program at a random moment, while eight clients sign in and out as fast as they can: as often as
/// EXEUNT_KILLS says.
#[test]
fn t76_what_was_answered_survives_a_kill() {
    survives_kills(&set_up());
}

/// The same, in this folder.
pub(crate) fn survives_kills(folder: &tempfile::TempDir) {
    let kills: u64 = std::env::var("EXEUNT_KILLS").map_or(10, |kills| kills.parse().unwrap());
    let (mut last, logouts) = (Told::default(), AtomicUsize::new(0));
    for round in 0..=kills {
        let program = Program::start(folder.path());
        for (cookies, want) in [(&last.signed_in, 200), (&last.signed_out, 401)] {
            let wrong = cookies.iter().filter(|cookie| program.known_status(cookie) != want).count();
            assert_eq!(wrong, 0, "after kill {round} of {} answered as {want}", cookies.len());
        }
        if round == kills {
            break;
        }
        for cookie in last.signed_in.drain(..) {
            assert!(sign_out(folder.path(), &cookie));
        }
        let (killed, mut random) = (AtomicBool::new(false), [0; 2]);
        getrandom::fill(&mut random).unwrap();
        let told = std::thread::scope(|scope| {
            let clients: Vec<_> =
                (0..8).map(|_| scope.spawn(|| use_until_killed(folder.path(), &killed, &logouts))).collect();
            // A random moment, the later the more there is to lose.
            std::thread::sleep(Duration::from_millis(200 + u64::from(u16::from_ne_bytes(random) % 600)));
            program.kill();
            killed.store(true, Ordering::SeqCst);
            clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
        });
        last = Told::default();
        for told in told {
            last.signed_in.extend(told.signed_in);
            last.signed_out.extend(told.signed_out);
        }
    }
    let logouts = logouts.into_inner();
    println!("{kills} kills, {logouts} logouts");
    assert!(logouts as u64 >= 10 * kills, "too few logouts to say anything: {logouts}");
}
