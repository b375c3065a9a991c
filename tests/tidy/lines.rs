//! The length of lines in every file that people write, in any language; `.editorconfig` says the same to editors.

use std::fs;
use std::path::{Path, PathBuf};

/// In characters.
const LENGTH: usize = 120;
/// Files whose rows cannot be broken: tables, markup, data. They stand in `.editorconfig` with these names.
const ANY_LENGTH: &str = "css,html,json,md,svg";
/// Further kinds that have no lines of text: what a test compares byte for byte, and what other programs write.
const NOT_WRITTEN: [&str; 6] = ["expected", "gitignore", "lock", "png", "raw", "woff2"];
/// Folders of inputs, and of what is made or installed.
const LEFT_OUT: [&str; 5] = [".git", "__pycache__", "corpus", "node_modules", "target"];

/// The lines of all files that are too long.
pub fn findings() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    walk(root, &mut files);
    assert!(files.len() > 500, "only {} files were found", files.len());
    let too_long = files.iter().flat_map(|path| {
        // What is not text has no lines.
        let text = fs::read_to_string(path).unwrap_or_default();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        long(&name, &text).into_iter().map(move |(line, length)| format!("{name}:{line}: {length} characters"))
    });
    too_long.collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().unwrap_or_default().to_str().unwrap();
        if path.is_dir() {
            if !LEFT_OUT.iter().any(|name| path.ends_with(name)) {
                walk(&path, files);
            }
        } else if !NOT_WRITTEN.contains(&extension) && !ANY_LENGTH.split(',').any(|kind| kind == extension) {
            files.push(path);
        }
    }
}

/// The numbers and lengths of the lines that are too long.
fn long(name: &str, text: &str) -> Vec<(usize, usize)> {
    let lengths = text.lines().map(|line| (line, line.chars().count())).enumerate();
    let long = lengths.filter(|(_, (line, length))| *length > LENGTH && !cannot_be_broken(name, line));
    long.map(|(index, (_, length))| (index + 1, length)).collect()
}

/// A text or an inline table of TOML, also where the key is a comment with its default; a pattern of fail2ban.
fn cannot_be_broken(name: &str, line: &str) -> bool {
    let line = line.trim_start().trim_start_matches("# ");
    let (key, value) = line.split_once(" = ").unwrap_or_default();
    let is_key = !value.is_empty() && key.chars().all(|sign| sign.is_ascii_lowercase() || "_-".contains(sign));
    name.ends_with(".toml") && (is_key || line.starts_with('"')) || name.starts_with("deploy/fail2ban/")
}

#[test]
fn finds_long_lines() {
    let line = |length: usize| format!("# {}\nb = 1\n", "ö".repeat(length - 2));
    for name in ["a.py", "b/c.sh", "d.rs", "deploy/deb", "e.toml"] {
        assert_eq!(long(name, &line(LENGTH)), [], "{name}");
        assert_eq!(long(name, &line(LENGTH + 1)), [(1, LENGTH + 1)], "{name}");
    }
}

#[test]
fn allows_long_values_in_toml_only() {
    let text = "ö".repeat(LENGTH);
    for line in [format!("key = \"{text}\""), format!("# key_two = [\"{text}\"]"), format!("    \"{text}\",")] {
        assert_eq!(long("a.py", &line).len(), 1, "{line}");
    }
    assert_eq!(long("a.toml", &format!("key = \"{text}\"\n# other-key = \"{text}\"\n  \"{text}\",")), []);
    assert_eq!(long("a.toml", &format!("# A sentence = {text}")).len(), 1);
}

#[test]
fn editorconfig_says_the_same() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".editorconfig")).unwrap();
    assert!(text.contains(&format!("max_line_length = {LENGTH}\n")), "{text}");
    assert!(text.contains(&format!("[*.{{{ANY_LENGTH}}}]\nmax_line_length = off\n")), "{text}");
}
