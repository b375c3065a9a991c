//! An application whose requests name the user that they must come from: those with another identity, or with the
//! cookies of another user, are noted, with the time at which the kernel received them.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use parking_lot::Mutex;

use super::history::{Head, User};
use crate::kernel_time::{Nanos, Timed, stamp};

/// What came.
#[derive(Debug, Default)]
pub struct Seen {
    pub heads: Vec<Head>,
    /// Requests under another name than their session's.
    pub wrong_identities: Vec<String>,
    /// Cookies of another user.
    pub foreign_cookies: Vec<String>,
    /// Requests that came together with the end of their connection: when is not known.
    pub untimed: usize,
    pub anonymous: usize,
    /// Requests that came with a cookie of their own user from the gateway's vault.
    pub with_jar: usize,
}

/// The application.
#[derive(Clone, Debug)]
pub struct Application {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Seen>>,
}

/// The cookie that scripts cannot read: the gateway keeps it.
const KEPT: &str = "cart";
/// The one that the browser holds.
const HELD: &str = "theme";

/// The path of a request in a session's name. `in_order`: the browser has nothing else under way, so that it holds no
/// cookie that an answer was about to delete.
pub fn path_of(session: usize, user: User, in_order: bool) -> String {
    format!("/{}/{session}/{user}", if in_order { "order" } else { "any" })
}

/// A public path.
pub const PUBLIC: &str = "/public";

/// The path of a request without a session.
pub fn public_path(in_order: bool) -> &'static str {
    if in_order { "/public/order" } else { "/public/any" }
}

pub fn name_of(user: User) -> String {
    format!("user{user}")
}

impl Application {
    /// It serves until the program ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        stamp(&listener);
        let application = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let all = application.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (one, stream) = (all.clone(), Timed::over(stream.unwrap()));
                std::thread::spawn(move || one.serve(stream));
            }
        });
        application
    }

    fn serve(&self, mut connection: Timed) {
        for number in 0_usize.. {
            let Some((head, at)) = connection.request() else { return };
            let words = Words::of(&head);
            let mut seen = self.seen.lock();
            let cookies = seen.note(&words, at, number);
            drop(seen);
            // Then the next request has to wait for a connection.
            let closes = if number == 20 { "Connection: close\r\n" } else { "" };
            let answer = format!("HTTP/1.1 200 OK\r\n{closes}{cookies}Content-Length: 2\r\n\r\nok");
            if !connection.say(&answer) || !closes.is_empty() {
                return;
            }
        }
    }
}

/// What a request says.
struct Words<'a> {
    path: Vec<&'a str>,
    user: Option<&'a str>,
    cookies: Vec<(&'a str, &'a str)>,
    head: &'a str,
}

impl<'a> Words<'a> {
    fn of(head: &'a str) -> Self {
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let cookies =
            header("cookie").unwrap_or_default().split("; ").filter_map(|pair| pair.split_once('=')).collect();
        let path = head.split(' ').nth(1).unwrap_or_default().split('/').skip(1).collect();
        Self { path, user: header("x-forwarded-user"), cookies, head }
    }

    fn in_order(&self) -> bool {
        self.path.contains(&"order")
    }
}

impl Seen {
    /// Notes a request, and gives the lines of the answer to it that set cookies.
    fn note(&mut self, words: &Words<'_>, at: Option<Nanos>, number: usize) -> String {
        let &[_, session, user] = &words.path[..] else {
            self.anonymous += 1;
            if words.user.is_some() {
                self.wrong_identities.push(words.head.to_owned());
            }
            let left_behind = words.cookies.iter().any(|(name, _)| *name == KEPT || *name == HELD && words.in_order());
            if left_behind {
                self.foreign_cookies.push(words.head.to_owned());
            }
            return String::new();
        };
        let session = session.parse().unwrap();
        self.heads.extend(at.map(|at| Head { session, at }));
        self.untimed += usize::from(at.is_none());
        let owner = name_of(user.parse().unwrap());
        if words.user != Some(&owner) {
            self.wrong_identities.push(words.head.to_owned());
        }
        for (name, value) in &words.cookies {
            let is_own = value.split('.').next() == Some(&owner);
            if !is_own && (*name == KEPT || *name == HELD && words.in_order()) {
                self.foreign_cookies.push(words.head.to_owned());
            }
            self.with_jar += usize::from(is_own && *name == KEPT);
        }
        let deletion = |name: &str| format!("Set-Cookie: {name}=; Path=/; Max-Age=0\r\n");
        match number % 16 {
            1 | 9 => format!("Set-Cookie: {KEPT}={owner}.{number}; Path=/; HttpOnly\r\n"),
            2 | 7 | 11 => format!("Set-Cookie: {HELD}={owner}.{number}; Path=/\r\n"),
            5 => deletion(HELD),
            13 => deletion(KEPT),
            _ => String::new(),
        }
    }
}
