//! Files as they are found in practice, and the messages about them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::credentials::password::Cost;

const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$V1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dX";

/// Reads a text in which `HASH` stands for a valid hash.
fn parse(text: &str) -> Result<Users, FileProblems> {
    Users::parse("users.toml".as_ref(), &text.replace("HASH", HASH))
}

#[test]
fn users_are_read_as_written() {
    let users = parse(
        "[users.alice]\npassword = 'HASH'\ngroups = ['staff', 'a,b']\nemail = 'alice@example.com'\nname = 'Älice'\n\
         [users.'bob@example.com']\npassword = 'HASH'\nenabled = false\n\
         [users.\"Zoë \\\"z\\\" O'Hara\"]\npassword = 'HASH'\n",
    )
    .unwrap();
    assert_eq!(users.count(), 3);
    let names: Vec<_> = users.sorted().iter().map(|entry| entry.identity.user().to_owned()).collect();
    assert_eq!(names, ["Zoë \"z\" O'Hara", "alice", "bob@example.com"]);
    let alice = users.find("alice").unwrap();
    let groups = ["staff".to_owned(), "a,b".to_owned()];
    let identity = Identity::new("alice", Some("alice@example.com"), Some("Älice"), &groups).unwrap();
    assert_eq!((&*alice.identity, alice.enabled), (&identity, true));
    assert_eq!(alice.key(), UserKey { source: "file".into(), subject: "alice".into() });
    assert!(!users.find("bob@example.com").unwrap().enabled);
    for name in ["Alice", "alice ", "", "bob"] {
        assert!(users.find(name).is_none(), "{name:?}");
    }
}

#[test]
fn every_form_of_a_table_is_read() {
    for text in [
        "users = { alice = { password = 'HASH' } }",
        "[users]\nalice = { password = 'HASH' }",
        "users.alice.password = 'HASH'",
        "[users]\nalice.password = 'HASH'",
        "[\"users\".'alice']\npassword = '''HASH'''",
    ] {
        assert!(parse(text).unwrap().find("alice").is_some(), "{text}");
    }
    for text in ["", "# nobody\n", "[users]\n"] {
        assert_eq!(parse(text).unwrap().count(), 0, "{text:?}");
    }
}

#[test]
fn an_unknown_name_costs_the_most_common_hash() {
    let text = |costs: &[&str]| -> String {
        let user = |(at, cost)| format!("[users.u{at}]\npassword = '{}'\n", HASH.replace("m=8,t=1", cost));
        costs.iter().copied().enumerate().map(user).collect()
    };
    let decoy = |costs: &[&str]| {
        let WorkFactor::Argon2id(Cost { memory_kib, passes, .. }) = parse(&text(costs)).unwrap().decoy().work() else {
            panic!()
        };
        (memory_kib, passes)
    };
    assert_eq!(decoy(&[]), (19_456, 2));
    assert_eq!(decoy(&["m=64,t=1", "m=8,t=1", "m=8,t=1"]), (8, 1));
    assert_eq!(decoy(&["m=8,t=1", "m=64,t=1"]), (64, 1));
}

const NOT_TOML: &str = "write a table for each user: [users.alice], and below it password = \"…\", groups = [\"…\"]";
const SET_ALICE: &str = "type: exeunt user set alice";
const GROUPS: &str = "write a list of names: groups = [\"staff\", \"admins\"]";

