//! Where a row came from, for messages about rows that were found wrong after reading.

use std::path::{Path, PathBuf};

use crate::load::Columns;
use crate::part_rows::PartRows;
use crate::split::Part;
use crate::{DataConfig, Files, ReadOptions, Reader, Result};

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
    find(PartRows::of(&config, part), &config.read_options()?, row)
}

/// Where row `row` of a file lies, counted from 0, as [`place_of`].
///
/// # Errors
/// Those of reading the file.
pub fn place_in(file: &Path, options: &ReadOptions, row: u64) -> Result<Option<Place>> {
    find(PartRows::all(&Files::One(file.to_owned())), options, row)
}

fn find(rows: PartRows<'_>, options: &ReadOptions, row: u64) -> Result<Option<Place>> {
    let (mut before, mut found) = (0, None);
    // Any column tells how many rows there are.
    let columns = |file: &Path| -> Result<Columns> {
        let needed = match rows.split_column() {
            Some(column) => Some(column.to_owned()),
            None => Reader::open(file, options)?.names().first().cloned(),
        };
        Ok(Columns::new(needed.into_iter().map(|name| (name, "the split".to_owned())).collect()))
    };
    rows.for_each(options, columns, |file, chunk| {
        let at = row.checked_sub(before).filter(|&at| at < chunk.n_rows() as u64);
        if let Some(at) = at {
            found = Some(Place { file: file.to_owned(), row: chunk.rows().number(at as usize) });
        }
        before += chunk.n_rows() as u64;
        Ok(found.is_none())
    })?;
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
        own.train = Files::One(folder.path().join("a.csv"));
        (own.split, own.test) = (None, Some(Files::One(b.clone())));
        assert_eq!(place_of(&own, Part::Test, 1)?, place("b.csv", 3));
        let options = config.read_options()?;
        assert_eq!(place_in(&b, &options, 0)?, place("b.csv", 2));
        assert_eq!(place_in(&b, &options, 2)?, None);
        Ok(())
    }
}
