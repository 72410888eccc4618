//! A model as a folder, written all or nothing.
//!
//! | file | holds |
//! |---|---|
//! | `model.toml` | the specification: architecture, settings, tasks |
//! | `schema.bin` | the fitted schema: vocabularies, means, quantiles |
//! | `weights.bin` | every parameter by path, with shapes |
//! | `calibration.toml` | what is done to outputs, if anything is |
//! | `fusion.toml` | the formula that ranks by several outputs, if there is one |
//!
//! Whoever trains adds its own files: the configuration and `metrics.json`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use mtl_feature::Schema;
use mtl_nn::Params;
use mtl_nn::checkpoint::{self, SavedParams};

use crate::{Calibration, Error, Fusion, Model, ModelSpec, Result};

const SPEC: &str = "model.toml";
const SCHEMA: &str = "schema.bin";
const WEIGHTS: &str = "weights.bin";
const CALIBRATION: &str = "calibration.toml";
const FUSION: &str = "fusion.toml";

/// Kinds of checkpoint, so that one file cannot pass for another.
const SCHEMA_KIND: &str = "mtl schema";
const WEIGHTS_KIND: &str = "mtl weights";

/// A file's name and what it will hold.
type Written<'a> = (&'a str, &'a [u8]);

/// A file's name, and where it lies already.
type There<'a> = (&'a str, &'a Path);

pub(crate) fn write_model(
    folder: &Path,
    spec: &ModelSpec,
    schema: &Schema,
    params: &Params<f32>,
    calibration: &Calibration,
    (more, there): (&[Written<'_>], &[There<'_>]),
) -> Result<()> {
    prepare_folder(folder)?;
    let text = toml::to_string(spec).map_err(|error| in_file(&folder.join(SPEC), error))?;
    let schema = checkpoint::encode(SCHEMA_KIND, schema);
    let weights = checkpoint::encode(WEIGHTS_KIND, &SavedParams::of(params));
    let mut files = vec![(SPEC, text.as_bytes()), (SCHEMA, &schema[..]), (WEIGHTS, &weights[..])];
    let calibration = calibration_text(folder, calibration)?;
    if let Some(text) = &calibration {
        files.push((CALIBRATION, text.as_bytes()));
    }
    files.extend_from_slice(more);
    write_folder_of(folder, &files, there)
}

pub(crate) fn read_description(folder: &Path) -> Result<(ModelSpec, Schema)> {
    let path = folder.join(SPEC);
    let text = String::from_utf8(read(&path)?).map_err(|error| in_file(&path, error))?;
    let spec = toml::from_str(&text).map_err(|error| in_file(&path, error.message()))?;
    let path = folder.join(SCHEMA);
    let schema = checkpoint::decode(SCHEMA_KIND, &read(&path)?);
    Ok((spec, schema.map_err(|error| in_file(&path, error))?))
}

pub(crate) fn read_weights(folder: &Path, params: &mut Params<f32>) -> Result<()> {
    let path = folder.join(WEIGHTS);
    let saved: Result<SavedParams, _> = checkpoint::decode(WEIGHTS_KIND, &read(&path)?);
    let restored = saved.and_then(|saved| saved.restore(params.layout()));
    *params = restored.map_err(|error| in_file(&path, error))?;
    Ok(())
}

pub(crate) fn read_calibration(folder: &Path, spec: &ModelSpec) -> Result<Calibration> {
    let path = folder.join(CALIBRATION);
    if !path.exists() {
        return Ok(Calibration::default());
    }
    let text = String::from_utf8(read(&path)?).map_err(|error| in_file(&path, error))?;
    let calibration: Calibration =
        toml::from_str(&text).map_err(|error| in_file(&path, error.message()))?;
    calibration.check(spec).map_err(|error| in_file(&path, error))?;
    Ok(calibration)
}

