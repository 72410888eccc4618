//! What stays in a model's folder when another training replaces it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::Context;
use mtl_model::{CALIBRATION_FILE, FUSION_FILE, Model, read_fusion};

use crate::commands::outputs::is_of_model;

/// The user's own files and the formula, as far as it is one of the new model's outputs; and what is to be
/// said of what does not stay.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// By name in the folder, and where they lie.
    files: Vec<(String, PathBuf)>,
    notes: Vec<String>,
}

impl Kept {
    /// Looks into the folder that `model` is about to replace, if there is one.
    pub(super) fn of(folder: &Path, model: &Model) -> anyhow::Result<Self> {
        let mut kept = Self::default();
        if !folder.exists() {
            return Ok(kept);
        }
        kept.add(folder, "").with_context(|| folder.display().to_string())?;
        let (fusion, calibration) = (folder.join(FUSION_FILE), folder.join(CALIBRATION_FILE));
        match read_fusion(folder, model) {
            Ok(None) => {}
            Ok(Some(_)) => kept.files.push((FUSION_FILE.to_owned(), fusion)),
            Err(error) => kept.notes.push(format!(
                "{error}; the formula is dropped, and `mtl tune-fusion` searches for another"
            )),
        }
        // One that this training fitted takes its place.
        if calibration.exists() && model.calibration().is_empty() {
            kept.notes.push(format!(
                "{} was fitted to the weights before these and is dropped: `mtl calibrate {}` fits \
                 another",
                calibration.display(),
                folder.display()
            ));
        }
        Ok(kept)
    }

    /// Adds the user's files in a folder, which is `below` the model's, and in those inside it.
    fn add(&mut self, folder: &Path, below: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                self.add(&entry.path(), &format!("{name}/"))?;
            } else if !is_of_model(&name) {
                self.files.push((name, entry.path()));
            }
        }
        Ok(())
    }

    /// The files, by name in the folder and where they lie.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.files.iter().map(|(name, path)| (name.as_str(), path.as_path()))
    }

    /// Tells what does not stay.
    pub(super) fn tell(&self) {
        self.notes.iter().for_each(|note| tell!("note: {note}"));
    }
}
