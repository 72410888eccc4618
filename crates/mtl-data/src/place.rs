//! Where a row came from, for messages about rows that were found wrong after reading.

use std::path::{Path, PathBuf};

use crate::load::{Columns, for_each_chunk};
use crate::split::{Part, rows_of};
use crate::{DataConfig, Files, ReadOptions, Reader, Result, Split};

/// A row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The row's number in it, as messages about values count.
    pub row: u64,
}

/// Where row `row` of a part lies, counted from 0 in the order of the files and without the rows of
/// the other parts; `None` if there are no more than `row`. Reads the files again.
///
/// # Errors
/// Those of [`load`](crate::load) that concern reading.
pub fn place_of(config: &DataConfig, part: Part, row: u64) -> Result<Option<Place>> {
    let config = config.expanded()?;
    let options = config.read_options()?;
    let own = match part {
        Part::Train => None,
        Part::Validation => config.validation.as_ref(),
        Part::Test => config.test.as_ref(),
    };
    match own {
        Some(files) => find(files, &options, None, row),
        None => find(&config.train, &options, Some((config.split.as_ref(), part)), row),
    }
}

/// Where row `row` of a file lies, counted from 0, as [`place_of`].
///
/// # Errors
/// Those of reading the file.
pub fn place_in(file: &Path, options: &ReadOptions, row: u64) -> Result<Option<Place>> {
    find(&Files::One(file.to_owned()), options, None, row)
}

/// The place of a row among those of a part, or among all.
fn find(
    files: &Files,
    options: &ReadOptions,
    of: Option<(Option<&Split>, Part)>,
    row: u64,
) -> Result<Option<Place>> {
    let (split, part) = of.unwrap_or((None, Part::Train));
    let (mut all, mut before, mut found) = (0, 0, None);
    for file in files.paths() {
        let needed = match split {
            Some(Split::Column { column, .. }) => Some(column.clone()),
            _ => Reader::open(file, options)?.names().first().cloned(),
        };
        let Some(column) = needed else { continue };
        let columns = Columns::new(vec![(column, "the split".to_owned())]);
        for_each_chunk(file, options, &columns, |chunk| {
            let first = all;
            all += chunk.n_rows() as u64;
            if let Some(rows) = rows_of(split, part, file, chunk, first)? {
                let at = row.checked_sub(before).filter(|&at| at < rows.n_rows() as u64);
                if let Some(at) = at {
                    let row = rows.rows().number(at as usize);
                    found = Some(Place { file: file.clone(), row });
                }
                before += rows.n_rows() as u64;
            }
            Ok(())
        })?;
        if found.is_some() {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_behind_those_of_other_parts_and_in_the_second_file() -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, days: &[u32]| {
            let rows: String = days.iter().map(|day| format!("1,{day}\n")).collect();
            std::fs::write(folder.path().join(name), format!("click,day\n{rows}")).unwrap();
        };
        write("a.csv", &[1, 9, 2, 9, 3]);
        write("b.csv", &[9, 4]);
        let config: DataConfig = toml::from_str(&format!(
            "train = [{:?}, {:?}]\nsplit = {{ by = \"column\", column = \"day\", test_from = 5 }}",
            folder.path().join("a.csv"),
            folder.path().join("b.csv"),
        ))
        .unwrap();
        let place = |file: &str, row| Some(Place { file: folder.path().join(file), row });
        // A header is row 1.
        let train = |row| place_of(&config, Part::Train, row);
        assert_eq!(train(0)?, place("a.csv", 2));
        assert_eq!(train(2)?, place("a.csv", 6));
        assert_eq!(train(3)?, place("b.csv", 3));
        assert_eq!(train(4)?, None);
        let test = |row| place_of(&config, Part::Test, row);
        assert_eq!((test(0)?, test(1)?), (place("a.csv", 3), place("a.csv", 5)));
        assert_eq!((test(2)?, test(3)?), (place("b.csv", 2), None));
        assert_eq!(place_of(&config, Part::Validation, 0)?, None);

        // Rows of files of their own, and those of a file alone, are not parted.
        let b = folder.path().join("b.csv");
        let mut own = config.clone();
        (own.split, own.test) = (None, Some(Files::One(b.clone())));
        assert_eq!(place_of(&own, Part::Test, 1)?, place("b.csv", 3));
        let options = config.read_options()?;
        assert_eq!(place_in(&b, &options, 0)?, place("b.csv", 2));
        assert_eq!(place_in(&b, &options, 2)?, None);
        Ok(())
    }
}