/// Replaces the one file that a calibration is.
pub(crate) fn write_calibration(folder: &Path, calibration: &Calibration) -> Result<()> {
    let path = folder.join(CALIBRATION);
    match calibration_text(folder, calibration)? {
        Some(text) => {
            checkpoint::write_atomic(&path, text.as_bytes()).map_err(|e| in_file(&path, e))
        }
        None if path.exists() => fs::remove_file(&path).map_err(|error| in_file(&path, error)),
        None => Ok(()),
    }
}

/// The fusion formula in a model's folder, if there is one.
///
/// # Errors
/// [`Error::Folder`] for one that cannot be read or does not fit the model.
pub fn read_fusion(folder: &Path, model: &Model) -> Result<Option<Fusion>> {
    let path = folder.join(FUSION);
    if !path.exists() {
        return Ok(None);
    }
    let text = String::from_utf8(read(&path)?).map_err(|error| in_file(&path, error))?;
    let fusion: Fusion = toml::from_str(&text).map_err(|error| in_file(&path, error.message()))?;
    fusion.check(model).map_err(|error| in_file(&path, error))?;
    Ok(Some(fusion))
}

/// Writes a fusion formula into a model's folder; no other file changes.
///
/// # Errors
/// [`Error::Folder`], naming the file.
pub fn write_fusion(folder: &Path, fusion: &Fusion) -> Result<()> {
    let path = folder.join(FUSION);
    let text = toml::to_string(fusion).map_err(|error| in_file(&path, error))?;
    checkpoint::write_atomic(&path, text.as_bytes()).map_err(|error| in_file(&path, error))
}

fn calibration_text(folder: &Path, calibration: &Calibration) -> Result<Option<String>> {
    if calibration.is_empty() {
        return Ok(None);
    }
    let text = toml::to_string(calibration);
    text.map(Some).map_err(|error| in_file(&folder.join(CALIBRATION), error))
}

/// Checks that a model can be written to `folder`, and makes the folders above it: worth asking
/// before hours of training.
///
/// A model replaces a model; it does not replace what else a user may keep in a folder.
///
/// # Errors
/// [`Error::Folder`] if `folder` is a file, has files but no model, or cannot be written.
pub fn prepare_folder(folder: &Path) -> Result<()> {
    if folder.file_name().is_none() {
        return Err(in_file(folder, "is no name for a new folder, expected one"));
    }
    if folder.exists() && !folder.is_dir() {
        return Err(in_file(folder, "is a file, expected a folder or nothing"));
    }
    let has_files = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if has_files && !folder.join(SPEC).exists() {
        let message = format!("has files but no `{SPEC}`, expected a model to replace, or nothing");
        return Err(in_file(folder, message));
    }
    let parent = parent(folder);
    let writable =
        fs::create_dir_all(&parent).and_then(|()| tempfile::tempfile_in(&parent).map(drop));
    writable.map_err(|error| in_file(folder, format!("cannot be written: {error}")))
}

/// Writes files into a new folder beside `folder`, then puts it in its place: a reader sees the
/// old folder or the new one, whole.
///
/// # Errors
/// [`Error::Folder`], naming the file; `folder` is then as it was.
pub fn write_folder(folder: &Path, files: &[(&str, &[u8])]) -> Result<()> {
    write_folder_of(folder, files, &[])
}

/// As [`write_folder`], with files that lie elsewhere: by name, and where they are. They stay there too.
fn write_folder_of(folder: &Path, files: &[Written<'_>], there: &[There<'_>]) -> Result<()> {
    let parent = parent(folder);
    fs::create_dir_all(&parent).map_err(|error| in_file(&parent, error))?;
    if folder.exists() && !folder.is_dir() {
        return Err(in_file(folder, "is a file, expected a folder or nothing"));
    }
    let made = tempfile::Builder::new().prefix(".mtl-").tempdir_in(&parent);
    let new = made.map_err(|error| in_file(&parent, error))?;
    for (name, content) in files {
        let path = new.path().join(name);
        let written = fs::File::create(&path).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
        written.map_err(|error| in_file(&path, error))?;
    }
    for (name, from) in there {
        // A link costs neither time nor room; not every file system has them.
        let path = new.path().join(name);
        let put = fs::hard_link(from, &path).or_else(|_| {
            fs::copy(from, &path)?;
            fs::File::open(&path)?.sync_all()
        });
        put.map_err(|error| in_file(from, error))?;
    }
    readable(new.path()).map_err(|error| in_file(folder, error))?;
    let new = new.keep();
    let placed = place(&new, folder, &parent);
    if placed.is_err() {
        let _ = fs::remove_dir_all(&new); // the error that matters is the one being returned
    }
    placed.map_err(|error| in_file(folder, error))
}

