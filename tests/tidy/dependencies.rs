//! The crates that Exeunt is built of: their licences, sources and bans as `deny.toml` has them, each one used, and
//! each one explained beside its line in `Cargo.toml`.

use std::process::Command;

use toml::{Table, Value};

use super::source::Source;

/// A file at the top of the repository.
fn read(name: &str) -> String {
    std::fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What `deny.toml` says.
pub struct Rules(Table);

/// A crate that is built, in any part of the workspace.
pub struct Crate {
    name: String,
    /// Behind its version: nothing for crates.io, else where it comes from.
    source: String,
    licence: String,
}

impl Rules {
    pub fn declared() -> Self {
        Self(read("deny.toml").parse().unwrap())
    }

    fn list(&self, table: &str, key: &str) -> &[Value] {
        self.0[table][key].as_array().unwrap()
    }

    /// Every crate that is built for the targets of `[graph]`, as cargo itself lists them. Needs no network where they
    /// have been downloaded for a build.
    pub fn crates(&self) -> Vec<Crate> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.args(["tree", "--locked", "--workspace", "--prefix", "none", "--format", "{p}|{l}"]);
        for target in self.list("graph", "targets") {
            cargo.args(["--target", target.as_str().unwrap()]);
        }
        let done = cargo.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().lines().filter(|line| !line.is_empty()).map(Crate::parse).collect()
    }

    pub fn check(&self, used: &Crate) -> Option<String> {
        let name = &used.name;
        let ban = self.list("bans", "deny").iter().find(|ban| ban["crate"].as_str() == Some(name));
        if let Some(ban) = ban {
            return Some(format!("{name} is banned: {}", ban["reason"]));
        }
        if !used.is_ours() && !used.source.is_empty() {
            return Some(format!("{name} comes from {}, not from crates.io", used.source));
        }
        let (rest, allowed) = any_of(&used.licence, &|licence| self.allows(name, licence));
        (!allowed || !rest.is_empty()).then(|| format!("{name}: the licence \"{}\" is not allowed", used.licence))
    }

    fn allows(&self, name: &str, licence: &str) -> bool {
        let has = |list: &Value| list.as_array().unwrap().iter().any(|allowed| allowed.as_str() == Some(licence));
        let excepted = |entry: &Value| entry["crate"].as_str() == Some(name) && has(&entry["allow"]);
        has(&self.0["licenses"]["allow"]) || self.list("licenses", "exceptions").iter().any(excepted)
    }
}

impl Crate {
    /// `NAME vVERSION (SOURCE)|LICENCE`, where `(proc-macro)` and `(*)` may stand for more.
    fn parse(line: &str) -> Self {
        let (package, licence) = line.split_once('|').unwrap();
        let package = package.replace(" (proc-macro)", "");
        let mut parts = package.splitn(3, ' ');
        let (name, _version) = (parts.next().unwrap(), parts.next().unwrap());
        Self {
            name: name.to_owned(),
            source: parts.next().unwrap_or_default().to_owned(),
            licence: licence.trim_end_matches(" (*)").to_owned(),
        }
    }

    fn is_ours(&self) -> bool {
        self.source.starts_with(concat!("(", env!("CARGO_MANIFEST_DIR")))
    }
}

/// Judges an SPDX expression from its left: what is left of it, and whether one of its alternatives is allowed. `/` is
/// how `OR` was written before SPDX.
fn any_of<'a>(text: &'a str, allowed: &dyn Fn(&str) -> bool) -> (&'a str, bool) {
    let (mut rest, mut result) = all_of(text, allowed);
    while let Some(next) = rest.strip_prefix("OR ").or_else(|| rest.strip_prefix('/')) {
        let (left, other) = all_of(next.trim_start(), allowed);
        (rest, result) = (left, result || other);
    }
    (rest, result)
}

fn all_of<'a>(text: &'a str, allowed: &dyn Fn(&str) -> bool) -> (&'a str, bool) {
    let (mut rest, mut result) = one(text, allowed);
    while let Some(next) = rest.strip_prefix("AND ") {
        let (left, other) = one(next, allowed);
        (rest, result) = (left, result && other);
    }
    (rest, result)
}

