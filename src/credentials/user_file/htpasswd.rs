//! htpasswd files, as Apache's `htpasswd` writes them: a `name:hash` on each line. Users in such a file have no groups
//! and no e-mail address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use crate::credentials::masking::mask;
use crate::credentials::stored_hash::StoredHash;
use crate::credentials::user_file::UserEntry;
use crate::credentials::user_file::fields::{InvalidField, check_name};
use crate::credentials::user_file::reader::quoted;
use crate::values::file_problem::FileProblem;
use crate::values::identity::Identity;

/// Whether weak hashes (unsalted SHA-1 and Apache's MD5) are accepted: a graphics card breaks them in a night.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeakHashes {
    /// The file is refused: `login.allow_weak_hashes = false`.
    Refuse,
    /// They are accepted: `login.allow_weak_hashes = true`.
    Accept,
}

/// Whether a file of this name and content is an htpasswd file, not TOML. User names may contain `=`, quotes and
/// brackets, so the whole text decides and not its first character.
pub(crate) fn is_htpasswd(path: &Path, text: &str) -> bool {
    if has_htpasswd_name(path) {
        return true;
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let looks_so = lines.clone().any(has_hash) || lines.next().is_some_and(|first| marker_of(first) == Some(':'));
    looks_so && DeTable::parse(text).is_err()
}

/// Whether a hash follows the first colon.
fn has_hash(line: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    line.split_once(':').is_some_and(|(_, rest)| {
        let dollar = rest.strip_prefix('$').and_then(|rest| rest.split_once('$'));
        dollar
            .or_else(|| rest.strip_prefix('{').and_then(|rest| rest.split_once('}')))
            .is_some_and(|(word, _)| is_word(word))
    })
}

/// The character that distinguishes the two formats, if the line begins with a usual name.
fn marker_of(line: &str) -> Option<char> {
    line.chars().find(|sign| [':', '=', '[', '"', '\''].contains(sign))
}

/// Whether the file has the name of an htpasswd file.
pub(crate) fn has_htpasswd_name(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().to_lowercase().ends_with("htpasswd"))
}

/// The content of a file.
pub(crate) struct HtpasswdLines {
    /// The users, in the order of their lines.
    pub(crate) entries: Vec<UserEntry>,
    /// Problems of lines without a valid user.
    pub(crate) bad: Vec<FileProblem>,
    /// Problems of further lines of the same user.
    pub(crate) doubled: Vec<FileProblem>,
    /// The text without its secrets, of the same length.
    pub(crate) masked: String,
}

/// Reads all lines. A bad line does not affect the others.
pub(crate) fn read(path: &Path, text: &str, weak: WeakHashes) -> HtpasswdLines {
    let mut reader =
        HtpasswdReader { path, weak, bad: Vec::new(), doubled: Vec::new(), secrets: Vec::new(), seen: HashMap::new() };
    let mut entries = Vec::new();
    // Some editors begin a file with a byte order mark.
    let mut start = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let lines = text.get(start..).unwrap_or_default();
    for (line, number) in lines.split_inclusive('\n').zip(1_usize..) {
        entries.extend(reader.line(line.trim_end(), start, number));
        start += line.len();
    }
    let HtpasswdReader { bad, doubled, secrets, .. } = reader;
    HtpasswdLines { entries, bad, doubled, masked: mask(text, &secrets) }
}

/// Replaces the hash of this user in the user's first line, which is the one that counts; `None` if there is no such
/// line. What follows a second colon is kept.
pub(crate) fn with_hash(text: &str, user: &str, hash: &str) -> Option<String> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let (name, rest) = line.split_once(':').unwrap_or_default();
        if name.trim_start_matches(BYTE_ORDER_MARK) == user && !rest.is_empty() {
            let old = start + name.len() + 1;
            let end = old + rest.find([':', '\r', '\n']).unwrap_or(rest.len());
            let mut changed = text.to_owned();
            changed.replace_range(old..end, hash);
            return Some(changed);
        }
        start += line.len();
    }
    None
}

