//! The command as an operator runs it, on temporary files.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use clap::Parser;

use super::*;
use crate::credentials::hashing::{HashingSettings, PasswordChecker};
use crate::credentials::methods::{MethodContext, Verdict};
use crate::credentials::user_file::method::check;
use crate::throttle::fair_queue::Share;

#[derive(Parser)]
struct Program {
    #[command(subcommand)]
    command: UserCommand,
}

/// A temporary folder with a users' file.
struct Harness {
    folder: tempfile::TempDir,
}

impl Harness {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("users.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// Runs a command line; `password` is the answer to the prompt. A prompt without one is a failure.
    fn run(&self, line: &[&str], password: Option<&str>) -> Result<CommandOutput, String> {
        let path = self.path();
        let words = [&["exeunt"], line, &["--file", path.to_str().unwrap()]].concat();
        let command = Program::try_parse_from(words).map_err(|error| error.to_string())?.command;
        let mut ask = |_: &str| {
            let password = password.ok_or_else(|| CommandError::new("asked for a password", ""))?;
            Password::new(password.to_owned()).map_err(|problem| CommandError::new(problem, ""))
        };
        let folder = self.folder.path().to_str().unwrap();
        let shown = |text: String| text.replace(folder, "DIR");
        match execute(command, &mut ask) {
            Ok(output) => Ok(CommandOutput { result: shown(output.result), notice: shown(output.notice) }),
            Err(CommandError(reason)) => Err(shown(reason)),
        }
    }

    fn output(&self, line: &[&str], password: Option<&str>) -> String {
        let output = self.run(line, password).unwrap();
        assert_eq!(output.notice, "");
        output.result
    }

    async fn signs_in(&self, name: &str, password: &str) -> bool {
        let users = Users::load(&self.path(), WeakHashes::Accept).unwrap();
        let passwords = &PasswordChecker::new(HashingSettings::default()).unwrap();
        let share = Share { account: 0, address: 0, site: 0, is_known: false };
        let password = Password::new(password.to_owned()).unwrap();
        matches!(check(&users, name, &password, MethodContext { passwords, share }, "test").await, Verdict::Accept(_))
    }
}

#[test]
fn a_short_password_is_set_with_a_warning() {
    let harness = Harness::new();
    let output = harness.run(&["set", "alice"], Some("1234567")).unwrap();
    assert!(output.result.starts_with("alice: added to"), "{}", output.result);
    assert_eq!(output.notice, "warning: alice: this password has fewer than 8 characters\n");
    assert_eq!(harness.run(&["set", "alice"], Some("12345678")).unwrap().notice, "");
}

#[tokio::test]
async fn a_user_is_added_changed_and_removed() {
    let harness = Harness::new();
    let set = ["set", "alice", "--group", "staff", "--group", "shop", "--email", "alice@example.com"];
    let output = harness.output(&set, Some("open sesame"));
    assert_eq!(
        output,
        "alice: added to DIR/users.toml; takes effect when the gateway that reads this file reloads: exeunt reload\n"
    );
    assert!(harness.signs_in("alice", "open sesame").await);

    let output = harness.output(&["set", "alice", "--name", "Alice Liddell"], Some("another one"));
    assert_eq!(
        output,
        "alice: changed in DIR/users.toml; takes effect when the gateway that reads this file reloads: exeunt reload\n"
    );
    assert!(harness.signs_in("alice", "another one").await && !harness.signs_in("alice", "open sesame").await);
    let table = "USER   GROUPS      EMAIL              NAME           STATE\n\
                 alice  staff,shop  alice@example.com  Alice Liddell  enabled\n";
    assert_eq!(harness.output(&["list"], None), table, "other fields are kept");

    let output = harness.output(&["remove", "alice"], None);
    assert_eq!(
        output,
        "alice: removed from DIR/users.toml; takes effect when the gateway that reads this file reloads: \
         exeunt reload\n"
    );
    assert_eq!(harness.text(), "");
}

#[tokio::test]
async fn without_a_new_password_the_old_one_stays() {
    let harness = Harness::new();
    harness.output(&["set", "alice", "--group", "staff", "--email", "a@b", "--name", "Al"], Some("open sesame"));
    let lines = [
        (vec!["set", "alice", "--keep-password", "--group", "shop"], "alice  shop  a@b  Al  enabled"),
        (vec!["set", "alice", "--keep-password", "--group", "", "--email", ""], "alice  -  -  Al  enabled"),
        (vec!["set", "alice", "--keep-password", "--disable", "--name", ""], "alice  -  -  -  disabled"),
        (vec!["set", "alice", "--keep-password", "--enable"], "alice  -  -  -  enabled"),
    ];
    for (line, want) in lines {
        harness.output(&line, None);
        assert_eq!(harness.signs_in("alice", "open sesame").await, want.ends_with("enabled"), "{line:?}");
        let table = harness.output(&["list", "alice"], None);
        let row: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row.join("  "), want);
    }
    let reason = harness.run(&["set", "bob", "--keep-password"], None).unwrap_err();
    assert!(reason.starts_with("error: DIR/users.toml has no user `bob`"), "{reason}");
}

