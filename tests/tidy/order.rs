//! A module names only modules above it in the list of `src/lib.rs`.

use super::source::{Finding, Source};

/// The modules, in their order.
pub struct Order(Vec<String>);

impl Order {
    /// The order that `src/lib.rs` declares.
    pub fn declared() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
        let order = Self::of(&Source::new("lib.rs", &std::fs::read_to_string(path).unwrap()));
        assert!(order.0.len() > 5, "the list of modules in src/lib.rs cannot be read: {:?}", order.0);
        order
    }

    fn of(lib: &Source) -> Self {
        let declared = lib.places(&["mod"]).into_iter().filter_map(|at| lib.words.get(at + 1));
        Self(declared.map(|word| word.text.clone()).collect())
    }

    fn rank(&self, module: &str) -> Option<usize> {
        self.0.iter().position(|name| name == module)
    }

    /// Files of nothing but tests may name anything: they put parts together that do not know each other.
    pub fn check(&self, source: &Source) -> Vec<Finding> {
        let own = source.path.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        if source.is_tests() || ["lib", "main"].contains(&own) {
            return Vec::new();
        }
        let Some(own_rank) = self.rank(own) else {
            return vec![source.finding(1, format!("`{own}` is not in the list of src/lib.rs"))];
        };
        let allowed = |module: &str| self.rank(module).is_some_and(|rank| rank <= own_rank);
        let named = roots(source).into_iter().flat_map(|after| modules_named(source, after));
        named
            .filter(|(_, module)| !allowed(module))
            .map(|(line, module)| {
                source.finding(line, format!("`{own}` must not name `{module}`, which is not above it"))
            })
            .collect()
    }
}

/// The positions that follow a path to the root of the crate: `crate`, or as many `super` as the module is deep.
fn roots(source: &Source) -> Vec<usize> {
    let outer = depth_of_file(&source.path);
    let mut inner: Vec<usize> = Vec::new();
    let mut roots = Vec::new();
    for at in 0..source.words.len() {
        inner.retain(|end| *end > at);
        if source.reads(at, &["mod"]) && source.reads(at + 2, &["{"]) {
            inner.push(source.closing(at + 2));
        }
        if source.reads(at, &["crate"]) && !source.reads(at + 1, &[")"]) {
            roots.push(at + 1);
        }
        let supers = (0..).take_while(|step| source.reads(at + 3 * step, &["super", ":", ":"])).count();
        let continued = at >= 3 && source.reads(at - 3, &["super", ":", ":"]);
        if !continued && supers == outer + inner.len() {
            roots.push(at + 3 * supers - 2);
        }
    }
    roots
}

fn depth_of_file(path: &str) -> usize {
    path.split('/').filter(|part| *part != "mod.rs").count()
}

/// The modules that `::a` or `::{a, b::c}` name, each with its line.
pub fn modules_named(source: &Source, after: usize) -> Vec<(usize, String)> {
    let named = |at: usize| source.words.get(at).map(|word| (word.line, word.text.clone()));
    if !source.reads(after, &[":", ":"]) {
        return named(after.saturating_sub(1)).into_iter().collect();
    }
    let first = after + 2;
    if !source.reads(first, &["{"]) {
        return named(first).into_iter().collect();
    }
    let mut found = Vec::new();
    let mut at = first + 1;
    let end = source.closing(first);
    while at < end {
        found.extend(named(at));
        while at < end && !source.reads(at, &[","]) {
            at = if source.reads(at, &["{"]) { source.closing(at) } else { at } + 1;
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        let order =
            Order::of(&Source::new("lib.rs", "pub mod low;\n#[cfg(feature = \"x\")]\npub mod mid;\npub mod high;"));
        order.check(&Source::new(path, text)).len()
    }

    #[test]
    fn what_lies_below_in_the_list_is_found() {
        assert_eq!(found("low.rs", "use crate::mid::A;"), 1);
        assert_eq!(found("low/a.rs", "fn a() { crate::high::b() }"), 1);
        assert_eq!(found("mid/mod.rs", "use crate::{low::{a, b}, high, mid::c};"), 1);
        assert_eq!(found("mid.rs", "use super::high;"), 1);
        assert_eq!(found("mid/a.rs", "use super::super::high::B;"), 1);
        assert_eq!(found("low/mod.rs", "#[cfg(test)] mod tests { use super::super::mid; }"), 1);
        assert_eq!(found("low/a.rs", "pub(in crate::high) fn b() {}"), 1);
    }

    #[test]
    fn detours_are_found() {
        assert_eq!(found("low.rs", "use crate as c;"), 1);
        assert_eq!(found("low.rs", "use crate::*;"), 1);
        assert_eq!(found("low.rs", "use crate::Reexported;"), 1);
        assert_eq!(found("other.rs", ""), 1);
    }

    #[test]
    fn what_lies_above_is_fine() {
        assert_eq!(found("high/a.rs", "use crate::{low::A, mid}; pub(crate) fn b() { crate::high::c() }"), 0);
        assert_eq!(
            found("mid/a/b.rs", "use super::super::c; #[cfg(test)] mod tests { use super::super::super::d; }"),
            0
        );
        assert_eq!(found("mid/mod.rs", "use super::low; mod a { use super::high_in_mid; }"), 0);
        assert_eq!(found("low/tests.rs", "use crate::high::A;"), 0);
    }
}
