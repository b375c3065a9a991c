//! Sessions move from a file to a Redis server and back: who was signed in still is, who signed out stays out.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::redis::server::RedisServer;
use crate::restarts::{CONFIGURATION, Program, command, set_up, sign_out, visits};

/// Has the gateway of this folder keep its sessions there.
fn configure(folder: &Path, store: &str) {
    let application = format!("unix:{}", folder.join("application.sock").display());
    let session = format!("[session]\nstaleness = \"1s\"\nstore = \"{store}\"\nstore_password_file = \"password\"");
    let configuration = CONFIGURATION.replace("http://127.0.0.1:9", &application).replace("[session]", &session);
    fs::write(folder.join("config.toml"), configuration).unwrap();
}

/// What the command says, and whether it copied.
fn copy(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = command(folder, env!("CARGO_BIN_EXE_exeunt"));
    let output = command.args(["store", "copy"]).args(arguments).stderr(std::process::Stdio::piped()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn refused(folder: &Path, arguments: &[&str], why: &str) {
    let (copied, said) = copy(folder, arguments);
    assert!(!copied && said.contains(why), "{why}: {said}");
}

fn copied(folder: &Path, arguments: &[&str], what: &str) {
    let (copied, said) = copy(folder, arguments);
    assert!(copied && said.contains(what), "{what}: {said}");
}

const FILE: &str = "sqlite:sessions.db";

#[test]
fn sessions_move_to_a_server_and_back() {
    let (folder, place) = (set_up(), tempfile::tempdir().unwrap());
    let (folder, server) = (folder.path(), RedisServer::start(place.path()));
    server.ask("CONFIG SET requirepass sesame");
    fs::write(folder.join("password"), "sesame\n").unwrap();
    let there = format!("redis+unix://{}", server.socket().display());
    let visit = visits(folder);
    configure(folder, FILE);
    refused(folder, &["sqlite:none.db", &there], "none.db does not exist");
    let program = Program::start(folder);
    let [stays, leaves, later] = [(); 3].map(|()| program.sign_in());
    assert!(sign_out(folder, &leaves));
    assert_eq!([visit(&stays), visit(&stays)], ["", "visits=secret-1"]);
    refused(folder, &[FILE, &there], "in use by another gateway");
    program.stop();

    copied(folder, &[FILE, &there], "sessions 2");
    configure(folder, &there);
    let program = Program::start(folder);
    assert_eq!([&stays, &leaves, &later].map(|cookie| program.status(cookie)), [200, 401, 200]);
    assert_eq!(visit(&stays), "visits=secret-2", "cookies of applications move along");
    assert!(sign_out(folder, &later));
    refused(folder, &[&there, "sqlite:other.db"], "another gateway uses it");
    program.stop();

    refused(folder, &[&there, FILE], "has sessions already");
    copied(folder, &["--replace", &there, FILE], "sessions 1");
    configure(folder, FILE);
    let program = Program::start(folder);
    assert_eq!([&stays, &leaves, &later].map(|cookie| program.status(cookie)), [200, 401, 401]);
    assert_eq!(visit(&stays), "visits=secret-3");
    program.stop();
}

#[test]
fn stores_in_use_and_of_other_programs_are_not_copied() {
    let (folder, other, place) = (set_up(), set_up(), tempfile::tempdir().unwrap());
    let (folder, server) = (folder.path(), RedisServer::start(place.path()));
    let there = format!("redis+unix://{}", server.socket().display());
    for folder in [folder, other.path()] {
        fs::write(folder.join("password"), "none\n").unwrap();
        configure(folder, &there);
    }
    server.ask("CONFIG SET requirepass none");
    let program = Program::start(folder);
    let cookie = program.sign_in();
    refused(other.path(), &[&there, FILE], "exeunt.key does not exist");
    fs::copy(folder.join("exeunt.key"), other.path().join("exeunt.key")).unwrap();
    refused(other.path(), &[&there, FILE], "stop them first");
    assert_eq!(program.status(&cookie), 200);
    program.kill();
    fs::write(other.path().join("exeunt.key"), "0".repeat(64)).unwrap();
    refused(other.path(), &[&there, FILE], "other keys");
    refused(folder, &[&there, &there], "are the same store");
    refused(folder, &["memory", &there], "a store in memory cannot be copied");
    refused(folder, &["redis://u:secret@localhost", FILE], "password must not be in the address");
    // Of a gateway that was killed nothing new is heard.
    copied(folder, &[&there, FILE], "sessions 1");
}

/// An end that the file has not confirmed: its session is still there.
#[test]
fn an_end_that_was_not_confirmed_is_not_copied_as_a_session() {
    let folder = set_up();
    let folder = folder.path();
    let program = Program::start(folder);
    let [stays, ended] = [(); 2].map(|()| program.sign_in());
    program.stop();
    let key = Sha256::digest(ended.split_once('=').unwrap().1);
    let entry = [&key[..], &u64::from(u32::MAX).to_le_bytes()].concat();
    let entry = [&entry[..], &Sha256::digest(&entry)[..8]].concat();
    let path = folder.join("sessions.db.pending");
    let pending = fs::read(&path).unwrap();
    fs::write(&path, [&entry, &pending[entry.len()..]].concat()).unwrap();
    copied(folder, &[FILE, "sqlite:copy.db"], "sessions 1, notes 0, not copied because they had ended 1");
    let configuration = CONFIGURATION.replace("[session]", "[session]\nstore = \"sqlite:copy.db\"");
    fs::write(folder.join("config.toml"), configuration).unwrap();
    let program = Program::start(folder);
    assert_eq!([program.status(&stays), program.status(&ended)], [200, 401]);
    program.stop();
}
