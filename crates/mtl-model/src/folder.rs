//! A model as a folder, written all or nothing.
//!
//! | file | holds |
//! |---|---|
//! | `model.toml` | the specification: architecture, settings, tasks; and `[files]`, hashes of the two below |
//! | `schema.bin` | the fitted schema: vocabularies, means, quantiles |
//! | `weights.bin` | every parameter by path, with shapes |
//! | `calibration.toml` | what is done to outputs, if anything is, and the hash of the weights whose outputs they are |
//! | `fusion.toml` | the formula that ranks by several outputs, if there is one |
//!
//! Whoever trains adds its own files: the configuration and `metrics.json`.
//!
//! Files of two models may have the same shapes, and fit each other in all but what they mean: a
//! vocabulary of one run numbers the rows of another's tables wrongly, and every score is a number. So a
//! folder whose files are not of one model is not loaded. The hashes are in `model.toml`, not in
//! `weights.bin`: weights that are equal stay equal files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use mtl_feature::Schema;
use mtl_nn::Params;
use mtl_nn::checkpoint::{self, SavedParams};
use serde::{Deserialize, Serialize};

use crate::{Calibration, Error, Fusion, Model, ModelSpec, Result};

const SPEC: &str = "model.toml";
const SCHEMA: &str = "schema.bin";
const WEIGHTS: &str = "weights.bin";
/// What is fitted to a model's probabilities, in its folder.
pub const CALIBRATION_FILE: &str = "calibration.toml";
/// The formula that ranks by a model's outputs, in its folder.
pub const FUSION_FILE: &str = "fusion.toml";

/// The files of a model's folder that are the model.
pub const MODEL_FILES: [&str; 5] = [SPEC, SCHEMA, WEIGHTS, CALIBRATION_FILE, FUSION_FILE];

/// Kinds of checkpoint, so that one file cannot pass for another.
const SCHEMA_KIND: &str = "mtl schema";
const WEIGHTS_KIND: &str = "mtl weights";

/// The part of `model.toml` that says which other files are its own, by their hashes.
#[derive(Serialize, Deserialize)]
struct Manifest {
    files: Option<Files>,
}

#[derive(Serialize, Deserialize)]
struct Files {
    schema: String,
    weights: String,
}

/// `calibration.toml`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedCalibration {
    /// The hash of the weights.
    weights: Option<String>,
    #[serde(default)]
    outputs: Calibration,
}

/// A specification and a schema that are of one model, and the hash of the weights that are too.
pub(crate) struct Description {
    pub(crate) spec: ModelSpec,
    pub(crate) schema: Schema,
    pub(crate) weights: String,
}

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
    let schema = checkpoint::encode(SCHEMA_KIND, schema);
    let weights = checkpoint::encode(WEIGHTS_KIND, &SavedParams::of(params));
    let own = Files { schema: hash(&schema), weights: hash(&weights) };
    let calibration = calibration_text(folder, calibration, &own.weights)?;
    let in_spec = |error| in_file(&folder.join(SPEC), error);
    let mut text = toml::to_string(spec).map_err(in_spec)?;
    text.push('\n');
    text.push_str(&toml::to_string(&Manifest { files: Some(own) }).map_err(in_spec)?);
    let mut files = vec![(SPEC, text.as_bytes()), (SCHEMA, &schema[..]), (WEIGHTS, &weights[..])];
    if let Some(text) = &calibration {
        files.push((CALIBRATION_FILE, text.as_bytes()));
    }
    files.extend_from_slice(more);
    write_folder_of(folder, &files, there)
}

/// Reads `model.toml` and `schema.bin`.
pub(crate) fn read_description(folder: &Path) -> Result<Description> {
    let path = folder.join(SPEC);
    let text = String::from_utf8(read(&path)?).map_err(|error| in_file(&path, error))?;
    let spec = toml::from_str(&text).map_err(|error| in_file(&path, error.message()))?;
    let manifest: Manifest =
        toml::from_str(&text).map_err(|error| in_file(&path, error.message()))?;
    let Some(files) = manifest.files else {
        let expected = "expected [files] with the hashes of `schema.bin` and `weights.bin`";
        let message = format!("was written by another version, {expected}: train the model again");
        return Err(in_file(&path, message));
    };
    let path = folder.join(SCHEMA);
    let bytes = read(&path)?;
    let schema = checkpoint::decode(SCHEMA_KIND, &bytes);
    let schema = schema.map_err(|error| in_file(&path, error))?;
    check_own(folder, SCHEMA, &hash(&bytes), &files.schema)?;
    Ok(Description { spec, schema, weights: files.weights })
}

