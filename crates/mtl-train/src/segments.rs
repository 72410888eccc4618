//! Metrics by segment: the rows of each value of a column, measured apart.

use std::num::NonZeroUsize;

use mtl_data::ColumnBeside;
use mtl_eval::{Segment, segments_by_name, segments_by_quantile};
use mtl_model::Model;
use serde::Serialize;

use crate::{Error, Evaluation, Result, Scored, measure};

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

/// The segments of a column's rows, each row in one.
pub fn segments_of(column: &ColumnBeside, config: &SegmentConfig) -> Vec<Segment> {
    segments(column.codes(), column.names(), config)
}

/// The segments of rows whose values are `names` by code.
fn segments(codes: &[Option<u32>], names: &[String], config: &SegmentConfig) -> Vec<Segment> {
    let numbers: Option<Vec<f64>> = names.iter().map(|name| finite(name)).collect();
    match numbers {
        Some(numbers) if numbers.len() > config.most.get() => {
            let of_rows: Vec<f64> = codes
                .iter()
                .map(|code| code.map_or(f64::NAN, |code| numbers[code as usize]))
                .collect();
            segments_by_quantile(&of_rows, config.bins)
        }
        numbers => {
            let of_rows = codes.iter().map(|code| code.map(|code| &names[code as usize]));
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

/// Metrics by the values of a column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BySegment {
    /// The column.
    pub by: String,
    /// Its segments.
    pub segments: Vec<SegmentEvaluation>,
}

impl BySegment {
    /// Measures a model on the rows of each value of a column, which has one for each row.
    ///
    /// # Errors
    /// As [`evaluate_by`].
    pub fn of(
        model: &Model,
        scored: &Scored,
        column: &ColumnBeside,
        config: &SegmentConfig,
    ) -> Result<Self> {
        let segments = evaluate_by(model, scored, &segments_of(column, config))?;
        Ok(Self { by: column.column().to_owned(), segments })
    }
}

/// Measures a model on the rows of each segment.
///
/// # Errors
/// As [`measure`]; [`Error::Data`] for segments of other rows than these.
pub fn evaluate_by(
    model: &Model,
    scored: &Scored,
    segments: &[Segment],
) -> Result<Vec<SegmentEvaluation>> {
    let n = segments.iter().map(|segment| segment.rows.len()).sum::<usize>();
    let n_rows = scored.n_rows();
    if n != n_rows {
        let message = format!("the segments have {n} rows and the data {n_rows}, expected as many");
        return Err(Error::Data(message));
    }
    let evaluation = |segment: &Segment| {
        let evaluation = measure(model, &scored.select(&segment.rows))?;
        Ok(SegmentEvaluation { segment: segment.name.clone(), evaluation })
    };
    segments.iter().map(evaluation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[Option<&str>], most: usize) -> Vec<(String, usize)> {
        let mut names: Vec<String> = Vec::new();
        let mut code = |value: &str| {
            names.iter().position(|name| name == value).unwrap_or_else(|| {
                names.push(value.to_owned());
                names.len() - 1
            }) as u32
        };
        let codes: Vec<Option<u32>> = values.iter().map(|value| value.map(&mut code)).collect();
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
