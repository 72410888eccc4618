//! Which rows train, validate and test.

use std::path::Path;

use mtl_feature::{Cell, Chunk, Key, seconds_since_1970};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{Bound, Error, ReadOptions, Reader, Result, Split};

/// What a row is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// To be trained on.
    Train,
    /// To choose an epoch by.
    Validation,
    /// To report on.
    Test,
}

impl Part {
    /// Its name before "rows".
    pub const fn adjective(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// How the rows of a file are parted. A bound that is a date or a time as text is, for a column of
/// timestamps, the number that the file would have for it, in UTC and in the column's unit.
pub(crate) fn of_file(
    split: Option<&Split>,
    path: &Path,
    options: &ReadOptions,
) -> Result<Option<Split>> {
    let Some(Split::Column { column, validation_from, test_from }) = split else {
        return Ok(split.cloned());
    };
    let units = Reader::open(path, options)?.units_per_second(column);
    let bound = |bound: &Option<Bound>| {
        let text = bound.as_ref().map(Bound::key);
        match (text, units) {
            (Some(Key::Text(text)), Some(units)) => {
                let number = seconds_since_1970(&text).and_then(|s| s.checked_mul(units));
                number.map(Bound::Integer).or_else(|| bound.clone())
            }
            _ => bound.clone(),
        }
    };
    let (validation_from, test_from) = (bound(validation_from), bound(test_from));
    Ok(Some(Split::Column { column: column.clone(), validation_from, test_from }))
}

/// The rows of each part that a chunk of a file has rows of. It begins at row `first` of all rows.
pub(crate) fn parted(
    split: Option<&Split>,
    path: &Path,
    chunk: Chunk,
    first: u64,
) -> Result<Vec<(Part, Chunk)>> {
    let parts = checked(split, path, &chunk, first)?;
    if let Some(&first) = parts.first().filter(|&first| parts.iter().all(|part| part == first)) {
        return Ok(vec![(first, chunk)]);
    }
    let all = [Part::Train, Part::Validation, Part::Test].into_iter();
    Ok(all.filter_map(|part| Some((part, of_part(&chunk, &parts, part)?))).collect())
}

/// The rows of one part in such a chunk, if any.
pub(crate) fn rows_of(
    split: Option<&Split>,
    part: Part,
    path: &Path,
    chunk: Chunk,
    first: u64,
) -> Result<Option<Chunk>> {
    let parts = checked(split, path, &chunk, first)?;
    match parts.iter().all(|other| *other == part) {
        true => Ok((chunk.n_rows() > 0).then_some(chunk)),
        false => Ok(of_part(&chunk, &parts, part)),
    }
}

fn of_part(chunk: &Chunk, parts: &[Part], part: Part) -> Option<Chunk> {
    let keep: Vec<bool> = parts.iter().map(|other| *other == part).collect();
    keep.contains(&true).then(|| chunk.filter(&keep))
}

/// The part of each row of the chunk.
fn checked(split: Option<&Split>, path: &Path, chunk: &Chunk, first: u64) -> Result<Vec<Part>> {
    parts(split, chunk, first)
        .map_err(|(row, expected)| split_error(split, path, chunk, row, expected))
}

fn split_error(
    split: Option<&Split>,
    path: &Path,
    chunk: &Chunk,
    row: usize,
    expected: String,
) -> Error {
    let Some(Split::Column { column, .. }) = split else {
        return Error::format(path, expected);
    };
    let cell = chunk.column(column).map(|column| column.cell(row).quoted()).unwrap_or_default();
    Error::value(path, chunk.rows().number(row), column, cell, expected)
}

/// # Errors
/// A row of the chunk and what its cell should have been.
fn parts(
    split: Option<&Split>,
    chunk: &Chunk,
    first: u64,
) -> std::result::Result<Vec<Part>, (usize, String)> {
    match split {
        None => Ok(vec![Part::Train; chunk.n_rows()]),
        Some(Split::Random { validation, test, seed }) => {
            let part = |row| random_part(*validation, *test, *seed, row);
            Ok((first..).take(chunk.n_rows()).map(part).collect())
        }
        Some(Split::Column { column, validation_from, test_from }) => {
            let validation = validation_from.as_ref().map(crate::Bound::key);
            let test = test_from.as_ref().map(crate::Bound::key);
            let part = |cell: Cell<'_>| column_part(validation.as_ref(), test.as_ref(), cell);
            // The reader was asked for this column.
            chunk.column(column).map_or(Ok(Vec::new()), |column| column.map_cells(part))
        }
    }
}

fn random_part(validation: f64, test: f64, seed: u64, row: u64) -> Part {
    let hash = xxh3_64_with_seed(&row.to_le_bytes(), seed);
    let share = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    match share {
        share if share < test => Part::Test,
        share if share < test + validation => Part::Validation,
        _ => Part::Train,
    }
}

fn column_part(
    validation: Option<&Key>,
    test: Option<&Key>,
    cell: Cell<'_>,
) -> std::result::Result<Part, String> {
    let is_text = |key: &Key| matches!(key, Key::Text(_));
    let Some(bound) = validation.or(test) else { return Ok(Part::Train) };
    let like = if is_text(bound) { "a text" } else { "an integer" };
    let expected = || format!("{like} to compare with `{bound}`");
    let key = cell.key().ok().flatten().ok_or_else(expected)?;
    if is_text(&key) != is_text(bound) {
        return Err(expected());
    }
    Ok(match key {
        key if test.is_some_and(|test| key >= *test) => Part::Test,
        key if validation.is_some_and(|validation| key >= *validation) => Part::Validation,
        _ => Part::Train,
    })
}

#[cfg(test)]
mod tests {
    use mtl_feature::{RawColumn, Rows};

    use super::*;

    #[test]
    fn random_parts_have_their_shares_and_do_not_depend_on_chunks() {
        let split = Split::Random { validation: 0.2, test: 0.1, seed: 4 };
        let chunk = |n| Chunk::new(n, Rows::From(1), vec![]).unwrap();
        let all = parts(Some(&split), &chunk(10_000), 0).unwrap();
        let count = |part| all.iter().filter(|other| **other == part).count();
        // Five standard deviations of a binomial.
        assert!(count(Part::Validation).abs_diff(2000) < 200, "{}", count(Part::Validation));
        assert!(count(Part::Test).abs_diff(1000) < 150, "{}", count(Part::Test));
        assert_eq!(parts(Some(&split), &chunk(100), 900).unwrap(), all[900..1000]);
    }

    fn check_column(
        from: [Option<Bound>; 2],
        cells: &[&str],
        expected: std::result::Result<&[Part], usize>,
    ) {
        let [validation_from, test_from] = from;
        let split = Split::Column { column: "d".into(), validation_from, test_from };
        let column = RawColumn::text(cells.iter().copied());
        let chunk = Chunk::new(cells.len(), Rows::From(1), vec![("d".into(), column)]).unwrap();
        let found = parts(Some(&split), &chunk, 0).map_err(|(row, _)| row);
        assert_eq!(found.as_deref().map_err(|row| *row), expected);
    }

    #[test]
    fn a_column_parts_rows_by_order() {
        use Part::{Test, Train, Validation};
        let integers = [Some(Bound::Integer(9)), Some(Bound::Text("10".into()))];
        let parts = [Train, Validation, Test, Test];
        check_column(integers.clone(), &["8", "9", "10", "100"], Ok(&parts));
        check_column(integers, &["8", "2022-05-01"], Err(1));
        let dates = [None, Some(Bound::Text("2022-05-01".into()))];
        let parts = [Train, Test, Test];
        check_column(dates.clone(), &["2022-04-30", "2022-05-01", "2023-01-01"], Ok(&parts));
        check_column(dates, &["2022-04-30", "20220501"], Err(1));
        check_column([Some(Bound::Text("b".into())), None], &["a", "b"], Ok(&[Train, Validation]));
    }
}
