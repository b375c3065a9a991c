//! The program itself: exit codes, and where things are written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

const SOUND: &str = "\
listen = [\"127.0.0.1:0\"]
public_url = \"http://localhost:8080\"
[[route]]
upstream = \"http://127.0.0.1:9000\"
[login]
users = \"users.toml\"
";

fn exeunt(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exeunt"));
    command.current_dir(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn exit_codes_match_the_outcome() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good.toml"), SOUND).unwrap();
    fs::write(folder.path().join("bad.toml"), SOUND.replace("listen", "lisen")).unwrap();
    let cases: [(&[&str], i32); 11] = [
        (&["check", "--config", "good.toml"], 0),
        (&["check", "--config", "bad.toml"], 1),
        (&["check", "--config", "absent.toml"], 1),
        (&["serve", "--config", "bad.toml"], 78),
        (&["serve", "--config", "absent.toml"], 78),
        (&["check", "--confg", "good.toml"], 2),
        (&["chek"], 2),
        (&[], 2),
        (&["--version"], 0),
        (&["--help"], 0),
        (&["man"], 0),
    ];
    for (arguments, code) in cases {
        let output = exeunt(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn check_names_the_hosts_of_a_valid_configuration() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), format!("hosts = [\"shop.localhost\"]\n{SOUND}")).unwrap();
    let output = exeunt(folder.path(), &["check"]);
    assert_eq!(
        text(&output.stdout),
        "./config.toml: accepted, with 1 warning\n\
         served host names: localhost, shop.localhost, 127.0.0.1, [::1]\n\
         a proxy in front must pass on the host name that was asked for (nginx: proxy_set_header Host $host)\n"
    );
}

#[test]
fn check_reports_all_problems_at_once_and_without_colour_in_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let broken = SOUND.replace("listen", "lisen").replace("upstream", "upstrem");
    fs::write(folder.path().join("config.toml"), broken).unwrap();
    let output = exeunt(folder.path(), &["check"]);
    let message = text(&output.stderr);
    let parts =
        ["lisen", "did you mean `listen`", "route[1].upstrem", "./config.toml:4:1", "2 problems in ./config.toml"];
    for part in parts {
        assert!(message.contains(part), "{part} is not in\n{message}");
    }
    assert!(!message.contains('\u{1b}') && output.stdout.is_empty());
}

#[test]
fn check_succeeds_with_warnings() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), SOUND).unwrap();
    let output = exeunt(folder.path(), &["check"]);
    assert!(text(&output.stderr).contains("exeunt user set NAME"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("./config.toml: accepted, with 1 warning\n"));
    assert!(!text(&output.stderr).contains("warnings in"), "one line counts: {}", text(&output.stderr));
}

#[test]
fn users_file_is_readable_by_owner_and_group_only() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), SOUND).unwrap();
    let users = folder.path().join("users.toml");
    fs::write(&users, "").unwrap();
    for (mode, code) in [(0o644, 1), (0o604, 1), (0o666, 1), (0o640, 0), (0o600, 0)] {
        fs::set_permissions(&users, fs::Permissions::from_mode(mode)).unwrap();
        let output = exeunt(folder.path(), &["check"]);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{mode:o}: {message}");
        assert_eq!(message.contains("chmod"), code == 1, "{mode:o}: {message}");
    }
}

