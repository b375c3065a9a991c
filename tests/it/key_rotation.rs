//! The key file is changed while the program runs, and read again by a reload.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use crate::redis::jars::{got, start_application};
use crate::redis::server::RedisServer;
use crate::redis::{gateway_to, start};
use crate::restarts::{CONFIGURATION, Program, command, log, set_up, sign_in};

/// Has the program of this folder answer on an admin socket.
pub(crate) fn with_admin_socket(folder: &Path) {
    let path = folder.join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.replace("[admin]\nlisten = \"\"", "[admin]\nlisten = \"unix:admin.sock\"")).unwrap();
}

/// The keys of the file, without its comments.
fn keys(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("exeunt.key")).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn write_keys(folder: &Path, keys: &[&str]) {
    fs::write(folder.join("exeunt.key"), keys.join("\n")).unwrap();
}

/// What the program says with these arguments, on both outputs, and whether it succeeds.
fn run(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = command(folder, env!("CARGO_BIN_EXE_exeunt"));
    let Output { status, stdout, stderr } =
        command.stderr(std::process::Stdio::piped()).args(arguments).output().unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

fn reload(folder: &Path) -> (bool, String) {
    run(folder, &["reload"])
}

pub(crate) fn reloads(folder: &Path, want: &str) {
    let (is_reloaded, said) = reload(folder);
    assert!(is_reloaded && said.contains(want), "{want}: {said}");
}

fn is_refused(folder: &Path, want: &str) {
    let (is_reloaded, said) = reload(folder);
    assert!(!is_reloaded && said.contains(want), "{want}: {said}");
}

#[test]
fn sessions_and_sealed_cookies_outlive_a_rotation_until_their_key_is_removed() {
    let (folder, new) = (set_up(), "2b".repeat(32));
    let folder = folder.path();
    let upstream = format!("upstream = \"{}\"", start_application(folder));
    fs::write(folder.join("config.toml"), CONFIGURATION.replace("upstream = \"http://127.0.0.1:9\"", &upstream))
        .unwrap();
    with_admin_socket(folder);
    let program = Program::start(folder);
    let early = program.sign_in();
    got(folder, "/sid/early", &early);

    let old = keys(folder).remove(0);
    write_keys(folder, &[&new, &old]);
    reloads(folder, "keys: 1 added, 0 removed, another key signs\n0 sessions ended");
    let late = program.sign_in();
    got(folder, "/sid/late", &late);
    assert_eq!([got(folder, "/", &early), got(folder, "/", &late)], ["sid=early", "sid=late"]);
    program.kill();
    let program = Program::start(folder);
    assert_eq!([got(folder, "/", &early), got(folder, "/", &late)], ["sid=early", "sid=late"], "from the file");

    write_keys(folder, &[&new]);
    reloads(folder, "keys: 0 added, 1 removed, the same key signs\n1 session ended");
    assert_eq!(([program.status(&early), program.status(&late)]), [401, 200]);
    assert!(log(folder).contains("cause=key_removed"));
    program.kill();
    let program = Program::start(folder);
    assert_eq!((program.status(&early), &*got(folder, "/", &late)), (401, "sid=late"));
    program.stop();
}

#[test]
fn a_reload_with_a_key_file_that_cannot_be_used_changes_nothing() {
    let folder = set_up();
    let folder = folder.path();
    with_admin_socket(folder);
    let program = Program::start(folder);
    let cookie = program.sign_in();
    let (path, old) = (folder.join("exeunt.key"), keys(folder).remove(0));
    write_keys(folder, &[&old, "secret-of-ours"]);
    is_refused(folder, "line 2 must be a key");
    write_keys(folder, &[]);
    is_refused(folder, "it has no key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    is_refused(folder, "chmod 600");
    fs::remove_file(&path).unwrap();
    is_refused(folder, "does not exist any more; restore it");
    assert!(!path.exists(), "no other one is made");
    let configuration = fs::read_to_string(folder.join("config.toml")).unwrap();
    fs::write(folder.join("config.toml"), format!("{configuration}nonsense = 1\n")).unwrap();
    let (is_reloaded, said) = reload(folder);
    assert!(!is_reloaded && said.contains("nonsense") && said.contains("does not exist any more"), "{said}");
    fs::write(folder.join("config.toml"), configuration).unwrap();
    assert_eq!(program.status(&cookie), 200);

    fs::write(&path, &old).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    reloads(folder, "no key and no user has changed");
    assert_eq!(program.status(&cookie), 200);
    assert!(!log(folder).contains("secret-of-ours"));
    program.stop();
}

/// In the order of the handbook: every session stays valid, whichever gateway a request comes to.
#[test]
fn gateways_on_one_store_rotate_one_after_the_other() {
    let (application, new) = (tempfile::tempdir().unwrap(), "2b".repeat(32));
    let server = RedisServer::start(application.path());
    let upstream = start_application(application.path());
    let gateways = [gateway_to(&server, &upstream), gateway_to(&server, &upstream)];
    gateways.iter().for_each(|folder| with_admin_socket(folder.path()));
    // Sessions belong to the password hash.
    fs::copy(gateways[0].path().join("users.htpasswd"), gateways[1].path().join("users.htpasswd")).unwrap();
    let (one, other) = start(&gateways[0], &gateways[1]);
    let [a, b] = gateways.each_ref().map(|folder| folder.path());
    let old = keys(a).remove(0);
    let early = one.sign_in();
    got(a, "/sid/early", &early);

    write_keys(a, &["3c".repeat(32).as_str()]);
    is_refused(a, "the gateways on the session store sign with a key that is not in the key file");
    assert_eq!(got(a, "/", &early), "sid=early");

    let mut sessions = vec![(early, "early".to_owned())];
    let orders = [[&*old, &*new], [&*new, &*old]];
    for (round, (folder, order)) in orders.iter().flat_map(|order| [(a, order), (b, order)]).enumerate() {
        write_keys(folder, order);
        reloads(folder, "keys: ");
        for at in [a, b] {
            let (cookie, value) = (sign_in(at).unwrap(), format!("{round}-{}", sessions.len()));
            got(at, &format!("/sid/{value}"), &cookie);
            sessions.push((cookie, value));
        }
        for (cookie, value) in &sessions {
            assert_eq!([got(a, "/", cookie), got(b, "/", cookie)], [(); 2].map(|()| format!("sid={value}")));
        }
    }
    drop(other);
    let other = Program::start(b);
    for (cookie, value) in &sessions {
        assert_eq!(got(b, "/", cookie), format!("sid={value}"), "after a restart");
    }

    [a, b].iter().for_each(|folder| write_keys(folder, &[&new]));
    // All from before the first gateway signed with the new key, and one from before the second did.
    reloads(a, "keys: 0 added, 1 removed, the same key signs\n6 sessions ended");
    reloads(b, "keys: 0 added, 1 removed, the same key signs\n0 sessions ended");
    let left: Vec<_> = sessions.iter().filter(|(cookie, _)| other.known_status(cookie) == 200).collect();
    assert_eq!(left.len(), sessions.len() - 6);
    one.stop();
    other.stop();
}

/// `exeunt key`: what it says on standard output; panics where it fails.
fn key(folder: &Path, arguments: &[&str]) -> String {
    let (is_done, said) = run(folder, &[&["key"], arguments].concat());
    assert!(is_done, "{arguments:?}: {said}");
    said
}

fn key_is_refused(folder: &Path, arguments: &[&str], want: &str) {
    let before = fs::read(folder.join("exeunt.key")).ok();
    let (is_done, said) = run(folder, &[&["key"], arguments].concat());
    assert!(!is_done && said.contains(want), "{want}: {said}");
    assert_eq!(fs::read(folder.join("exeunt.key")).ok(), before);
}

/// The fingerprints of the file.
fn listed(folder: &Path) -> Vec<String> {
    let list = key(folder, &["list"]);
    let word = |line: &str| line.split(' ').next().unwrap().to_owned();
    assert!(list.lines().next().unwrap().ends_with("  signs"), "{list}");
    list.lines().map(word).collect()
}

#[test]
fn the_command_rotates_the_keys_of_a_running_gateway() {
    let folder = set_up();
    let folder = folder.path();
    with_admin_socket(folder);
    key_is_refused(folder, &["list"], "exeunt.key does not exist");
    let program = Program::start(folder);
    let cookie = program.sign_in();
    let first = listed(folder).remove(0);
    key_is_refused(folder, &["remove", &first], "this is the key that signs; nothing was changed");
    key_is_refused(folder, &["use", "00000000"], "no key has this fingerprint");

    let added = key(folder, &["add"]);
    let second = added.split(':').next().unwrap();
    assert!(added.contains("has reloaded: 0 sessions ended") && added.contains(&format!("exeunt key use {second}")));
    assert_eq!(listed(folder), [&first, second]);
    key(folder, &["use", second]);
    key(folder, &["use", second]);
    assert_eq!(listed(folder), [second, &first], "to say it twice changes nothing");
    let third = key(folder, &["add", "--first"]).split(':').next().unwrap().to_owned();
    assert_eq!((listed(folder), program.status(&cookie)), (vec![third.clone(), second.to_owned(), first.clone()], 200));
    let json: serde_json::Value = serde_json::from_str(&key(folder, &["list", "--json"])).unwrap();
    assert_eq!((&json[0]["key"], &json[0]["signs"], &json[2]["signs"]), (&third.into(), &true.into(), &false.into()));

    assert!(key(folder, &["remove", &first]).contains("has reloaded: 1 session ended"));
    assert_eq!(program.status(&cookie), 401);
    let path = folder.join("exeunt.key");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    assert!(fs::read_to_string(&path).unwrap().starts_with("# Keys of Exeunt"), "comments stay");
    program.stop();
    assert!(key(folder, &["add"]).contains("no gateway is running: takes effect at the next start"));
    let shared = fs::read_to_string(folder.join("config.toml")).unwrap();
    fs::write(folder.join("config.toml"), shared.replace("[session]", "[session]\nstore = \"redis://127.0.0.1:9\""))
        .unwrap();
    key_is_refused(folder, &["add", "--first"], "other gateways do not accept a new key yet");
    assert!(key(folder, &["add"]).contains("to the other gateways and type exeunt reload"));
}
