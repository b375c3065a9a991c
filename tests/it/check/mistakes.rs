//! Everyday mistakes, each scored: 0 nothing is said, 1 said without a place, 2 with its line, 3 with help that mends
//! the file when it is followed, and brings up nothing new.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use exeunt::config::{self, CheckOptions, Finding, Machine, ServiceUser};

use super::cure::obey;

const SOUND: &str = "\
listen = [\"127.0.0.1:0\"]
public_url = \"http://localhost:8080\"

[[route]]
path = \"/\"
upstream = \"http://127.0.0.1:9000\"
groups = [\"staff\"]

[login]
users = \"users.toml\"

[session]
idle_timeout = \"1h\"
store = \"memory\"
";

const USERS: &str = "\
[users.alice]
password = \"$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$V1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dX\"
groups = [\"staff\"]
";

/// A name, what is replaced in the sound configuration, and by what.
type Mistake = (&'static str, &'static str, &'static str);

/// The 25 that other servers were scored by as well; four more of them need more than a text, below.
const EVERYDAY: [Mistake; 21] = [
    ("a misspelt key", "upstream =", "upstrem ="),
    ("a misspelt word", "groups =", "access = \"sigend-in\"\ngroups ="),
    ("a missing key", "public_url = \"http://localhost:8080\"\n", ""),
    ("a key in the wrong table", "[login]", "[log]\nmax_lifetime = \"2h\"\n\n[login]"),
    ("a key twice", "[login]\n", "[login]\nusers = \"users.toml\"\n"),
    ("typographic quotes", "\"users.toml\"", "“users.toml”"),
    ("a no-break space", "users =", "users\u{a0}="),
    ("a switch in another case", "path = \"/\"\n", "path = \"/\"\ncase_sensitive = True\n"),
    ("a line of YAML", "path = \"/\"\n", "path: /\n"),
    ("a line of nginx", "upstream = \"http://127.0.0.1:9000\"", "proxy_pass http://127.0.0.1:9000;"),
    ("an open bracket", "0\"]", "0\""),
    ("a text without quotes", "\"http://localhost:8080\"", "http://localhost:8080"),
    ("a number in quotes", "[session]\n", "[session]\nmax_per_user = \"20\"\n"),
    ("a size with a unit", "[session]\n", "[limits]\nhead_size = \"32k\"\n[session]\n"),
    ("a time without a unit", "\"1h\"", "3600"),
    ("a port out of range", "9000", "90000"),
    ("a variable", "http://127.0.0.1:9000", "${APP_URL}"),
    ("a wildcard in a path", "[[route]]\n", "[[route]]\npath = \"/app/*\"\nupstream = \"demo\"\n\n[[route]]\n"),
    ("a group without members", "\"staff\"", "\"stuff\""),
    ("a name that does not resolve", "127.0.0.1:9000", "no-such-app:9000"),
    ("a missing file", "groups =", "upstream_ca_file = \"ca.pem\"\ngroups ="),
];

/// Their relatives.
const FURTHER: [Mistake; 56] = [
    (
        "a regular expression as path",
        "[[route]]\n",
        "[[route]]\npath = \"^/app/(.*)$\"\nupstream = \"demo\"\n\n[[route]]\n",
    ),
    ("single brackets", "[[route]]", "[route]"),
    ("a text for a list", "[\"staff\"]", "\"staff\""),
    ("a list for a text", "\"users.toml\"", "[\"users.toml\"]"),
    ("a port for an address", "[\"127.0.0.1:0\"]", "8080"),
    ("a name to listen on", "127.0.0.1:0", "localhost:0"),
    ("an address in another's form", "127.0.0.1:0", "http://127.0.0.1:0"),
    ("an asterisk for an address", "127.0.0.1:0", "*:0"),
    ("an address of another machine", "127.0.0.1:0", "192.0.2.1:0"),
    ("a socket in a missing folder", "127.0.0.1:0", "unix:run/http.sock"),
    ("a port that is too high", "127.0.0.1:0", "127.0.0.1:80800"),
    ("an upstream without scheme", "http://127.0.0.1:9000", "localhost:9000"),
    ("an upstream with a path", "127.0.0.1:9000", "127.0.0.1:9000/app/"),
    ("an upstream with a slash at its end", "127.0.0.1:9000", "127.0.0.1:9000/"),
    ("an upstream of another kind", "http://127.0.0.1:9000", "fastcgi://127.0.0.1:9000"),
    ("a key in another case", "users =", "Users ="),
    ("a quoted switch", "[login]\n", "[login]\nallow_weak_hashes = \"true\"\n"),
    ("a switch as yes", "[login]\n", "[login]\nallow_weak_hashes = yes\n"),
    ("a public_url with a path", "localhost:8080", "localhost:8080/app"),
    ("a public_url without scheme", "\"http://localhost:8080\"", "\"localhost:8080\""),
    ("a public_url with an odd port", "localhost:8080", "localhost:99999"),
    ("a key of another gateway", "users =", "htpasswd_file ="),
    ("a key of another gateway elsewhere", "[login]\n", "[login]\ncookie_name = \"app\"\n"),
    ("a secret that is not needed", "[login]\n", "[login]\ncookie_secret = \"hunter2\"\n"),
    ("a key of the file in a table", "[login]\n", "[login]\nhosts = [\"a.localhost\"]\n"),
    ("an unknown key", "[login]\n", "[login]\nfrobnicate = 1\n"),
    ("a unit in words", "\"1h\"", "\"90 minutes\""),
    ("a unit in capitals", "\"1h\"", "\"1H\""),
    ("a fraction", "\"1h\"", "\"1.5h\""),
    ("a time that is too short", "\"1h\"", "\"0s\""),
    ("a number that is too low or high", "[session]\n", "[session]\nmax_per_user = 0\n"),
    ("a comment of C", "[session]\n", "// sessions\n[session]\n"),
    ("a semicolon at the end", "\"1h\"", "\"1h\";"),
    ("a comma at the end", "\"1h\"", "\"1h\","),
    ("an open quote", "\"1h\"", "\"1h"),
    ("an open header", "[session]", "[session"),
    ("a YAML table", "[session]", "session:"),
    ("a block of nginx", "[session]\n", "server {\n}\n[session]\n"),
    ("a list without commas", "[\"staff\"]", "[\"staff\" \"staff\"]"),
    ("an unclosed list over several lines", "[\"staff\"]", "[\n  \"staff\",\n"),
    ("a space in a key", "idle_timeout", "idle timeout"),
    ("a space at the end of a path", "path = \"/\"", "path = \"/ \""),
    ("a path without a slash", "[[route]]\n", "[[route]]\npath = \"app\"\nupstream = \"demo\"\n\n[[route]]\n"),
    ("a wildcard host", "[login]", "[[route]]\nhost = \"*.example.localhost\"\nupstream = \"demo\"\n[login]"),
    ("a network with host bits", "[[route]]\n", "trusted_proxies = [\"10.0.0.1/8\"]\n[[route]]\n"),
    ("https without a proxy in front", "http://localhost:8080", "https://app.example.com"),
    ("a page of another site after the sign-in", "[login]\n", "[login]\nnext = \"https://elsewhere.test/\"\n"),
    ("a cookie that browsers refuse", "[session]\n", "[session]\nsame_site = \"none\"\n"),
    ("idle for longer than a session lasts", "[session]\n", "[session]\nmax_lifetime = \"30m\"\n"),
    ("a file of sessions as a URL", "\"memory\"", "\"sqlite:///var/lib/exeunt/sessions.db\""),
    ("a file of sessions in a missing folder", "\"memory\"", "\"sqlite:data/sessions.db\""),
    ("a host with its scheme", "[[route]]\n", "hosts = [\"https://a.localhost\"]\n[[route]]\n"),
    ("a template that was not filled in", "\"users.toml\"", "\"{{ users_file }}\""),
    ("a variable of Caddy", "http://127.0.0.1:9000", "{env.APP_URL}"),
    ("a cookie name with its prefix", "[session]\n", "[session]\ncookie = \"__Host-app\"\n"),
    ("a missing logo", "[login]", "[brand]\nlogo = \"logo.svg\"\n[login]"),
];

/// Things that look like mistakes, and are none.
const FINE: [Mistake; 5] = [
    ("ends of lines of another system", "\n", "\r\n"),
    ("tabs", " = ", "\t=\t"),
    ("a mark of the byte order", "listen", "\u{feff}listen"),
    ("a socket that the unit makes room for", "127.0.0.1:0", "unix:/run/exeunt/http.sock"),
    ("a slash at the end of public_url", "localhost:8080", "localhost:8080/"),
];

struct Site {
    folder: tempfile::TempDir,
    machine: Machine,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let resolve = |name: &str, _| match name {
            "localhost" => Ok(()),
            _ => Err(io::Error::other("Name or service not known")),
        };
        let machine = Machine { service: None, resolve, first_port: Some(1024), serving: false, state_directory: None };
        let site = Self { folder, machine };
        site.write("users.toml", USERS.as_bytes());
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o640)).unwrap();
    }

    fn found(&self) -> Vec<Finding> {
        let look = CheckOptions { machine: self.machine.clone(), since: None };
        let report = match config::check(&self.path("config.toml"), &look) {
            Ok((_, report)) | Err(report) => report,
        };
        report.findings().to_vec()
    }

    /// The score of a configuration, and what was said of it.
    fn score(&self, configuration: &[u8]) -> (u8, String) {
        self.write("config.toml", configuration);
        let mut left = self.found();
        let said: String =
            left.iter().map(|found| format!("  {}: {} {:?}\n", found.key, found.what, found.write)).collect();
        if left.is_empty() {
            return (0, said);
        }
        if left.iter().any(|found| found.span.is_none() && !found.what.contains("is missing")) {
            return (1, said);
        }
        while let Some(finding) = left.first() {
            if !obey(&self.path("config.toml"), finding) {
                return (2, said);
            }
            let after = self.found();
            let is_new = |found: &Finding| !left.iter().any(|old| (&old.key, &old.what) == (&found.key, &found.what));
            if after.len() >= left.len() || after.iter().any(is_new) {
                let text = fs::read_to_string(self.path("config.toml")).unwrap_or_default();
                return (2, format!("{said}  then {after:?}\n{text}"));
            }
            left = after;
        }
        (3, said)
    }
}

