//! What happened, by the client's and the application's own clocks, and a checker of it. Nothing here asks the gateway:
//! what it may and must have done follows from when each operation was asked for and answered.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::kernel_time::Nanos;

/// A moment of an operation: real time, and what the gateway's clock showed, read before an operation is asked for and
/// after it was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    pub time: Nanos,
    pub clock: Duration,
}

/// The number of a session, in the order in which the clients learned of them.
pub type Session = usize;
/// The number of a user.
pub type User = usize;

/// A sign-in that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    pub user: User,
    pub asked: At,
    pub answered: At,
}

/// A request in a session's name.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    pub session: Session,
    pub asked: At,
    pub answered: At,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The application's answer.
    Served,
    /// The gateway says that there is no session.
    Refused,
    /// No answer, or one that says neither.
    Unclear,
}

/// What an operation was to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    One(Session),
    AllOf(User),
    /// All of a user but this one.
    Others(User, Session),
}

/// An operation that ends sessions.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub which: Which,
    pub asked: At,
    /// `None`: it was not answered as done, and may have been done or not.
    pub answered: Option<At>,
}

/// The application got a head.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    pub session: Session,
    pub at: Nanos,
}

/// All of it.
#[derive(Debug, Default)]
pub struct History {
    pub opened: Vec<Opened>,
    pub used: Vec<Used>,
    pub ended: Vec<Ended>,
    pub heads: Vec<Head>,
    /// Each session that went on in another one, since its user signed in again in the same browser.
    pub successions: Vec<(Session, Session)>,
    /// Sessions whose receipt says that a head was still being written when the wait for it was over.
    pub given_up: HashSet<Session>,
}

/// How long sessions live by the gateway's clock.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    pub idle: Duration,
    pub absolute: Duration,
}

/// What must not be: how many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrongs {
    /// Requests that began after an end was answered, and were served.
    pub resurrected: usize,
    /// Heads that reached the application after an end was answered.
    pub late_heads: usize,
    /// Requests that were served although the session's time was up when they began.
    pub outlived: usize,
    /// Requests that were refused although nothing can have ended the session.
    pub lost: usize,
}

/// Sessions are timed to the second, and the clock may move while a request is under way.
const SECOND: Duration = Duration::from_secs(1);

/// What is known of one session.
#[derive(Default)]
struct Story {
    session: Session,
    used: Vec<Used>,
    heads: Vec<Nanos>,
    /// When its end was answered first.
    over: Option<Nanos>,
    /// When the end of what acts in its name was answered: where it went on in another session, with that one.
    quiet: Option<Nanos>,
    /// The receipt of the end of what acts in its name says that a head may follow.
    given_up: bool,
    /// When an end was asked for first.
    doubtful: Option<Nanos>,
}

impl History {
    /// Checks it.
    pub fn check(&self, lives: Lives) -> Wrongs {
        let mut wrongs = Wrongs::default();
        for (story, opened) in self.stories().iter_mut().zip(&self.opened) {
            story.used.sort_unstable_by_key(|used| used.asked.time);
            let after_end = |time: Nanos| story.over.is_some_and(|over| time > over);
            let late = |time: Nanos| !story.given_up && story.quiet.is_some_and(|quiet| time > quiet);
            let late_heads = story.heads.iter().filter(|at| late(**at));
            wrongs.late_heads += late_heads.inspect(|at| self.print_around(**at, story)).count();
            let served = story.used.iter().filter(|used| used.outcome == Outcome::Served);
            wrongs.resurrected += served.filter(|used| after_end(used.asked.time)).count();
            wrongs.outlived += outlived(story, opened, lives);
            wrongs.lost += lost(story, opened, lives);
        }
        wrongs
    }

