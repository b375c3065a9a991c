//! htpasswd files as they are found in practice, and the messages about them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::credentials::password::Password;
use crate::credentials::problem::FileProblems;
use crate::credentials::stored_hash::WorkFactor;
use crate::credentials::user_file::Users;

const BCRYPT: &str = "$2y$04$kdobx0du3W5uscfIgeVS0uHM65Dfc09xmpm6upiSeD3A5RXBnoNX2";
const APR1: &str = "$apr1$ldmcqF4q$jhNVe0njMP2I.5rBUxoOD/";
const SHA1: &str = "{SHA}W8r/fyL/UzygmbNAjq2HbA67qac=";

fn parse(text: &str, weak: WeakHashes) -> Result<Users, FileProblems> {
    Users::parse_any("people.htpasswd".as_ref(), text, weak)
}

#[test]
fn the_format_is_detected_by_name_or_content() {
    let cases = [
        ("users.toml", "[users.alice]\npassword = 'a:b'\n", false),
        ("users.toml", "users.\"a:b\".password = 'x'\n", false),
        ("users.toml", "# alice:x\n\n[users]\n", false),
        ("users.toml", "", false),
        ("users", "# people\n\nalice:$2y$04$x\n", true),
        ("users", "alice@example.com:x=\n", true),
        ("users", "a=b:$2y$04$x\n", true),
        ("users", "\"q\":$2y$04$x\n", true),
        ("users", "'q':{SHA}x=\n", true),
        ("users", "[a]:$apr1$x$y\n", true),
        ("users", "[users.alice]:$5$x$y\n", true),
        ("users", "hunter2\nalice=:$6$x$y\n", true),
        ("users.toml", "[users.\"a:$2y$04$\"]\npassword = 'x'\n", false),
        ("users.toml", "[users.alice]\npassword = 'x\n# c:$d$\n", false),
        ("users", "alice\n", false),
        (".htpasswd", "", true),
        ("x.HTPASSWD", "alice = 1", true),
    ];
    for (path, text, want) in cases {
        assert_eq!(is_htpasswd(path.as_ref(), text), want, "{path} {text:?}");
    }
}

#[test]
fn a_user_has_a_name_and_a_password_and_nothing_else() {
    let text = format!("# people\nalice:{BCRYPT}\r\n\n  # more\nbob smith:{BCRYPT}:a comment\n");
    let users = parse(&text, WeakHashes::Refuse).unwrap();
    assert_eq!(users.sorted().iter().map(|entry| entry.identity.user()).collect::<Vec<_>>(), ["alice", "bob smith"]);
    let alice = users.find("alice").unwrap();
    assert_eq!(alice.identity, Arc::new(Identity::new("alice", None, None, &[]).unwrap()));
    assert!(alice.enabled && users.find("Alice").is_none());
    let matches = |text: &str| alice.hash.matches(&Password::new(text.to_owned()).unwrap()).unwrap();
    assert!(matches("open sesame") && !matches("open sesam"));
    assert_eq!(users.weak(), 0);
}

#[test]
fn an_unknown_name_takes_the_most_common_work() {
    let decoy = |lines: &[&str]| {
        let text: String = lines.iter().zip(0..).map(|(hash, number)| format!("u{number}:{hash}\n")).collect();
        parse(&text, WeakHashes::Accept).unwrap().decoy().work()
    };
    assert_eq!(decoy(&[BCRYPT, APR1, APR1]), WorkFactor::Apr1);
    assert_eq!(decoy(&[BCRYPT, APR1]), WorkFactor::Bcrypt(4));
    assert_eq!(decoy(&[SHA1]), WorkFactor::Sha1);
}

#[test]
fn weak_hashes_are_accepted_if_configured() {
    let text = format!("alice:{APR1}\nbob:{SHA1}\ncarol:{BCRYPT}\n");
    assert_eq!(parse(&text, WeakHashes::Accept).unwrap().weak(), 2);
    let users = parse(&text, WeakHashes::Refuse).unwrap();
    assert!(users.weak() == 0 && users.find("alice").is_none() && users.find("carol").is_some());
    let report = users.bad_lines().unwrap().to_string();
    let want = "\
error: the hash of `alice` is weak: from a stolen file the password can be recovered quickly
 --> people.htpasswd:1:1
  |
1 | alice:*************************************
  | ^^^^^
  |
  = help: type: htpasswd -B people.htpasswd alice; or until then: [login] allow_weak_hashes = true";
    assert!(report.starts_with(want), "{report}");
    assert!(report.contains("of `bob` is weak") && !report.contains("carol"), "{report}");
}

/// Lines written by `htpasswd -nbB -C 4`.
#[test]
fn common_forms_of_names_are_read() {
    let names =
        ["a=b", "\"q\"", "'q'", "[x]", "[users.alice]", "a#b", "CORP\\\\bob", "jürgen", "a,b;c", "{SHA}", "$2y$"];
    let text: String = names.iter().map(|name| format!("{name}:{BCRYPT}\n")).collect();
    for path in ["people", "users.toml", ".htpasswd"] {
        let users = Users::parse_any(path.as_ref(), &text, WeakHashes::Refuse).unwrap();
        assert!(names.iter().all(|name| users.find(name).is_some()) && users.bad_lines().is_none(), "{path}");
    }
}

