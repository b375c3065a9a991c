//! Changes to the text of a users' file that keep everything else in it unchanged: comments, order, spacing.

use toml_edit::{Array, DocumentMut, InlineTable, Item, RawString, Table, TableLike, Value};

/// A change of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldChange<T> {
    /// The key is not changed.
    #[default]
    Keep,
    /// The key is removed.
    Remove,
    /// The key is set to this value.
    Set(T),
}

/// A change of one user.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserChange {
    /// The hash to store; `None` keeps the password of a user that exists.
    pub(crate) password: Option<String>,
    /// The groups, all of them.
    pub(crate) groups: FieldChange<Vec<String>>,
    /// The e-mail address.
    pub(crate) email: FieldChange<String>,
    /// The display name.
    pub(crate) name: FieldChange<String>,
    /// Whether the user may sign in.
    pub(crate) enabled: FieldChange<bool>,
}

/// The result of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeOutcome {
    /// The user is new.
    Added,
    /// The user existed.
    Changed,
}

/// Why a change is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EditProblem {
    /// The text is not valid TOML, or `users` is not a table in it.
    Unreadable,
    /// The user does not exist.
    NoSuchUser,
}

/// Adds a user, or changes one. Returns the new text.
pub(crate) fn set(text: &str, user: &str, change: &UserChange) -> Result<(String, ChangeOutcome), EditProblem> {
    let mut document = parse(text)?;
    if let Some(entry) = users(&mut document)?.and_then(|users| users.get_mut(user)) {
        apply(entry.as_table_like_mut().ok_or(EditProblem::Unreadable)?, change);
        return Ok((document.to_string(), ChangeOutcome::Changed));
    }
    let added = if change.password.is_none() { Err(EditProblem::NoSuchUser) } else { add(document, user, change) };
    added.map(|text| (text, ChangeOutcome::Added))
}

/// Appends a new user at the end of the file, below the comments there.
fn add(mut document: DocumentMut, user: &str, change: &UserChange) -> Result<String, EditProblem> {
    if let Some(Item::Value(Value::InlineTable(users))) = document.get_mut("users") {
        let mut entry = InlineTable::new();
        apply(&mut entry, change);
        users.insert(user, entry.into());
        return Ok(document.to_string());
    }
    let mut text = document.to_string();
    if !text.is_empty() {
        text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
    }
    let mut entry = Table::new();
    apply(&mut entry, change);
    let mut users = Table::new();
    users.set_implicit(true);
    users.insert(user, Item::Table(entry));
    let mut addition = DocumentMut::new();
    addition.insert("users", Item::Table(users));
    text.push_str(&addition.to_string());
    Ok(text)
}

/// Removes a user and the comment right above. Returns the new text.
pub(crate) fn remove(text: &str, user: &str) -> Result<String, EditProblem> {
    let mut document = parse(text)?;
    let users = users(&mut document)?.ok_or(EditProblem::NoSuchUser)?;
    let removed = users.remove(user).ok_or(EditProblem::NoSuchUser)?;
    if let Item::Table(table) = &removed {
        keep_comments(&mut document, table);
    }
    Ok(document.to_string())
}

/// Comments that an empty line separates from the removed user's header concern the file or several users: they are
/// kept, above the next user or at the end.
fn keep_comments(document: &mut DocumentMut, removed: &Table) {
    let above = removed.decor().prefix().and_then(RawString::as_str).unwrap_or_default();
    let kept = above.get(..last_empty_line(above)).unwrap_or_default();
    if kept.is_empty() {
        return;
    }
    let after = |table: &&mut Table| table.position() > removed.position();
    let users = document.get_mut("users").and_then(Item::as_table_mut);
    let tables = users.into_iter().flat_map(|users| users.iter_mut()).filter_map(|(_, user)| user.as_table_mut());
    if let Some(next) = tables.filter(after).min_by_key(|table| table.position()) {
        let prefix = next.decor().prefix().and_then(RawString::as_str).unwrap_or("\n");
        let gap = if prefix.starts_with('\n') { "" } else { "\n" };
        let prefix = format!("{kept}{gap}{prefix}");
        next.decor_mut().set_prefix(prefix);
    } else {
        let trailing = document.trailing().as_str().unwrap_or_default();
        let trailing = format!("{kept}{trailing}");
        document.set_trailing(trailing);
    }
}

/// The position of the last empty line; 0 if there is none.
fn last_empty_line(text: &str) -> usize {
    let mut start = 0;
    let mut last = 0;
    for line in text.split_inclusive('\n') {
        if line.ends_with('\n') && line.trim().is_empty() {
            last = start;
        }
        start += line.len();
    }
    last
}

fn parse(text: &str) -> Result<DocumentMut, EditProblem> {
    text.parse().map_err(|_| EditProblem::Unreadable)
}

/// The table of users, if there is one.
fn users(document: &mut DocumentMut) -> Result<Option<&mut dyn TableLike>, EditProblem> {
    let Some(users) = document.get_mut("users") else { return Ok(None) };
    users.as_table_like_mut().map(Some).ok_or(EditProblem::Unreadable)
}

