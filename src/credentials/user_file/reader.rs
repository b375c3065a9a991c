//! Reads the text of a `users.toml`: its entries, or all of its problems.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::credentials::masking::{mask, mask_values};
use crate::credentials::password::PasswordHash;
use crate::credentials::stored_hash::StoredHash;
use crate::credentials::user_file::fields::{InvalidField, check_groups, check_name, check_text};
use crate::credentials::user_file::{MAX_USERS, TOO_MANY, UserEntry};
use crate::values::file_problem::FileProblem;
use crate::values::identity::Identity;
use crate::values::nearest_word::nearest;

/// The keys of one user.
const KEYS: [&str; 5] = ["password", "groups", "email", "name", "enabled"];

/// All problems, and the masked text to show them in.
pub(crate) struct UserFileProblems {
    /// The problems, in no particular order.
    pub(crate) problems: Vec<FileProblem>,
    /// The text without its secrets, of the same length.
    pub(crate) masked: String,
}

/// Reads all users, in no particular order.
pub(crate) fn read(text: &str) -> Result<Vec<UserEntry>, UserFileProblems> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problems = errors.iter().map(not_toml).collect();
        return Err(UserFileProblems { problems, masked: mask_values(text) });
    }
    let mut reader = UserFileReader { text, problems: Vec::new(), secrets: Vec::new() };
    let entries = reader.root(root.get_ref());
    if reader.problems.is_empty() {
        Ok(entries)
    } else {
        Err(UserFileProblems { masked: mask(text, &reader.secrets), problems: reader.problems })
    }
}

fn not_toml(error: &toml::de::Error) -> FileProblem {
    let help = match error.message() {
        "duplicate key" => "keep one of them",
        _ => "write a table for each user: [users.alice], and below it password = \"…\", groups = [\"…\"]",
    };
    let message = format!("this is not valid TOML: {}", error.message());
    FileProblem { span: error.span(), message, help: help.to_owned() }
}

type SpannedKey<'a> = Spanned<std::borrow::Cow<'a, str>>;
type SpannedValue<'a> = Spanned<DeValue<'a>>;

struct UserFileReader<'a> {
    text: &'a str,
    problems: Vec<FileProblem>,
    /// Spans that are not shown: passwords, and values of unknown keys.
    secrets: Vec<Range<usize>>,
}