    /// Prints what happened around a head that came too late.
    fn print_around(&self, head: Nanos, story: &Story) {
        let around = |time: Nanos| head.abs_diff(time) < 1_000_000_000;
        let from = |time: Nanos| i128::from(time) - i128::from(head);
        println!("a head came {} ns after the end of {:?}", head - story.quiet.unwrap(), story.session);
        let mut next = vec![story.session];
        while let Some(session) = next.pop() {
            next.extend(self.successions.iter().filter(|(earlier, _)| *earlier == session).map(|(_, next)| *next));
            let opened = &self.opened[session];
            let (asked, answered) = (from(opened.asked.time), from(opened.answered.time));
            println!("  session {session} of {}: signed in from {asked} to {answered}", opened.user);
            for used in self.used.iter().filter(|used| used.session == session && around(used.asked.time)) {
                println!("    {:?} from {} to {}", used.outcome, from(used.asked.time), from(used.answered.time));
            }
            let concerns = |ended: &&Ended| match ended.which {
                Which::One(one) => one == session,
                Which::AllOf(user) | Which::Others(user, _) => user == opened.user,
            };
            for ended in self.ended.iter().filter(concerns).filter(|ended| around(ended.asked.time)) {
                let answered = ended.answered.map(|answered| from(answered.time));
                println!("    {:?} from {} to {answered:?}", ended.which, from(ended.asked.time));
            }
        }
    }

    /// The number of sessions that were refused before anybody asked for their end: their time was up, if nothing is
    /// wrong.
    pub fn expired(&self) -> usize {
        let refused = |story: &Story| {
            let before = |used: &Used| story.doubtful.is_none_or(|asked| asked > used.answered.time);
            story.used.iter().any(|used| used.outcome == Outcome::Refused && before(used))
        };
        self.stories().iter().filter(|story| refused(story)).count()
    }

    fn stories(&self) -> Vec<Story> {
        let mut stories: Vec<Story> =
            (0..self.opened.len()).map(|session| Story { session, ..Story::default() }).collect();
        let mut of_user: HashMap<User, Vec<Session>> = HashMap::new();
        for (session, opened) in self.opened.iter().enumerate() {
            of_user.entry(opened.user).or_default().push(session);
        }
        self.used.iter().for_each(|used| stories[used.session].used.push(*used));
        self.heads.iter().for_each(|head| stories[head.session].heads.push(head.at));
        for ended in &self.ended {
            match ended.which {
                Which::One(session) => stories[session].end(ended, None),
                Which::AllOf(user) | Which::Others(user, _) => {
                    let own = match ended.which {
                        Which::Others(_, own) => Some(own),
                        _ => None,
                    };
                    let all = of_user.get(&user).into_iter().flatten().filter(|session| Some(**session) != own);
                    all.for_each(|session| stories[*session].end(ended, Some(&self.opened[*session])));
                }
            }
        }
        self.given_up.iter().for_each(|session| stories[*session].given_up = true);
        self.succeed(&mut stories);
        stories
    }

    /// What acts in a session's name is over with the last one that it may have gone on in: of two sign-ins with the
    /// same cookie at the same time it is one of both. What ended the session at that time may have ended the next one.
    fn succeed(&self, stories: &mut [Story]) {
        stories.iter_mut().for_each(|story| story.quiet = story.over);
        let mut next_of: HashMap<Session, Vec<Session>> = HashMap::new();
        self.successions.iter().for_each(|(session, next)| next_of.entry(*session).or_default().push(*next));
        // The last ones first: what they went on in is known by then.
        for session in (0..stories.len()).rev() {
            let Some(next) = next_of.get(&session) else { continue };
            let quiet: Option<Vec<_>> = next.iter().map(|next| stories[*next].quiet).collect();
            stories[session].quiet = quiet.and_then(|all| all.into_iter().max());
            stories[session].given_up |= next.iter().any(|next| stories[*next].given_up);
        }
        for ended in &self.ended {
            let Which::One(session) = ended.which else { continue };
            for next in next_of.get(&session).into_iter().flatten() {
                let (asked, opened) = (ended.asked.time, &self.opened[*next]);
                // Not that sign-in itself, which ends the name of the one before.
                if asked < opened.answered.time && asked != opened.asked.time {
                    let doubtful = &mut stories[*next].doubtful;
                    *doubtful = Some(doubtful.map_or(asked, |known| known.min(asked)));
                }
            }
        }
    }
}

