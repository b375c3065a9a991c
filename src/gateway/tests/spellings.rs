//! Paths that are forwarded literally, with programs behind that normalise them in different ways; and all spellings of
//! a path, with the route of that path.

use percent_encoding::percent_decode;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use unicode_normalization::UnicodeNormalization;

use super::properties::Rng;
use super::*;
use crate::routes::path_table::{PathTable, Scope};
use crate::values::configured_path::ConfiguredPath;
use crate::values::own_hosts::HostId;
use crate::values::target::Target;

/// How a program normalises a path before it uses it.
#[derive(Clone, Copy, Debug)]
enum Normalisation {
    Decode,
    CutQuery,
    CutParameters,
    TrimNames,
    MergeSlashes,
    RemoveDots,
    TurnSlashes,
    FoldCase,
    AskForCapitals,
    NarrowLetters,
}

const NORMALISATIONS: [Normalisation; 10] = [
    Normalisation::Decode,
    Normalisation::CutQuery,
    Normalisation::CutParameters,
    Normalisation::TrimNames,
    Normalisation::MergeSlashes,
    Normalisation::RemoveDots,
    Normalisation::TurnSlashes,
    Normalisation::FoldCase,
    Normalisation::AskForCapitals,
    Normalisation::NarrowLetters,
];

impl Normalisation {
    fn read(self, path: &str) -> String {
        let each = |change: fn(&str) -> &str| path.split('/').map(change).collect::<Vec<_>>().join("/");
        match self {
            Self::Decode => percent_decode(path.as_bytes()).decode_utf8_lossy().into_owned(),
            Self::CutQuery => path.split(['?', '#']).next().unwrap().to_owned(),
            Self::CutParameters => each(|segment| segment.split(';').next().unwrap_or("")),
            Self::TrimNames => each(trimmed),
            Self::MergeSlashes => merged(path),
            Self::RemoveDots => without_dots(path),
            Self::TurnSlashes => path.replace('\\', "/"),
            Self::FoldCase => path.to_lowercase(),
            Self::AskForCapitals => path.to_uppercase().to_lowercase(),
            Self::NarrowLetters => path.nfkc().filter(|letter| !matches!(letter, '\u{200b}' | '\u{ad}')).collect(),
        }
    }
}

fn trimmed(segment: &str) -> &str {
    let name = segment.trim_end_matches("%20").trim_end_matches(['.', ' ']);
    let stream = name.len() - name.to_lowercase().strip_suffix("::$data").map_or(name.len(), str::len);
    name[..name.len() - stream].trim_end_matches(['.', ' '])
}

fn merged(path: &str) -> String {
    if path.contains("//") { merged(&path.replace("//", "/")) } else { path.to_owned() }
}

fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Three programs in a row with different habits, or five with the same.
fn chains() -> impl Iterator<Item = Vec<Normalisation>> {
    let of_one = NORMALISATIONS.into_iter().map(|habit| vec![habit; 5]);
    let three = NORMALISATIONS.into_iter().flat_map(|one| {
        NORMALISATIONS
            .into_iter()
            .flat_map(move |other| NORMALISATIONS.into_iter().map(move |third| vec![one, other, third]))
    });
    of_one.chain(three)
}

/// Whether a program that reads this path would reach something else than what was checked.
fn is_elsewhere(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let below = |own: &str| path == own || path.starts_with(&format!("{own}/"));
    matches!(path, "/login" | "/logout") || below("/.exeunt") || below("/staff") || path.starts_with("//")
}

#[tokio::test]
async fn normalising_applications_stay_within_the_judged_route() {
    let harness = harness_with(|settings| {
        settings.routes = vec![route("/", Access::Public), route("/staff", Access::SignedIn)];
    });
    let piece = "(x|staff|logout|[lL]ogin|\\.exeunt|\\.\\.|\\.|;|/|%2[fFeE05]|%3[bBfF]|%5[cC]\
                 |%25(2[fFeE05]|3[bBfF]|252[fF]|5c)|%EF%BC%8[EF]|%EF%BD%8Cogout|%C2%A0|::%24DATA)";
    let targets = proptest::string::string_regex(&format!("/{piece}{{1,8}}")).unwrap();
    let chains: Vec<_> = chains().collect();
    let mut runner = TestRunner::new(Config::with_cases(3_000));
    let result = runner.run(&targets, |target| {
        let Received::Forward(forward) = harness.receive("GET", &target, &[]) else { return Ok(()) };
        let forwarded = forward.target().map_or(target.clone(), |target| String::from_utf8(target.to_vec()).unwrap());
        for chain in &chains {
            let read = chain.iter().fold(forwarded.clone(), |path, habit| habit.read(&path));
            let message = format!("{target} is forwarded as {forwarded} and read as {read} by {chain:?}");
            prop_assert!(!is_elsewhere(&read), "{}", message);
        }
        Ok(())
    });
    result.unwrap();
    for target in ["/x%2Fy", "/x//staff", "/x/%252Flogin", "/x%3Bstaff", "/wiki/What%3F", "/x%5Cy", "/caf%E9", "/a./b"]
    {
        assert!(matches!(harness.receive("GET", target, &[]), Received::Forward(_)), "{target} passes");
    }
}

/// The paths of one configuration, with their owners.
struct Paths {
    own: OwnPages,
    routes: PathTable<usize>,
    configured: Vec<String>,
}

