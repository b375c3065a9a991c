//! What is accepted with a warning.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use exeunt::config::{self, CheckOptions, Machine, Severity};

const SOUND: &str = "\
listen = [\"127.0.0.1:0\"]
public_url = \"http://localhost:8080\"
[login]
users = \"users.toml\"
[[route]]
upstream = \"http://127.0.0.1:9000\"
";

/// A header of another product that passes, and one that the operator sets.
const PASSED: &str = "\
pass_headers = [{ name = \"X-Real-IP\", from = \"any\" }, { name = \"X-Scheme\", from = \"any\" }]
[route.headers.request]
add = { \"X-Forwarded-Prefix\" = \"/app\" }
";

fn warnings(text: &str) -> Vec<String> {
    let (_, report) = config::parse("config.toml", text, Path::new("/nowhere")).unwrap();
    report.findings().iter().map(|finding| format!("{}: {}", finding.key, finding.what)).collect()
}

/// That there are no users yet is said of every one of these.
#[test]
fn each_warning_is_reported_at_its_key() {
    let https = SOUND.replace("http://localhost:8080", "https://app.test");
    let cases = [
        (SOUND.to_owned(), None),
        (SOUND.replace("localhost:8080", "app.test"), Some("public_url: over plain http")),
        (https.clone(), Some("public_url: https needs a proxy in front")),
        (format!("trusted_proxies = [\"10.0.0.7\"]\n{https}"), None),
        (format!("{SOUND}path = \"/app\"\n"), Some("public_url: a sign-in on localhost leads to /,")),
        (format!("{SOUND}host = \"shop.localhost\"\n"), Some("public_url: a sign-in on localhost leads to /,")),
        (format!("hosts = [\"shop.test\"]\n{SOUND}"), Some("public_url: browsers at shop.test are sent to local")),
        (format!("hosts = [\"shop.test\"]\n{SOUND}[session]\nshare = false\n"), None),
        (format!("hosts = [\"shop.localhost\"]\n{SOUND}"), None),
        (
            format!("hosts = [\"[::1]\", \"a.localhost\"]\n{SOUND}host = \"localhost\"\n"),
            Some("hosts[2]: no [[route]] answers on a.localhost"),
        ),
        (format!("{SOUND}pass_headers = [\"X-Scheme\"]\n"), Some("route[1].pass_headers[1]: trusted_proxies is empty")),
        (format!("{SOUND}{PASSED}"), None),
        (format!("{SOUND}basic = true\n"), None),
        (
            format!("{SOUND}basic = true\n").replace("http://localhost:8080", "https://app.test"),
            Some("public_url: https needs a proxy"),
        ),
        (format!("{SOUND}path = \"/app\"\n").replace("[[route]]", "next = \"/app/\"\n[[route]]"), None),
    ];
    for (text, further) in cases {
        let message = warnings(&text);
        let says = |start: &str| message.iter().any(|line| line.starts_with(start));
        assert!(says("login.users: no users yet in /nowhere/users.toml"), "{message:?}");
        assert!(further.is_none_or(says), "{further:?} is not in {message:?}");
        assert_eq!(message.len(), 1 + usize::from(further.is_some()), "{message:?}");
    }
}

/// Beside what is said of plain http anyway.
#[test]
fn warns_of_passwords_over_plain_http() {
    let text = format!("{SOUND}basic = true\n").replace("localhost:8080", "app.test");
    let message = warnings(&text);
    assert!(message.iter().any(|line| line.starts_with("route[1].basic: programs send the password")), "{message:?}");
}

#[test]
fn warns_of_forms_of_custom_templates_with_an_action() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("pages")).unwrap();
    let write = |text: &str| fs::write(folder.path().join("pages/login.html"), text).unwrap();
    let message = || {
        let text = format!("{SOUND}[pages]\ndir = \"pages\"\n");
        let (_, report) = config::parse("config.toml", &text, folder.path()).unwrap();
        let about = report.findings().iter().filter(|finding| finding.key == "pages.dir");
        about.map(|finding| finding.what.clone()).collect::<Vec<_>>().join("\n")
    };
    write("<form method=\"post\"></form>");
    assert_eq!(message(), "");
    write("<form method=\"post\" action=\"{{ login }}\"></form>");
    assert!(message().starts_with("the form of login.html has an action"), "{}", message());
    write("<form method=\"post\" action=\"https://evil.test/{{ login }}\"></form>");
    assert!(message().starts_with("a form of login.html is sent to https://evil.test//login"), "{}", message());
}

#[test]
fn accepts_weak_hashes_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.htpasswd");
    fs::write(&path, "alice:$apr1$ldmcqF4q$jhNVe0njMP2I.5rBUxoOD/\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let text = SOUND.replace("\"users.toml\"", "\"people.htpasswd\"\nallow_weak_hashes = true");
    let (settings, report) = config::parse("config.toml", &text, folder.path()).unwrap();
    assert_eq!(settings.gateway.users.weak(), 1);
    let message = report.to_string();
    assert!(message.contains("login.users: 1 user has a weak hash") && message.contains("htpasswd -B "), "{message}");
}

/// Changed defaults are noted where the file relies on them, for who comes from before the change.
#[test]
fn warns_of_changed_defaults_that_affect_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let resolve = |_: &str, _| Ok(());
    let machine = Machine { service: None, resolve, first_port: None, serving: true, state_directory: None };
    let noted = |text: &str, since: Option<&str>| {
        fs::write(&path, text).unwrap();
        let look = CheckOptions { machine: machine.clone(), since: since.map(|since| since.parse().unwrap()) };
        let (_, report) = config::check(&path, &look).unwrap();
        let notes = report.findings().iter().filter(|finding| finding.severity == Severity::Note);
        notes.map(|finding| finding.key.clone()).collect::<Vec<_>>().join(" ")
    };
    let reference = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml")).unwrap();
    assert_eq!(noted(&reference, Some("0.1")), "route[1].upstream session");
    let kept = "[session]\nstore = \"memory\"\n";
    let sound = format!("{}{kept}", SOUND.replace("upstream", "app_cookies = \"pass\"\nupstream"));
    let app = "[[route]]\npath = \"/app\"\nupstream = \"demo\"\napp_cookies = \"vault\"\n";
    let below = format!("trusted_proxies = [\"unix\"]\n{sound}{app}");
    for (more, want) in [
        ("", "trusted_proxies route[2].path route[2].path"),
        ("case_sensitive = true\n", "trusted_proxies route[2].path"),
        ("case_sensitive = true\nencoded = \"opaque\"\npass_headers = [\"X-Real-IP\"]\n", ""),
        ("[log]\nformat = \"json\"\n", "trusted_proxies route[2].path route[2].path log.format"),
        ("[log]\nformat = \"combined\"\n", "trusted_proxies route[2].path route[2].path log.format"),
        ("[log]\nformat = \"text\"\n", "trusted_proxies route[2].path route[2].path"),
        (
            "[identity]\ncustom = { \"X-WEBAUTH-USER\" = \"{user}\" }\n",
            "trusted_proxies route[2].path route[2].path identity.custom",
        ),
    ] {
        assert_eq!(noted(&format!("{below}{more}"), Some("0.1")), want, "{more}");
        assert_eq!(noted(&format!("{below}{more}"), Some("0.2")), "", "{more}");
        assert_eq!(noted(&format!("{below}{more}"), None), "", "{more}");
    }
}

#[test]
fn reports_no_warnings_beside_an_error() {
    let report = config::parse("config.toml", &SOUND.replace("listen", "lisen"), Path::new("/nowhere")).unwrap_err();
    assert_eq!(report.findings().len(), 1, "{report}");
}
