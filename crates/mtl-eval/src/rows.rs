//! The rows of a binary task: labels, predictions and, optionally, weights and groups, checked once.

use rayon::prelude::*;

use crate::sums::{CHUNK, sum_over_rows};
use crate::{Column, Error};

/// A row number and a label share 32 bits of a sort entry.
const MAX_ROWS: usize = (1 << 31) - 1;

/// The group of a row that is in no group.
pub const NO_GROUP: u64 = u64::MAX;

/// The rows of a binary task, checked once so that no metric has to check again.
///
/// Labels are 0, 1 or NaN; NaN means that the label is missing. Predictions are probabilities or
/// any scores that order the rows; a metric that needs probabilities is undefined for scores.
/// **Rows with a missing label or a weight of 0 count nowhere.** To evaluate a conditional task in
/// its space (conversion among clicks), make the label NaN outside of it.
///
/// ```
/// use mtl_eval::{BinaryRows, auc, log_loss};
///
/// let labels = [0.0_f32, 0.0, 1.0, 1.0, f32::NAN];
/// let predictions = [0.1_f32, 0.4, 0.35, 0.8, 0.5];
/// let rows = BinaryRows::new(&labels, &predictions)?.with_weights(&[1.0_f32, 1.0, 2.0, 1.0, 1.0])?;
/// assert_eq!((rows.n_rows(), rows.n_positives(), rows.n_missing()), (4, 2, 1));
/// assert!((auc(&rows).value().unwrap() - 4.0 / 6.0).abs() < 1e-12);
/// # Ok::<(), mtl_eval::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BinaryRows<'a> {
    labels: Column<'a>,
    predictions: Column<'a>,
    weights: Option<Column<'a>>,
    groups: Option<&'a [u64]>,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    rows: usize,
    positives: usize,
    missing: usize,
}

/// One row that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) positive: bool,
    pub(crate) prediction: f64,
    pub(crate) weight: f64,
}

impl<'a> BinaryRows<'a> {
    /// Checks labels and predictions.
    ///
    /// # Errors
    ///
    /// Lengths differ, a label is none of 0, 1 and NaN, a prediction is NaN (of whatever row, for
    /// a model that predicts NaN anywhere is broken), or there are more than 2³¹ − 1 rows.
    pub fn new(
        labels: impl Into<Column<'a>>,
        predictions: impl Into<Column<'a>>,
    ) -> Result<Self, Error> {
        let (labels, predictions) = (labels.into(), predictions.into());
        let n = labels.len();
        check_length("predictions", n, predictions.len())?;
        if n > MAX_ROWS {
            return Err(Error::TooManyRows { rows: n, limit: MAX_ROWS });
        }
        let is_label = |label: f64| label == 0.0 || label == 1.0 || label.is_nan();
        if let Some(row) = first_row(n, |row| !is_label(labels.get(row))) {
            return Err(Error::NotBinary { row, label: labels.get(row) });
        }
        if let Some(row) = first_row(n, |row| predictions.get(row).is_nan()) {
            return Err(Error::NanPrediction { row });
        }
        let rows = BinaryRows {
            labels,
            predictions,
            weights: None,
            groups: None,
            counts: Counts::default(),
        };
        Ok(rows.count())
    }

    /// Gives every row a weight; a row of weight 2 counts like two equal rows.
    ///
    /// # Errors
    ///
    /// Lengths differ, or a weight is neither 0 nor between 1e-100 and 1e100.
    pub fn with_weights(mut self, weights: impl Into<Column<'a>>) -> Result<Self, Error> {
        let weights = weights.into();
        check_weights(weights, self.labels.len())?;
        self.weights = Some(weights);
        Ok(self.count())
    }

    /// Gives every row a group, usually its user; [`NO_GROUP`] to a row that is in none. Metrics of
    /// groups leave such a row out, all others count it.
    ///
    /// # Errors
    ///
    /// Lengths differ.
    pub fn with_groups(mut self, groups: &'a [u64]) -> Result<Self, Error> {
        check_length("groups", self.labels.len(), groups.len())?;
        self.groups = Some(groups);
        Ok(self)
    }

    /// Number of rows that count: those with a label and a weight above 0.
    pub fn n_rows(&self) -> usize {
        self.counts.rows
    }

    /// Number of positive rows among those that count.
    pub fn n_positives(&self) -> usize {
        self.counts.positives
    }

    /// Number of negative rows among those that count.
    pub fn n_negatives(&self) -> usize {
        self.counts.rows - self.counts.positives
    }

    /// Number of rows whose label is missing.
    pub fn n_missing(&self) -> usize {
        self.counts.missing
    }

