//! Where a training row came from, for messages about rows that were found wrong after reading.

use std::path::PathBuf;

use crate::load::{Columns, for_each_chunk};
use crate::split::{Part, rows_of};
use crate::{DataConfig, Reader, Result, Split};

/// A row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The row's number in it, as messages about values count.
    pub row: u64,
}

/// Where training row `row` lies, counted from 0 in the order of the files and without the rows that
/// validate and test; `None` if there are no more than `row`. Reads the files again.
///
/// # Errors
/// Those of [`load`](crate::load) that concern reading.
pub fn place_of(config: &DataConfig, row: u64) -> Result<Option<Place>> {
    let config = config.expanded()?;
    let (options, split) = (config.read_options()?, config.split.as_ref());
    let (mut all, mut before, mut found) = (0, 0, None);
    for file in config.train.paths() {
        let needed = match split {
            Some(Split::Column { column, .. }) => Some(column.clone()),
            _ => Reader::open(file, &options)?.names().first().cloned(),
        };
        let Some(column) = needed else { continue };
        let columns = Columns::new(vec![(column, "the split".to_owned())]);
        for_each_chunk(file, &options, &columns, |chunk| {
            let first = all;
            all += chunk.n_rows() as u64;
            if let Some(train) = rows_of(split, Part::Train, file, chunk, first)? {
                let at = row.checked_sub(before).filter(|&at| at < train.n_rows() as u64);
                if let Some(at) = at {
                    let row = train.rows().number(at as usize);
                    found = Some(Place { file: file.clone(), row });
                }
                before += train.n_rows() as u64;
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
    fn a_training_row_is_found_behind_rows_that_test_and_in_the_second_file() -> Result<()> {
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
        assert_eq!(place_of(&config, 0)?, place("a.csv", 2));
        assert_eq!(place_of(&config, 2)?, place("a.csv", 6));
        assert_eq!(place_of(&config, 3)?, place("b.csv", 3));
        assert_eq!(place_of(&config, 4)?, None);
        Ok(())
    }
}
