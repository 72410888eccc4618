//! Names of files with `*`, `?` and `[…]` in them, as a shell reads them.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::{Error, Result};

/// A pattern's `*` and `?` stand for anything but a slash, and not for the dot of a hidden file.
const AS_A_SHELL: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Whether a name is a pattern: it has a character of patterns and is not itself a file.
pub(crate) fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '[']) && !path.exists()
}

/// A name in a folder; characters of patterns in the folder's name are no pattern.
pub(crate) fn in_folder(folder: &Path, path: &Path) -> PathBuf {
    let plain = folder.join(path);
    match is_pattern(path) && path.is_relative() && !plain.exists() {
        true => PathBuf::from(Pattern::escape(&folder.to_string_lossy())).join(path),
        false => plain,
    }
}

/// The files whose names fit a pattern, in the order of their names.
///
/// # Errors
/// If there is none, the pattern is none, or a folder cannot be read.
pub(crate) fn matching(pattern: &Path) -> Result<Vec<PathBuf>> {
    let text = pattern.to_string_lossy();
    let found = glob::glob_with(&text, AS_A_SHELL).map_err(|error| {
        Error::format(pattern, format!("is no pattern of names: {}", error.msg))
    })?;
    let mut paths = Vec::new();
    for path in found {
        let path = path.map_err(|error| {
            let path = error.path().to_owned();
            Error::io(&path, error.into())
        })?;
        if path.is_file() {
            paths.push(path);
        }
    }
    match paths.is_empty() {
        true => Err(Error::format(pattern, "no file's name fits this, expected at least one")),
        false => Ok(paths),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_files_that_fit_it_in_order() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a [b]*"); // characters of patterns in a folder's name
        std::fs::create_dir_all(folder.join("old.parquet")).unwrap();
        for name in ["day2.parquet", "day10.parquet", "day1.csv", ".day3.parquet", "x[1].csv"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let check = |pattern: &str, expected: &[&str]| {
            let pattern = in_folder(&folder, Path::new(pattern));
            let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
            let found = matching(&pattern).unwrap_or_default();
            let names: Vec<String> = found.iter().map(name).collect();
            assert_eq!(names, expected, "{}", pattern.display());
        };
        check("*.parquet", &["day10.parquet", "day2.parquet"]);
        check("day?.*", &["day1.csv", "day2.parquet"]);
        check("day[12].parquet", &["day2.parquet"]);
        check("../*/day1.csv", &["day1.csv"]);
        check("*.pq", &[]);
        let plain = in_folder(&folder, Path::new("x[1].csv"));
        assert!(!is_pattern(&plain), "a file of that very name");
    }
}
