//! One training at a time into a folder.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Held while a folder is trained into: two trainings would write one state, and the second would lose
/// its own. It is a lock on a file beside the folder, which goes with it; of a process that was killed the file
/// stays, and holds nobody up.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the folder, or says that somebody has it.
    pub(super) fn of(out: &Path) -> anyhow::Result<Self> {
        let path = super::beside(out, "training.lock");
        loop {
            let file = File::create(&path).with_context(|| path.display().to_string())?;
            // A file system without locks cannot tell; training there is as good as before.
            if let Err(TryLockError::WouldBlock) = file.try_lock() {
                let expected = "expected another --out, or to begin once that has ended";
                bail!("{}: another `mtl train` is writing it, {expected}", out.display());
            }
            // Whoever held it may have removed the file after it was opened here.
            if path.exists() {
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path); // one that stays holds nobody up
    }
}