/// One licence with its exception, or an expression in brackets.
fn one<'a>(text: &'a str, allowed: &dyn Fn(&str) -> bool) -> (&'a str, bool) {
    if let Some(inner) = text.strip_prefix('(') {
        let (rest, result) = any_of(inner, allowed);
        let Some(rest) = rest.strip_prefix(')') else { return (rest, false) };
        return (rest.trim_start(), result);
    }
    let ends = [" OR ", " AND ", "/", ")"];
    let end = ends.iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
    let (licence, rest) = text.split_at(end);
    (rest.trim_start(), allowed(licence.trim_end()))
}

/// The names of a table of dependencies, as sources write them.
pub fn named_in(manifest: &str, table: &str) -> Vec<String> {
    let manifest: Table = read(manifest).parse().unwrap();
    manifest[table].as_table().unwrap().keys().map(|name| crate_of(name)).collect()
}

/// The library's name where the package has another one.
fn crate_of(package: &str) -> String {
    if package == "md-5" { "md5".to_owned() } else { package.replace('-', "_") }
}

/// Whether these sources name a crate: at the beginning of a path, whatever modules are called.
pub fn is_used(name: &str, sources: &[Source]) -> bool {
    sources.iter().any(|source| {
        source.places(&[name, ":", ":"]).into_iter().any(|at| {
            let within = at >= 2 && source.reads(at - 2, &[":", ":"]);
            let from_root = within && (at < 3 || source.is_keyword(at - 3));
            !within || from_root
        }) || !source.places(&["use", name, ";"]).is_empty()
    })
}

/// The dependencies of `Cargo.toml` with no comment in the line above.
pub fn unexplained() -> Vec<String> {
    without_comment(&read("Cargo.toml"))
}

fn without_comment(manifest: &str) -> Vec<String> {
    let (mut inside, mut explained, mut found) = (false, false, Vec::new());
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if inside && !line.is_empty() && !line.starts_with('#') && !explained {
            found.push(line.split(' ').next().unwrap_or_default().to_owned());
        }
        explained = line.starts_with("# ");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaches_of_the_rules_are_found() {
        let rules = Rules::declared();
        for (line, finding) in [
            ("a v1.0.0|MIT OR Apache-2.0", None),
            ("a v1.0.0 (proc-macro)|GPL-3.0/MIT", None),
            ("a v1.0.0|(GPL-3.0 OR MIT) AND ISC (*)", None),
            ("a v1.0.0|Apache-2.0 WITH LLVM-exception", None),
            ("tiny-keccak v2.0.2|CC0-1.0", None),
            ("a v1.0.0|CC0-1.0", Some("CC0-1.0")),
            ("a v1.0.0|GPL-3.0", Some("GPL-3.0")),
            ("a v1.0.0|MIT AND GPL-3.0", Some("GPL-3.0")),
            ("a v1.0.0|(MIT OR ISC", Some("MIT OR ISC")),
            ("a v1.0.0|", Some("\"\"")),
            ("a v1.0.0 (https://example.com/a?rev=1#1)|MIT", Some("example.com")),
            ("a v1.0.0 (/tmp/a)|MIT", Some("/tmp/a")),
            ("openssl v0.10.0|MIT", Some("banned")),
        ] {
            let found = rules.check(&Crate::parse(line));
            match finding {
                None => assert_eq!(found, None, "{line}"),
                Some(word) => assert!(found.is_some_and(|found| found.contains(word)), "{line}"),
            }
        }
    }

    #[test]
    fn module_of_the_same_name_does_not_count_as_a_use() {
        let used = |text: &str| is_used("cookie", &[Source::new("a.rs", text)]);
        for text in ["use cookie::A;", "use ::cookie::A;", "fn a() { cookie::b() }", "use cookie;", "use {cookie::A};"]
        {
            assert!(used(text), "{text}");
        }
        for text in ["use super::cookie::A;", "mod cookie;", "// cookie::a\nfn b() { \"cookie::c\" }", "use a::cookie;"]
        {
            assert!(!used(text), "{text}");
        }
        let outside = Source::new("a.rs", "fn a() {}\n#[cfg(test)]\nmod tests { use cookie::A; }").outside_tests();
        assert!(!is_used("cookie", &[outside]));
    }

    #[test]
    fn every_dependency_needs_its_own_comment() {
        let manifest = "[package]\nname = \"a\"\n[dependencies]\n# One.\nb = \"1\"\nc = \"2\"\n\n# Three.\nd = \"3\"\n";
        assert_eq!(without_comment(manifest), ["c"]);
    }
}
