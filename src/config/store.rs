//! `session.store`: where sessions are kept.

use std::path::{Path, PathBuf};

use super::files;
use super::raw::{RawTable, ValueRefusal};

/// The file that is used where none is named.
const FILE: &str = "sessions.db";

/// Where sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChoice {
    /// In memory: a restart ends all of them.
    Memory,
    /// In this file; a relative path starts at the state folder.
    Sqlite(PathBuf),
}

impl Default for StoreChoice {
    fn default() -> Self {
        Self::Sqlite(FILE.into())
    }
}

impl StoreChoice {
    /// The file, with this state folder; `None` in memory.
    pub(crate) fn file(&self, state: &Path) -> Option<PathBuf> {
        match self {
            Self::Memory => None,
            Self::Sqlite(path) => Some(state.join(path)),
        }
    }
}

/// Reads the choice of `[session]`.
pub(super) fn read(session: &RawTable<'_>) -> StoreChoice {
    session.item("store").and_then(|item| item.parse(choice)).unwrap_or_default()
}

fn choice(text: &str) -> Result<StoreChoice, ValueRefusal> {
    let write = || format!("write \"sqlite:{FILE}\", or \"memory\", where a restart may sign everybody out");
    let Some((scheme, rest)) = text.split_once(':') else {
        return match text {
            "memory" => Ok(StoreChoice::Memory),
            _ => Err(ValueRefusal::new(format!("\"{text}\" is not a valid store")).write(write())),
        };
    };
    match scheme {
        "sqlite" if rest.is_empty() || rest.starts_with("//") || rest.starts_with(':') || rest.ends_with('/') => {
            Err(ValueRefusal::new("must be sqlite: and the path of a file").write(write()))
        }
        "sqlite" => files::resolve(Path::new(""), rest).map(StoreChoice::Sqlite),
        "redis" | "rediss" => {
            Err(ValueRefusal::new("stores of several gateways are not supported by this version").write(write()))
        }
        _ => Err(ValueRefusal::new(format!("\"{text}\" is not a valid store")).write(write())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_in_the_state_folder_unless_its_path_is_absolute() {
        let state = Path::new("/var/lib/exeunt");
        let cases = [
            ("memory", Some(None)),
            ("sqlite:a.db", Some(Some("/var/lib/exeunt/a.db"))),
            ("sqlite:/srv/a.db", Some(Some("/srv/a.db"))),
            ("sqlite:", None),
            ("sqlite://srv/a.db", None),
            ("sqlite::memory:", None),
            ("sqlite:folder/", None),
            ("redis://localhost", None),
            ("Memory", None),
            ("file.db", None),
            ("", None),
        ];
        for (text, want) in cases {
            let file = choice(text).ok().map(|choice| choice.file(state));
            assert_eq!(file, want.map(|path| path.map(PathBuf::from)), "{text}");
        }
        assert_eq!(StoreChoice::default().file(state), Some(state.join("sessions.db")));
    }
}
