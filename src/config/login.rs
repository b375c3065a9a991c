//! `[login]`: who may sign in, where, and where it leads.

use std::path::{Path, PathBuf};

use crate::values::return_to::{AllowedOrigins, ReturnTo};

use super::raw::{Item, Refusal, Table};
use super::shapes::LoginSettings;
use super::{files, paths, schema};

/// Reads the table.
pub fn read(file: &Table<'_>, folder: &Path, own: &AllowedOrigins, body: usize) -> LoginSettings {
    let table = file.table("login", &schema::LOGIN);
    LoginSettings {
        users: users(&table, folder),
        path: table.item("path").and_then(|item| item.parse(paths::of_gateway)).unwrap_or("/login".into()),
        next: table.item("next").and_then(|item| next(&item, own)).map_or("/".into(), |next| next.to_string()),
        body,
    }
}

fn next(item: &Item<'_>, own: &AllowedOrigins) -> Option<ReturnTo> {
    item.parse(|text| {
        ReturnTo::parse(text, own).ok_or_else(|| {
            Refusal::new(format!("\"{text}\" is no page of ours")).write("write a path (\"/\") or a URL of an own host")
        })
    })
}

fn users(table: &Table<'_>, folder: &Path) -> PathBuf {
    let item = table.required("users", "users = \"users.toml\"");
    let read = item.and_then(|item| {
        let path = item.parse(|text| files::resolve(folder, text))?;
        check_users(&item, &path);
        Some(path)
    });
    read.unwrap_or_default()
}

fn check_users(item: &Item<'_>, path: &Path) {
    match files::secret_metadata(path) {
        Ok(Some(_)) => {}
        Ok(None) => item.place.warning(
            Refusal::new(format!("{} is not there yet: nobody can sign in", path.display()))
                .write(format!("type `exeunt user set NAME --file {}`", path.display())),
        ),
        Err(refusal) => item.place.problem(refusal),
    }
}
