//! `[login]`: users, the sign-in page, and where a sign-in leads.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use crate::credentials::problem::FileProblems;
use crate::credentials::user_file::change::UsersFile;
use crate::credentials::user_file::htpasswd::WeakHashes;
use crate::credentials::user_file::{Users, no_users_message};
use crate::login::settings::LoginSettings;
use crate::values::return_to::{AllowedOrigins, ReturnTo};

use super::duration::{self, ONE_DAY, ONE_SECOND};
use super::files;
use super::limits::LimitSettings;
use super::raw::{Item, RawTable};
use super::refusal::ValueRefusal;

/// The default of the longest ban.
const BAN_MAX: Duration = Duration::from_secs(15 * 60);
/// The limits of the longest ban. For more than a day, the user should be disabled instead.
const BANS: RangeInclusive<Duration> = ONE_SECOND..=ONE_DAY;

/// Reads the table. `own` are the gateway's own origins; `None` if they are not known. `file` is the users' file.
pub(crate) fn read(
    table: &RawTable<'_>,
    own: Option<&AllowedOrigins>,
    limits: &LimitSettings,
    file: Option<UsersFile>,
) -> Option<LoginSettings> {
    let next = match (table.item("next"), own) {
        (Some(item), Some(own)) => next(&item, own),
        _ => Some(ReturnTo::own("/")),
    };
    let ban_max = table.item("ban_max").and_then(|item| item.parse(|text| duration::parse(text, &BANS)));
    let may_change = table.item("change_password").and_then(|item| item.switch()).unwrap_or(true);
    Some(LoginSettings {
        change_password: file.filter(|_| may_change),
        next: next?,
        ban_max: ban_max.unwrap_or(BAN_MAX),
        return_size: limits.return_size,
        body_limit: limits.login_body,
    })
}

fn next(item: &Item<'_>, own: &AllowedOrigins) -> Option<ReturnTo> {
    item.parse(|text| {
        ReturnTo::parse(text, own).ok_or_else(|| {
            ValueRefusal::new(format!("\"{text}\" is not on a host that is served here"))
                .write("write \"/\", or another path, or a whole URL of a host that is served here")
        })
    })
}

/// Reads the users' file and its users. The file may not exist yet.
pub(crate) fn users(table: &RawTable<'_>, folder: &Path) -> Option<(UsersFile, Users)> {
    let weak = weak_hashes(table);
    let item = table.required("users", "users = \"users.toml\"")?;
    let path = item.parse(|text| files::resolve(folder, text))?;
    let users = Users::load(&path, weak).map_err(|problems| item.location.problem(refused(&path, problems))).ok()?;
    if let Some(problems) = users.bad_lines() {
        let count = problems.problems().len();
        let (lines, what) = if count == 1 { ("line", "its user") } else { ("lines", "their users") };
        let what =
            format!("{count} {lines} of {} cannot be used: {what} cannot sign in, all others can", path.display());
        item.location.flaw(ValueRefusal::new(what).attach(problems.clone()));
    }
    if let Some(problems) = users.duplicates() {
        let what = format!("{} has a user twice: the first line counts", path.display());
        item.location.warning(ValueRefusal::new(what).attach(problems.clone()));
    }
    if let Some(elsewhere) = in_current_folder(&path, item.peek().unwrap_or_default()) {
        let what = format!("file not found: {}: relative paths start at the configuration's folder", path.display());
        item.location.warning(ValueRefusal::new(what).write(format!("write \"{elsewhere}\", which exists")));
    } else if users.count() == 0 {
        item.location.warning(ValueRefusal::of("", &no_users_message(&path)));
    }
    if users.weak() > 0 {
        let have = if users.weak() == 1 { "user has a weak hash" } else { "users have weak hashes" };
        item.location.warning(
            ValueRefusal::new(format!(
                "{} {have}: from a stolen file the passwords can be recovered quickly",
                users.weak()
            ))
            .write(format!("type: htpasswd -B {} NAME, for each of them", path.display())),
        );
    }
    Some((UsersFile { path, weak }, users))
}

fn weak_hashes(table: &RawTable<'_>) -> WeakHashes {
    match table.item("allow_weak_hashes").and_then(|item| item.switch()) {
        Some(true) => WeakHashes::Accept,
        Some(false) | None => WeakHashes::Refuse,
    }
}

/// The existing file that a relative path names from the current folder.
fn in_current_folder(path: &Path, text: &str) -> Option<String> {
    let here = fs::canonicalize(text).ok().filter(|here| !path.exists() && here.is_file())?;
    here.to_str().map(str::to_owned)
}

/// The finding for a refused file. Problems of single lines are attached to it and shown with the lines.
fn refused(path: &Path, problems: FileProblems) -> ValueRefusal {
    let path = path.display();
    match problems.problems() {
        [only] if only.span.is_none() => {
            ValueRefusal::new(format!("{path}: {}", only.message)).write(only.help.as_str())
        }
        _ => ValueRefusal::new(format!("{path} has problems, listed below")).attach(problems),
    }
}
