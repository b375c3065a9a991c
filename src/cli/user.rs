//! `exeunt user`: the local users in `users.toml`.

mod listing;
mod password;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::Method;

use super::configured::ConfigFile;
use super::failure::CommandError;
use super::running::{Running, path_segment};
use super::{print, terminal};

use crate::credentials::password::{Password, hash};
use crate::credentials::problem::FileProblems;
use crate::credentials::user_file::edit::{self, ChangeOutcome, EditProblem, FieldChange, UserChange};
use crate::credentials::user_file::fields::{check_name, check_text};
use crate::credentials::user_file::htpasswd::{self, WeakHashes};
use crate::credentials::user_file::lock::LockedFile;
use crate::credentials::user_file::read::read_any;
use crate::credentials::user_file::reader::quoted;
use crate::credentials::user_file::{Users, no_users_message};
use crate::login::password::MIN_LENGTH;

/// Adds, changes, removes and lists the users of the users' file.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user, or change one: the password, groups, e-mail address, display name
    #[command(after_help = SET_HELP)]
    Set(SetUser),
    /// Remove a user
    #[command(after_help = "Example:\n  exeunt user remove alice")]
    Remove(RemoveUser),
    /// List all users, or one: name, groups, e-mail address, display name, state
    #[command(after_help = "Examples:\n  exeunt user list\n  exeunt user list --json | jq -r '.[].user'")]
    List(ListUsers),
    /// End the ban of a user after wrong passwords, at the running gateway
    #[command(after_help = UNBAN_HELP)]
    Unban(UnbanUser),
}

const UNBAN_HELP: &str = "\
Bans end by themselves, after login.ban_max at the latest. An address can be given instead of a name.

Examples:
  exeunt user unban alice
  exeunt user unban 192.0.2.1";

const SET_HELP: &str = "\
On a terminal the password is asked for twice; otherwise it is the first line of standard input. It is never \
an argument, which every user of this machine could read. With --keep-password an existing user keeps the old \
one. For an existing user, what is not given stays as it is.

Examples:
  exeunt user set alice --group staff --group admins --email alice@example.com
  pwgen 20 1 | tee /dev/tty | exeunt user set bob
  exeunt user set alice --keep-password --group staff      # removes alice from other groups
  exeunt user set alice --keep-password --disable          # alice can no longer sign in";

/// The arguments of `exeunt user set`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SetUser {
    /// The name typed at sign-in, matched exactly as written here
    #[arg(value_name = "NAME")]
    user: String,
    #[command(flatten)]
    file: UsersFileArgs,
    /// A group of this user; repeat it for several, and write --group "" for none [default: as before]
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// The e-mail address sent to applications; "" removes it [default: as before]
    #[arg(long, value_name = "EMAIL")]
    email: Option<String>,
    /// The display name sent to applications; "" removes it [default: as before]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Keep the password of an existing user
    #[arg(long)]
    keep_password: bool,
    /// Disable the user: no more sign-ins, everything else is kept
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
    /// Enable the user again
    #[arg(long)]
    enable: bool,
}

/// The arguments of `exeunt user remove`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RemoveUser {
    /// The user's name
    #[arg(value_name = "NAME")]
    user: String,
    #[command(flatten)]
    file: UsersFileArgs,
}

/// The arguments of `exeunt user list`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ListUsers {
    /// Only this user
    #[arg(value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    file: UsersFileArgs,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `exeunt user unban`.
#[derive(Clone, Debug, Args)]
pub(crate) struct UnbanUser {
    /// The user's name, in any letter case, or an address
    #[arg(value_name = "NAME")]
    user: String,
    #[command(flatten)]
    running: Running,
}

