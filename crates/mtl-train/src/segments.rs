//! Metrics by segment: the rows of each value of a column, measured apart.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::Path;

use mtl_data::{ReadOptions, Reader};
use mtl_eval::{Segment, segments_by_name, segments_by_quantile};
use mtl_feature::{FeatureTable, Key};
use mtl_model::Model;
use serde::Serialize;

use crate::{Error, Evaluation, Result, evaluate};

/// How the values of a column become segments.
///
/// | field | default | purpose |
/// |---|---|---|
/// | `most` | 24 | segments of names; the rows of rarer ones are together. Numbers of more values are cut at quantiles |
/// | `bins` | 5 | bins of such numbers |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentConfig {
    /// Segments of names, at most.
    pub most: NonZeroUsize,
    /// Bins of numbers, at most.
    pub bins: NonZeroUsize,
}

impl Default for SegmentConfig {
    fn default() -> Self {
        const MOST: NonZeroUsize = NonZeroUsize::new(24).unwrap();
        const BINS: NonZeroUsize = NonZeroUsize::new(5).unwrap();
        Self { most: MOST, bins: BINS }
    }
}

/// A model's metrics on the rows of a segment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SegmentEvaluation {
    /// The value or range of values.
    pub segment: String,
    /// Its metrics.
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

/// Reads a column of a file, which need not be a feature's, and sets its rows apart by value.
///
/// # Errors
/// A file that cannot be read or has no such column, or a cell that is a list.
pub fn read_segments(
    file: &Path,
    column: &str,
    options: &ReadOptions,
    config: &SegmentConfig,
) -> Result<Vec<Segment>> {
    let mut codes: Vec<Option<usize>> = Vec::new();
    let mut values: HashMap<Key, usize> = HashMap::new();
    for chunk in Reader::open(file, options)?.chunks(&[column])? {
        let chunk = chunk?;
        let cells = chunk.column(column).into_iter().flat_map(|c| (0..c.len()).map(|i| c.cell(i)));
        for (i, cell) in cells.enumerate() {
            let key = cell.key().map_err(|expected| {
                let (file, row) = (file.display(), chunk.rows().number(i));
                let found = cell.quoted();
                Error::Data(format!(
                    "{file}: row {row}, column `{column}`: found {found}, expected {expected}"
                ))
            })?;
            let n = values.len();
            codes.push(key.map(|key| *values.entry(key).or_insert(n)));
        }
    }
    let mut names = vec![String::new(); values.len()];
    values.into_iter().for_each(|(key, code)| names[code] = key.to_string());
    Ok(segments(&codes, &names, config))
}

/// The segments of rows whose values are `names` by code.
fn segments(codes: &[Option<usize>], names: &[String], config: &SegmentConfig) -> Vec<Segment> {
    let numbers: Option<Vec<f64>> = names.iter().map(|name| finite(name)).collect();
    match numbers {
        Some(numbers) if numbers.len() > config.most.get() => {
            let of_rows: Vec<f64> =
                codes.iter().map(|code| code.map_or(f64::NAN, |code| numbers[code])).collect();
            segments_by_quantile(&of_rows, config.bins)
        }
        numbers => {
            let of_rows = codes.iter().map(|code| code.map(|code| &names[code]));
            let mut segments = segments_by_name(of_rows, config.most);
            if numbers.is_some() {
                // What is no number is the rows without one: last.
                let place = |segment: &Segment| finite(&segment.name).unwrap_or(f64::INFINITY);
                segments.sort_by(|a, b| place(a).total_cmp(&place(b)));
            }
            segments
        }
    }
}

fn finite(name: &str) -> Option<f64> {
    name.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Measures a model on the rows of each segment of a table.
///
/// # Errors
/// As [`evaluate`]; [`Error::Data`] for a segment of other rows than the table has.
pub fn evaluate_by(
    model: &Model,
    table: &FeatureTable,
    segments: &[Segment],
) -> Result<Vec<SegmentEvaluation>> {
    let n = segments.iter().map(|segment| segment.rows.len()).sum::<usize>();
    if n != table.n_rows() {
        let message = format!(
            "the segments have {n} rows and the table {}, expected as many",
            table.n_rows()
        );
        return Err(Error::Data(message));
    }
    let evaluation = |segment: &Segment| {
        let evaluation = evaluate(model, &table.select(&segment.rows))?;
        Ok(SegmentEvaluation { segment: segment.name.clone(), evaluation })
    };
    segments.iter().map(evaluation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[Option<&str>], most: usize) -> Vec<(String, usize)> {
        let mut names: Vec<String> = Vec::new();
        let mut code = |value: &str| match names.iter().position(|name| name == value) {
            Some(code) => code,
            None => {
                names.push(value.to_owned());
                names.len() - 1
            }
        };
        let codes: Vec<Option<usize>> = values.iter().map(|value| value.map(&mut code)).collect();
        let two = NonZeroUsize::new(2).unwrap();
        let config = SegmentConfig { most: most.try_into().unwrap(), bins: two };
        let segments = segments(&codes, &names, &config);
        segments.into_iter().map(|segment| (segment.name, segment.rows.len())).collect()
    }

    #[test]
    fn few_numbers_are_names_in_their_order_and_many_are_bins() {
        let values = ["10", "9", "9", "-1.5", "9"].map(Some);
        let named = |pairs: &[(&str, usize)]| -> Vec<(String, usize)> {
            pairs.iter().map(|&(name, n)| (name.to_owned(), n)).collect()
        };
        assert_eq!(found(&values, 3), named(&[("-1.5", 1), ("9", 3), ("10", 1)]));
        assert_eq!(found(&values, 2), named(&[("≤ 9", 4), ("> 9", 1)]));
        let mixed = [Some("9"), None, Some("x"), Some("y"), Some("x"), Some("inf")];
        let expected = [("x", 2), ("9", 1), ("(other)", 2), ("(missing)", 1)];
        assert_eq!(found(&mixed, 2), named(&expected));
    }
}
