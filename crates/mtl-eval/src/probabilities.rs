//! One pass over the rows for everything that is a mean over probabilities.

use crate::auc::both_classes;
use crate::sums::{merge_sums, sum_over_rows};
use crate::{BinaryRows, Undefined};

/// Weighted sums over the rows that count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProbabilitySums {
    pub(crate) weight: f64,
    pub(crate) labels: f64,
    pub(crate) predictions: f64,
    pub(crate) log_loss: f64,
    pub(crate) squared_error: f64,
}

impl ProbabilitySums {
    pub(crate) fn new(rows: &BinaryRows<'_>) -> Result<Self, Undefined> {
        check_probabilities(rows)?;
        let epsilon = rows.predictions().epsilon();
        let add = |sums: &mut [f64; 5], row: usize| {
            if let Some(row) = rows.get(row) {
                let label = f64::from(row.positive);
                let of_label = if row.positive { row.prediction } else { 1.0 - row.prediction };
                let loss = -of_label.clamp(epsilon, 1.0 - epsilon).ln();
                let squared = (row.prediction - label).powi(2);
                for (sum, term) in sums.iter_mut().zip([1.0, label, row.prediction, loss, squared])
                {
                    *sum += row.weight * term;
                }
            }
        };
        let [weight, labels, predictions, log_loss, squared_error] =
            sum_over_rows(rows.len(), || [0.0; 5], add, merge_sums);
        Ok(ProbabilitySums { weight, labels, predictions, log_loss, squared_error })
    }

    pub(crate) fn log_loss(&self) -> f64 {
        self.log_loss / self.weight
    }

    pub(crate) fn brier(&self) -> f64 {
        self.squared_error / self.weight
    }

    /// Log loss over the entropy of the base rate.
    pub(crate) fn normalised_entropy(&self, rows: &BinaryRows<'_>) -> Result<f64, Undefined> {
        both_classes(rows)?;
        let base_rate = self.labels / self.weight;
        let entropy = -base_rate * base_rate.ln() - (1.0 - base_rate) * (-base_rate).ln_1p();
        Ok(self.log_loss() / entropy)
    }

    /// Mean prediction over mean label.
    pub(crate) fn pcoc(&self, rows: &BinaryRows<'_>) -> Result<f64, Undefined> {
        if rows.n_positives() == 0 {
            return Err(Undefined::NoPositives);
        }
        Ok(self.predictions / self.labels)
    }
}

/// Whether every prediction that counts is a probability.
pub(crate) fn check_probabilities(rows: &BinaryRows<'_>) -> Result<(), Undefined> {
    if rows.n_rows() == 0 {
        return Err(Undefined::NoRows);
    }
    match rows.first_prediction_not(|p| (0.0..=1.0).contains(&p)) {
        Some((row, prediction)) => Err(Undefined::NotAProbability { row, prediction }),
        None => Ok(()),
    }
}
