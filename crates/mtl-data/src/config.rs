//! What a user writes about data.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use mtl_feature::Key;
use serde::{Deserialize, Serialize};

use crate::pattern::{in_folder, is_pattern, matching};
use crate::{Error, ReadOptions, Result, STREAM_BLOCK_ROWS};

/// The `[data]` table of a configuration.
///
/// | key | default | purpose |
/// |---|---|---|
/// | `train` | – | a file or a list of files, in order; a name may be a pattern: see [`Files`] |
/// | `validation`, `test` | none | files likewise; not beside `split` |
/// | `split` | none | how to part the `train` files: see [`Split`] |
/// | `group` | none | the column by which GAUC groups rows |
/// | `weight` | none | the column of the rows' weights |
/// | `missing` | `[""]` | values that stand for a missing one, beside nulls |
/// | `delimiter` | `","`, or a tab in `.tsv` | what separates fields (CSV) |
/// | `trim` | false | whether blanks around a field are no part of it (CSV) |
/// | `stream` | false | whether rows stay in their files and are read again in each pass |
/// | `held_rows` | 1,048,576 | with `stream`, the most rows of validation or test that are held in memory |
/// | `columns` | the header | names of the columns of files without a header (CSV) |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DataConfig {
    /// The files to train on, or to split.
    pub train: Files,
    /// The files to validate on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Files>,
    /// The files to test on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Files>,
    /// How the `train` files are split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// The column by which GAUC groups rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The column of the rows' weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Values that stand for a missing one.
    #[serde(default = "empty_text")]
    pub missing: Vec<String>,
    /// What separates the fields of a CSV file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Whether blanks around fields are no part of them.
    #[serde(default)]
    pub trim: bool,
    /// The columns' names in files without a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// Whether rows stay in their files: see [`Loader::open`](crate::Loader::open).
    #[serde(default)]
    pub stream: bool,
    /// The most validation or test rows of a stream that are held in memory all the same.
    #[serde(default = "held_rows")]
    pub held_rows: usize,
}

/// As many as a block of a stream.
fn held_rows() -> usize {
    STREAM_BLOCK_ROWS
}

fn empty_text() -> Vec<String> {
    vec![String::new()]
}

/// One file or several.
///
/// In a name `*` stands for any characters but a slash, `?` for one, `[0-9]` for one of those, `**` for
/// any folders; the files that fit are read in the order of their names. At least one must fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a file name or a list of file names")]
pub enum Files {
    /// One file.
    One(PathBuf),
    /// Several files, one after the other.
    Many(Vec<PathBuf>),
}

impl Files {
    /// The files, in order.
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            Files::One(path) => std::slice::from_ref(path),
            Files::Many(paths) => paths,
        }
    }

    /// The files, patterns replaced by what fits them.
    fn expanded(&self) -> Result<Self> {
        let mut paths = Vec::new();
        for path in self.paths() {
            if is_pattern(path) {
                paths.extend(matching(path)?);
            } else {
                paths.push(path.clone());
            }
        }
        Ok(Files::Many(paths))
    }

    fn paths_mut(&mut self) -> &mut [PathBuf] {
        match self {
            Files::One(path) => std::slice::from_mut(path),
            Files::Many(paths) => paths,
        }
    }
}

/// How rows are parted into training, validation and test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Split {
    /// By a hash of the seed and the row's place among all rows: the same whatever the threads.
    Random {
        /// Share of the rows that validate, .1 by default.
        #[serde(default = "tenth")]
        validation: f64,
        /// Share of the rows that test, .1 by default.
        #[serde(default = "tenth")]
        test: f64,
        /// Another seed is another split; 0 by default.
        #[serde(default)]
        seed: u64,
    },
    /// By a column, such as a date: rows below `validation_from` train, rows from `test_from` on
    /// test, and those between validate. Integers are compared as such, text by its bytes.
    Column {
        /// The column.
        column: String,
        /// The first value of validation; without it, no row validates.
        #[serde(default)]
        validation_from: Option<Bound>,
        /// The first value of test; without it, no row tests.
        #[serde(default)]
        test_from: Option<Bound>,
    },
}