#[derive(Clone, Debug, Args)]
struct UsersFileArgs {
    /// The users' file [default: that of the configuration, else ./users.toml]
    #[arg(long = "file", value_name = "FILE", conflicts_with = "config")]
    path: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

impl UsersFileArgs {
    /// The gateway that reads this file according to the given configuration or the default one; `None` if none does.
    fn read_by(self, path: &Path) -> Result<Option<Running>, CommandError> {
        let is_named = self.path.is_some();
        let running = Running::of(self.config.clone());
        if !is_named {
            return Ok(Some(running));
        }
        let Ok(Some(found)) = self.config.read() else { return Ok(None) };
        let its_own = found.beside(found.text_at("login", "users").as_deref().unwrap_or(DEFAULT_FILE));
        let same = matches!((its_own.canonicalize(), path.canonicalize()), (Ok(one), Ok(other)) if one == other);
        Ok(same.then_some(running))
    }
}

/// The name of the users' file if the configuration does not set one.
const DEFAULT_FILE: &str = "users.toml";

impl UsersFileArgs {
    /// The given path, else the file that `exeunt serve` reads.
    fn path(self) -> Result<PathBuf, CommandError> {
        if let Some(path) = self.path {
            return Ok(path);
        }
        let Some(found) = self.config.read()? else { return Ok(PathBuf::from(DEFAULT_FILE)) };
        Ok(found.beside(found.text_at("login", "users").as_deref().unwrap_or(DEFAULT_FILE)))
    }
}

/// The output of a command: its result, and notices for the operator.
#[derive(Debug, Default, PartialEq, Eq)]
struct CommandOutput {
    result: String,
    notice: String,
}

/// Runs the command. Exit code 0, or 1 with the reason on standard error.
pub(crate) fn run(command: UserCommand) -> ExitCode {
    print::finish(execute(command, &mut password::ask).map(|output| {
        eprint!("{}", output.notice);
        output.result
    }))
}

/// Asks for the password of the user with this name.
type PasswordPrompt<'a> = &'a mut dyn FnMut(&str) -> Result<Password, CommandError>;

fn execute(command: UserCommand, ask: PasswordPrompt) -> Result<CommandOutput, CommandError> {
    match command {
        UserCommand::Set(arguments) => set(arguments, ask),
        UserCommand::Remove(arguments) => remove(arguments),
        UserCommand::List(arguments) => list(arguments),
        UserCommand::Unban(arguments) => unban(&arguments),
    }
}

fn set(arguments: SetUser, ask: PasswordPrompt) -> Result<CommandOutput, CommandError> {
    arguments.check()?;
    let (user, file) = (arguments.user.clone(), arguments.file.clone());
    let path = file.clone().path()?;
    refuse_htpasswd(&path, "-B", &user)?;
    // Before the lock is taken, since typing and hashing take time.
    let password = if arguments.keep_password { None } else { Some(ask(&user)?) };
    let mut short = String::new();
    if password.as_ref().is_some_and(|password| password.characters() < MIN_LENGTH) {
        short = format!("warning: {user}: this password has fewer than {MIN_LENGTH} characters\n");
    }
    let password = password.as_ref().map(hash).transpose();
    let password = password.map_err(|_| CommandError::new("the password could not be hashed", "free some memory"))?;
    let change = UserChange { password, ..arguments.change() };
    let (done, notice) = edit(&path, &user, |text| edit::set(text, &user, &change))?;
    let done = match done {
        ChangeOutcome::Added => "added to",
        ChangeOutcome::Changed => "changed in",
    };
    effect_text(&user, done, &path, file, notice + &short)
}

fn remove(arguments: RemoveUser) -> Result<CommandOutput, CommandError> {
    let (user, path) = (arguments.user, arguments.file.clone().path()?);
    refuse_htpasswd(&path, "-D", &user)?;
    let ((), notice) = edit(&path, &user, |text| edit::remove(text, &user).map(|text| (text, ())))?;
    effect_text(&user, "removed from", &path, arguments.file, notice)
}

fn list(arguments: ListUsers) -> Result<CommandOutput, CommandError> {
    let path = arguments.file.path()?;
    let users = Users::load(&path, WeakHashes::Accept)?;
    let entries = match &arguments.user {
        None => users.sorted(),
        Some(user) => vec![users.find(user).ok_or_else(|| no_such_user(user, &path))?],
    };
    let mut notice = if entries.is_empty() { format!("{}\n", no_users_message(&path)) } else { String::new() };
    for problems in [users.bad_lines(), users.duplicates()].into_iter().flatten() {
        notice.push_str(&format!("{}\n\n", problems.render(terminal::colour())));
    }
    let result = if arguments.json { listing::json(&entries) } else { listing::user_table(&entries) };
    Ok(CommandOutput { result, notice })
}

fn unban(arguments: &UnbanUser) -> Result<CommandOutput, CommandError> {
    let user = &arguments.user;
    let answer = arguments.running.ask(Method::DELETE, &format!("/bans/{}", path_segment(user)))?;
    let was_banned = answer.get("was_banned").and_then(serde_json::Value::as_bool).unwrap_or_default();
    let followed = if was_banned {
        "the ban and the count of wrong passwords are removed"
    } else {
        "there was no ban, and no wrong password was counted"
    };
    Ok(CommandOutput { result: format!("{user}: {followed}\n"), notice: String::new() })
}

/// Reloads the gateway that reads this file, and reports the result.
fn effect_text(
    user: &str,
    done: &str,
    path: &Path,
    file: UsersFileArgs,
    notice: String,
) -> Result<CommandOutput, CommandError> {
    let written = format!("{user}: {done} {}", path.display());
    let effect = match file.read_by(path)?.map(|running| running.after_writing()) {
        None => "takes effect when the gateway that reads this file reloads: exeunt reload".to_owned(),
        Some(Ok(effect)) => effect,
        // Written but not in effect: a script that removes a user must not take this for success.
        Some(Err(CommandError(problem))) => {
            return Err(CommandError(format!("{notice}{problem}\n{written}, but the running gateway has not read it")));
        }
    };
    Ok(CommandOutput { result: format!("{written}; {effect}\n"), notice })
}

/// Refuses to change htpasswd files: the `htpasswd` tool does that and keeps their format.
fn refuse_htpasswd(path: &Path, option: &str, user: &str) -> Result<(), CommandError> {
    let text = read_any(path).map(|(text, _)| text).unwrap_or_default();
    if !htpasswd::is_htpasswd(path, &text) {
        return Ok(());
    }
    let path = path.display();
    let message = format!("{path} is an htpasswd file: this command writes users.toml only");
    Err(CommandError::new(message, format!("type: htpasswd {option} {path} {}", quoted(user))))
}

fn no_such_user(user: &str, path: &Path) -> CommandError {
    let message = format!("{} has no user `{}`", path.display(), user.escape_debug());
    CommandError::new(message, format!("list the users: exeunt user list --file {}", path.display()))
}

impl SetUser {
    /// Checks everything that can be checked before a password is typed.
    fn check(&self) -> Result<(), CommandError> {
        check_name(&self.user)?;
        let texts = [("an e-mail address", &self.email), ("a display name", &self.name)];
        for (what, text) in texts.iter().filter_map(|(what, text)| Some((what, text.as_ref()?))) {
            if !text.is_empty() {
                check_text(what, text)?;
            }
        }
        if !self.has_no_groups() {
            self.groups.iter().try_for_each(|group| check_text("a group", group))?;
        }
        Ok(())
    }