impl UserFileReader<'_> {
    fn root(&mut self, root: &DeTable) -> Vec<UserEntry> {
        let mut entries = Vec::new();
        for (key, value) in root {
            if key.get_ref() == "users" {
                entries = self.users(key, value);
            } else {
                self.unknown(key, value, &["users"], "users are written as tables: [users.NAME]");
            }
        }
        entries
    }

    fn users(&mut self, key: &SpannedKey, value: &SpannedValue) -> Vec<UserEntry> {
        let Some(users) = value.get_ref().as_table() else {
            self.hide(value);
            self.report(key.span(), "`users` must be a table".to_owned(), "write [users.NAME]".to_owned());
            return Vec::new();
        };
        if users.len() > MAX_USERS {
            let message = format!("{} users: this file holds at most {MAX_USERS}", users.len());
            self.report(key.span(), message, TOO_MANY.to_owned());
        }
        self.report_case_variants(users);
        users.iter().filter_map(|(key, value)| self.user(key, value)).collect()
    }

    /// Names are case-sensitive, but two that differ in letter case only are refused as a mistake.
    fn report_case_variants(&mut self, users: &DeTable) {
        let mut keys: Vec<_> = users.keys().collect();
        keys.sort_by_key(|key| key.span().start);
        let mut seen: HashMap<String, &SpannedKey> = HashMap::new();
        for key in keys {
            let Some(first) = seen.insert(key.get_ref().to_lowercase(), key) else { continue };
            let (first, line) = (first.get_ref(), self.line(first.span().start));
            let message = format!("`{}` and `{first}` of line {line} differ in letter case only", key.get_ref());
            self.report(key.span(), message, "remove one of them: users type either spelling".to_owned());
        }
    }

    fn user(&mut self, key: &SpannedKey, value: &SpannedValue) -> Option<UserEntry> {
        let name = key.get_ref();
        self.check(key.span(), check_name(name));
        let Some(table) = value.get_ref().as_table() else {
            self.hide(value);
            let help = format!("write [users.{}] and the keys below it", quoted(name));
            self.report(key.span(), format!("user `{}` must be a table", name.escape_debug()), help);
            return None;
        };
        for (key, value) in table.iter().filter(|(key, _)| !KEYS.contains(&&**key.get_ref())) {
            let help = format!("a user has {}", KEYS.join(", "));
            self.unknown(key, value, &KEYS, &help);
        }
        let hash = self.password(key, table);
        let groups = self.groups(name, table);
        let [email, shown] = ["email", "name"].map(|field| self.text(table, field));
        let enabled = self.enabled(table);
        let identity = Identity::new(name, email, shown, &groups).ok()?;
        Some(UserEntry { hash: StoredHash::Argon2id(hash?), identity: Arc::new(identity), enabled })
    }

    fn password(&mut self, user: &SpannedKey, table: &DeTable) -> Option<PasswordHash> {
        let help = format!("type: exeunt user set {}", quoted(user.get_ref()));
        let Some((key, value)) = table.get_key_value("password") else {
            let message = format!("user `{}` has no password", user.get_ref().escape_debug());
            self.report(user.span(), message, help);
            return None;
        };
        self.hide(value);
        let text = value.get_ref().as_str();
        match text.map(PasswordHash::parse) {
            None => self.report(key.span(), "`password` must be a text in quotes".to_owned(), help),
            Some(Err(problem)) => self.report(key.span(), format!("`password` cannot be used: {problem}"), help),
            Some(Ok(hash)) => return Some(hash),
        }
        None
    }

    fn groups(&mut self, user: &str, table: &DeTable) -> Vec<String> {
        let Some((key, value)) = table.get_key_value("groups") else { return Vec::new() };
        let help = "write a list of names: groups = [\"staff\", \"admins\"]".to_owned();
        let Some(list) = value.get_ref().as_array() else {
            self.report(value.span(), "`groups` must be a list".to_owned(), help);
            return Vec::new();
        };
        let mut groups = Vec::new();
        for item in list.iter() {
            match item.get_ref().as_str() {
                Some(group) => {
                    self.check(item.span(), check_text("a group", group));
                    groups.push(group.to_owned());
                }
                None => self.report(item.span(), "a group must be a text in quotes".to_owned(), help.clone()),
            }
        }
        self.check(key.span(), check_groups(user, &groups));
        groups
    }

    fn text<'t>(&mut self, table: &'t DeTable, field: &str) -> Option<&'t str> {
        let value = table.get(field)?;
        let Some(text) = value.get_ref().as_str() else {
            let help = format!("write it in quotes: {field} = \"…\"");
            self.report(value.span(), format!("`{field}` must be a text in quotes"), help);
            return None;
        };
        self.check(value.span(), check_text(&format!("`{field}`"), text));
        Some(text)
    }

    fn enabled(&mut self, table: &DeTable) -> bool {
        let Some(value) = table.get("enabled") else { return true };
        value.get_ref().as_bool().unwrap_or_else(|| {
            let help = "write enabled = false".to_owned();
            self.report(value.span(), "`enabled` must be true or false".to_owned(), help);
            false
        })
    }

    fn unknown(&mut self, key: &SpannedKey, value: &SpannedValue, known: &[&str], help: &str) {
        self.hide(value);
        let near = nearest(key.get_ref(), known);
        let help = near.map_or_else(|| help.to_owned(), |near| format!("did you mean `{near}`?"));
        self.report(key.span(), format!("unknown key `{}`", key.get_ref().escape_debug()), help);
    }

    /// Masks a value. In a table only the values are masked, since the span of `[users.alice]` is that of its name.
    fn hide(&mut self, value: &SpannedValue) {
        match value.get_ref().as_table() {
            Some(table) => table.values().for_each(|value| self.hide(value)),
            None => self.secrets.push(value.span()),
        }
    }

    fn check(&mut self, span: Range<usize>, result: Result<(), InvalidField>) {
        if let Err(invalid) = result {
            self.report(span, invalid.to_string(), invalid.help());
        }
    }

    fn report(&mut self, span: Range<usize>, message: String, help: String) {
        self.problems.push(FileProblem { span: Some(span), message, help });
    }

    fn line(&self, at: usize) -> usize {
        self.text.get(..at).map_or(0, |before| before.matches('\n').count()) + 1
    }
}

/// A name, quoted where needed so that it is both a TOML key and a word of a shell's command line.
pub(crate) fn quoted(name: &str) -> String {
    let bare = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { format!("\"{}\"", name.escape_debug()) }
}