fn apply(entry: &mut dyn TableLike, change: &UserChange) {
    if let Some(password) = &change.password {
        put(entry, "password", password.into());
    }
    one(entry, "groups", &change.groups, |groups| Array::from_iter(groups).into());
    one(entry, "email", &change.email, |email| email.into());
    one(entry, "name", &change.name, |name| name.into());
    one(entry, "enabled", &change.enabled, |&enabled| enabled.into());
}

fn one<T>(entry: &mut dyn TableLike, key: &str, change: &FieldChange<T>, value: impl Fn(&T) -> Value) {
    match change {
        FieldChange::Keep => {}
        FieldChange::Remove => drop(entry.remove(key)),
        FieldChange::Set(new) => put(entry, key, value(new)),
    }
}

/// Sets a key and keeps the comment at the end of its line.
fn put(entry: &mut dyn TableLike, key: &str, mut value: Value) {
    match entry.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => drop(entry.insert(key, Item::Value(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> UserChange {
        UserChange { password: Some(text.to_owned()), ..UserChange::default() }
    }

    const FILE: &str = r#"# The people of the shop.

# Alice runs it.
[users.alice]   # since 2019
  password = "$a"   # changed in May
  # her groups
  groups = ["staff", "admins"]

[users."bob@example.com"]
password = "$b"
# the end
"#;

    #[test]
    fn a_change_leaves_everything_else_as_it_was() {
        let (text, done) = set(FILE, "alice", &password("$new")).unwrap();
        assert_eq!((text, done), (FILE.replace("$a", "$new"), ChangeOutcome::Changed));
        let change = UserChange {
            groups: FieldChange::Set(vec!["a \"b\"".to_owned()]),
            email: FieldChange::Set("alice@example.com".to_owned()),
            enabled: FieldChange::Set(false),
            ..UserChange::default()
        };
        let (text, _) = set(FILE, "alice", &change).unwrap();
        let old = "groups = [\"staff\", \"admins\"]\n";
        let groups = "groups = ['a \"b\"']\nemail = \"alice@example.com\"\nenabled = false\n";
        assert_eq!(text, FILE.replace(old, groups));
        let change = UserChange { email: FieldChange::Remove, ..UserChange::default() };
        let (text, _) = set(&text, "alice", &change).unwrap();
        assert_eq!(text, FILE.replace(old, "groups = ['a \"b\"']\nenabled = false\n"));
    }

    #[test]
    fn a_new_user_comes_last() {
        let change = UserChange { groups: FieldChange::Set(vec!["staff".to_owned()]), ..password("$c") };
        let entry = "[users.\"carol s\"]\npassword = \"$c\"\ngroups = [\"staff\"]\n";
        let with_inline = "[users]\na = { password = '$x' }\n";
        for text in [FILE, "", "# nobody yet\n", "# no newline", "[users]\n", with_inline] {
            let (after, done) = set(text, "carol s", &change).unwrap();
            let gap = match text {
                "" => "",
                _ if text.ends_with('\n') => "\n",
                _ => "\n\n",
            };
            assert_eq!((after, done), (format!("{text}{gap}{entry}"), ChangeOutcome::Added));
        }
        let (inline, _) = set("users = { a = { password = '$x' } }\n", "bob", &password("$y")).unwrap();
        assert_eq!(inline, "users = { a = { password = '$x' } , bob = { password = \"$y\" } }\n");
    }

    #[test]
    fn a_removed_user_takes_only_its_own_comment_along() {
        let after = "# The people of the shop.\n\n[users.\"bob@example.com\"]\npassword = \"$b\"\n# the end\n";
        assert_eq!(remove(FILE, "alice").unwrap(), after);
        assert_eq!(remove(after, "bob@example.com").unwrap(), "# The people of the shop.\n# the end\n");
        let (head, _) = FILE.split_once("\n[users.\"bob").unwrap();
        assert_eq!(remove(FILE, "bob@example.com").unwrap(), format!("{head}# the end\n"));
        let inline = "[users]\nalice = { password = '$a' }\nbob = { password = '$b' }\n";
        assert_eq!(remove(inline, "alice").unwrap(), "[users]\nbob = { password = '$b' }\n");
    }

    #[test]
    fn impossible_changes_are_reported() {
        let change = UserChange { email: FieldChange::Remove, ..UserChange::default() };
        assert_eq!(set(FILE, "carol", &change), Err(EditProblem::NoSuchUser));
        assert_eq!(remove(FILE, "carol"), Err(EditProblem::NoSuchUser));
        assert_eq!(remove("", "carol"), Err(EditProblem::NoSuchUser));
        for text in ["[users", "users = 1", "[users]\nalice = 1"] {
            assert_eq!(set(text, "alice", &password("$x")), Err(EditProblem::Unreadable), "{text}");
        }
    }
}
