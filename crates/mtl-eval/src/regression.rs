//! Root mean squared and mean absolute error of a regression task.

use serde::Serialize;

use crate::rows::{check_length, check_weights, first_row};
use crate::sums::{merge_sums, sum_over_rows};
use crate::{Column, Error, Measured, Undefined};

/// The rows of a regression task, checked once. A NaN label is missing; rows with a missing label or
/// a weight of 0 count nowhere.
///
/// ```
/// use mtl_eval::{RegressionRows, mae, rmse};
///
/// let rows = RegressionRows::new(&[3.0_f32, f32::NAN, 1.0], &[1.0_f32, 9.0, 1.0])?;
/// assert_eq!((rmse(&rows).value(), mae(&rows).value()), (Some(2.0_f64.sqrt()), Some(1.0)));
/// # Ok::<(), mtl_eval::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RegressionRows<'a> {
    labels: Column<'a>,
    predictions: Column<'a>,
    weights: Option<Column<'a>>,
}

impl<'a> RegressionRows<'a> {
    /// Checks labels and predictions.
    ///
    /// # Errors
    ///
    /// Lengths differ, a label is infinite, or a prediction is NaN or infinite.
    pub fn new(
        labels: impl Into<Column<'a>>,
        predictions: impl Into<Column<'a>>,
    ) -> Result<Self, Error> {
        let (labels, predictions) = (labels.into(), predictions.into());
        check_length("predictions", labels.len(), predictions.len())?;
        if let Some(row) = first_row(labels.len(), |row| labels.get(row).is_infinite()) {
            return Err(Error::InfiniteLabel { row, label: labels.get(row) });
        }
        if let Some(row) = first_row(labels.len(), |row| !predictions.get(row).is_finite()) {
            return Err(Error::NonFinitePrediction { row, prediction: predictions.get(row) });
        }
        Ok(RegressionRows { labels, predictions, weights: None })
    }

    /// Gives every row a weight.
    ///
    /// # Errors
    ///
    /// Lengths differ, or a weight is neither 0 nor between 1e-100 and 1e100.
    pub fn with_weights(mut self, weights: impl Into<Column<'a>>) -> Result<Self, Error> {
        let weights = weights.into();
        check_weights(weights, self.labels.len())?;
        self.weights = Some(weights);
        Ok(self)
    }

    fn errors(&self) -> ErrorSums {
        let add = |sums: &mut [f64; 4], row: usize| {
            let (label, weight) =
                (self.labels.get(row), self.weights.map_or(1.0, |weights| weights.get(row)));
            if !label.is_nan() && weight > 0.0 {
                let error = self.predictions.get(row) - label;
                for (sum, term) in
                    sums.iter_mut().zip([1.0, weight, weight * error * error, weight * error.abs()])
                {
                    *sum += term;
                }
            }
        };
        let [rows, weight, squared, absolute] =
            sum_over_rows(self.labels.len(), || [0.0; 4], add, merge_sums);
        ErrorSums { rows: rows as usize, weight, squared, absolute }
    }
}

/// Root mean squared error. Undefined without rows.
pub fn rmse(rows: &RegressionRows<'_>) -> Measured {
    RegressionReport::new(rows).rmse
}

/// Mean absolute error. Undefined without rows.
pub fn mae(rows: &RegressionRows<'_>) -> Measured {
    RegressionReport::new(rows).mae
}

/// All metrics of a regression task, from one pass over the rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegressionReport {
    /// Number of rows that count.
    pub rows: usize,
    /// Root mean squared error.
    pub rmse: Measured,
    /// Mean absolute error.
    pub mae: Measured,
}

impl RegressionReport {
    /// Measures the rows.
    pub fn new(rows: &RegressionRows<'_>) -> Self {
        let sums = rows.errors();
        let mean =
            |sum: f64| if sums.rows == 0 { Err(Undefined::NoRows) } else { Ok(sum / sums.weight) };
        RegressionReport {
            rows: sums.rows,
            rmse: mean(sums.squared).map(f64::sqrt).into(),
            mae: mean(sums.absolute).into(),
        }
    }
}

struct ErrorSums {
    rows: usize,
    weight: f64,
    squared: f64,
    absolute: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::approx_eq;

    #[test]
    fn by_hand_with_weights() {
        let rows = RegressionRows::new(&[1.0_f64, 2.0, 5.0], &[2.0_f64, 0.0, 5.0]).unwrap();
        approx_eq(rmse(&rows).value().unwrap(), (5.0_f64 / 3.0).sqrt(), 1e-15);
        approx_eq(mae(&rows).value().unwrap(), 1.0, 1e-15);
        let rows = rows.with_weights(&[2.0_f32, 1.0, 0.0]).unwrap();
        approx_eq(rmse(&rows).value().unwrap(), 2.0_f64.sqrt(), 1e-15);
        approx_eq(mae(&rows).value().unwrap(), 4.0 / 3.0, 1e-15);
        assert_eq!(RegressionReport::new(&rows).rows, 2);
    }

    #[test]
    fn no_rows_is_undefined() {
        let rows = RegressionRows::new(&[f64::NAN], &[2.0_f64]).unwrap();
        assert_eq!(rmse(&rows).reason(), Some(&Undefined::NoRows));
    }

    #[test]
    fn faults_name_the_row() {
        let error = RegressionRows::new(&[1.0_f64, f64::INFINITY], &[0.0_f64; 2]).unwrap_err();
        assert_eq!(error, Error::InfiniteLabel { row: 1, label: f64::INFINITY });
        let error = RegressionRows::new(&[1.0_f64; 2], &[0.0, f64::INFINITY]).unwrap_err();
        assert_eq!(error, Error::NonFinitePrediction { row: 1, prediction: f64::INFINITY });
        let error = RegressionRows::new(&[1.0_f64; 2], &[0.0_f64; 3]).unwrap_err();
        assert!(matches!(error, Error::LengthMismatch { expected: 2, found: 3, .. }));
    }
}