/// Reads `weights.bin`, which must have that hash.
pub(crate) fn read_weights(folder: &Path, expected: &str, params: &mut Params<f32>) -> Result<()> {
    let path = folder.join(WEIGHTS);
    let bytes = read(&path)?;
    let saved: SavedParams =
        checkpoint::decode(WEIGHTS_KIND, &bytes).map_err(|error| in_file(&path, error))?;
    check_own(folder, WEIGHTS, &hash(&bytes), expected)?;
    drop(bytes);
    *params = saved.restore(params.layout()).map_err(|error| in_file(&path, error))?;
    Ok(())
}

/// Whether a file is the one that `model.toml` beside it names.
fn check_own(folder: &Path, name: &str, found: &str, expected: &str) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let (file, spec) = (folder.join(name), folder.join(SPEC));
    let message = format!(
        "this and {} are not of one model: its hash is {found}, expected {expected}; copy a model's \
         folder whole",
        spec.display()
    );
    Err(in_file(&file, message))
}

/// Reads `calibration.toml`, if there is one, which must be of the weights of that hash.
pub(crate) fn read_calibration(
    folder: &Path,
    spec: &ModelSpec,
    weights: &str,
) -> Result<Calibration> {
    let path = folder.join(CALIBRATION_FILE);
    if !path.exists() {
        return Ok(Calibration::default());
    }
    let text = String::from_utf8(read(&path)?).map_err(|error| in_file(&path, error))?;
    let saved: SavedCalibration =
        toml::from_str(&text).map_err(|error| in_file(&path, error.message()))?;
    let again = "run `mtl calibrate` again, or remove the file";
    let Some(of) = saved.weights else {
        let message = format!("no `weights`, expected the hash of {WEIGHTS}: {again}");
        return Err(in_file(&path, message));
    };
    if of != weights {
        let own = folder.join(WEIGHTS);
        let message = format!(
            "is a calibration of other weights (`weights` is {of}), expected {weights}, those of \
             {}: {again}",
            own.display()
        );
        return Err(in_file(&path, message));
    }
    if saved.outputs.is_empty() {
        let message = format!("calibrates no output, expected some in [outputs]: {again}");
        return Err(in_file(&path, message));
    }
    saved.outputs.check(spec).map_err(|error| in_file(&path, error))?;
    Ok(saved.outputs)
}

/// Replaces the one file that a calibration is. `weights` is the hash of those whose outputs it is of,
/// if they were read from a folder; else they are the ones that are there.
pub(crate) fn write_calibration(
    folder: &Path,
    calibration: &Calibration,
    weights: Option<&str>,
) -> Result<()> {
    let present = hash(&read(&folder.join(WEIGHTS))?);
    if weights.is_some_and(|weights| weights != present) {
        let message = "was replaced since it was read, expected the weights that were calibrated: \
                       run `mtl calibrate` again";
        return Err(in_file(&folder.join(WEIGHTS), message));
    }
    let path = folder.join(CALIBRATION_FILE);
    match calibration_text(folder, calibration, &present)? {
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
    let path = folder.join(FUSION_FILE);
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
    let path = folder.join(FUSION_FILE);
    let text = toml::to_string(fusion).map_err(|error| in_file(&path, error))?;
    checkpoint::write_atomic(&path, text.as_bytes()).map_err(|error| in_file(&path, error))
}

fn calibration_text(
    folder: &Path,
    calibration: &Calibration,
    weights: &str,
) -> Result<Option<String>> {
    if calibration.is_empty() {
        return Ok(None);
    }
    let weights = Some(weights.to_owned());
    let text = toml::to_string(&SavedCalibration { weights, outputs: calibration.clone() });
    text.map(Some).map_err(|error| in_file(&folder.join(CALIBRATION_FILE), error))
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
    if has_files && !is_model(folder) {
        let message = format!("has files but no `{SPEC}`, expected a model to replace, or nothing");
        return Err(in_file(folder, message));
    }
    let parent = parent(folder);
    let writable =
        fs::create_dir_all(&parent).and_then(|()| tempfile::tempfile_in(&parent).map(drop));
    writable.map_err(|error| in_file(folder, format!("cannot be written: {error}")))
}

/// Whether a folder is a model's.
pub fn is_model(folder: &Path) -> bool {
    folder.join(SPEC).exists()
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
        // A name may lie in a folder of the folder's.
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.map_err(|error| in_file(&path, error))?;
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

/// What a file is known by in another one.
fn hash(bytes: &[u8]) -> String {
    format!("{:016x}", checkpoint::checksum(bytes))
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
        write_folder_of(&folder, &[("a", b"5")], &[("state", &large), ("b/state", &large)])?;
        assert_eq!(fs::read(folder.join("state"))?, b"4");
        assert_eq!(fs::read(folder.join("b/state"))?, b"4");
        fs::remove_file(&large)?;
        assert_eq!(fs::read(folder.join("state"))?, b"4");
        let error = write_folder_of(&folder, &[], &[("state", &large)]).expect_err("it is gone");
        assert!(error.to_string().contains("large: "), "{error}");
        assert_eq!(fs::read(folder.join("a"))?, b"5", "the folder is as it was");
        Ok(())
    }
}
