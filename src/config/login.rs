//! `[login]`: who may sign in, where, and where it leads.

use std::path::{Path, PathBuf};

use crate::credentials::problem::FileProblems;
use crate::credentials::user_file::{Users, nobody_yet};
use crate::login::settings::Settings;
use crate::values::return_to::{AllowedOrigins, ReturnTo};

use super::files;
use super::raw::{Item, Refusal, Table};

/// Reads where a sign-in leads. `own` are the gateway's own origins; `None` while they are not known.
pub fn read(table: &Table<'_>, own: Option<&AllowedOrigins>, body_limit: usize) -> Option<Settings> {
    let next = match (table.item("next"), own) {
        (Some(item), Some(own)) => next(&item, own),
        _ => Some(ReturnTo::own("/")),
    };
    Some(Settings { next: next?, body_limit })
}

fn next(item: &Item<'_>, own: &AllowedOrigins) -> Option<ReturnTo> {
    item.parse(|text| {
        ReturnTo::parse(text, own).ok_or_else(|| {
            Refusal::new(format!("\"{text}\" is no page of an own host"))
                .write("write a path (\"/\") or a whole URL of an own host")
        })
    })
}

/// Reads who may sign in: the users' file, and the users in it. The file may not be there yet.
pub fn users(table: &Table<'_>, folder: &Path) -> Option<(PathBuf, Users)> {
    let item = table.required("users", "users = \"users.toml\"")?;
    let path = item.parse(|text| files::resolve(folder, text))?;
    let users = Users::load(&path).map_err(|problems| item.place.problem(refused(&path, problems))).ok()?;
    if users.count() == 0 {
        item.place.warning(Refusal::of("", &nobody_yet(&path)));
    }
    Some((path, users))
}

/// What is wrong with the file as a whole is said here; what is wrong with its lines is shown with them.
fn refused(path: &Path, problems: FileProblems) -> Refusal {
    let path = path.display();
    match problems.problems() {
        [only] if only.span.is_none() => {
            Refusal::new(format!("{path}: {}", only.message)).write(only.help.as_str())
        }
        _ => Refusal::new(format!("{path} is refused for what follows")).attach(problems),
    }
}
