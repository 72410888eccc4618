//! Where a command may write: over none of its own inputs, and over no file of a model.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};

/// What says that a folder is a model's.
const SPEC: &str = "model.toml";

/// What is fitted to a model's probabilities, in its folder.
pub(crate) const CALIBRATION: &str = "calibration.toml";

/// The formula that ranks by a model's outputs, in its folder.
pub(crate) const FUSION: &str = "fusion.toml";

/// The state from which training can be resumed, in a model's folder.
pub(crate) const STATE: &str = "training.bin";

/// All that commands write into a model's folder. Whatever else is there is the user's own.
const MODEL_FILES: [&str; 9] = [
    SPEC,
    "schema.bin",
    "weights.bin",
    CALIBRATION,
    FUSION,
    STATE,
    super::CONFIG,
    super::METRICS,
    super::REPORT,
];

/// Whether a file of that name in a model's folder is one that commands write.
pub(crate) fn is_of_model(name: &str) -> bool {
    MODEL_FILES.contains(&name)
}

/// Refuses a `--out` that is a file of the model in `folder`, by whatever path.
pub(crate) fn check_beside_model(out: &Path, folder: &Path) -> anyhow::Result<()> {
    let file = MODEL_FILES.iter().map(|name| folder.join(name)).find(|file| is_same(out, file));
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
    let Some(folder) = out.filter(|folder| folder.join(SPEC).exists()) else { return Ok(()) };
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
