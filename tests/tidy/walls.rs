//! Each library that reaches outside is named in one module only.

use super::source::{Finding, Source};

struct Wall {
    /// The words that are only used at home.
    words: &'static [&'static [&'static str]],
    /// The beginnings of the paths below `src/` that are its home.
    homes: &'static [&'static str],
    why: &'static str,
}

const WALLS: [Wall; 5] = [
    Wall { words: &[&["unsafe"]], homes: &[], why: "nothing here is worth undefined behaviour" },
    Wall {
        words: &[
            &["Instant", ":", ":", "now"],
            &["SystemTime", ":", ":", "now"],
            &["Zoned", ":", ":", "now"],
            &["clock_gettime"],
        ],
        homes: &["values/time.rs"],
        why: "the clock is read in one place, so that tests can set it",
    },
    Wall {
        words: &[
            &["println", "!"],
            &["eprintln", "!"],
            &["print", "!"],
            &["eprint", "!"],
            &["stdout", "(", ")"],
            &["stderr", "(", ")"],
        ],
        homes: &["cli/", "main.rs", "audit/log.rs"],
        why: "commands speak to people, the log to operators, nothing else writes",
    },
    Wall {
        words: &[&["std", ":", ":", "env"], &["env", ":", ":"]],
        homes: &["cli/", "cli.rs", "main.rs"],
        why: "the environment is an input of the program, not of its parts",
    },
    Wall { words: &[&["set_var"], &["remove_var"]], homes: &[], why: "other threads read the environment" },
];

const HTML: [&str; 3] = ["<!doctype", "<html", "text/html; charset"];

pub fn check(source: &Source) -> Vec<Finding> {
    let words = WALLS.iter().filter(|wall| !at_home(source, wall.homes)).flat_map(|wall| breaches(source, wall));
    words.chain(engine(source)).chain(html(source)).collect()
}

fn at_home(source: &Source, homes: &[&str]) -> bool {
    homes.iter().any(|home| source.path.starts_with(home))
}

fn breaches(source: &Source, wall: &Wall) -> Vec<Finding> {
    let breaches =
        wall.words.iter().flat_map(|words| source.places(words).into_iter().map(move |at| (at, words.concat())));
    breaches
        .filter_map(|(at, name)| Some((source.words.get(at)?.line, name)))
        .map(|(line, name)| source.finding(line, format!("`{name}` here: {} (home: {:?})", wall.why, wall.homes)))
        .collect()
}

/// The engine is a family of crates: every name that begins like it counts.
fn engine(source: &Source) -> Vec<Finding> {
    if at_home(source, &["proxy/"]) {
        return Vec::new();
    }
    let named = source.words.iter().filter(|word| !word.literal && word.text.starts_with("pingora"));
    named.map(|word| source.finding(word.line, format!("`{}` outside src/proxy/", word.text))).collect()
}

fn html(source: &Source) -> Vec<Finding> {
    if at_home(source, &["pages/", "sample/"]) || source.is_tests() {
        return Vec::new();
    }
    let is_html = |text: &str| HTML.iter().any(|mark| text.to_ascii_lowercase().contains(mark));
    let literals = source.words.iter().filter(|word| word.literal && is_html(&word.text));
    literals
        .map(|word| source.finding(word.line, format!("HTML outside src/pages/ and src/sample/: {}", word.text)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&Source::new(path, text)).len()
    }

    #[test]
    fn every_breach_is_found() {
        let breaches = [
            "use pingora::proxy::Session;",
            "use pingora_core::Error;",
            "fn a() { Instant::now() }",
            "fn a() { std::time::SystemTime::now() }",
            "fn a() -> &'static str { \"<!DOCTYPE html>\" }",
            "const A: &str = \"x<html lang=en>\";",
            "const A: &str = r#\"text/html; charset=utf-8\"#;",
            "fn a() { println!(\"\") }",
            "fn a() { eprint!(\"\") }",
            "fn a() { io::stderr().write(b) }",
            "use std::env::var;",
            "use std::{env::args};",
            "fn a() { unsafe { b() } }",
        ];
        for text in breaches {
            assert_eq!(found("values/a.rs", text), 1 + usize::from(text == "use std::env::var;"), "{text}");
        }
    }

    #[test]
    fn allows_names_in_their_own_module() {
        assert_eq!(found("proxy/a.rs", "use pingora::proxy::Session;"), 0);
        assert_eq!(found("values/time.rs", "fn a() { Instant::now() }"), 0);
        assert_eq!(found("pages/mod.rs", "const A: &str = \"<!doctype html>\";"), 0);
        assert_eq!(found("sample/answer.rs", "const A: &str = \"<!doctype html>\";"), 0);
        assert_eq!(found("cli/a.rs", "fn a() { println!(\"{:?}\", std::env::args()) }"), 0);
        assert_eq!(found("audit/log.rs", "fn a() { io::stderr() }"), 0);
    }

    #[test]
    fn allows_similar_words() {
        let text = "//! pingora, unsafe\nconst A: &str = \"pingora println!()\"; fn b() { env!(\"A\"); sleep(c) }";
        assert_eq!(found("values/a.rs", text), 0);
    }
}