#[test]
fn trailing_spaces_and_a_byte_order_mark_are_ignored() {
    let text = format!("\u{feff}alice:{BCRYPT} \t\r\nbob:{BCRYPT}  :a comment\n   \ncarol:{BCRYPT}");
    let users = parse(&text, WeakHashes::Refuse).unwrap();
    assert!(["alice", "bob", "carol"].iter().all(|name| users.find(name).is_some()));
    assert!(users.bad_lines().is_none() && users.duplicates().is_none());
}

#[test]
fn the_first_of_two_lines_counts() {
    let other = BCRYPT.replace("$04$", "$05$");
    let users = parse(&format!("alice:{BCRYPT}\nbob:{BCRYPT}\nalice:{other}\n"), WeakHashes::Refuse).unwrap();
    assert_eq!((users.find("alice").unwrap().hash.work(), users.count()), (WorkFactor::Bcrypt(4), 2));
    let message = users.duplicates().unwrap().to_string();
    assert!(message.contains("warning: `alice` is listed already in line 1, and that line counts"), "{message}");
    assert!(message.contains("people.htpasswd:3:1") && !message.contains("$2y$"), "{message}");
    // Even if it is invalid: some operators lock accounts that way.
    let users = parse(&format!("alice:!\nalice:{BCRYPT}\nbob:{BCRYPT}\n"), WeakHashes::Refuse).unwrap();
    assert!(users.find("alice").is_none() && users.duplicates().is_some() && users.bad_lines().is_some());
}

#[test]
fn a_bad_line_only_affects_its_own_user() {
    let text =
        format!("alice:{BCRYPT}\nbob:hunter2\nhunter2\ncarol:{APR1}\nALICE:{BCRYPT}\ndave:{BCRYPT}\nalice:hunter2\n");
    let users = parse(&text, WeakHashes::Refuse).unwrap();
    let names: Vec<_> = users.sorted().iter().map(|entry| entry.identity.user().to_owned()).collect();
    assert_eq!(names, ["alice", "dave"]);
    let bad = users.bad_lines().unwrap();
    assert_eq!(bad.problems().len(), 5, "{bad}");
    let message = bad.to_string();
    for part in [
        "of `bob` cannot", "`:` is missing", "of `carol` is weak", "`ALICE` and `alice` of line 1", "of `alice` cannot",
    ] {
        assert!(message.contains(part), "{part} is not in\n{message}");
    }
    assert!(!message.contains("hunter2"), "{message}");
    assert!(parse("alice:hunter2\n", WeakHashes::Refuse).is_err(), "the file has no other user");
}

#[test]
fn a_line_that_is_not_utf8_is_a_bad_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people");
    let lines = [format!("alice:{BCRYPT}").as_bytes(), b"\n# caf\xe9\nj\xfcrgen:", BCRYPT.as_bytes(), b"\n"].concat();
    fs::write(&path, &lines).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let users = Users::load(&path, WeakHashes::Refuse).unwrap();
    assert_eq!(users.count(), 1);
    let message = users.bad_lines().unwrap().to_string();
    assert!(message.contains("a user's name is not UTF-8") && message.contains("people:3:1"), "{message}");
    fs::write(&path, b"[users.j\xfcrgen]\n").unwrap();
    assert!(Users::load(&path, WeakHashes::Refuse).unwrap_err().to_string().contains("not UTF-8"));
}

#[test]
fn all_problems_are_reported_without_secrets() {
    let text = "hunter2\nalice:hunter2\nbob:sEzy2QcO5NhGM\ncarol:\n:hunter2\nALICE:$2y$04$hunter2\n\ttab:hunter2\n";
    let report = parse(text, WeakHashes::Accept).unwrap_err().to_string();
    for part in [
        "error: this line has no user: `:` is missing\n --> people.htpasswd:1:1",
        "write NAME:HASH, as this does: htpasswd -B people.htpasswd NAME",
        "error: the password of `alice` cannot be used: it is a DES hash, or the password itself",
        "help: type: htpasswd -B people.htpasswd alice",
        "error: the password of `bob` cannot be used: it is a DES hash, or the password itself",
        "error: the password of `carol` cannot be used: it is empty",
        "error: a user's name is empty\n --> people.htpasswd:5:1",
        "error: `ALICE` and `alice` of line 2 differ in letter case only",
        "error: the password of `ALICE` cannot be used: it is a damaged hash",
        "it has a control character in it",
    ] {
        assert!(report.contains(part), "{part} is not in\n{report}");
    }
    for secret in ["hunter2", "sEzy2QcO5NhGM"] {
        assert!(!report.contains(secret), "{report}");
    }
}

#[test]
fn modes_are_checked_as_for_every_users_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people");
    fs::write(&path, format!("alice:{BCRYPT}\n")).unwrap();
    for (mode, want) in [(0o640, true), (0o600, true), (0o644, false), (0o660, false)] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(Users::load(&path, WeakHashes::Refuse).is_ok(), want, "{mode:o}");
    }
}
