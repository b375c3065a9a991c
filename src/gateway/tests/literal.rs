//! Paths that are passed on literally, against programs that read them in every other way.

use percent_encoding::percent_decode;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// What one program does to a path before it looks at it.
#[derive(Clone, Copy, Debug)]
enum Habit {
    Decode,
    CutParameters,
    TrimSpaces,
    MergeSlashes,
    RemoveDots,
}

const HABITS: [Habit; 5] =
    [Habit::Decode, Habit::CutParameters, Habit::TrimSpaces, Habit::MergeSlashes, Habit::RemoveDots];

impl Habit {
    fn read(self, path: &str) -> String {
        let each = |change: fn(&str) -> &str| path.split('/').map(change).collect::<Vec<_>>().join("/");
        match self {
            Self::Decode => percent_decode(path.as_bytes()).decode_utf8_lossy().into_owned(),
            Self::CutParameters => each(|segment| segment.split(';').next().unwrap_or("")),
            Self::TrimSpaces => each(|segment| segment.trim_end_matches("%20").trim_end()),
            Self::MergeSlashes => merged(path),
            Self::RemoveDots => without_dots(path),
        }
    }
}

fn merged(path: &str) -> String {
    if path.contains("//") { merged(&path.replace("//", "/")) } else { path.to_owned() }
}

fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Whether a program that takes this for the path would be somewhere else than where we looked.
fn is_elsewhere(path: &str) -> bool {
    let lower = path.trim_end_matches('/').to_ascii_lowercase();
    let below = |own: &str| lower == own || lower.starts_with(&format!("{own}/"));
    matches!(&*lower, "/login" | "/logout") || below("/.exeunt") || below("/staff") || path.starts_with("//")
}

/// Three programs in a row, each with a habit of its own, or five of one habit.
fn chains() -> impl Iterator<Item = Vec<Habit>> {
    let of_one = HABITS.into_iter().map(|habit| vec![habit; 5]);
    let three = HABITS.into_iter().flat_map(|one| {
        HABITS.into_iter().flat_map(move |other| HABITS.into_iter().map(move |third| vec![one, other, third]))
    });
    of_one.chain(three)
}

#[tokio::test]
async fn whatever_stands_behind_us_is_where_we_looked() {
    let bench = bench_with(|settings| {
        settings.routes = vec![route("/", Access::Public), route("/staff", Access::SignedIn)];
        settings.routes[0].opaque = true;
    });
    let piece = "(x|staff|logout|[lL]ogin|\\.exeunt|\\.\\.|\\.|;|/|%2[fFeE05]|%3[bB]|%25(2[fFeE05]|3[bB]|252[fF]))";
    let targets = proptest::string::string_regex(&format!("/{piece}{{1,8}}")).unwrap();
    let mut runner = TestRunner::new(Config::with_cases(20_000));
    let result = runner.run(&targets, |target| {
        let Received::Forward(forward) = bench.receive("GET", &target, &[]) else { return Ok(()) };
        let forwarded = forward.target().unwrap_or(&target);
        for chain in chains() {
            let read = chain.iter().fold(forwarded.to_owned(), |path, habit| habit.read(&path));
            prop_assert!(
                !is_elsewhere(&read),
                "{} is forwarded as {} and read as {} by {:?}",
                target,
                forwarded,
                read,
                chain
            );
        }
        Ok(())
    });
    result.unwrap();
    for target in ["/x%2Fy", "/x//staff", "/x/%252Flogin", "/x%3Bstaff"] {
        assert!(matches!(bench.receive("GET", target, &[]), Received::Forward(_)), "{target} passes");
    }
}
