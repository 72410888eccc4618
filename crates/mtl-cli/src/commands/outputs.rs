//! Where a command may write: over none of its own inputs, and over no file of a model.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use mtl_model::{MODEL_FILES, is_model};

/// The state from which training can be resumed, in a model's folder.
pub(crate) const STATE: &str = "training.bin";

/// What commands write into a model's folder beside the model. Whatever else is there is the user's own.
const BESIDE: [&str; 4] = [STATE, super::CONFIG, super::METRICS, super::REPORT];

/// All that commands write into a model's folder.
fn model_files() -> impl Iterator<Item = &'static str> {
    MODEL_FILES.into_iter().chain(BESIDE)
}

/// Whether a file of that name in a model's folder is one that commands write.
pub(crate) fn is_of_model(name: &str) -> bool {
    model_files().any(|file| file == name)
}

/// Refuses a `--out` that is a file of the model in `folder`, by whatever path.
pub(crate) fn check_beside_model(out: &Path, folder: &Path) -> anyhow::Result<()> {
    let file = model_files().map(|name| folder.join(name)).find(|file| is_same(out, file));
    match file {
        Some(_) => bail!(
            "--out {} is a file of the model in {}, expected another",
            out.display(),
            folder.display()
        ),
        None => Ok(()),
    }
}

/// Refuses a `--out` that is the file of `--data`, by whatever path.
pub(crate) fn check_beside_data(out: &Path, data: &Path) -> anyhow::Result<()> {
    let expected = "expected another file to write to";
    ensure!(!is_same(out, data), "--out {} is the file of --data, {expected}", out.display());
    Ok(())
}

/// Refuses a folder for results that is a model's, which has a page and numbers of its own.
pub(crate) fn check_results(out: Option<&Path>) -> anyhow::Result<()> {
    let Some(folder) = out.filter(|folder| is_model(folder)) else { return Ok(()) };
    let expected = "expected another folder for what is measured now";
    bail!("--out {} is a model's folder, {expected}", folder.display())
}

/// Refuses a file that is there already.
pub(crate) fn check_new(out: &Path) -> anyhow::Result<()> {
    match out.symlink_metadata() {
        Ok(_) => Err(is_there(out)),
        Err(_) => Ok(()),
    }
}

/// What is said of a file that is there already.
pub(crate) fn is_there(out: &Path) -> anyhow::Error {
    anyhow::anyhow!("{} is there already, expected another --out", out.display())
}

/// Says which files a command wrote into a folder.
pub(crate) fn say_wrote<'f>(folder: &Path, files: impl IntoIterator<Item = &'f str>) {
    let files = files.into_iter().map(|file| folder.join(file).display().to_string());
    say!("\nwrote {}", files.collect::<Vec<_>>().join(", "));
}

/// Whether both are there and are one file, with links followed.
fn is_same(a: &Path, b: &Path) -> bool {
    let found = |path: &Path| -> Option<PathBuf> { path.canonicalize().ok() };
    found(a).is_some_and(|a| found(b).is_some_and(|b| a == b))
}
