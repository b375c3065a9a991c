//! `config.toml` at the top of the repository is true: it starts as it stands, its commented lines are the
//! defaults, and no key is forgotten.

use std::fs;
use std::path::Path;

use exeunt::config::{self, Settings, StateFolder, schema};
use exeunt::http1::removed_headers::{FAMILIES, NAMES, OF_THE_CONNECTION};

/// Keys without a default: their line shows an example.
const EXAMPLES: [&str; 19] = [
    "route.preset", "route.logout.call", "route.logout.csrf", "route.logout.token_from", "route.logout.also",
    "route.host", "route.upstream_host", "route.upstream_ca_file", "route.groups", "route.methods", "logout.next",
    "route.access", "brand.logo", "pages.dir", "state", "audit.webhook_secret_file", "audit.webhook_ca_file",
    "session.store_password_file", "session.store_ca_file",
];

fn reference() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml")).unwrap()
}

/// One line of the file, and the full name of the key that it sets or would set.
struct Line<'a> {
    text: &'a str,
    key: Option<String>,
    /// Whether it sets its key only when its `# ` is taken away.
    commented: bool,
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut table = String::new();
    let mut read = Vec::new();
    for text in text.lines() {
        let bare = text.strip_prefix("# ");
        let line = bare.unwrap_or(text);
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            table = header.trim_start_matches('[').to_owned();
            read.push(Line { text, key: None, commented: bare.is_some() });
            continue;
        }
        let name = line.split_once(" = ").map(|(name, _)| name.trim());
        let name = name.filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        let key = name.map(|name| if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") });
        read.push(Line { text, key, commented: bare.is_some() });
    }
    read
}

/// The file with some of its commented keys made live, and the headers of the tables that they need.
fn with(text: &str, live: impl Fn(&str) -> bool) -> String {
    let chosen = |line: &Line<'_>| match &line.key {
        Some(key) => line.commented && live(key),
        None => line.commented && line.text.starts_with("# [route."),
    };
    let shown = lines(text).into_iter().map(|line| {
        let text = if chosen(&line) { line.text.trim_start_matches("# ") } else { line.text };
        format!("{text}\n")
    });
    shown.collect()
}

fn parse(text: &str) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = rcgen::CertificateParams::new(vec!["ca.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    fs::write(folder.path().join("logo.svg"), "<svg xmlns='http://www.w3.org/2000/svg'/>").unwrap();
    fs::write(folder.path().join("webhook.secret"), "0123456789abcdef0123456789abcdef\n").unwrap();
    fs::write(folder.path().join("redis-password"), "secret\n").unwrap();
    fs::copy(folder.path().join("ca.pem"), folder.path().join("redis-ca.pem")).unwrap();
    fs::create_dir(folder.path().join("pages")).unwrap();
    let (settings, _) = config::parse("config.toml", text, folder.path()).unwrap();
    settings
}

/// Settings as text, without what differs between runs: the folder, and the order of an index.
fn shown(mut settings: Settings) -> String {
    settings.users_file = settings.users_file.file_name().unwrap().into();
    let change = settings.gateway.login.change_password.as_mut().unwrap();
    change.path = change.path.file_name().unwrap().into();
    settings.state = StateFolder::Beside("".into());
    let admin = settings.admin.as_mut().unwrap();
    admin.path = admin.path.file_name().unwrap().into();
    let text = format!("{settings:?}");
    let (before, index) = text.split_once("index: {").unwrap();
    let (_, after) = index.split_once('}').unwrap();
    format!("{before}{after}")
}

#[test]
fn reference_configuration_is_valid_as_it_stands() {
    let settings = parse(&reference());
    assert_eq!(settings.gateway.routes.len(), 1);
    assert_eq!(settings.public_url.to_string(), "http://localhost:8080");
}

#[test]
fn commented_lines_are_the_defaults() {
    let text = reference();
    let all = with(&text, |key| !EXAMPLES.contains(&key));
    assert_ne!(all, text);
    assert_eq!(shown(parse(&all)), shown(parse(&text)));
    let explicit = with(&text, |key| key == "route.access");
    assert_eq!(shown(parse(&explicit)), shown(parse(&text)));
}

#[test]
fn examples_are_accepted() {
    let text = reference();
    for example in EXAMPLES {
        let changed = with(&text, |key| key == example);
        assert_ne!(changed, text, "{example} is not in the file");
        parse(&changed);
    }
}

/// No key takes a number with a fraction: every one of them says so, under its own name.
#[test]
fn every_key_refuses_values_of_a_wrong_type() {
    let text = reference();
    let keys = lines(&text).into_iter().filter_map(|line| line.key);
    for key in keys {
        let broken = with(&text, |live| live == key);
        let name = key.rsplit('.').next().unwrap();
        let table = key.strip_suffix(name).unwrap().trim_end_matches('.');
        let mut now = "";
        let changed: String = broken
            .lines()
            .map(|line| {
                if let Some(header) = line.strip_prefix('[') {
                    now = header.split(']').next().unwrap().trim_start_matches('[');
                }
                let is_it = now == table && line.split(" = ").next().unwrap().trim() == name;
                if is_it { format!("{name} = 1.5\n") } else { format!("{line}\n") }
            })
            .collect();
        let report = config::parse("config.toml", &changed, Path::new("/nowhere")).expect_err(&key);
        let place = key.replace("route.", "route[1].");
        let told = |found: &str| found == place || found == format!("{place}[1]");
        assert!(report.findings().iter().any(|finding| told(&finding.key)), "{key}: {report}");
    }
}

/// However a file breaks off, it is explained and nothing falls over.
#[test]
fn truncated_configuration_does_not_panic() {
    let text = with(&reference(), |key| !EXAMPLES.contains(&key));
    for end in (0..text.len()).step_by(7).filter(|&end| text.is_char_boundary(end)) {
        if let Err(report) = config::parse("config.toml", &text[..end], Path::new("/nowhere")) {
            assert!(report.has_problems() && !report.render(true).is_empty());
        }
    }
}

/// The list of removed request headers is the one that the code has: families with an asterisk, then single names.
#[test]
fn the_removed_request_headers_are_listed() {
    let text = reference();
    let mut written: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("#   ")).flat_map(str::split_whitespace).collect();
    written.sort_unstable();
    let families = FAMILIES.iter().map(|family| format!("{family}*"));
    let mut listed: Vec<_> =
        families.chain(NAMES.iter().chain(&OF_THE_CONNECTION).map(|name| (*name).to_owned())).collect();
    listed.sort_unstable();
    assert_eq!(written, listed);
}

#[test]
fn reference_lists_exactly_the_keys_that_exist() {
    let text = reference();
    let mut written: Vec<_> = lines(&text).into_iter().filter_map(|line| line.key).collect();
    written.sort();
    let tables = schema::ALL.iter().flat_map(|schema| {
        let prefix = if schema.table.is_empty() { String::new() } else { format!("{}.", schema.table) };
        schema.keys.iter().map(move |key| format!("{prefix}{key}"))
    });
    let is_table = |key: &String| schema::ALL.iter().any(|schema| schema.table == key);
    let mut keys: Vec<_> = tables.filter(|key| !is_table(key)).collect();
    keys.sort();
    assert_eq!(written, keys);
}
