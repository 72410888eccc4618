//! The standard log: impressions and what came of them.

use std::path::{Path, PathBuf};

use mtl_feature::{Cell, Chunk, RawColumn, Values, calendar};
use xxhash_rust::xxh3::xxh3_128;

use super::Summary;
use super::features::{FeatureSet, HOUR, WEEKDAY, log_columns};
use super::folder::Folder;
use crate::load::{Columns, on_a_thread};
use crate::{Bound, Error, ReadOptions, Reader, Result, Split};

/// Labels that the log has.
pub(super) const LABELS: [&str; 3] = ["is_click", "is_like", "long_view"];

/// A label that is a product of two others.
pub(super) struct Product {
    pub(super) name: &'static str,
    of: [&'static str; 2],
}

/// Labels that need a click to be 1.
pub(super) const PRODUCTS: [Product; 2] = [
    Product { name: "click_like", of: ["is_click", "is_like"] },
    Product { name: "click_long_view", of: ["is_click", "long_view"] },
];

const TEST_DAYS: usize = 3;
const VALIDATION_DAYS: usize = 2;

/// The log, with what is made of its own columns.
pub(super) struct Log {
    pub(super) chunks: Vec<(PathBuf, Chunk)>,
    /// Every date, rising.
    dates: Vec<i64>,
    duplicates: usize,
}

impl Log {
    pub(super) fn read(folder: &Folder, set: FeatureSet) -> Result<Self> {
        let (mut chunks, mut dates, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        for path in &folder.log {
            let reader = Reader::open(path, &ReadOptions::default())?;
            needs(set).check(reader.names()).map_err(|error| Error::in_file(path, error))?;
            // Every column, for only rows that are equal in all of them are duplicates.
            let names = reader.names().to_vec();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            on_a_thread(reader, &names, |chunk| -> Result<()> {
                hash_rows(&chunk, &mut hashes);
                let chunk = derived(path, kept(chunk, set)?.compact(), set, &mut dates)?;
                chunks.push((path.clone(), chunk));
                Ok(())
            })?;
        }
        dates.sort_unstable();
        dates.dedup();
        let needed = TEST_DAYS + VALIDATION_DAYS + 1;
        if let (Some(path), true) = (folder.log.first(), dates.len() < needed) {
            let problem = format!("the log has {} days, expected at least {needed}", dates.len());
            return Err(Error::format(path, problem));
        }
        let n_rows = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        Ok(Self { chunks, dates, duplicates: n_rows - hashes.len() })
    }

    fn bounds(&self) -> [i64; 2] {
        [TEST_DAYS + VALIDATION_DAYS, TEST_DAYS].map(|days| self.dates[self.dates.len() - days])
    }

    pub(super) fn split(&self) -> Split {
        let [validation, test] = self.bounds().map(|date| Some(Bound::Integer(date)));
        Split::Column { column: "date".to_owned(), validation_from: validation, test_from: test }
    }

    pub(super) fn summary(&self, folder: &Folder) -> Summary {
        let [validation_from, test_from] = self.bounds();
        Summary {
            log_files: folder.log.clone(),
            rows: self.chunks.iter().map(|(_, chunk)| chunk.n_rows()).sum(),
            duplicates: self.duplicates,
            without_user: 0,
            without_video: 0,
            dates: (self.dates[0], self.dates[self.dates.len() - 1]),
            validation_from,
            test_from,
        }
    }
}

fn columns(set: FeatureSet) -> impl Iterator<Item = &'static str> {
    ["user_id", "video_id", "date"]
        .into_iter()
        .chain(LABELS)
        .chain(log_columns(set).iter().copied())
}

fn needs(set: FeatureSet) -> Columns {
    Columns::new(
        columns(set).map(|column| (column.to_owned(), "the KuaiRand log".into())).collect(),
    )
}

fn kept(chunk: Chunk, set: FeatureSet) -> Result<Chunk> {
    let keep = |name: &str| chunk.column(name).map(|column| (name.to_owned(), column.clone()));
    Ok(Chunk::new(chunk.n_rows(), chunk.rows().clone(), columns(set).filter_map(keep).collect())?)
}

/// A hash of each row; of 128 bits, so that even of a billion rows no two different ones meet.
fn hash_rows(chunk: &Chunk, hashes: &mut Vec<u128>) {
    let mut bytes = Vec::new();
    for row in 0..chunk.n_rows() {
        bytes.clear();
        for (_, column) in chunk.columns() {
            match column.cell(row) {
                Cell::Text(text) => bytes.extend_from_slice(text.as_bytes()),
                cell => bytes.extend_from_slice(cell.to_string().as_bytes()),
            }
            // No byte of UTF-8 text is 255.
            bytes.push(255);
        }
        hashes.push(xxh3_128(&bytes));
    }
}

/// Adds the labels that are products and, for the rich set, hour and weekday.
fn derived(path: &Path, chunk: Chunk, set: FeatureSet, dates: &mut Vec<i64>) -> Result<Chunk> {
    let of_chunk = mapped(path, &chunk, "date", "a date such as 20220503", date)?;
    let mut seen = of_chunk.clone();
    seen.sort_unstable();
    seen.dedup();
    dates.extend(seen.iter().map(|(date, _)| date));

    let mut columns = chunk.columns().to_vec();
    let mut add = |name: &str, values| {
        columns.push((name.to_owned(), RawColumn::new(Values::Integer(values))));
    };
    for Product { name, of } in PRODUCTS {
        let [a, b] = of.map(|label| mapped(path, &chunk, label, "0 or 1", zero_or_one));
        add(name, a?.iter().zip(b?).map(|(a, b)| a * b).collect());
    }
    add(DAYS, of_chunk.iter().map(|(_, days)| *days).collect());
    if set == FeatureSet::Rich {
        add(HOUR, mapped(path, &chunk, "hourmin", "hours and minutes such as 2359", hour)?);
        add(WEEKDAY, of_chunk.iter().map(|(_, days)| calendar::weekday(*days)).collect());
    }
    Ok(Chunk::new(chunk.n_rows(), chunk.rows().clone(), columns)?)
}

/// The column of the days since 1970, for the age of a video.
pub(super) const DAYS: &str = "days";

fn mapped<T: Copy>(
    path: &Path,
    chunk: &Chunk,
    name: &str,
    expected: &str,
    f: impl Fn(i64) -> Option<T>,
) -> Result<Vec<T>> {
    // The columns were asked for.
    let Some(column) = chunk.column(name) else { return Ok(Vec::new()) };
    let value = |cell: Cell<'_>| integer(cell).and_then(&f).ok_or(());
    column.map_cells(value).map_err(|(row, ())| {
        let cell = column.cell(row).quoted();
        Error::value(path, chunk.rows().number(row), name, cell, expected)
    })
}

fn integer(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Integer(value) => Some(value),
        Cell::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// The date and its days since 1970.
fn date(value: i64) -> Option<(i64, i64)> {
    let days = calendar::days_of(value / 10_000, value / 100 % 100, value % 100)?;
    Some((value, days))
}

fn zero_or_one(value: i64) -> Option<i64> {
    (0..=1).contains(&value).then_some(value)
}

fn hour(value: i64) -> Option<i64> {
    ((0..24).contains(&(value / 100)) && (0..60).contains(&(value % 100))).then_some(value / 100)
}
