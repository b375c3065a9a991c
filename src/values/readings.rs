//! What programs behind us could make of a path that is passed on literally.
//!
//! One program takes `%2F` for a character of a name; the next decodes it and sees a slash; a third decodes twice. Some
//! merge `//`, some cut a name off at its `;` or forgive spaces at its end. Any of them may stand behind another. A
//! path may be passed on literally only if whatever they make of it is one and the same to us.

use super::escapes::{self, BarePercent};
use super::target::Ambiguous;

/// More readings than an honest path has.
const MOST: usize = 48;
/// A longer path than an honest one, in bytes.
const LONGEST: usize = 8 * 1024;

/// Everything that some chain of programs makes of these paths, the paths themselves included. Refused where one of
/// the readings climbs (`..`), stands still (`.`), begins like an authority (`//`) or is no path.
pub fn all(paths: impl IntoIterator<Item = String>) -> Result<Vec<String>, Ambiguous> {
    let mut readings: Vec<String> = paths.into_iter().collect();
    if readings.iter().any(|path| path.len() > LONGEST) {
        return Err(Ambiguous);
    }
    let mut at = 0;
    while let Some(reading) = readings.get(at) {
        let further = [decoded(reading)?, cut(reading), merged(reading)];
        check(reading)?;
        for reading in further.into_iter().flatten() {
            if !readings.contains(&reading) {
                readings.push(reading);
            }
        }
        at += 1;
        if readings.len() > MOST {
            return Err(Ambiguous);
        }
    }
    Ok(readings)
}

/// A path as a program sees it that takes `;` for the start of a parameter and forgives spaces at the end of a name,
/// where that differs.
pub fn cut(path: &str) -> Option<String> {
    let name = |segment| name_of(segment).to_owned();
    let may_differ = path.bytes().any(|byte| matches!(byte, b';' | b'%'));
    let cut = may_differ.then(|| path.split('/').map(name).collect::<Vec<_>>().join("/"));
    cut.filter(|cut| cut != path)
}

/// What is left of a segment for such a program.
pub fn name_of(segment: &str) -> &str {
    segment.split(';').next().unwrap_or_default().trim_end_matches("%20")
}

fn check(path: &str) -> Result<(), Ambiguous> {
    let moves = path.starts_with("//") || path.split('/').any(|segment| matches!(segment, "." | ".."));
    if moves { Err(Ambiguous) } else { Ok(()) }
}

/// The path of a program that decodes once more than we do.
fn decoded(path: &str) -> Result<Option<String>, Ambiguous> {
    // The percent sign last: what it begins with its neighbours is decoded the next time, if at all.
    let once = path.replace("%2F", "/").replace("%3B", ";").replace("%25", "%");
    if once == path {
        return Ok(None);
    }
    Ok(Some(escapes::decode(&once, BarePercent::Kept)?.text))
}

fn merged(path: &str) -> Option<String> {
    if !path.contains("//") {
        return None;
    }
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let end = if path.ends_with('/') { "/" } else { "" };
    Some(format!("/{}{end}", segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Option<Vec<String>> {
        all([path.to_owned()]).ok().map(|mut readings| {
            readings.sort();
            readings
        })
    }

    #[test]
    fn every_reading_is_found() {
        let cases: [(&str, &[&str]); 9] = [
            ("/a/b", &["/a/b"]),
            ("/a%2Fb", &["/a%2Fb", "/a/b"]),
            ("/a//b/", &["/a//b/", "/a/b/"]),
            ("/a%252Fb", &["/a%252Fb", "/a%2Fb", "/a/b"]),
            ("/a%3Bb", &["/a", "/a%3Bb", "/a;b"]),
            ("/a;b%2Fc", &["/a", "/a/c", "/a;b%2Fc", "/a;b/c"]),
            ("/a%2520", &["/a", "/a%20", "/a%2520"]),
            ("/100%25", &["/100%", "/100%25"]),
            ("/%2561", &["/%2561", "/a"]),
        ];
        for (path, want) in cases {
            assert_eq!(of(path).unwrap(), want, "{path}");
        }
    }

    #[test]
    fn what_moves_in_one_reading_is_refused() {
        let cases = [
            "/a/..%2Fb", "/a/%252e%252e/b", "/a/%25252e%25252e/b", "/a/..%3Bx/b", "/a/.%2Fb", "/a/..%2520/b",
            "/%2Fevil.test", "/%252Fevil.test", "/;x%2Fb", "/a%255Cb", "/a%2500", "/a%250D%250Ab", "/a%25C0%25AFb",
            "/a%253Fb", "/a%2523b",
        ];
        for path in cases {
            assert_eq!(of(path), None, "{path}");
        }
        let hidden = |depth: usize| of(&format!("/a%{}2Fb", "25".repeat(depth)));
        assert_eq!(hidden(46).unwrap().len(), 48);
        assert_eq!(hidden(47), None, "however deep it is hidden");
        let long = |length: usize| of(&format!("/{}%2Fb", "a".repeat(length - 5)));
        assert!(long(8192).is_some());
        assert_eq!(long(8193), None, "reading it so often would cost much");
    }
}