fn tenth() -> f64 {
    0.1
}

/// A value to compare a column with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "an integer or a text in quotes")]
pub enum Bound {
    /// An integer.
    Integer(i64),
    /// A text; one that is an integer is compared as an integer.
    Text(String),
}

impl Bound {
    pub(crate) fn key(&self) -> Key {
        match self {
            Bound::Integer(value) => Key::Integer(*value),
            Bound::Text(text) => Key::from_text(text),
        }
    }
}

impl DataConfig {
    /// Training on one file, all else at its default.
    pub fn new(train: impl Into<PathBuf>) -> Self {
        Self {
            train: Files::One(train.into()),
            validation: None,
            test: None,
            split: None,
            group: None,
            weight: None,
            missing: empty_text(),
            delimiter: None,
            trim: false,
            columns: None,
            stream: false,
            held_rows: held_rows(),
        }
    }

    /// Parts the training files.
    pub fn split(mut self, split: Split) -> Self {
        self.split = Some(split);
        self
    }

    /// Takes file names that are not absolute as relative to a folder: that of the configuration.
    pub fn relative_to(mut self, folder: &Path) -> Self {
        let validation = self.validation.as_mut().into_iter();
        let test = self.test.as_mut().into_iter();
        for files in std::iter::once(&mut self.train).chain(validation).chain(test) {
            files.paths_mut().iter_mut().for_each(|path| *path = in_folder(folder, path));
        }
        self
    }

    /// How its files are read.
    ///
    /// # Errors
    /// [`Error::Setting`] for a delimiter that is not one byte, or column names that are wrong.
    pub fn read_options(&self) -> Result<ReadOptions> {
        let delimiter = match self.delimiter {
            Some(character) if !character.is_ascii() || "\"\r\n".contains(character) => {
                let found = format!("`{}`", character.escape_debug());
                return Err(Error::setting("delimiter", found, "one ASCII character, no quote"));
            }
            delimiter => delimiter.map(|character| character as u8),
        };
        if self.columns.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::setting("columns", "empty", "the name of every column"));
        }
        Ok(ReadOptions {
            delimiter,
            trim: self.trim,
            columns: self.columns.clone(),
            missing: self.missing.clone(),
            ..ReadOptions::default()
        })
    }

    /// The configuration with files in place of patterns, each of them once.
    pub(crate) fn expanded(&self) -> Result<Self> {
        let expand = |files: &Option<Files>| files.as_ref().map(Files::expanded).transpose();
        let config = Self {
            train: self.train.expanded()?,
            validation: expand(&self.validation)?,
            test: expand(&self.test)?,
            ..self.clone()
        };
        config.check_distinct()?;
        Ok(config)
    }

    /// Whether each file is read once. A row that trains and validates, or that a random split parts
    /// from its double, makes every figure too good; to count rows twice there is `weight`.
    fn check_distinct(&self) -> Result<()> {
        let others = [("validation", &self.validation), ("test", &self.test)];
        let others = others.into_iter().filter_map(|(key, files)| Some((key, files.as_ref()?)));
        let mut seen = HashMap::new();
        for (key, files) in std::iter::once(("train", &self.train)).chain(others) {
            for path in files.paths() {
                // A file that is not there is told by its reader.
                let file = path.canonicalize().unwrap_or_else(|_| path.clone());
                let Some((before, spelled)) = seen.insert(file, (key, path)) else { continue };
                let place = match before == key {
                    true => format!("twice in `{key}`"),
                    false => format!("in `{before}` and in `{key}`"),
                };
                let other = match spelled == path {
                    true => String::new(),
                    false => format!(" (the other time as {})", spelled.display()),
                };
                let problem = format!("is {place} of [data]{other}, expected each file once");
                return Err(Error::format(path, problem));
            }
        }
        Ok(())
    }

    /// Checks what needs no file.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that cannot be, or not together.
    pub fn check(&self) -> Result<()> {
        if self.train.paths().is_empty() {
            return Err(Error::setting("train", "empty", "at least one file"));
        }
        if self.split.is_some() && (self.validation.is_some() || self.test.is_some()) {
            let expected = "either it or files for `validation` and `test`";
            return Err(Error::setting("split", "given beside files", expected));
        }
        match &self.split {
            None => Ok(()),
            Some(Split::Random { validation, test, .. }) => check_shares(*validation, *test),
            Some(Split::Column { validation_from, test_from, .. }) => {
                check_bounds(validation_from.as_ref(), test_from.as_ref())
            }
        }
    }
}

