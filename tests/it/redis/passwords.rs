//! A user sets a new password at one gateway, and the users' file is copied to the other: who set it stays signed in at
//! both, and everybody else with the old one is out.

use std::fs;
use std::path::Path;

use super::server::RedisServer;
use super::{gateway_on, start};
use crate::key_rotation::{reloads, with_admin_socket};
use crate::restarts::{Program, ask, set_password, sign_in};

const USERS: &str = "users.htpasswd";

/// Changes the password in the name of this session.
fn change(folder: &Path, cookie: &str, old: &str, new: &str) {
    let form = format!("old={old}&password={new}&again={new}");
    let answer = ask(folder, "POST", "/.exeunt/password", cookie, &form).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn who_sets_a_new_password_stays_signed_in_at_every_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    let gateways = [gateway_on(&server, "5s"), gateway_on(&server, "5s")];
    let [a, b] = gateways.each_ref().map(|folder| folder.path());
    gateways.iter().for_each(|folder| with_admin_socket(folder.path()));
    fs::copy(a.join(USERS), b.join(USERS)).unwrap();
    let (one, other) = start(&gateways[0], &gateways[1]);
    let (cookie, elsewhere) = (one.sign_in(), other.sign_in());
    assert_eq!([other.status(&cookie), one.status(&elsewhere)], [200, 200]);

    // The reload comes before any request at the other gateway, then after one.
    change(a, &cookie, "wonder+land", "looking+glass");
    assert_eq!(other.status(&elsewhere), 401, "opened with the old password");
    fs::copy(a.join(USERS), b.join(USERS)).unwrap();
    reloads(b, "0 sessions ended");
    assert_eq!([one.status(&cookie), other.status(&cookie)], [200, 200]);
    change(b, &cookie, "looking+glass", "red+queen+1");
    assert_eq!(one.status(&cookie), 200);
    fs::copy(b.join(USERS), a.join(USERS)).unwrap();
    reloads(a, "0 sessions ended");
    assert_eq!([one.status(&cookie), other.status(&cookie)], [200, 200]);

    // A start knows the same.
    other.stop();
    let other = Program::start(b);
    assert_eq!([one.status(&cookie), other.status(&cookie)], [200, 200]);

    // A password that was not set in the session's name still ends it, at the gateway that learns of it first.
    set_password(b, "wonder land");
    reloads(b, "1 session ended");
    assert_eq!([one.status(&cookie), other.status(&cookie)], [401, 401]);
    assert!(sign_in(b).is_some());
}
