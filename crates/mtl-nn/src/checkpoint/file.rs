//! Writing a file so that a reader sees the old one or the new one, never half of it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Writes a file atomically: a temporary file in the same directory, made durable, then renamed
/// over `path`. A crash leaves the old file or the new one.
///
/// # Errors
/// [`Error::File`], naming the path; the temporary file is removed.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    replace(path, bytes).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (temporary, file) = create_beside(path)?;
    let written = fill(file, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary); // the first error is the one worth telling
    }
    written?;
    sync_directory(path)
}

/// A new file in the directory of `path`: a rename is atomic only within a file system. A
/// writer at the same moment, or one that crashed, leaves a name taken; the next is tried.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or(ErrorKind::IsADirectory)?;
    let mut n = 0u64;
    loop {
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.{n}.tmp", std::process::id()));
        let temporary = path.with_file_name(temporary);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => n += 1,
            Err(e) => return Err(e),
        }
    }
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the rename durable. Only Unix opens a directory as a file; elsewhere the file system
/// orders the two by itself.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn replaces_a_file_and_leaves_nothing_beside_it() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("model.bin");
        write_atomic(&path, b"old")?;
        write_atomic(&path, b"new")?;
        assert_eq!(fs::read(&path)?, b"new");
        assert_eq!(names(directory.path()), ["model.bin"]);
        Ok(())
    }

    #[test]
    fn a_failure_names_the_path_and_cleans_up() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let missing = directory.path().join("absent").join("model.bin");
        let error = write_atomic(&missing, b"x").expect_err("no such directory");
        assert!(error.to_string().contains("model.bin"), "{error}");
        // The rename fails onto a directory that is not empty.
        let taken = directory.path().join("taken");
        fs::create_dir_all(taken.join("inside"))?;
        write_atomic(&taken, b"x").expect_err("a directory in the way");
        assert_eq!(names(directory.path()), ["taken"]);
        Ok(())
    }

    #[test]
    fn a_name_left_by_a_crash_is_stepped_over() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("m");
        let stale = directory.path().join(format!(".m.{}.0.tmp", std::process::id()));
        fs::write(&stale, b"half")?;
        write_atomic(&path, b"whole")?;
        assert_eq!(fs::read(&path)?, b"whole");
        assert_eq!(fs::read(&stale)?, b"half");
        Ok(())
    }
}
