//! Files that the configuration names.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::raw::ValueRefusal;

/// A path as written, from `folder` if it is relative.
pub fn resolve(folder: &Path, text: &str) -> Result<PathBuf, ValueRefusal> {
    if text.is_empty() || text.contains('\0') {
        return Err(ValueRefusal::new("names no file"));
    }
    Ok(folder.join(text))
}

/// Whether two paths lead to the same file, which may not be there yet.
pub fn is_same(one: &Path, other: &Path) -> bool {
    location(one) == location(other)
}

/// A path without detours, as far as its folders are there.
fn location(path: &Path) -> PathBuf {
    let whole = fs::canonicalize(path);
    whole.unwrap_or_else(|_| match (path.parent().map(fs::canonicalize), path.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => path.components().collect(),
    })
}

/// The content of a file that must be there.
pub fn read(path: &Path) -> Result<Vec<u8>, ValueRefusal> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

/// The content of a file that must be there, cut after `limit` bytes.
pub fn read_up_to(path: &Path, limit: usize) -> Result<Vec<u8>, ValueRefusal> {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let read = |file: fs::File| {
        let mut content = Vec::new();
        file.take(limit).read_to_end(&mut content).map(|_| content)
    };
    fs::File::open(path).and_then(read).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> ValueRefusal {
    let refusal = ValueRefusal::new(format!("{} cannot be read: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::PermissionDenied => refusal.write("check as the user that serves: sudo -u exeunt exeunt check"),
        _ => refusal,
    }
}
