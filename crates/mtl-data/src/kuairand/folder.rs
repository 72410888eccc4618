//! The files of a folder.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Where the files are.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) log: Vec<PathBuf>,
    pub(super) users: PathBuf,
    pub(super) videos: PathBuf,
}

impl Folder {
    /// Finds them in the folder, or in `data` inside it.
    pub(super) fn find(folder: &Path) -> Result<Self> {
        let mut names = files(folder)?;
        let inside = folder.join("data");
        let mut folder = folder;
        if starting(&names, "log_standard").is_empty() && inside.is_dir() {
            (names, folder) = (files(&inside)?, &inside);
        }
        let paths = |prefix| -> Vec<PathBuf> {
            starting(&names, prefix).into_iter().map(|name| folder.join(name)).collect()
        };
        let log = paths("log_standard");
        if log.is_empty() {
            return Err(missing(folder, "log_standard"));
        }
        let one = |prefix| {
            let mut found = paths(prefix);
            match (found.pop(), found.pop()) {
                (Some(path), None) => Ok(path),
                (None, _) => Err(missing(folder, prefix)),
                (Some(path), Some(other)) => {
                    let [path, other] = [path, other].map(|path| name_of(&path));
                    let problem = format!("there are {other} and {path}, expected one {prefix}*");
                    Err(Error::format(folder, problem))
                }
            }
        };
        Ok(Self { users: one("user_features")?, videos: one("video_features_basic")?, log })
    }
}

fn files(folder: &Path) -> Result<Vec<String>> {
    let io = |error| Error::io(folder, error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        names.push(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// Names such as `prefix….csv` or `prefix….csv.gz`; of a file that is there in both forms, the plain
/// one.
fn starting<'a>(names: &'a [String], prefix: &str) -> Vec<&'a str> {
    let is_csv = |name: &&str| name.ends_with(".csv") || name.ends_with(".csv.gz");
    let names = names.iter().map(String::as_str);
    let mut found: Vec<&str> =
        names.filter(|name| name.starts_with(prefix)).filter(is_csv).collect();
    let plain: Vec<&str> = found.iter().copied().filter(|name| name.ends_with(".csv")).collect();
    found.retain(|name| name.strip_suffix(".gz").is_none_or(|name| !plain.contains(&name)));
    found
}

fn missing(folder: &Path, prefix: &str) -> Error {
    let expected = format!("{prefix}*.csv or {prefix}*.csv.gz, as KuaiRand is published");
    Error::format(folder, format!("there is no such file in it, expected {expected}"))
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expected: std::result::Result<&[&str], &str>) {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = Folder::find(folder.path());
        let shown = folder.path().display().to_string();
        let relative = |path: PathBuf| path.display().to_string().replace(&format!("{shown}/"), "");
        let found = found.map(|found| {
            found
                .log
                .into_iter()
                .chain([found.users, found.videos])
                .map(relative)
                .collect::<Vec<_>>()
        });
        let found = found.map_err(|error| error.to_string().replace(&shown, "DIR"));
        let expected = expected.map(|paths| paths.iter().map(|path| path.to_string()).collect());
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn files_are_found_by_the_beginning_of_their_names() {
        let (users, videos) = ("user_features_1k.csv", "video_features_basic_1k.csv.gz");
        let logs = ["log_standard_4_08_1k.csv", "log_standard_4_22_1k.csv.gz"];
        let others = ["log_random_4_22_1k.csv", "video_features_statistic_1k.csv", "README.md"];
        let all = [users, videos, logs[1], logs[0], others[0], others[1], others[2]];
        check(&all, Ok(&[logs[0], logs[1], users, videos]));
        let plain = ["log_standard.csv", "user_features.csv", "video_features_basic.csv"];
        check(&plain, Ok(&plain));
        let inside = plain.map(|name| format!("data/{name}"));
        let inside = inside.each_ref().map(String::as_str);
        check(&inside, Ok(&inside));
    }

    #[test]
    fn a_file_in_both_forms_is_read_once() {
        let plain = ["log_standard.csv", "user_features.csv", "video_features_basic.csv"];
        check(&[plain[0], "log_standard.csv.gz", plain[1], plain[2]], Ok(&plain));
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        let expected = "DIR: there is no such file in it, expected log_standard*.csv or \
                        log_standard*.csv.gz, as KuaiRand is published";
        check(&["user_features.csv"], Err(expected));
        let expected = "DIR: there is no such file in it, expected video_features_basic*.csv or \
                        video_features_basic*.csv.gz, as KuaiRand is published";
        check(&["log_standard.csv", "user_features.csv"], Err(expected));
        let two = ["log_standard.csv", "user_features_1k.csv", "user_features_pure.csv"];
        let expected = "DIR: there are user_features_1k.csv and user_features_pure.csv, expected \
                        one user_features*";
        check(&two, Err(expected));
        let error = Folder::find(Path::new("/no/such/folder")).unwrap_err().to_string();
        assert!(error.starts_with("/no/such/folder: "), "{error}");
    }
}