/// A start says which line names an address that it cannot have, and what to write.
#[test]
fn check_names_the_line_of_an_address_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let configuration = SOUND.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    for (format, parts) in [
        ("text", ["config.toml:1:11", "is in use", "help: write \"127.0.0.1:"]),
        ("json", ["\"level\":\"ERROR\"", "is in use", "write \\\"127.0.0.1:"]),
    ] {
        fs::write(folder.path().join("config.toml"), format!("{configuration}[log]\nformat = \"{format}\"\n")).unwrap();
        let output = exeunt(folder.path(), &["serve"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
}

/// `check` fails, the start does not: all other users can sign in.
#[test]
fn bad_htpasswd_line_does_not_affect_other_users() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let configuration = SOUND.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    fs::write(folder.path().join("config.toml"), configuration.replace("users.toml", "people")).unwrap();
    let _own_ports_are_taken = UnixListener::bind(folder.path().join("exeunt-admin.sock")).unwrap();
    let hash = "$2y$04$kdobx0du3W5uscfIgeVS0uHM65Dfc09xmpm6upiSeD3A5RXBnoNX2";
    let users = folder.path().join("people");
    for (lines, checked, started) in [
        (format!("a=b:{hash}\nalice:{hash}\n"), 0, 1),
        (format!("alice:{hash}\nalice:{hash}\n"), 0, 1),
        (format!("alice:{hash}\nbob:hunter2\n"), 1, 1),
        ("bob:hunter2\n".to_owned(), 1, 78),
    ] {
        fs::write(&users, &lines).unwrap();
        fs::set_permissions(&users, fs::Permissions::from_mode(0o600)).unwrap();
        // The start goes as far as its address, which is taken.
        for (command, code) in [("check", checked), ("serve", started)] {
            let output = exeunt(folder.path(), &[command]);
            let message = text(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{command} {lines}: {message}");
            assert_eq!(message.contains("`bob` cannot be used"), lines.contains("hunter2"), "{message}");
            assert_eq!(
                message.contains("twice: the first line counts"),
                lines.matches("alice").count() == 2,
                "{message}"
            );
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}

/// Only a start makes the key file. One that is broken is refused, by `check` too.
#[test]
fn the_key_file_is_made_by_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // So that it ends at once.
    let configuration = SOUND.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    let _own_ports_are_taken = UnixListener::bind(folder.path().join("exeunt-admin.sock")).unwrap();
    let key = folder.path().join("state/exeunt.key");
    for (written, state_directory) in
        [("state = 'state'\n", "/nowhere"), ("", folder.path().join("state").to_str().unwrap())]
    {
        let _ = fs::remove_dir_all(folder.path().join("state"));
        fs::write(folder.path().join("config.toml"), format!("{written}{configuration}")).unwrap();
        let run = |command: &str| {
            let mut program = Command::new(env!("CARGO_BIN_EXE_exeunt"));
            let output =
                program.current_dir(folder.path()).arg(command).env("STATE_DIRECTORY", state_directory).output();
            let output = output.unwrap();
            (output.status.code(), text(&output.stderr))
        };
        assert_eq!(run("check").0, Some(0));
        assert!(!key.exists(), "check changes nothing");
        assert_eq!(run("serve").0, Some(1));
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&key, "sesame\n").unwrap();
        for (command, code) in [("check", 1), ("serve", 78)] {
            let (status, message) = run(command);
            assert_eq!(status, Some(code), "{message}");
            assert!(message.contains("openssl rand -hex 32") && !message.contains("sesame"), "{message}");
        }
    }
}

/// A configuration of before, in a folder that cannot be written: a warning. A folder that was named has to be right.
#[test]
fn keys_stay_in_memory_when_no_folder_is_writable() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let configuration = SOUND.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    for (written, code, want) in
        [("", 1, "state = \"/var/lib/exeunt\""), ("state = '/proc/no'\n", 78, "cannot be made")]
    {
        fs::write(folder.path().join("config.toml"), format!("{written}{configuration}")).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_exeunt"));
        let output =
            program.current_dir(folder.path()).arg("serve").env("STATE_DIRECTORY", "/proc/no").output().unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(message.contains(want) && !folder.path().join("exeunt.key").exists(), "{message}");
    }
}

#[test]
fn names_the_searched_places_when_no_configuration_is_found() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!Path::new("/etc/exeunt/config.toml").exists(), "this test needs a machine without Exeunt");
    let output = exeunt(folder.path(), &["serve"]);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(78));
    for part in ["./config.toml", "/etc/exeunt/config.toml", "--config FILE", "exeunt user set NAME"] {
        assert!(message.contains(part), "{part} is not in\n{message}");
    }
}

#[test]
fn example_in_the_message_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let message = text(&exeunt(folder.path(), &["serve"]).stderr);
    let lines = message.lines().filter_map(|line| line.strip_prefix("    "));
    let shown: String = lines.map(|line| format!("{line}\n")).collect();
    fs::write(folder.path().join("config.toml"), shown).unwrap();
    assert_eq!(exeunt(folder.path(), &["check"]).status.code(), Some(0));
}

#[test]
fn manual_and_completions_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let printed = |arguments: &[&str]| text(&exeunt(folder.path(), arguments).stdout);
    for text in [printed(&["man"]), printed(&["completions", "bash"]), printed(&["completions", "zsh"])] {
        for command in ["serve", "check", "user", "completions", "man"] {
            assert!(text.contains(command), "{command}");
        }
    }
}
