//! The audit file: appended to, rotated by size, and opened anew where another program has moved it away.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::settings::FileSettings;

/// Who may read it: its owner, who writes it, and its group.
const MODE: u32 = 0o640;

/// The file, and its older parts: `audit.jsonl.1` is the youngest of them.
#[derive(Debug)]
pub(super) struct RotatingFile {
    settings: FileSettings,
    open: Option<File>,
}

/// Lines that could not be written.
#[derive(Debug)]
pub(super) struct NotWritten {
    /// Bytes at the beginning that were written before: whole lines.
    pub(super) written: usize,
    /// Why not all.
    pub(super) error: io::Error,
}

impl RotatingFile {
    /// Opens it, or makes it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn open(settings: FileSettings) -> io::Result<Self> {
        let mut file = Self { settings, open: None };
        file.current()?;
        Ok(file)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.settings.path
    }

    /// Appends whole lines. No part of a line stays in the file where that fails.
    ///
    /// # Errors
    /// [`NotWritten`]: the rest can be tried again.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), NotWritten> {
        let mut written = 0;
        while let Some(rest) = lines.get(written..).filter(|rest| !rest.is_empty()) {
            written += self.append_some(rest).map_err(|error| NotWritten { written, error })?;
        }
        Ok(())
    }

    /// Appends as many lines as the file may still have, and says how many bytes that is.
    fn append_some(&mut self, lines: &[u8]) -> io::Result<usize> {
        let (limit, sync) = (self.settings.size, self.settings.sync);
        let mut before = self.current()?.metadata()?.len();
        let mut piece = whole_lines(lines, limit.saturating_sub(before));
        if piece.is_empty() && before > 0 {
            self.rotate()?;
            before = 0;
            piece = whole_lines(lines, limit);
        }
        // One line alone may be longer than a file should be.
        let piece = if piece.is_empty() { first_line(lines) } else { piece };
        let mut file = self.current()?;
        let done = file.write_all(piece).and_then(|()| if sync { file.sync_data() } else { Ok(()) });
        if let Err(error) = done {
            // The lines will be written again: none of them may stand there already, or half of one.
            let _ = file.set_len(before);
            return Err(error);
        }
        Ok(piece.len())
    }

    /// The file at the path: another one than before, where somebody has moved or removed that.
    fn current(&mut self) -> io::Result<&File> {
        let path = &self.settings.path;
        let same = |open: &File| Ok::<_, io::Error>(is_same(&open.metadata()?, &fs::metadata(path)?));
        let open = match self.open.take() {
            Some(open) if same(&open).unwrap_or(false) => open,
            Some(_) | None => open(path)?,
        };
        Ok(self.open.insert(open))
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        let path = &self.settings.path;
        if self.settings.older == 0 {
            fs::remove_file(path)?;
        }
        for number in (1..=self.settings.older).rev() {
            let from = if number == 1 { path.clone() } else { numbered(path, number - 1) };
            match fs::rename(&from, numbered(path, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        sync_folder(path)
    }
}

fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn open(path: &Path) -> io::Result<File> {
    // Opening a pipe would wait for its reader.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    match OpenOptions::new().read(true).append(true).create_new(true).mode(MODE).open(path) {
        Ok(file) => {
            // Whatever the umask takes away: the group reads it.
            file.set_permissions(Permissions::from_mode(MODE))?;
            sync_folder(path)?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = OpenOptions::new().read(true).append(true).open(path)?;
            end_last_line(&file)?;
            Ok(file)
        }
        Err(error) => Err(error),
    }
}

/// A crash may have left half a line: what follows has to begin on its own.
fn end_last_line(mut file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// New and changed names are on the disk after this.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// As many whole lines as fit into so many bytes.
fn whole_lines(lines: &[u8], room: u64) -> &[u8] {
    let most = lines.get(..usize::try_from(room).unwrap_or(usize::MAX)).unwrap_or(lines);
    let end = memchr::memrchr(b'\n', most).map_or(0, |at| at + 1);
    most.get(..end).unwrap_or_default()
}

fn first_line(lines: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
    lines.get(..end).unwrap_or(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(folder: &Path, size: u64, older: u32) -> FileSettings {
        FileSettings { path: folder.join("audit.jsonl"), size, older, sync: true }
    }

    /// The files of a folder with their content, by name.
    fn files(folder: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
        let mut files: Vec<_> =
            entries.map(|entry| (name(&entry), fs::read_to_string(entry.path()).unwrap())).collect();
        files.sort();
        files
    }

    #[test]
    fn it_rotates_by_size_and_keeps_so_many_parts() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = RotatingFile::open(settings(folder.path(), 8, 2)).unwrap();
        // The sixth line alone is longer than a file may be.
        for line in ["aa\n", "bb\n", "cc\n", "dd\nee\n", "f\ng\nh\n", "iiiiiiiiiiii\n"] {
            file.append(line.as_bytes()).unwrap();
            assert!(files(folder.path()).iter().all(|(_, text)| text.len() <= 8 || text.lines().count() == 1));
        }
        let want = [("audit.jsonl", "iiiiiiiiiiii\n"), ("audit.jsonl.1", "h\n"), ("audit.jsonl.2", "ee\nf\ng\n")];
        assert_eq!(files(folder.path()), want.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn its_group_reads_it_whatever_the_umask_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = RotatingFile::open(settings(folder.path(), 8, 0)).unwrap();
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = RotatingFile::open(settings(folder.path(), 100, 2)).unwrap();
        file.append(b"one\n").unwrap();
        fs::rename(file.path(), folder.path().join("moved")).unwrap();
        file.append(b"two\n").unwrap();
        fs::remove_file(file.path()).unwrap();
        file.append(b"three\n").unwrap();
        let want = [("audit.jsonl", "three\n"), ("moved", "one\n")];
        assert_eq!(files(folder.path()), want.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn half_a_line_of_a_crash_stays_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("audit.jsonl"), "{\"time\":").unwrap();
        RotatingFile::open(settings(folder.path(), 100, 0)).unwrap().append(b"whole\n").unwrap();
        assert_eq!(files(folder.path())[0].1, "{\"time\":\nwhole\n");
    }

    #[test]
    fn what_cannot_be_written_is_said_and_can_be_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut file = RotatingFile::open(settings(folder.path(), 4, 1)).unwrap();
        file.append(b"one\n").unwrap();
        // The second line needs a rotation, and its place is taken.
        fs::create_dir(folder.path().join("audit.jsonl.1")).unwrap();
        let failed = file.append(b"two\nxxx\n").unwrap_err();
        assert_eq!(failed.written, 0, "{failed:?}");
        fs::remove_dir(folder.path().join("audit.jsonl.1")).unwrap();
        file.append(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(file.append(b"three\n").unwrap_err().error.to_string(), "not a regular file");
    }
}