impl Story {
    /// An end of this session, or of all that there are: then it is sure for one that was opened before.
    fn end(&mut self, ended: &Ended, opened: Option<&Opened>) {
        let earliest = |known: Option<Nanos>, at: Nanos| Some(known.map_or(at, |known| known.min(at)));
        if opened.is_none_or(|opened| ended.answered.is_none_or(|end| opened.asked.time < end.time)) {
            self.doubtful = earliest(self.doubtful, ended.asked.time);
        }
        let is_sure = opened.is_none_or(|opened| opened.answered.time < ended.asked.time);
        if let Some(answered) = ended.answered.filter(|_| is_sure) {
            self.over = earliest(self.over, answered.time);
        }
    }
}

/// Requests after the longest idle time, or the longest life. What was refused has used nothing.
fn outlived(story: &Story, opened: &Opened, lives: Lives) -> usize {
    let mut last_use = opened.answered.clock;
    let mut count = 0;
    for used in &story.used {
        let begun = used.asked.clock;
        let over = begun >= last_use + lives.idle || begun >= opened.answered.clock + lives.absolute;
        count += usize::from(over && used.outcome == Outcome::Served);
        if used.outcome != Outcome::Refused {
            last_use = last_use.max(used.answered.clock);
        }
    }
    count
}