fn parent(folder: &Path) -> PathBuf {
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Moves `new` to `folder`; an older folder steps aside first and goes last.
fn place(new: &Path, folder: &Path, parent: &Path) -> std::io::Result<()> {
    if !folder.exists() {
        return fs::rename(new, folder);
    }
    let aside = tempfile::Builder::new().prefix(".mtl-old-").tempdir_in(parent)?;
    let old = aside.path().join("model");
    fs::rename(folder, &old)?;
    if let Err(error) = fs::rename(new, folder) {
        fs::rename(&old, folder)?;
        return Err(error);
    }
    Ok(()) // `aside` removes the old folder
}

/// A temporary folder is its owner's alone; a model is for others to read as any folder is.
#[cfg(unix)]
fn readable(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn readable(_: &Path) -> std::io::Result<()> {
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| in_file(path, error))
}

fn in_file(path: &Path, message: impl ToString) -> Error {
    Error::Folder { file: path.display().to_string(), message: message.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_model_is_replaced() -> Result<(), Box<dyn std::error::Error>> {
        let home = tempfile::tempdir()?;
        let folder = home.path().join("thesis");
        prepare_folder(&folder)?; // nothing there yet
        fs::create_dir(&folder)?;
        prepare_folder(&folder)?; // empty
        fs::write(folder.join("chapter-1"), "")?;
        let error = prepare_folder(&folder).expect_err("no model is in it");
        assert!(error.to_string().contains("has files but no `model.toml`"), "{error}");
        fs::write(folder.join(SPEC), "")?;
        prepare_folder(&folder)?;
        let under_a_file = folder.join("chapter-1/model");
        let error = prepare_folder(&under_a_file).expect_err("a file is above it");
        assert!(error.to_string().contains("cannot be written"), "{error}");
        assert!(prepare_folder(Path::new("..")).is_err());
        Ok(())
    }

    #[test]
    fn a_folder_is_replaced_whole() -> Result<(), Box<dyn std::error::Error>> {
        let home = tempfile::tempdir()?;
        let folder = home.path().join("deep/model");
        write_folder(&folder, &[("a", b"1"), ("b", b"2")])?;
        write_folder(&folder, &[("a", b"3")])?;
        assert_eq!(fs::read(folder.join("a"))?, b"3");
        assert!(!folder.join("b").exists());
        let left: Vec<_> = fs::read_dir(home.path().join("deep"))?.collect();
        assert_eq!(left.len(), 1, "no temporary folder is left");
        let file = home.path().join("file");
        fs::write(&file, "")?;
        let error = write_folder(&file, &[]).expect_err("a file is in the way");
        assert!(error.to_string().ends_with("is a file, expected a folder or nothing"));
        Ok(())
    }

    #[test]
    fn a_file_that_lies_elsewhere_is_in_the_folder_too() -> Result<(), Box<dyn std::error::Error>> {
        let home = tempfile::tempdir()?;
        let (folder, large) = (home.path().join("model"), home.path().join("large"));
        fs::write(&large, b"4")?;
        write_folder_of(&folder, &[("a", b"5")], &[("state", &large)])?;
        assert_eq!(fs::read(folder.join("state"))?, b"4");
        fs::remove_file(&large)?;
        assert_eq!(fs::read(folder.join("state"))?, b"4");
        let error = write_folder_of(&folder, &[], &[("state", &large)]).expect_err("it is gone");
        assert!(error.to_string().contains("large: "), "{error}");
        assert_eq!(fs::read(folder.join("a"))?, b"5", "the folder is as it was");
        Ok(())
    }
}
