//! A browser with its cookies, which several threads use at the same time, as several windows do.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::history::{Session, User};

/// A session that a browser was given.
#[derive(Clone, Debug)]
pub struct Given {
    pub session: Session,
    pub user: User,
    /// The value of its cookie.
    pub value: String,
}

#[derive(Debug, Default)]
pub struct Browser {
    /// It does one thing at a time: a task that uses it holds this.
    pub turn: Option<Mutex<()>>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    given: Option<Given>,
    others: BTreeMap<String, String>,
}

/// The gateway's session cookie.
const SESSION: &str = "exeunt";

impl Browser {
    pub fn new(in_order: bool) -> Self {
        Self { turn: in_order.then(Mutex::default), held: Mutex::default() }
    }

    /// The session whose cookie it holds, live or over, and its `Cookie` line.
    pub fn now(&self) -> (Option<Given>, String) {
        let held = self.held.lock();
        let own = held.given.iter().map(|given| format!("{SESSION}={}", given.value));
        let pairs: Vec<_> = own.chain(held.others.iter().map(|(name, value)| format!("{name}={value}"))).collect();
        let line = if pairs.is_empty() { "A: b".to_owned() } else { format!("Cookie: {}", pairs.join("; ")) };
        (held.given.clone(), line)
    }

    /// Takes the cookies of an answer. `given` makes a session of a cookie that is one.
    pub fn take(&self, head: &str, given: impl FnOnce(&str) -> Given) {
        let mut given = Some(given);
        let mut held = self.held.lock();
        for line in set_cookies(head) {
            let (name, value) = line.split(';').next().unwrap_or_default().split_once('=').unwrap_or_default();
            let lower = line.to_ascii_lowercase();
            let gone = lower.contains("max-age=0") || lower.contains("expires=thu, 01 jan 1970");
            match (name, gone) {
                (SESSION, true) => held.given = None,
                (SESSION, false) => held.given = given.take().map(|given| given(value)),
                (_, true) => _ = held.others.remove(name),
                (_, false) => _ = held.others.insert(name.to_owned(), value.to_owned()),
            }
        }
    }
}

fn set_cookies(head: &str) -> impl Iterator<Item = &str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).map(|(_, value)| value)
}