const BYTE_ORDER_MARK: char = '\u{feff}';

struct HtpasswdReader<'a> {
    path: &'a Path,
    weak: WeakHashes,
    bad: Vec<FileProblem>,
    doubled: Vec<FileProblem>,
    secrets: Vec<Range<usize>>,
    /// By the name in lower case: the name, and the number of its line.
    seen: HashMap<String, (String, usize)>,
}

impl HtpasswdReader<'_> {
    /// Reads a line that begins at the byte `start` of the file.
    fn line(&mut self, line: &str, start: usize, number: usize) -> Option<UserEntry> {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            return None;
        }
        let Some((name, rest)) = line.split_once(':') else {
            self.secrets.push(start..start + line.len());
            let help = format!("write NAME:HASH, as this does: htpasswd -B {} NAME", self.path.display());
            self.report(start..start + line.len(), "this line has no user: `:` is missing".to_owned(), help);
            return None;
        };
        let span = start..start + name.len();
        self.secrets.push(span.end + 1..start + line.len());
        // The first line of a user counts even if its hash is invalid: some operators lock accounts that way.
        let is_new = self.name(name, &span) && self.is_new(name, &span, number);
        // Some programs allow a comment after a second colon.
        let hash = self.hash(name, rest.split(':').next().unwrap_or_default().trim_end(), &span)?;
        let identity = Identity::new(name, None, None, &[]).ok().filter(|_| is_new)?;
        Some(UserEntry { hash, identity: Arc::new(identity), enabled: true })
    }

    fn name(&mut self, name: &str, span: &Range<usize>) -> bool {
        let checked = check_name(name).and_then(|()| match name.contains(char::REPLACEMENT_CHARACTER) {
            true => Err(InvalidField::NotUtf8),
            false => Ok(()),
        });
        checked.map_err(|invalid| self.report(span.clone(), invalid.to_string(), invalid.help())).is_ok()
    }

    /// The first line of a user counts, as in nginx and Apache. Those two treat names that differ in letter case only
    /// as two users, but not every application does: such names are reported.
    fn is_new(&mut self, name: &str, span: &Range<usize>, number: usize) -> bool {
        let (first, line) = match self.seen.entry(name.to_lowercase()) {
            Entry::Vacant(free) => {
                free.insert((name.to_owned(), number));
                return true;
            }
            Entry::Occupied(taken) => taken.get().clone(),
        };
        if first == name {
            let message = format!("`{name}` is listed already in line {line}, and that line counts");
            let help = "remove this one".to_owned();
            self.doubled.push(FileProblem { span: Some(span.clone()), message, help });
        } else {
            let message = format!("`{name}` and `{first}` of line {line} differ in letter case only");
            self.report(span.clone(), message, "remove one of them: users type either spelling".to_owned());
        }
        false
    }

    fn hash(&mut self, name: &str, text: &str, span: &Range<usize>) -> Option<StoredHash> {
        let renew = format!("htpasswd -B {} {}", self.path.display(), quoted(name));
        match StoredHash::parse_field(text) {
            Ok(hash) if hash.is_weak() && self.weak == WeakHashes::Refuse => {
                let message = format!(
                    "the hash of `{}` is weak: from a stolen file the password can be recovered quickly",
                    name.escape_debug()
                );
                let help = format!("type: {renew}; or until then: [login] allow_weak_hashes = true");
                self.report(span.clone(), message, help);
                None
            }
            Ok(hash) => Some(hash),
            Err(problem) => {
                let message = format!("the password of `{}` cannot be used: {problem}", name.escape_debug());
                self.report(span.clone(), message, format!("type: {renew}"));
                None
            }
        }
    }

    fn report(&mut self, span: Range<usize>, message: String, help: String) {
        self.bad.push(FileProblem { span: Some(span), message, help });
    }
}

#[cfg(test)]
mod tests;