const SEGMENTS: [&str; 14] = [
    "a", "b", "ab", "admin", "Admin", "@admin", "user:x", "x.y", "a+b", "wiki", "WIKI", "caf%C3%A9", "%C4%B1d", "a%20b",
];

impl Paths {
    /// Two to six routes and two addresses of the gateway, all different.
    fn random(dice: &mut Rng) -> Self {
        let mut configured: Vec<ConfiguredPath> = vec![ConfiguredPath::parse("/").unwrap()];
        let own = loop {
            let [login, logout] = [random_path(dice), random_path(dice)].map(|text| OwnPath::parse(&text).unwrap());
            if let Some(own) = OwnPages::new(login, vec![logout]) {
                break own;
            }
        };
        for _ in 0..2 + dice.below(5) {
            let path = ConfiguredPath::parse(&random_path(dice)).unwrap();
            if !configured.iter().any(|other| other.is_same_when_folded(&path)) {
                configured.push(path);
            }
        }
        let scope = |path: &ConfiguredPath| Scope { host: None, path: path.clone(), case_sensitive: false };
        let entries: Vec<_> = configured.iter().map(scope).zip(0..).collect();
        let hosts = OwnHosts::new(&Origin::parse("http://app.test").unwrap(), []);
        let own_paths = [own.login().as_str(), own.logout()].map(str::to_owned);
        let configured = configured.iter().map(ConfiguredPath::to_string).chain(own_paths).collect();
        Self { own, routes: PathTable::new(&hosts, &entries), configured }
    }

    /// Where a target leads; `None` if it is refused.
    fn leads(&self, target: &str) -> Option<String> {
        let target = Target::parse(target.as_bytes()).ok()?;
        match self.own.find(target.path()).ok()? {
            Some(page) => Some(format!("{page:?}")),
            None => Some(format!("{:?}", self.routes.find(HostId::LOGIN, target.path()).ok()?)),
        }
    }
}

fn random_path(dice: &mut Rng) -> String {
    (0..=dice.below(3)).map(|_| format!("/{}", dice.pick(&SEGMENTS))).collect()
}

/// Every spelling of a text that differs in one position and that some program treats as the same.
fn spellings(text: &str) -> Vec<String> {
    let decoded = percent_decode(text.as_bytes()).decode_utf8().unwrap().into_owned();
    let escaped =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let plain = |text: &str| escaped(text).replace("%2F", "/");
    let mut spellings = vec![plain(&decoded), decoded.split('/').map(escaped).collect::<Vec<_>>().join("%2f")];
    for (at, letter) in decoded.char_indices() {
        let (before, after) = (plain(&decoded[..at]), plain(&decoded[at + letter.len_utf8()..]));
        let once: String = letter.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect();
        let twice = once.replace('%', "%25");
        let wide = u32::from(letter).checked_add(0xfee0).filter(|_| letter.is_ascii_graphic()).and_then(char::from_u32);
        let other = match letter.is_uppercase() {
            true => letter.to_lowercase().to_string(),
            false => letter.to_uppercase().to_string(),
        };
        let (same, other) = (plain(&letter.to_string()), plain(&other));
        let mut instead = vec![once, twice.clone(), twice.replace('%', "%25"), other, format!("{same}%E2%80%8B")];
        instead.extend(wide.map(|wide| escaped(&wide.to_string())));
        instead.extend(letter.nfd().ne([letter]).then(|| escaped(&letter.nfd().collect::<String>())));
        if letter == '/' {
            let slashes = ["//", "/./", "/x/../", "%2F", "%5C", "%255c", "/%2F", "%EF%BC%BC", "/%E2%80%8B/"];
            instead.extend(slashes.map(str::to_owned));
            // After a name.
            let ends = [
                ";x", ";", "%3Bx", "%253B", ".", ".%20.", "%20", "%C2%A0", "::$DATA", ":$i30:$INDEX_ALLOCATION",
                "%EF%BC%9B",
            ];
            instead.extend(ends.map(|end| format!("{end}/")));
        }
        spellings.extend(instead.into_iter().map(|instead| format!("{before}{instead}{after}")));
    }
    let ends = [
        "/", "//", ";x", "%3B", ".", "...", "%20", "%2520", "%3Fx", "%23x", "%253Fx/y", "::$DATA", "%5C", "%2F",
        "%E2%80%A6", "/.",
    ];
    spellings.extend(ends.map(|end| plain(&decoded) + end));
    spellings
}

#[test]
fn no_spelling_of_a_path_leads_to_another_route() {
    let mut dice = Rng(5);
    let (mut same, mut refused) = (0, 0);
    for _ in 0..1_000 {
        let paths = Paths::random(&mut dice);
        let below = random_path(&mut dice);
        let path = paths.configured[dice.below(paths.configured.len())].trim_end_matches('/').to_owned();
        for path in [path.clone() + &below, if path.is_empty() { "/".to_owned() } else { path }] {
            let Some(want) = paths.leads(&path) else { continue };
            for spelling in spellings(&path) {
                match paths.leads(&spelling) {
                    None => refused += 1,
                    Some(leads) => {
                        assert_eq!(leads, want, "{spelling} for {path}, of {:?}", paths.configured);
                        same += 1;
                    }
                }
            }
        }
    }
    assert!(same > 50_000 && refused > 50_000, "{same} led there, {refused} were refused");
}
