//! Files of one module do not name each other in a circle: one of them can be read, and tested, first.

use std::collections::{BTreeMap, BTreeSet};

use super::order::modules_named;
use super::source::Source;

/// Which child of a module names which of its siblings: `proxy/relay` names `proxy/wire`.
type Names = BTreeMap<String, BTreeSet<String>>;

/// Every circle, as the files in it.
pub fn check(sources: &[Source]) -> Vec<String> {
    let names = names(sources);
    let reached: Names = names.keys().map(|from| (from.clone(), reached(&names, from))).collect();
    let in_circle = |one: &String, other: &String| reached[one].contains(other) && reached[other].contains(one);
    let circles: BTreeSet<String> = names
        .keys()
        .filter(|one| in_circle(one, one))
        .map(|one| names.keys().filter(|other| in_circle(one, other)).cloned().collect::<Vec<_>>().join(", "))
        .collect();
    circles.into_iter().collect()
}

fn names(sources: &[Source]) -> Names {
    let children: BTreeSet<String> = sources.iter().filter_map(child).collect();
    let mut names: Names = children.iter().map(|child| (child.clone(), BTreeSet::new())).collect();
    for (source, child) in sources.iter().filter_map(|source| Some((source, child(source)?))) {
        let top = child.split('/').next().unwrap();
        let named = siblings(source, top).into_iter().map(|name| format!("{top}/{name}"));
        let named = named.filter(|name| *name != child && children.contains(name));
        names.get_mut(&child).unwrap().extend(named);
    }
    names
}

/// The file or folder below a top module that a source belongs to; nothing for the module's own file and for tests.
fn child(source: &Source) -> Option<String> {
    let mut parts = source.path.trim_end_matches(".rs").split('/').filter(|part| *part != "mod");
    let (top, child) = (parts.next()?, parts.next()?);
    (!source.is_tests() && !source.path.contains("/tests/")).then(|| format!("{top}/{child}"))
}

fn siblings(source: &Source, top: &str) -> Vec<String> {
    let depth = source.path.split('/').filter(|part| *part != "mod.rs").count();
    let tests = source.places(&["mod", "tests", "{"]).first().copied().unwrap_or(usize::MAX);
    let supers = ["super", ":", ":"].repeat(depth - 1);
    let up = source.places(&supers).into_iter().filter(|at| *at < 3 || !source.reads(at - 3, &["super"]));
    let up = up.map(|at| at + supers.len() - 2);
    let down = source.places(&["crate", ":", ":", top]).into_iter().map(|at| at + 4);
    let roots = up.chain(down).filter(|at| *at < tests);
    roots.flat_map(|after| modules_named(source, after)).map(|(_, name)| name).collect()
}

fn reached(names: &Names, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&String> = names[from].iter().collect();
    while let Some(name) = next.pop() {
        if reached.insert(name.clone()) {
            next.extend(&names[name]);
        }
    }
    reached
}

#[test]
fn circles_are_found() {
    let found = |files: &[(&str, &str)]| {
        let sources: Vec<Source> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        check(&sources)
    };
    let two = [("m/a.rs", "use super::b::B;"), ("m/b.rs", "fn b() { crate::m::a::a() }")];
    assert_eq!(found(&two), ["m/a, m/b"]);
    let three = [("m/a.rs", "use super::{b::{B, C}, d};"), ("m/b/mod.rs", ""), ("m/b/c.rs", "use super::super::e;")];
    assert_eq!(found(&[three.as_slice(), &[("m/e.rs", "use super::a;")]].concat()), ["m/a, m/b, m/e"]);
    let none =
        [("m/a.rs", "use super::b; use super::M;"), ("m/b.rs", "#[cfg(test)] mod tests { use super::super::a; }")];
    assert!(found(&none).is_empty());
    assert!(
        found(&[("m/mod.rs", "use a::A;"), ("m/a.rs", "use super::M;"), ("m/b/tests.rs", "use super::a;")]).is_empty()
    );
}
