//! The disk of the session file is full, cannot be written, or has another file there: nothing is lost, no request
//! passes without a session, and what a logout ended stays ended.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::restarts::{CONFIGURATION, PATIENCE, Program, ask, command, log, set_up, sign_in, sign_out, status};

/// A disk in memory of one test, in a mount namespace of its own: only the processes that are started there see it,
/// and it is gone when `holder` is.
struct Disk {
    folder: PathBuf,
    holder: Child,
}

/// Enough for a gateway's files, and filled at once.
const SIZE: &str = "size=4m,mode=0700";

impl Disk {
    /// Mounts it on this folder.
    fn on(folder: PathBuf) -> Self {
        fs::create_dir(&folder).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let mounting = format!("mount -t tmpfs -o {SIZE} tmpfs \"$0\" && echo mounted && exec cat");
        command.args(["sh", "-c", &mounting]).arg(&folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n", "this needs root, or a system whose users may mount in a namespace of their own");
        Self { folder, holder }
    }

    /// One of its files, as this process sees it.
    fn file(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.folder.strip_prefix("/").unwrap()).join(name)
    }

    /// A program that sees it, in the folder that it is in.
    fn command(&self, program: &str) -> Command {
        let folder = self.folder.parent().unwrap();
        let mut command = command(folder, "nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount"]);
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["sh", "-c", "cd \"$0\" && exec \"$@\""]).arg(folder).arg(program);
        command
    }

    fn serve(&self) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_exeunt"));
        command.arg("serve");
        command
    }

    fn start(&self) -> Program<'_> {
        Program::with(self.folder.parent().unwrap(), self.serve())
    }

    fn remount(&self, how: &str) {
        let status = self.command("mount").args(["-o", &format!("remount,{how},{SIZE}")]).arg(&self.folder).status();
        assert!(status.unwrap().success());
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let mut file = File::create(self.file("filler")).unwrap();
        for piece in [1 << 16, 1] {
            let error =
                std::iter::from_fn(|| file.write_all(&vec![7; piece]).err().map_or(Some(None), |e| Some(Some(e))));
            assert_eq!(error.flatten().next().unwrap().kind(), ErrorKind::StorageFull);
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.file("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A folder with a configuration, and in it the disk that keeps the gateway's state.
fn on_a_disk() -> (tempfile::TempDir, Disk) {
    let folder = set_up();
    fs::write(folder.path().join("config.toml"), format!("state = \"disk\"\n{CONFIGURATION}")).unwrap();
    let disk = Disk::on(folder.path().join("disk"));
    (folder, disk)
}

/// Waits until this is so.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Signs out while the store confirms nothing: the browser is told so, and its cookie is taken.
fn sign_out_unconfirmed(folder: &Path, cookie: &str) {
    let answer = ask(folder, "POST", "/logout", cookie, "").unwrap();
    let value = answer.cookie.as_deref().and_then(|cookie| cookie.split_once('=')).map(|(_, value)| value);
    assert_eq!((answer.status, value), (503, Some("")), "{}", answer.body);
}

#[test]
fn a_full_disk_loses_no_session_and_no_end() {
    let (folder, disk) = on_a_disk();
    let folder = folder.path();
    let program = disk.start();
    let [stays, leaves, later] = [(); 3].map(|()| program.sign_in());
    disk.fill();
    for _ in 0..3 {
        assert_eq!(sign_in(folder), None, "a sign-in that is not on disk was answered");
    }
    sign_out_unconfirmed(folder, &leaves);
    assert_ne!(status(folder, &leaves), Some(200));
    assert_eq!(program.status(&stays), 200, "who is signed in works on");
    program.kill();
    assert_eq!(log(folder).matches("the session store failed").count(), 1, "one line, {}", log(folder));

    // It starts on the full disk, too.
    let program = disk.start();
    assert_eq!(program.status(&stays), 200);
    assert_ne!(status(folder, &leaves), Some(200), "the crash has forgotten the end");
    sign_out_unconfirmed(folder, &later);
    disk.make_room();
    wait_until("the store goes on by itself", || sign_in(folder).is_some());
    wait_until("that is logged", || log(folder).contains("the session store works again"));
    wait_until("the ends are confirmed", || [&leaves, &later].map(|cookie| status(folder, cookie)) == [Some(401); 2]);
    program.stop();
    let program = disk.start();
    assert_eq!([&stays, &leaves, &later].map(|cookie| program.status(cookie)), [200, 401, 401]);
    assert!(sign_out(folder, &stays));
    program.stop();
}

#[test]
fn read_only_disk_is_reported_at_the_start() {
    let (folder, disk) = on_a_disk();
    let folder = folder.path();
    let program = disk.start();
    let cookie = program.sign_in();
    program.stop();
    disk.remount("ro");
    let refused = disk.serve().status().unwrap();
    let said = log(folder);
    assert_eq!(refused.code(), Some(78), "{said}");
    assert!(
        said.contains("Read-only file system") && said.contains("must be able to write the file and its"),
        "{said}"
    );
    disk.remount("rw");
    let program = disk.start();
    assert_eq!(program.status(&cookie), 200);
    program.stop();
}

#[test]
fn a_file_of_a_later_version_or_of_another_program_stays_as_it_is() {
    let folder = set_up();
    let (folder, path) = (folder.path(), folder.path().join("sessions.db"));
    let program = Program::start(folder);
    let cookie = program.sign_in();
    program.stop();
    let sound = fs::read(&path).unwrap();
    for (change, want) in
        [("user_version = 1000", "a later version of Exeunt"), ("application_id = 7", "another program")]
    {
        rusqlite::Connection::open(&path).unwrap().execute_batch(&format!("PRAGMA {change}")).unwrap();
        let changed = fs::read(&path).unwrap();
        let refused = command(folder, env!("CARGO_BIN_EXE_exeunt")).arg("serve").status().unwrap();
        assert!(refused.code() == Some(78) && log(folder).contains(want), "{refused}: {}", log(folder));
        assert_eq!(ask(folder, "GET", "/", &cookie, "").map(|answer| answer.status), None);
        assert!(fs::read(&path).unwrap() == changed, "{want}: it was changed");
        fs::write(&path, &sound).unwrap();
    }
    let program = Program::start(folder);
    assert_eq!(program.status(&cookie), 200, "nothing was lost");
    program.stop();
}