/// An invalid text and its messages: the underlined part, what is wrong, what to write.
type Case = (&'static str, &'static [(&'static str, &'static str, &'static str)]);

const CASES: [Case; 23] = [
    ("[users.alice\n", &[("", "this is not valid TOML: unclosed table, expected `]`", NOT_TOML)]),
    (
        "[users.alice]\npassword = 'HASH'\n[users.alice]\n",
        &[("alice", "this is not valid TOML: duplicate key", "keep one of them")],
    ),
    ("users = 1\n", &[("users", "`users` must be a table", "write [users.NAME]")]),
    ("[user.bob]\n", &[("user", "unknown key `user`", "did you mean `users`?")]),
    (
        "alice = 'hunter2'\nbob = 'hunter3'\n",
        &[
            ("alice", "unknown key `alice`", "users are written as tables: [users.NAME]"),
            ("bob", "unknown key `bob`", "users are written as tables: [users.NAME]"),
        ],
    ),
    (
        "[users]\n'a b' = 'hunter2'\n",
        &[("'a b'", "user `a b` must be a table", "write [users.\"a b\"] and the keys below it")],
    ),
    ("[users.alice]\n", &[("alice", "user `alice` has no password", SET_ALICE)]),
    ("[users.\"a b\"]\n", &[("\"a b\"", "user `a b` has no password", "type: exeunt user set \"a b\"")]),
    ("[users.alice]\npassword = 1\n", &[("password", "`password` must be a text in quotes", SET_ALICE)]),
    (
        "[users.alice]\npassword = 'hunter2'\n",
        &[("password", "`password` cannot be used: not a password hash", SET_ALICE)],
    ),
    (
        "[users.alice]\npassword = '$2y$10$abc'\n",
        &[("password", "`password` cannot be used: it is a hash, but not an Argon2id one", SET_ALICE)],
    ),
    (
        "[users.alice]\npassword = '$argon2id$v=19$m=8'\n",
        &[(
            "password",
            "`password` cannot be used: it is a damaged Argon2id hash, or not one of version 19",
            SET_ALICE,
        )],
    ),
    (
        "[users.alice]\npassword = '$argon2id$v=19$m=2097152,t=1,p=1$c2FsdHNhbHQ$V1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dX'\n",
        &[(
            "password",
            "`password` cannot be used: computing this hash costs too much: at most m=262144, t=16, p=16",
            SET_ALICE,
        )],
    ),
    (
        "[users.alice]\npassword = 'HASH'\nGroups = []\n",
        &[("Groups", "unknown key `Groups`", "did you mean `groups`?")],
    ),
    (
        "[users.alice]\npassword = 'HASH'\ntotp = ''\n",
        &[("totp", "unknown key `totp`", "a user has password, groups, email, name, enabled")],
    ),
    ("[users.alice]\npassword = 'HASH'\ngroups = 'staff'\n", &[("'staff'", "`groups` must be a list", GROUPS)]),
    (
        "[users.alice]\npassword = 'HASH'\ngroups = [1, '', \"a\\tb\", ' c']\n",
        &[
            ("1", "a group must be a text in quotes", GROUPS),
            ("''", "a group is empty", "leave it out, or fill it in"),
            ("\"a\\tb\"", "a group cannot be \"a\\tb\": it has a control character in it", "remove that character"),
            ("' c'", "a group cannot be \" c\": it begins or ends with a space", "write \"c\""),
        ],
    ),
    (
        "[users.alice]\npassword = 'HASH'\nemail = \"a\\r\\nX-Admin: 1\"\nname = 7\n",
        &[
            (
                "\"a\\r\\nX-Admin: 1\"",
                "`email` cannot be \"a\\r\\nX-Admin: 1\": it has a control character in it",
                "remove that character",
            ),
            ("7", "`name` must be a text in quotes", "write it in quotes: name = \"…\""),
        ],
    ),
    (
        "[users.alice]\npassword = 'HASH'\nenabled = 'no'\n",
        &[("'no'", "`enabled` must be true or false", "write enabled = false")],
    ),
    (
        "[users.alice]\npassword = 'HASH'\n[users.ALICE]\npassword = 'HASH'\n",
        &[(
            "ALICE",
            "`ALICE` and `alice` of line 1 differ in letter case only",
            "remove one of them: users type either spelling",
        )],
    ),
    ("[users.'']\npassword = 'HASH'\n", &[("''", "a user's name is empty", "leave it out, or fill it in")]),
    (
        "[users.'bob ']\npassword = 'HASH'\n",
        &[("'bob '", "a user's name cannot be \"bob \": it begins or ends with a space", "write \"bob\"")],
    ),
    (
        "[users.\"a\\u0000b\"]\npassword = 'HASH'\n",
        &[(
            "\"a\\u0000b\"",
            "a user's name cannot be \"a\\0b\": it has a control character in it",
            "remove that character",
        )],
    ),
];

#[test]
fn all_problems_are_reported() {
    for (text, want) in CASES {
        let text = text.replace("HASH", HASH);
        let problems = parse(&text).unwrap_err();
        let message = problems.problems().iter().map(|problem| {
            let underlined = &text[problem.span.clone().unwrap()];
            (underlined, problem.message.as_str(), problem.help.as_str())
        });
        assert_eq!(message.collect::<Vec<_>>(), want, "{text}");
        assert!(!problems.to_string().contains("hunter"), "{problems}");
        assert!(!problems.to_string().contains("V1dX"), "{problems}");
    }
}

#[test]
fn long_values_are_shown_in_part() {
    let long = "a".repeat(257);
    let problems = parse(&format!("[users.{long}]\npassword = 'HASH'\n")).unwrap_err();
    let part = "a".repeat(40);
    let want = format!("a user's name cannot be \"{part}…\": it is longer than 256 bytes");
    assert_eq!(problems.problems()[0].message, want);
    let groups: Vec<_> = (0..40).map(|at| format!("{at:0>250}")).collect();
    let problems = parse(&format!("[users.alice]\npassword = 'HASH'\ngroups = {groups:?}\n")).unwrap_err();
    assert_eq!(problems.problems()[0].message, "the groups together are longer than 8192 bytes");
    assert_eq!(problems.problems().len(), 1);
}

#[test]
fn the_report_has_the_form_of_a_compilers() {
    let text = "# The shop.\n[users.alice]\npasword = 'hunter2'\n\n[users]\nbob = { password = 'HASH', grups = [] }\n";
    let want = "\
error: user `alice` has no password
 --> users.toml:2:8
  |
2 | [users.alice]
  |        ^^^^^
  |
  = help: type: exeunt user set alice

error: unknown key `pasword`
 --> users.toml:3:1
  |
3 | pasword = '*******'
  | ^^^^^^^
  |
  = help: did you mean `password`?

error: unknown key `grups`
 --> users.toml:6:95
  |
6 | bob = { password = '***********=****=*,*=*,*=**********************************************', grups = [] }
  |                                                                                               ^^^^^
  |
  = help: did you mean `groups`?";
    assert_eq!(parse(text).unwrap_err().to_string(), want);
}

#[test]
fn many_users_are_read_and_too_many_refused() {
    let text =
        |count: usize| -> String { (0..count).map(|at| format!("[users.u{at}]\npassword = '{HASH}'\n")).collect() };
    assert_eq!(parse(&text(MAX_USERS)).unwrap().count(), MAX_USERS);
    let problems = parse(&text(MAX_USERS + 1)).unwrap_err();
    let messages: Vec<_> = problems.problems().iter().map(|problem| &problem.message).collect();
    assert_eq!(messages, ["100001 users: this file holds at most 100000"]);
}

/// Loads a file of this mode and content.
fn load(mode: u32, content: &[u8]) -> Result<usize, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    let report = |problems: FileProblems| problems.to_string().replace(folder.path().to_str().unwrap(), "DIR");
    Users::load(&path, WeakHashes::Refuse).map(|users| users.count()).map_err(report)
}

#[test]
fn a_file_that_others_can_use_is_refused() {
    let text = format!("[users.alice]\npassword = '{HASH}'\n");
    for mode in [0o600, 0o640, 0o400, 0o440, 0o610] {
        assert_eq!(load(mode, text.as_bytes()), Ok(1), "{mode:o}");
    }
    let cases = [
        (0o644, "others may read this file (mode 0644)"),
        (0o660, "more than its owner may write this file (mode 0660)"),
        (0o602, "more than its owner may write this file (mode 0602)"),
        (0o666, "others may read this file, and more than its owner may write it (mode 0666)"),
    ];
    for (mode, want) in cases {
        let report = format!("error: {want}\n--> DIR/users.toml\n = help: run: chmod 640 DIR/users.toml");
        assert_eq!(load(mode, text.as_bytes()), Err(report));
    }
}

#[test]
fn files_that_are_not_text_are_refused() {
    assert!(load(0o640, b"\xff").unwrap_err().contains("this file is not UTF-8"));
    let large = vec![b'#'; usize::try_from(read::MAX_FILE).unwrap() + 1];
    assert!(load(0o640, &large).unwrap_err().contains("this file is larger than 64 MiB"));
    let folder = tempfile::tempdir().unwrap();
    let report = Users::load(folder.path(), WeakHashes::Refuse).unwrap_err().to_string();
    assert!(report.contains("not a regular file"), "{report}");
}

#[test]
fn a_missing_file_has_no_users() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Users::load(&folder.path().join("users.toml"), WeakHashes::Refuse).unwrap().count(), 0);
    let line = "no users yet in users.toml: nobody can sign in. Type: exeunt user set NAME --file users.toml";
    assert_eq!(no_users_message("users.toml".as_ref()), line);
}
