//! htpasswd files, as Apache's `htpasswd` writes them: one `name:hash` a line. Whoever is in such a file has a name
//! and nothing else: no groups, no e-mail address.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::credentials::problem::{Problem, mask};
use crate::credentials::stored_hash::StoredHash;
use crate::credentials::user_file::{MAX_USERS, UserEntry};
use crate::credentials::user_reader::{Faults, check_name, quoted};
use crate::values::identity::Identity;

/// What becomes of hashes that a graphics card breaks in a night.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeakHashes {
    /// The file is refused: `login.allow_weak_hashes = false`.
    Refuse,
    /// They are read.
    Accept,
}

/// Whether a file of this name and content is an htpasswd file, and not TOML.
pub fn is_htpasswd(path: &Path, text: &str) -> bool {
    if is_named_so(path) {
        return true;
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let sign = lines.next().and_then(|line| line.find([':', '=', '[', '"', '\'']).and_then(|at| line.get(at..)));
    sign.is_some_and(|rest| rest.starts_with(':'))
}

/// Whether the name alone says so.
pub fn is_named_so(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().to_lowercase().ends_with("htpasswd"))
}

/// Reads all users, in the order of their lines.
pub fn read(path: &Path, text: &str, weak: WeakHashes) -> Result<Vec<UserEntry>, Faults> {
    let mut reader = Reader { path, weak, problems: Vec::new(), secrets: Vec::new(), seen: HashMap::new() };
    let mut entries = Vec::new();
    let mut start = 0;
    for (line, number) in text.split_inclusive('\n').zip(1_usize..) {
        entries.extend(reader.line(line.trim_end_matches(['\n', '\r']), start, number));
        start += line.len();
    }
    if entries.len() > MAX_USERS {
        let message = format!("{} users: this file holds at most {MAX_USERS}", entries.len());
        reader.say(0..0, message, "keep so many people in a directory".to_owned());
    }
    if reader.problems.is_empty() {
        Ok(entries)
    } else {
        Err(Faults { masked: mask(text, &reader.secrets), problems: reader.problems })
    }
}

struct Reader<'a> {
    path: &'a Path,
    weak: WeakHashes,
    problems: Vec<Problem>,
    secrets: Vec<Range<usize>>,
    /// The name in small letters, the name, and its line.
    seen: HashMap<String, (String, usize)>,
}

impl Reader<'_> {
    /// Reads a line that begins at the byte `start` of the file.
    fn line(&mut self, line: &str, start: usize, number: usize) -> Option<UserEntry> {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            return None;
        }
        let Some((name, rest)) = line.split_once(':') else {
            self.secrets.push(start..start + line.len());
            let help = format!("write NAME:HASH, as this does: htpasswd -B {} NAME", self.path.display());
            self.say(start..start + line.len(), "this is no user: there is no `:`".to_owned(), help);
            return None;
        };
        let span = start..start + name.len();
        self.secrets.push(span.end + 1..start + line.len());
        self.name(name, &span, number);
        // Some programs allow a comment behind a second colon.
        let hash = self.hash(name, rest.split(':').next().unwrap_or_default(), &span);
        let identity = Identity::new(name, None, None, &[]).ok()?;
        Some(UserEntry { hash: hash?, identity: Arc::new(identity), enabled: true })
    }

    fn name(&mut self, name: &str, span: &Range<usize>, number: usize) {
        if let Err((message, help)) = check_name(name) {
            self.say(span.clone(), message, help);
        }
        let Some((first, line)) = self.seen.insert(name.to_lowercase(), (name.to_owned(), number)) else { return };
        let message = match first == name {
            true => format!("`{name}` is there already, in line {line}"),
            false => format!("`{name}` and `{first}` of line {line} differ in letter case alone"),
        };
        self.say(span.clone(), message, "keep one of them".to_owned());
    }

    fn hash(&mut self, name: &str, text: &str, span: &Range<usize>) -> Option<StoredHash> {
        let renew = format!("htpasswd -B {} {}", self.path.display(), quoted(name));
        match StoredHash::parse_field(text) {
            Ok(hash) if hash.is_weak() && self.weak == WeakHashes::Refuse => {
                let message =
                    format!("the hash of `{}` is weak: whoever gets the file gets the password", name.escape_debug());
                let help = format!("type: {renew}; until everybody has a new one: [login] allow_weak_hashes = true");
                self.say(span.clone(), message, help);
                None
            }
            Ok(hash) => Some(hash),
            Err(problem) => {
                let message = format!("the password of `{}` cannot be used: {problem}", name.escape_debug());
                self.say(span.clone(), message, format!("type: {renew}"));
                None
            }
        }
    }

    fn say(&mut self, span: Range<usize>, message: String, help: String) {
        self.problems.push(Problem { span: Some(span), message, help });
    }
}

#[cfg(test)]
#[path = "htpasswd_tests.rs"]
mod tests;