/// Requests that nothing explains: no end was asked for, and the session's time cannot have been up.
fn lost(story: &Story, opened: &Opened, lives: Lives) -> usize {
    let mut served: Vec<_> = story.used.iter().filter(|used| used.outcome == Outcome::Served).collect();
    served.sort_unstable_by_key(|used| used.answered.time);
    let is_lost = |used: &&Used| {
        let (begun, by) = (used.asked.time, used.answered.clock + SECOND);
        let before = served.partition_point(|other| other.answered.time < begun);
        // Of those that were answered before this began: enough of the last ones to be as many as there are clients.
        let last = served[before.saturating_sub(64)..before].iter().map(|other| other.asked.clock).max();
        let last = last.map_or(opened.asked.clock, |last| last.max(opened.asked.clock));
        let in_time = by < last + lives.idle && by < opened.asked.clock + lives.absolute;
        in_time && story.doubtful.is_none_or(|asked| asked > used.answered.time)
    };
    story.used.iter().filter(|used| used.outcome == Outcome::Refused).filter(is_lost).count()
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Refused, Served, Unclear};
    use super::*;

    const LIVES: Lives = Lives { idle: Duration::from_secs(60), absolute: Duration::from_secs(300) };

    /// At this time, when the clock shows this number of seconds.
    fn at(time: Nanos, clock: u64) -> At {
        At { time, clock: Duration::from_secs(clock) }
    }

    /// Two sessions of user 7, opened from 10 to 20 and from 30 to 40.
    fn two() -> History {
        let opened = [(10, 20), (30, 40)];
        let opened = opened.map(|(asked, answered)| Opened { user: 7, asked: at(asked, 0), answered: at(answered, 0) });
        History { opened: opened.into(), ..History::default() }
    }

    fn used(session: Session, (asked, answered): (Nanos, Nanos), clock: u64, outcome: Outcome) -> Used {
        Used { session, asked: at(asked, clock), answered: at(answered, clock), outcome }
    }

    fn ended(which: Which, (asked, answered): (Nanos, Nanos)) -> Ended {
        Ended { which, asked: at(asked, 0), answered: (answered > 0).then(|| at(answered, 0)) }
    }

    const RESURRECTED: Wrongs = Wrongs { resurrected: 1, late_heads: 0, outlived: 0, lost: 0 };
    const OUTLIVED: Wrongs = Wrongs { resurrected: 0, late_heads: 0, outlived: 1, lost: 0 };
    const LOST: Wrongs = Wrongs { resurrected: 0, late_heads: 0, outlived: 0, lost: 1 };
    const LATE: Wrongs = Wrongs { resurrected: 0, late_heads: 1, outlived: 0, lost: 0 };
    const FINE: Wrongs = Wrongs { resurrected: 0, late_heads: 0, outlived: 0, lost: 0 };

    #[test]
    fn after_an_answered_end_nothing_is_served() {
        let cases = [
            (Which::One(0), (50, 60), 0, (61, 70), Served, RESURRECTED),
            (Which::One(0), (50, 60), 0, (61, 70), Refused, FINE),
            (Which::One(0), (50, 60), 0, (59, 70), Served, FINE),
            (Which::One(0), (50, 60), 1, (61, 70), Served, FINE),
            // An end that was not answered may be either.
            (Which::One(0), (50, 0), 0, (61, 70), Served, FINE),
            (Which::One(0), (50, 0), 0, (61, 70), Refused, FINE),
            (Which::AllOf(7), (50, 60), 1, (61, 70), Served, RESURRECTED),
            (Which::AllOf(8), (50, 60), 1, (61, 70), Served, FINE),
            // A sign-in that was under way may have come first, or after.
            (Which::AllOf(7), (35, 60), 1, (61, 70), Served, FINE),
            (Which::AllOf(7), (35, 60), 1, (61, 70), Refused, FINE),
            (Which::AllOf(7), (22, 28), 1, (61, 70), Refused, LOST),
            (Which::Others(7, 1), (50, 60), 0, (61, 70), Served, RESURRECTED),
            (Which::Others(7, 1), (50, 60), 1, (61, 70), Served, FINE),
            (Which::Others(7, 1), (50, 60), 1, (61, 70), Refused, LOST),
        ];
        for (which, end, session, request, outcome, want) in cases {
            let mut history = two();
            history.ended.push(ended(which, end));
            history.used.push(used(session, request, 0, outcome));
            assert_eq!(history.check(LIVES), want, "{which:?} {end:?} {session} {request:?} {outcome:?}");
        }
    }

    #[test]
    fn heads_count_by_the_time_at_which_they_came() {
        for (head, want) in [(60, FINE), (61, LATE)] {
            let mut history = two();
            history.ended.extend([ended(Which::One(0), (50, 60)), ended(Which::One(0), (55, 90))]);
            history.heads.push(Head { session: 0, at: head });
            assert_eq!(history.check(LIVES), want, "{head}");
            history.given_up.insert(0);
            assert_eq!(history.check(LIVES), FINE, "the receipt says so");
        }
    }

    #[test]
    fn request_of_another_session_is_judged_by_that_session() {
        for (head, request, want) in [(95, 65, RESURRECTED), (95, 55, FINE), (101, 55, LATE)] {
            let mut history = two();
            history.ended.extend([ended(Which::One(0), (50, 60)), ended(Which::One(1), (90, 100))]);
            history.successions.push((0, 1));
            history.used.push(used(0, (request, 120), 0, Served));
            history.heads.push(Head { session: 0, at: head });
            assert_eq!(history.check(LIVES), want, "{head} {request}");
        }
    }

    #[test]
    fn end_by_lifetime_is_neither_early_nor_late() {
        let cases: [(&[(u64, Outcome)], Wrongs); 10] = [
            (&[(59, Served), (118, Served)], FINE),
            (&[(60, Served)], OUTLIVED),
            (&[(60, Refused)], FINE),
            (&[(58, Refused)], LOST),
            (&[(59, Refused)], FINE),
            (&[(30, Served), (80, Refused)], LOST),
            // What was refused has not used it, what is unclear may have.
            (&[(59, Refused), (80, Served)], OUTLIVED),
            (&[(59, Unclear), (80, Served)], FINE),
            (&[(59, Unclear), (80, Refused)], FINE),
            (&[(55, Served), (110, Served), (165, Served), (220, Served), (275, Served), (300, Served)], OUTLIVED),
        ];
        for (requests, want) in cases {
            let mut history = two();
            let requests = requests.iter().zip(1..);
            history
                .used
                .extend(requests.map(|((clock, outcome), n)| used(0, (n * 100, n * 100 + 9), *clock, *outcome)));
            assert_eq!(history.check(LIVES), want, "{:?}", history.used);
        }
    }
}
