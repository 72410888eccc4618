//! Log loss, from probabilities and from logits, and normalised entropy.

use crate::probabilities::ProbabilitySums;
use crate::sums::{merge_sums, sum_over_rows};
use crate::{BinaryRows, Measured, Undefined};

/// The mean of −y·ln p − (1−y)·ln(1−p), in nats, with weights if the rows have them.
///
/// The probability of the row's own class is clipped to [ε, 1 − ε], ε being the spacing of the
/// predictions' type at 1 (1.2e-7 for f32, 2.2e-16 for f64, as in scikit-learn): a sigmoid in f32
/// rounds to 1 at a logit of 17, and that rounding must not cost an infinite loss.
/// [`log_loss_from_logits`] needs no clipping.
///
/// Undefined without rows, and if a prediction is not in [0, 1].
///
/// ```
/// use mtl_eval::{BinaryRows, log_loss};
///
/// let rows = BinaryRows::new(&[1.0_f64, 0.0], &[0.5_f64, 0.5])?;
/// assert!((log_loss(&rows).value().unwrap() - 2.0_f64.ln()).abs() < 1e-15);
/// # Ok::<(), mtl_eval::Error>(())
/// ```
pub fn log_loss(rows: &BinaryRows<'_>) -> Measured {
    ProbabilitySums::new(rows).map(|sums| sums.log_loss()).into()
}

/// The log loss of logits z: the mean of softplus(z) − y·z, exact for any finite logit.
///
/// Undefined without rows, and if a logit is infinite.
///
/// ```
/// use mtl_eval::{BinaryRows, log_loss_from_logits};
///
/// let rows = BinaryRows::new(&[1.0_f64, 0.0], &[-1000.0_f64, 0.0])?;
/// let expected = (1000.0 + 2.0_f64.ln()) / 2.0;
/// assert!((log_loss_from_logits(&rows).value().unwrap() - expected).abs() < 1e-12);
/// # Ok::<(), mtl_eval::Error>(())
/// ```
pub fn log_loss_from_logits(rows: &BinaryRows<'_>) -> Measured {
    loss_from_logits(rows).into()
}

fn loss_from_logits(rows: &BinaryRows<'_>) -> Result<f64, Undefined> {
    if rows.n_rows() == 0 {
        return Err(Undefined::NoRows);
    }
    if let Some((row, logit)) = rows.first_prediction_not(f64::is_finite) {
        return Err(Undefined::InfiniteLogit { row, logit });
    }
    let add = |sums: &mut [f64; 2], row: usize| {
        if let Some(row) = rows.get(row) {
            // softplus(z) − z = softplus(−z), which cancels nothing.
            let z = if row.positive { -row.prediction } else { row.prediction };
            sums[0] += row.weight * (z.max(0.0) + (-z.abs()).exp().ln_1p());
            sums[1] += row.weight;
        }
    };
    let [loss, weight] = sum_over_rows(rows.len(), || [0.0; 2], add, merge_sums);
    Ok(loss / weight)
}

/// Log loss over the entropy of the base rate: below 1 the predictions beat the base rate itself
/// (He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook", ADKDD 2014, equation 1).
///
/// Undefined without rows of both classes, and if a prediction is not in [0, 1].
///
/// ```
/// use mtl_eval::{BinaryRows, normalised_entropy};
///
/// let rows = BinaryRows::new(&[1.0_f64, 0.0, 0.0, 0.0], &[0.25_f64; 4])?;
/// assert!((normalised_entropy(&rows).value().unwrap() - 1.0).abs() < 1e-15);
/// # Ok::<(), mtl_eval::Error>(())
/// ```
pub fn normalised_entropy(rows: &BinaryRows<'_>) -> Measured {
    ProbabilitySums::new(rows).and_then(|sums| sums.normalised_entropy(rows)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{self, approx_eq};
    use proptest::prelude::*;

    #[test]
    fn by_hand_with_weights() {
        let rows = BinaryRows::new(&[1.0_f64, 0.0, f64::NAN], &[0.8_f64, 0.4, 0.1]).unwrap();
        approx_eq(log_loss(&rows).value().unwrap(), -(0.8_f64.ln() + 0.6_f64.ln()) / 2.0, 1e-15);
        let rows = rows.with_weights(&[3.0_f64, 1.0, 5.0]).unwrap();
        let expected = -(3.0 * 0.8_f64.ln() + 0.6_f64.ln()) / 4.0;
        approx_eq(log_loss(&rows).value().unwrap(), expected, 1e-15);
        let entropy = -(0.75 * 0.75_f64.ln() + 0.25 * 0.25_f64.ln());
        approx_eq(normalised_entropy(&rows).value().unwrap(), expected / entropy, 1e-15);
    }

    #[test]
    fn certain_and_wrong_is_clipped_at_the_precision_of_the_predictions() {
        let loss = |rows: BinaryRows<'_>| log_loss(&rows).value().unwrap();
        let labels = [0.0_f64];
        approx_eq(loss(BinaryRows::new(&labels, &[1.0_f32]).unwrap()), 23.0 * 2.0_f64.ln(), 1e-12);
        approx_eq(loss(BinaryRows::new(&labels, &[1.0_f64]).unwrap()), 52.0 * 2.0_f64.ln(), 1e-12);
    }

    #[test]
    fn undefined_says_why() {
        let rows = BinaryRows::new(&[f64::NAN, 0.0, 1.0], &[7.0_f64, 0.5, 1.5]).unwrap();
        let reason = Undefined::NotAProbability { row: 2, prediction: 1.5 };
        assert_eq!(log_loss(&rows).reason(), Some(&reason));
        let rows = BinaryRows::new(&[0.0_f64], &[0.5_f64]).unwrap();
        assert_eq!(normalised_entropy(&rows).reason(), Some(&Undefined::NoPositives));
        let rows = BinaryRows::new(&[0.0_f64], &[f64::NEG_INFINITY]).unwrap();
        let reason = Undefined::InfiniteLogit { row: 0, logit: f64::NEG_INFINITY };
        assert_eq!(log_loss_from_logits(&rows).reason(), Some(&reason));
    }

    proptest! {
        #[test]
        fn logits_and_probabilities_agree(case in oracle::case()) {
            let mut logits = case.clone();
            logits.predictions.iter_mut().for_each(|p| *p = 8.0 * *p - 4.0);
            let mut probabilities = logits.clone();
            probabilities.predictions.iter_mut().for_each(|p| *p = 1.0 / (1.0 + (-*p).exp()));
            let found = log_loss_from_logits(&logits.rows()).value();
            prop_assert!(oracle::same(found, log_loss(&probabilities.rows()).value(), 1e-13));
        }
    }
}