/// Those that do not have the full score.
fn poor(mistakes: &[Mistake]) -> Vec<String> {
    let mut poor = Vec::new();
    for (name, sound, broken) in mistakes {
        assert!(SOUND.contains(sound), "{name}");
        let (score, said) = Site::new().score(SOUND.replacen(sound, broken, 1).as_bytes());
        if score != 3 {
            poor.push(format!("{name}: {score}\n{said}"));
        }
    }
    poor
}

#[test]
fn valid_configuration_has_no_findings() {
    assert_eq!(Site::new().score(SOUND.as_bytes()), (0, String::new()));
    for (name, sound, other) in FINE {
        let text = SOUND.replace(sound, other);
        assert_eq!(Site::new().score(text.as_bytes()), (0, String::new()), "{name}");
    }
}

#[test]
fn suggested_fixes_correct_everyday_mistakes() {
    let poor = poor(&EVERYDAY);
    assert!(poor.is_empty(), "{}", poor.join("\n"));
}

#[test]
fn suggested_fixes_correct_similar_mistakes() {
    let poor = poor(&FURTHER);
    assert!(poor.is_empty(), "{} of {}\n{}", poor.len(), FURTHER.len(), poor.join("\n"));
}

#[test]
fn reports_files_in_another_encoding() {
    let text = SOUND.replacen("# ", "", 1).replace("[login]", "# für alle\n[login]");
    let latin: Vec<u8> = text.chars().map(|sign| u8::try_from(u32::from(sign)).unwrap()).collect();
    let wide: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for bytes in [latin, wide] {
        let site = Site::new();
        let (score, said) = site.score(&bytes);
        assert_eq!(score, 3, "{said}");
        let text = fs::read_to_string(site.path("config.toml")).unwrap();
        assert!(text.contains("für alle"), "{text}");
    }
}

