//! Paths as operators write them: only in their canonical spelling, because that is what requests are compared with.

use crate::values::target::Target;

use super::raw::Refusal;

/// Where the gateway's own addresses live.
pub const OWN: &str = "/.exeunt";

/// A path in its one spelling, without query.
pub fn canonical(text: &str) -> Result<String, Refusal> {
    if !text.starts_with('/') {
        return Err(Refusal::new("must begin with /").write(format!("write \"/{text}\"")));
    }
    if let Some((path, _)) = text.split_once(['?', '#']) {
        let refusal = Refusal::new("is a path, without query or fragment");
        return Err(refusal.write(format!("write \"{path}\"")));
    }
    let target = Target::parse(text.as_bytes())
        .map_err(|_| Refusal::new(format!("\"{text}\" can be read in two ways, so no request for it passes")))?;
    if target.path() == text {
        Ok(text.to_owned())
    } else {
        Err(Refusal::new("is not the spelling that requests are compared with")
            .write(format!("write \"{}\"", target.path())))
    }
}

/// A path that the gateway answers itself.
pub fn of_gateway(text: &str) -> Result<String, Refusal> {
    let path = canonical(text)?;
    if path == "/" {
        return Err(Refusal::new("would take the front page of every application"));
    }
    if lies_within(&path, OWN) {
        return Err(Refusal::new(format!("everything under {OWN}/ belongs to the gateway already")));
    }
    Ok(path)
}

/// Whether `path` is `prefix` or lies below it, in any letter case.
pub fn lies_within(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    let head = path.get(..prefix.len());
    let tail = path.get(prefix.len()..);
    head.is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        && tail.is_some_and(|tail| tail.is_empty() || tail.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_within_paths() {
        let cases = [
            ("/logout", "/logout", true),
            ("/Logout/", "/logout", true),
            ("/logout/now", "/logout/", true),
            ("/logouts", "/logout", false),
            ("/", "/logout", false),
            ("/x", "/", true),
        ];
        for (path, prefix, want) in cases {
            assert_eq!(lies_within(path, prefix), want, "{path} in {prefix}");
        }
    }

    #[test]
    fn only_the_canonical_spelling_is_accepted() {
        for good in ["/", "/shop", "/shop/", "/a%20b", "/~user"] {
            assert!(canonical(good).is_ok(), "{good}");
        }
        for bad in ["", "shop", "/shop?x", "/a#b", "//a", "/a/../b", "/%61", "/a//b", "/a b", "/a%2fb", "/ä"] {
            assert!(canonical(bad).is_err(), "{bad}");
        }
    }
}
