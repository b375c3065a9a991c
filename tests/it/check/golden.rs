//! Every `tests/corpus/config/*.toml` is broken, and beside it stands what is said about it. `EXEUNT_BLESS=1`
//! writes down what is said now; the difference is for a person to read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use exeunt::config::{self, Finding, Severity};

use super::cure::obey;

/// What the files of the corpus find beside them, and who may read it.
const BESIDE: [(&str, &str, u32); 9] = [
    ("users.toml", "", 0o600),
    ("open-users.toml", "", 0o644),
    ("broken-users.toml", "[users.alice]\npasword = \"x\"\nemail = 3\n", 0o640),
    ("people.htpasswd", "alice:$apr1$ldmcqF4q$jhNVe0njMP2I.5rBUxoOD/\nbob:sesame\n", 0o640),
    ("no-ca.pem", "this is no certificate\n", 0o644),
    ("folder/file", "", 0o600),
    ("broken-pages/login.html", "<h1>{{ t(\"login.title\") }}</h1>\n<p>{{ usr }}</p>\n", 0o644),
    ("broken-pages/fr.toml", "login.titel = \"Connexion\"\n", 0o644),
    ("broken-pages/logn.html", "", 0o644),
];

fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/config");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    files
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    folder
}

/// Writes the files, also those that a cure has removed.
fn fill(folder: &Path) {
    for (name, content, mode) in BESIDE {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// What is said about a file, as if it stood in `/etc/exeunt`.
fn message(path: &Path, folder: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let report = config::parse("config.toml", &text, folder).map_or_else(|report| report, |(_, report)| report);
    assert!(report.has_flaws(), "{} is accepted", path.display());
    report.render(false).replace(folder.to_str().unwrap(), "/etc/exeunt")
}

#[test]
fn every_broken_file_is_explained() {
    let folder = folder();
    let bless = std::env::var_os("EXEUNT_BLESS").is_some();
    let mut differences = Vec::new();
    for path in corpus() {
        let expected = path.with_extension("expected");
        let message = message(&path, folder.path());
        if bless {
            fs::write(&expected, &message).unwrap();
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if message != wanted {
            differences.push(format!("== {}\n{}", path.display(), difference(&wanted, &message)));
        }
    }
    assert!(differences.is_empty(), "EXEUNT_BLESS=1 accepts what is said now\n{}", differences.join("\n"));
}

/// The lines that differ, `-` expected and `+` said.
fn difference(wanted: &str, message: &str) -> String {
    let (wanted, message): (Vec<_>, Vec<_>) = (wanted.lines().collect(), message.lines().collect());
    let only = |sign, these: &[&str], those: &[&str]| -> String {
        these.iter().filter(|line| !those.contains(line)).map(|line| format!("{sign} {line}\n")).collect()
    };
    only('-', &wanted, &message) + &only('+', &message, &wanted)
}

/// What has to be typed, with a password or names that only a person has, cannot be tried.
fn is_typed(finding: &Finding) -> bool {
    finding.write.iter().any(|help| help.starts_with("type: "))
}

/// Every finding has help that can be followed as it stands, which makes the finding go away and brings no new one.
#[test]
fn suggested_fix_removes_the_problem() {
    let folder = folder();
    let path = folder.path().join("config.toml");
    let found = |text: &str| {
        let report =
            config::parse("config.toml", text, folder.path()).map_or_else(|report| report, |(_, report)| report);
        report.findings().to_vec()
    };
    let mut in_vain = Vec::new();
    for file in corpus() {
        let text = fs::read_to_string(&file).unwrap();
        let findings = found(&text);
        for finding in &findings {
            // Commands change the machine: the tests of single mistakes run them. A file that is named has help of its
            // own.
            let is_of_a_file = finding.write.is_empty() && finding.has_problems_of_a_file();
            if is_of_a_file || is_typed(finding) || finding.write.iter().any(|help| help.starts_with("run: ")) {
                continue;
            }
            fs::write(&path, &text).unwrap();
            let described = format!("{}: {}: {} {:?}", file.display(), finding.key, finding.what, finding.write);
            if !obey(&path, finding) {
                in_vain.push(format!("cannot be followed: {described}"));
                continue;
            }
            // In an entry of a list the place of the next one has its name.
            let is_it =
                |other: &Finding| other.what == finding.what && other.key == finding.key && other.span == finding.span;
            let now = found(&fs::read_to_string(&path).unwrap());
            if now.iter().any(is_it) {
                in_vain.push(format!("changes nothing: {described}"));
            }
            let is_new = |other: &&Finding| {
                other.severity <= finding.severity && !findings.iter().any(|known| known.what == other.what)
            };
            in_vain.extend(now.iter().find(is_new).map(|new| format!("brings {} {}: {described}", new.key, new.what)));
            fill(folder.path());
        }
    }
    assert!(in_vain.is_empty(), "{}", in_vain.join("\n"));
}

#[test]
fn the_corpus_is_large() {
    assert!(corpus().len() >= 40, "{}", corpus().len());
}

#[test]
fn every_explanation_has_a_place() {
    let folder = folder();
    for path in corpus() {
        let text = fs::read_to_string(&path).unwrap();
        let report =
            config::parse("config.toml", &text, folder.path()).map_or_else(|report| report, |(_, report)| report);
        assert!(report.has_flaws());
        for finding in report.findings().iter().filter(|finding| finding.severity != Severity::Warning) {
            let what = &finding.what;
            let is_missing = what == "is missing";
            assert!(finding.span.is_some() || is_missing, "{}: {what} has no place", path.display());
        }
    }
}
