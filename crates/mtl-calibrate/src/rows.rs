//! The rows that a calibration is fitted to, checked once.

use mtl_eval::{BinaryRows, Column};

use crate::{Error, NegativeSampling, Result};

/// One row that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) p: f64,
    pub(crate) positive: bool,
    pub(crate) weight: f64,
}

/// Rows with a label and a weight above 0: at least one of each class, each predicted by a
/// probability.
#[derive(Clone, Debug)]
pub struct FitRows {
    rows: Vec<Row>,
}

impl FitRows {
    /// Takes labels (0, 1 or NaN where missing), predictions and, if there are any, weights. Rows
    /// with a missing label or a weight of 0 are left out.
    ///
    /// # Errors
    /// Inputs of different lengths, a label that is none of 0, 1 and NaN, a prediction that is no
    /// probability, a weight that cannot be, or rows of one class only.
    pub fn new<'a>(
        labels: impl Into<Column<'a>>,
        predictions: impl Into<Column<'a>>,
        weights: Option<Column<'a>>,
    ) -> Result<Self> {
        let (labels, predictions) = (labels.into(), predictions.into());
        let mut checked = BinaryRows::new(labels, predictions)?;
        if let Some(weights) = weights {
            checked = checked.with_weights(weights)?;
        }
        let mut rows = Vec::with_capacity(checked.n_rows());
        for row in 0..labels.len() {
            let (label, p) = (labels.get(row), predictions.get(row));
            let weight = weights.map_or(1.0, |weights| weights.get(row));
            if label.is_nan() || weight == 0.0 {
                continue;
            }
            if !(0.0..=1.0).contains(&p) {
                return Err(Error::NotAProbability { row, prediction: p });
            }
            rows.push(Row { p, positive: label == 1.0, weight });
        }
        let (positives, negatives) = (checked.n_positives(), checked.n_negatives());
        match positives.min(negatives) {
            0 => Err(Error::OneClass { positives, negatives }),
            _ => Ok(Self { rows }),
        }
    }

    /// The rows as they would be without the sampling of negatives: predictions corrected, and
    /// each negative row standing for 1/w of them.
    #[must_use]
    pub fn unsampled(self, sampling: NegativeSampling) -> Self {
        self.weighed(sampling).corrected(sampling)
    }

    /// The rows with their predictions as they are, each negative standing for 1/w of them: what the
    /// predictions were worth before a correction.
    #[must_use]
    pub fn weighed(mut self, sampling: NegativeSampling) -> Self {
        for row in self.rows.iter_mut().filter(|row| !row.positive) {
            row.weight /= sampling.share();
        }
        self
    }

    /// The rows with corrected predictions, for rows of which no negative was left out though the
    /// model was trained on rows of which some were.
    #[must_use]
    pub fn corrected(mut self, sampling: NegativeSampling) -> Self {
        for row in &mut self.rows {
            row.p = sampling.apply(row.p);
        }
        self
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(crate) fn columns(&self) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let labels = self.rows.iter().map(|row| f64::from(u8::from(row.positive))).collect();
        let predictions = self.rows.iter().map(|row| row.p).collect();
        (labels, predictions, self.rows.iter().map(|row| row.weight).collect())
    }
}