    /// Number of all rows, counted or not.
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    pub(crate) fn predictions(&self) -> Column<'a> {
        self.predictions
    }

    pub(crate) fn weights(&self) -> Option<Column<'a>> {
        self.weights
    }

    pub(crate) fn groups(&self) -> Option<&'a [u64]> {
        self.groups
    }

    /// The row, unless it counts nowhere.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<Row> {
        let label = self.labels.get(row);
        let weight = self.weights.map_or(1.0, |weights| weights.get(row));
        let counts = !label.is_nan() && weight > 0.0;
        counts.then(|| Row {
            positive: label == 1.0,
            prediction: self.predictions.get(row),
            weight,
        })
    }

    /// The first counted row whose prediction is not `allowed`.
    pub(crate) fn first_prediction_not(
        &self,
        allowed: impl Fn(f64) -> bool + Sync,
    ) -> Option<(usize, f64)> {
        first_row(self.len(), |row| self.get(row).is_some_and(|r| !allowed(r.prediction)))
            .map(|row| (row, self.predictions.get(row)))
    }

    fn count(mut self) -> Self {
        let add = |counts: &mut Counts, row: usize| {
            counts.missing += usize::from(self.labels.get(row).is_nan());
            if let Some(row) = self.get(row) {
                counts.rows += 1;
                counts.positives += usize::from(row.positive);
            }
        };
        self.counts = sum_over_rows(self.len(), Counts::default, add, |total, part| {
            total.rows += part.rows;
            total.positives += part.positives;
            total.missing += part.missing;
        });
        self
    }
}

pub(crate) fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::LengthMismatch { what, expected, found }) }
}

pub(crate) fn check_weights(weights: Column<'_>, n_rows: usize) -> Result<(), Error> {
    check_length("weights", n_rows, weights.len())?;
    // Products of two sums of weights must neither overflow nor vanish.
    let is_weight = |weight: f64| weight == 0.0 || (1e-100..=1e100).contains(&weight);
    match first_row(n_rows, |row| !is_weight(weights.get(row))) {
        Some(row) => Err(Error::BadWeight { row, weight: weights.get(row) }),
        None => Ok(()),
    }
}

/// The first row for which `wanted` holds, whatever the number of threads. Chunks are searched
/// plainly: rayon's own search asks after every row whether another thread has found one.
pub(crate) fn first_row(n_rows: usize, wanted: impl Fn(usize) -> bool + Sync) -> Option<usize> {
    (0..n_rows.div_ceil(CHUNK))
        .into_par_iter()
        .filter_map(|chunk| {
            (chunk * CHUNK..((chunk + 1) * CHUNK).min(n_rows)).find(|&row| wanted(row))
        })
        .find_first(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_the_row() {
        let new = |labels: &[f64], predictions: &[f64]| {
            BinaryRows::new(labels, predictions).unwrap_err().to_string()
        };
        assert_eq!(
            new(&[0.0, 1.0], &[0.5]),
            "predictions has 1 values, expected 2, one for each label"
        );
        assert_eq!(
            new(&[0.0, 2.0, 3.0], &[0.5; 3]),
            "label of row 1 is 2, expected 0, 1 or NaN (missing)"
        );
        assert_eq!(
            new(&[0.0, f64::NAN], &[0.5, f64::NAN]),
            "prediction of row 1 is NaN, expected a number"
        );
    }

    #[test]
    fn of_many_faults_the_first_is_named() {
        let mut predictions = vec![0.5_f32; 4 * CHUNK];
        [CHUNK + 7, CHUNK + 8, 3 * CHUNK].iter().for_each(|&row| predictions[row] = f32::NAN);
        let error = BinaryRows::new(&vec![0.0_f32; 4 * CHUNK], &predictions).unwrap_err();
        assert_eq!(error, Error::NanPrediction { row: CHUNK + 7 });
    }

    #[test]
    fn weights_and_groups_are_checked() {
        let rows = BinaryRows::new(&[0.0_f64, 1.0], &[0.1_f64, 0.2]).unwrap();
        for bad in [-1.0, 1e-200, f64::NAN, f64::INFINITY] {
            let error = rows.with_weights(&[1.0, bad]).unwrap_err();
            assert!(matches!(error, Error::BadWeight { row: 1, .. }), "{error}");
        }
        let mismatch = |what| Error::LengthMismatch { what, expected: 2, found: 1 };
        assert_eq!(rows.with_weights(&[1.0_f32]).unwrap_err(), mismatch("weights"));
        assert_eq!(rows.with_groups(&[1]).unwrap_err(), mismatch("groups"));
    }

    #[test]
    fn rows_without_label_or_weight_count_nowhere() {
        let labels = [1.0_f64, f64::NAN, 0.0, 1.0];
        let rows = BinaryRows::new(&labels, &[0.5_f32; 4]).unwrap();
        let rows = rows.with_weights(&[0.0_f32, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!(
            (rows.n_rows(), rows.n_positives(), rows.n_negatives(), rows.n_missing()),
            (2, 1, 1, 1)
        );
    }
}