#[test]
fn reports_a_port_in_use() {
    let site = Site::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = SOUND.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    let (score, said) = site.score(text.as_bytes());
    assert!(score == 3 && said.contains("is in use"), "{score} {said}");
    // Where the gateway itself runs, the port is its own.
    let admin = UnixListener::bind(site.path("exeunt-admin.sock")).unwrap();
    assert_eq!(site.score(text.as_bytes()), (0, String::new()));
    drop(admin);
    assert_eq!(site.score(text.as_bytes()).0, 3, "what is left of a gateway is none");
}

#[test]
fn reports_a_port_that_the_service_may_not_bind() {
    let site = Site { machine: Machine { service: Some(user(0)), ..Site::new().machine }, ..Site::new() };
    let (score, said) = site.score(SOUND.replace("127.0.0.1:0", "127.0.0.1:871").as_bytes());
    assert!(score == 3 && said.contains("CAP_NET_BIND_SERVICE"), "{score} {said}");
    // The unit gives the privilege.
    let site = Site { machine: Machine { first_port: None, ..site.machine.clone() }, ..site };
    assert_eq!(site.score(SOUND.replace("127.0.0.1:0", "127.0.0.1:871").as_bytes()), (0, String::new()));
}

#[test]
fn reports_a_file_that_the_service_cannot_read() {
    let site = Site::new();
    let owner = fs::metadata(site.path("users.toml")).unwrap().uid();
    let site = Site { machine: Machine { service: Some(user(owner + 1)), ..Site::new().machine }, ..site };
    fs::set_permissions(site.folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
    assert_eq!(site.score(SOUND.as_bytes()), (0, String::new()));
    for mode in [0o600, 0o400] {
        fs::set_permissions(site.path("users.toml"), fs::Permissions::from_mode(mode)).unwrap();
        let (score, said) = site.score(SOUND.as_bytes());
        assert!(score == 3 && said.contains("login.users: the service's user cannot read"), "{score} {said}");
    }
    fs::set_permissions(site.folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let said = site.found().iter().map(|found| found.what.clone()).collect::<String>();
    assert!(said.contains("cannot enter the folder"), "{said}");
}

/// A user of the service with this number, in the group that the tests' files have.
fn user(uid: u32) -> ServiceUser {
    let group = fs::metadata(std::env::temp_dir()).map(|_| nix::unistd::getgid().as_raw()).unwrap();
    ServiceUser { group: group.to_string(), uid, groups: vec![group] }
}

/// Paths are relative to the folder of the configuration, not to the working directory.
#[test]
fn reports_a_users_file_at_another_place() {
    let site = Site::new();
    // The tests run in the folder of the project, which has such a file.
    let (score, said) = site.score(SOUND.replace("users.toml", "Cargo.toml").as_bytes());
    assert_eq!(score, 2, "that one is no users' file: {said}");
    let here = fs::canonicalize("Cargo.toml").unwrap();
    assert!(said.contains(&format!("write \\\"{}\\\", which exists", here.display())), "{said}");
}

/// The page for people who search for what they saw: every mistake, what is said of it, and what to write.
#[test]
fn page_of_mistakes_matches_the_output_of_check() {
    const BEGIN: &str = "| mistake | `exeunt check` says | and helps |\n|---|---|---|\n";
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration-mistakes.md");
    let written = fs::read_to_string(&page).unwrap();
    let (before, _) = written.split_once(BEGIN).unwrap();
    let rows = EVERYDAY.iter().chain(&FURTHER).map(|(name, sound, broken)| {
        let site = Site::new();
        site.write("config.toml", SOUND.replacen(sound, broken, 1).as_bytes());
        let found = site.found();
        let Finding { key, what, write, .. } = &found[0];
        let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
        let row = format!("| {name} | {key}{what} | `` {} `` |\n", write[0]);
        row.replace(site.folder.path().to_str().unwrap(), "/etc/exeunt")
    });
    let page_now = format!("{before}{BEGIN}{}", rows.collect::<String>());
    if std::env::var_os("EXEUNT_BLESS").is_some() {
        fs::write(&page, &page_now).unwrap();
    }
    assert_eq!(fs::read_to_string(&page).unwrap(), page_now, "EXEUNT_BLESS=1 writes down what is said now");
}

/// Whatever is wrong with a file, the values of unknown keys are not shown.
#[test]
fn does_not_print_secrets_of_other_programs() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        "cookie_secret = \"hunter2\"", "cookie_secret = hunter2", "cookie_secret: hunter2", "cookie_secret hunter2;",
        "oauth = { secret = \"hunter2\" }", "session = { secret = \"hunter2\" }", "cookie_secret = “hunter2”",
        "cookie_secret = \"\"\"\nhunter2\"\"\"", "cookie_secret = [\"a\", \"hunter2\"", "cookie_secret = \"hunter2",
    ];
    for line in lines {
        for text in [format!("{line}\n{SOUND}"), format!("{SOUND}{line}\n"), format!("{SOUND}\n{line}\npath = /\n")] {
            let report = config::parse("config.toml", &text, Path::new(folder.path())).unwrap_err();
            let shown = report.render(false);
            assert!(!shown.contains("hunter2"), "{text}\n{shown}");
        }
    }
}
