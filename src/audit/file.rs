//! The audit file. Lines are appended; it is rotated by size, and created again when another program has moved it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::settings::FileSettings;

/// Read and write for the owner, read for the group.
const MODE: u32 = 0o640;

/// The file and its rotated parts: `audit.jsonl.1` is the most recent one.
#[derive(Debug)]
pub(super) struct RotatingFile {
    settings: FileSettings,
    open: Option<File>,
}

/// Not all lines could be written.
#[derive(Debug)]
pub(super) struct NotWritten {
    /// The number of bytes written before the error; they are complete lines.
    pub(super) written: usize,
    /// The error of the first line that could not be written.
    pub(super) error: io::Error,
}

impl RotatingFile {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// The file cannot be opened for writing, or is not a regular file.
    pub(super) fn open(settings: FileSettings) -> io::Result<Self> {
        let mut file = Self { settings, open: None };
        file.current()?;
        Ok(file)
    }

    /// The path of the current file.
    pub(super) fn path(&self) -> &Path {
        &self.settings.path
    }

    /// Appends complete lines. A line that cannot be written completely is removed from the file.
    ///
    /// # Errors
    /// [`NotWritten`]; the caller can try the remaining lines again.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), NotWritten> {
        let mut written = 0;
        while let Some(rest) = lines.get(written..).filter(|rest| !rest.is_empty()) {
            written += self.append_some(rest).map_err(|error| NotWritten { written, error })?;
        }
        Ok(())
    }

    /// Appends as many lines as fit below the size limit, after a rotation if none fits. Returns their size in bytes.
    fn append_some(&mut self, lines: &[u8]) -> io::Result<usize> {
        let (limit, sync) = (self.settings.size, self.settings.sync);
        let mut before = self.current()?.metadata()?.len();
        let mut piece = whole_lines(lines, limit.saturating_sub(before));
        if piece.is_empty() && before > 0 {
            self.rotate()?;
            before = 0;
            piece = whole_lines(lines, limit);
        }
        // A single line may exceed the size limit.
        let piece = if piece.is_empty() { first_line(lines) } else { piece };
        let mut file = self.current()?;
        let done = file.write_all(piece).and_then(|()| if sync { file.sync_data() } else { Ok(()) });
        if let Err(error) = done {
            // The caller will write these lines again: nothing of this attempt may stay in the file.
            let _ = file.set_len(before);
            return Err(error);
        }
        Ok(piece.len())
    }

    /// The file at the path: opened again if another program has moved or removed the one that was open.
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
    // Opening a named pipe for writing would block until it has a reader.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    match OpenOptions::new().read(true).append(true).create_new(true).mode(MODE).open(path) {
        Ok(file) => {
            // Independent of the umask, which may have removed the group's permission.
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

/// Ends a line that a crash left incomplete, so that the next one starts on its own line.
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

/// Syncs the folder of `path`, so that created and renamed files survive a power failure.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// As many complete lines as fit into `room` bytes.
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
    fn it_rotates_by_size_and_keeps_the_configured_number_of_parts() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = RotatingFile::open(settings(folder.path(), 8, 2)).unwrap();
        // The last line alone exceeds the size limit.
        for line in ["aa\n", "bb\n", "cc\n", "dd\nee\n", "f\ng\nh\n", "iiiiiiiiiiii\n"] {
            file.append(line.as_bytes()).unwrap();
            assert!(files(folder.path()).iter().all(|(_, text)| text.len() <= 8 || text.lines().count() == 1));
        }
        let want = [("audit.jsonl", "iiiiiiiiiiii\n"), ("audit.jsonl.1", "h\n"), ("audit.jsonl.2", "ee\nf\ng\n")];
        assert_eq!(files(folder.path()), want.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn the_group_can_read_it_with_any_umask() {
        let folder = tempfile::tempdir().unwrap();
        let file = RotatingFile::open(settings(folder.path(), 8, 0)).unwrap();
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_file_that_was_moved_or_removed_is_created_again() {
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
    fn a_line_that_a_crash_left_incomplete_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("audit.jsonl"), "{\"time\":").unwrap();
        RotatingFile::open(settings(folder.path(), 100, 0)).unwrap().append(b"whole\n").unwrap();
        assert_eq!(files(folder.path())[0].1, "{\"time\":\nwhole\n");
    }

    #[test]
    fn lines_that_could_not_be_written_are_reported_and_can_be_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut file = RotatingFile::open(settings(folder.path(), 4, 1)).unwrap();
        file.append(b"one\n").unwrap();
        // The second line needs a rotation, which fails: a folder has the name of the rotated part.
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