fn check_shares(validation: f64, test: f64) -> Result<()> {
    const EXPECTED: &str = "a share from 0 to 1, both together below 1";
    for (key, share) in [("split.validation", validation), ("split.test", test)] {
        if !(0.0..1.0).contains(&share) {
            return Err(Error::setting(key, share, EXPECTED));
        }
    }
    if validation + test >= 1.0 {
        return Err(Error::setting("split.test", test, EXPECTED));
    }
    Ok(())
}

fn check_bounds(validation: Option<&Bound>, test: Option<&Bound>) -> Result<()> {
    match (validation.map(Bound::key), test.map(Bound::key)) {
        (None, None) => {
            let expected = "at least one of them";
            Err(Error::setting("split.validation_from and test_from", "not given", expected))
        }
        (Some(validation), Some(test)) => {
            let is_text = |key: &Key| matches!(key, Key::Text(_));
            match is_text(&validation) == is_text(&test) && validation <= test {
                true => Ok(()),
                false => {
                    let expected = format!("a value from `{validation}` on, as `validation_from`");
                    Err(Error::setting("split.test_from", format!("`{test}`"), &expected))
                }
            }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(toml: &str, expected: &str) {
        let config: std::result::Result<DataConfig, _> = toml::from_str(toml);
        let found = match config {
            Err(error) => error.message().to_owned(),
            Ok(config) => match config.check().and_then(|()| config.read_options()) {
                Ok(_) => "right".to_owned(),
                Err(error) => error.to_string(),
            },
        };
        assert!(found.starts_with(expected), "{toml}\nfound    {found}\nexpected {expected}");
    }

    #[test]
    fn whole_configurations() {
        check("train = 'a.csv'", "right");
        check("train = ['a.csv', 'b.csv.gz']\ntest = 'c.parquet'\ndelimiter = '|'", "right");
        check("train = 'a.csv'\nsplit = {by = 'random', validation = 0, seed = 3}", "right");
        let split = "split = {by = 'column', column = 'date', validation_from = 20220506";
        check(&format!("train = 'a'\n{split}, test_from = '20220507'}}"), "right");
    }

    #[test]
    fn what_is_wrong_is_named() {
        check("trian = 'a.csv'", "unknown field `trian`, expected one of `train`");
        check("train = 3", "a file name or a list of file names");
        check("train = []", "[data] `train` is empty, expected at least one file");
        check("train = 'a'\ndelimiter = '\"'", "[data] `delimiter` is `\\\"`, expected one ASCII");
        check("train = 'a'\ncolumns = []", "[data] `columns` is empty");
        let split = |inside: &str| format!("train = 'a'\nsplit = {{{inside}}}");
        check(&split("by = 'hash'"), "unknown variant `hash`");
        check(&split("by = 'random', tset = 0.1"), "unknown field `tset`");
        check(&split("by = 'random', test = 1.5"), "[data] `split.test` is 1.5, expected a share");
        check(&split("by = 'random', test = 0.6, validation = 0.4"), "[data] `split.test` is 0.6");
        check(
            &split("by = 'column', column = 'd'"),
            "[data] `split.validation_from and test_from`",
        );
        let falls = "by = 'column', column = 'd', validation_from = 5, test_from = 4";
        check(&split(falls), "[data] `split.test_from` is `4`, expected a value from `5` on");
        let mixed = "by = 'column', column = 'd', validation_from = 5, test_from = 'x'";
        check(&split(mixed), "[data] `split.test_from` is `x`");
        let both = "train = 'a'\ntest = 'b'\nsplit = {by = 'random'}";
        check(both, "[data] `split` is given beside files");
    }
}
