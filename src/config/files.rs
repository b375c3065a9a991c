//! Files that the configuration names.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::values::nearest_word::nearest;

use super::refusal::ValueRefusal;

/// A path as written, from `folder` if it is relative.
pub(crate) fn resolve(folder: &Path, text: &str) -> Result<PathBuf, ValueRefusal> {
    if text.is_empty() || text.contains('\0') {
        return Err(ValueRefusal::new("must be the path of a file").write("remove this line, or name a file"));
    }
    Ok(folder.join(text))
}

/// A path quoted for a shell.
pub(crate) fn shell_quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "/._-+,@%".contains(sign);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Whether two paths name the same file, which may not exist yet.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    location(one) == location(other)
}

/// The canonical path; of a missing file, the canonical folder and the name.
fn location(path: &Path) -> PathBuf {
    let whole = fs::canonicalize(path);
    whole.unwrap_or_else(|_| match (path.parent().map(fs::canonicalize), path.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => path.components().collect(),
    })
}

/// The content of a file that must exist.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ValueRefusal> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

/// The content of a file that must exist, truncated after `limit` bytes.
pub(crate) fn read_up_to(path: &Path, limit: usize) -> Result<Vec<u8>, ValueRefusal> {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let read = |file: fs::File| {
        let mut content = Vec::new();
        file.take(limit).read_to_end(&mut content).map(|_| content)
    };
    fs::File::open(path).and_then(read).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> ValueRefusal {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => missing(path),
        io::ErrorKind::PermissionDenied => ValueRefusal::new(format!("{shown} cannot be read by this user"))
            .write("check as the user that serves: sudo -u exeunt exeunt check"),
        io::ErrorKind::IsADirectory => {
            ValueRefusal::new(format!("{shown} must be a file, not a folder")).write("remove this line, or name a file")
        }
        _ => ValueRefusal::new(format!("{shown} cannot be read: {error}"))
            .write("remove this line, or name another file"),
    }
}

/// A missing folder.
pub(super) fn no_folder(folder: &Path) -> ValueRefusal {
    let folder = folder.display();
    ValueRefusal::new(format!("folder not found: {folder}")).write(format!("run: mkdir -p {folder}"))
}

/// A missing file; the help names one with a similar name.
fn missing(path: &Path) -> ValueRefusal {
    let refusal = ValueRefusal::new(format!("file not found: {}", path.display()));
    let entries = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    let names = entries.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let names: Vec<String> = names.take(MAX_NAMES).collect();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let near = nearest(name, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let near = near.map(|near| path.with_file_name(near)).filter(|near| near.is_file());
    match near {
        Some(near) => refusal.write(format!("write \"{}\", which exists", near.display())),
        None => refusal.write("remove this line, or create the file"),
    }
}

/// The maximum number of files of a folder that are compared with a name.
const MAX_NAMES: usize = 1000;