    fn change(self) -> UserChange {
        let text = |text: Option<String>| match text {
            None => FieldChange::Keep,
            Some(text) if text.is_empty() => FieldChange::Remove,
            Some(text) => FieldChange::Set(text),
        };
        UserChange {
            password: None,
            groups: match self.groups.as_slice() {
                [] => FieldChange::Keep,
                _ if self.has_no_groups() => FieldChange::Remove,
                _ => FieldChange::Set(self.groups),
            },
            email: text(self.email),
            name: text(self.name),
            enabled: match (self.enable, self.disable) {
                (true, _) => FieldChange::Remove,
                (_, true) => FieldChange::Set(false),
                _ => FieldChange::Keep,
            },
        }
    }

    fn has_no_groups(&self) -> bool {
        matches!(self.groups.as_slice(), [group] if group.is_empty())
    }
}

/// Changes the file under its lock. A change that would make the file invalid is refused; problems that it had before
/// do not prevent a change, and are reported in the notice.
fn edit<T>(
    path: &Path,
    user: &str,
    change: impl FnOnce(&str) -> Result<(String, T), EditProblem>,
) -> Result<(T, String), CommandError> {
    let file = LockedFile::lock(path)?;
    let before = file.read()?;
    let problems_of = |text: &str| Users::parse(path, text).err();
    let (after, done) = change(&before).map_err(|problem| match (problem, problems_of(&before)) {
        (EditProblem::Unreadable, Some(problems)) => problems.into(),
        _ => no_such_user(user, path),
    })?;
    refuse_new_problems(problems_of(&before), problems_of(&after))?;
    file.replace(&after)?;
    let notice = Users::load(path, WeakHashes::Accept).err().map(|problems| {
        let CommandError(report) = problems.into();
        format!("{report}\n\nthe file was written, but `exeunt serve` will not start with it\n")
    });
    Ok((done, notice.unwrap_or_default()))
}

fn refuse_new_problems(before: Option<FileProblems>, after: Option<FileProblems>) -> Result<(), CommandError> {
    let messages = |problems: &Option<FileProblems>| -> Vec<String> {
        let problems = problems.iter().flat_map(FileProblems::problems);
        problems.map(|problem| problem.message.clone()).collect()
    };
    let old = messages(&before);
    let mut new = after.iter().flat_map(FileProblems::problems);
    match new.find(|problem| !old.contains(&problem.message)) {
        Some(problem) => Err(CommandError::new(format!("{}: nothing was written", problem.message), &problem.help)),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "user/tests.rs"]
mod tests;