#[test]
fn invalid_arguments_are_refused_before_the_password_prompt() {
    let harness = Harness::new();
    let cases = [
        (vec!["set", ""], "a user's name is empty"),
        (vec!["set", " bob"], "begins or ends with a space"),
        (vec!["set", "a\nb"], "a user's name cannot be \"a\\nb\": it has a control character in it"),
        (vec!["set", "bob", "--group", "a", "--group", ""], "a group is empty"),
        (vec!["set", "bob", "--email", "a\rb"], "an e-mail address cannot be \"a\\rb\""),
        (vec!["set", "bob", "--name", "\u{7f}"], "a display name cannot be"),
        (vec!["set", "bob", "--enable", "--disable"], "cannot be used with"),
        (vec!["set"], "required arguments were not provided"),
        (vec!["set", "bob", "--password", "x"], "unexpected argument"),
        (vec!["remove", "bob"], "error: DIR/users.toml has no user `bob`\nhelp: list the users: exeunt user list"),
        (vec!["list", "bob"], "error: DIR/users.toml has no user `bob`"),
    ];
    for (line, want) in cases {
        let reason = harness.run(&line, None).unwrap_err();
        assert!(reason.contains(want), "{line:?}: {reason}");
    }
    assert_eq!(fs::read_dir(harness.folder.path()).unwrap().count(), 0);
}

#[test]
fn a_change_that_would_break_the_file_is_not_written() {
    let harness = Harness::new();
    harness.output(&["set", "alice"], Some("open sesame"));
    let before = harness.text();
    let reason = harness.run(&["set", "Alice"], Some("open sesame")).unwrap_err();
    let want = "error: `Alice` and `alice` of line 1 differ in letter case only: nothing was written\n\
                help: remove one of them: users type either spelling";
    assert_eq!((reason.as_str(), harness.text()), (want, before));
}

#[test]
fn a_broken_file_can_be_corrected_user_by_user() {
    let harness = Harness::new();
    fs::write(harness.path(), "[users.alice]\npassword = 'hunter2'\n\n[users.bob]\n").unwrap();
    fs::set_permissions(harness.path(), fs::Permissions::from_mode(0o640)).unwrap();
    let output = harness.run(&["set", "alice"], Some("open sesame")).unwrap();
    assert!(output.result.starts_with("alice: changed in"), "{}", output.result);
    assert!(output.notice.contains("user `bob` has no password"), "{}", output.notice);
    assert!(!output.notice.contains("alice`"), "{}", output.notice);
    harness.output(&["remove", "bob"], None);

    fs::write(harness.path(), "[users.alice\npassword = 'hunter2'\n").unwrap();
    for line in [["set", "alice"], ["remove", "alice"], ["list", "alice"]] {
        let reason = harness.run(&line, Some("open sesame")).unwrap_err();
        assert!(reason.contains("unclosed table") && reason.contains(" --> DIR/users.toml:1:"), "{reason}");
        assert!(!reason.contains("hunter2"), "{reason}");
    }
}

#[test]
fn comments_and_mode_survive() {
    let harness = Harness::new();
    harness.output(&["set", "alice"], Some("open sesame"));
    assert_eq!(fs::metadata(harness.path()).unwrap().mode() & 0o7777, 0o640);
    let text = format!("# The shop.\n\n{}# the end\n", harness.text());
    fs::write(harness.path(), &text).unwrap();
    fs::set_permissions(harness.path(), fs::Permissions::from_mode(0o600)).unwrap();
    harness.output(&["set", "bob", "--group", "staff"], Some("open sesame"));
    assert!(harness.text().starts_with(&text) && harness.text().len() > text.len());
    assert_eq!(fs::metadata(harness.path()).unwrap().mode() & 0o7777, 0o600);
    harness.output(&["remove", "bob"], None);
    assert_eq!(harness.text(), text);
}

#[test]
fn concurrent_writers_lose_nothing() {
    let harness = Harness::new();
    let users: Vec<_> = (0..8).map(|at| format!("user{at}")).collect();
    std::thread::scope(|scope| {
        for user in &users {
            scope.spawn(|| harness.output(&["set", user, "--group", "staff"], Some("open sesame")));
        }
    });
    let listed = harness.output(&["list"], None);
    let listed: Vec<_> = listed.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(listed, users);
}

#[test]
fn programs_get_json() {
    let harness = Harness::new();
    let nobody = harness.run(&["list", "--json"], None).unwrap();
    assert_eq!(nobody.result, "[]\n");
    assert!(nobody.notice.starts_with("no users yet in DIR/users.toml"), "{}", nobody.notice);
    harness.output(&["set", "zoë \"z\"", "--group", "a,b", "--email", "z@b"], Some("open sesame"));
    harness.output(&["set", "bob"], Some("open sesame"));
    harness.output(&["set", "bob", "--keep-password", "--disable"], None);
    let want = serde_json::json!([
        { "user": "bob", "groups": [], "email": null, "name": null, "enabled": false },
        { "user": "zoë \"z\"", "groups": ["a,b"], "email": "z@b", "name": null, "enabled": true },
    ]);
    let output: serde_json::Value = serde_json::from_str(&harness.output(&["list", "--json"], None)).unwrap();
    assert_eq!(output, want);
    assert!(!harness.output(&["list", "--json"], None).contains("argon2"));
}
