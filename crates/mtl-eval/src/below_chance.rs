//! Is an AUC below one half by more than chance? Then a label is probably bound to the wrong tower.

use serde::Serialize;

use crate::auc::both_classes;
use crate::interval::normal_cdf;
use crate::ranked::Ranked;
use crate::{BinaryRows, Measured, Undefined};

/// The one-sided test that AUC is below one half.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BelowChance {
    /// AUC, in which every row counts 1.
    pub auc: f64,
    /// (AUC − ½) in standard errors.
    pub z: f64,
    /// Probability of an AUC this low if predictions and labels had nothing to do with each other.
    pub p_value: f64,
}

impl BelowChance {
    /// The p-value below which a model is worth a warning.
    pub const WARN_BELOW: f64 = 0.01;

    /// Whether to warn: the AUC is below one half, and chance would rarely make it so.
    pub fn is_significant(&self) -> bool {
        self.p_value < Self::WARN_BELOW
    }
}

/// Tests whether AUC is below one half: Mann and Whitney's test with the variance corrected for
/// ties, (n + 1 − Σ(t³ − t)/(n(n − 1)))/(12·P·N), and no continuity correction.
///
/// DeLong's variance would be 0 for two rows in the wrong order, and the warning false; this one is
/// the variance under chance, honest for few rows. Weights are ignored but for 0, since the test asks
/// about the direction only.
///
/// Undefined without rows of both classes, and if all predictions are equal.
///
/// ```
/// use mtl_eval::{BinaryRows, below_chance};
///
/// let labels: Vec<f32> = (0..100).map(|i| f32::from(i < 50)).collect();
/// let predictions: Vec<f32> = (0..100).map(|i| i as f32 / 100.0).collect();
/// assert!(below_chance(&BinaryRows::new(&labels, &predictions)?).value().unwrap().is_significant());
/// # Ok::<(), mtl_eval::Error>(())
/// ```
pub fn below_chance(rows: &BinaryRows<'_>) -> Measured<BelowChance> {
    both_classes(rows).and_then(|()| test(rows, &Ranked::new(rows))).into()
}

/// The test of rows that a report has ranked already.
pub(crate) fn below_chance_ranked(
    rows: &BinaryRows<'_>,
    ranked: &Ranked<'_>,
) -> Measured<BelowChance> {
    both_classes(rows).and_then(|()| test(rows, ranked)).into()
}

fn test(rows: &BinaryRows<'_>, ranked: &Ranked<'_>) -> Result<BelowChance, Undefined> {
    let (n_positives, n_negatives) = (rows.n_positives() as f64, rows.n_negatives() as f64);
    let (mut negatives, mut won, mut ties) = (0.0, 0.0, 0.0);
    for tie in ranked.ties() {
        let tied = tie.len() as f64;
        won += tie.n_positives as f64 * (negatives + 0.5 * tie.n_negatives as f64);
        negatives += tie.n_negatives as f64;
        ties += tied * (tied * tied - 1.0);
    }
    let (n, pairs) = (n_positives + n_negatives, n_positives * n_negatives);
    let variance = (n + 1.0 - ties / (n * (n - 1.0))) / (12.0 * pairs);
    let auc = won / pairs;
    // All rows tied: the variance is 0 up to rounding, and the order says nothing.
    if ranked.ties().nth(1).is_none() {
        return Err(Undefined::ConstantPrediction);
    }
    let z = (auc - 0.5) / variance.sqrt();
    Ok(BelowChance { auc, z, p_value: normal_cdf(z) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::approx_eq;

    /// SciPy 1.17: `mannwhitneyu(positives, negatives, alternative="less", use_continuity=False,
    /// method="asymptotic")` of [.2, .3, .3, .1, .5], [.3, .6, .4, .7, .2, .9, .8].
    #[test]
    fn as_scipy() {
        let labels: Vec<f32> = (0..12).map(|i| if i < 5 { 1.0 } else { 0.0 }).collect();
        let predictions = [0.2_f64, 0.3, 0.3, 0.1, 0.5, 0.3, 0.6, 0.4, 0.7, 0.2, 0.9, 0.8];
        let rows = BinaryRows::new(&labels, &predictions).unwrap();
        let found = below_chance(&rows).value().unwrap();
        approx_eq(found.auc, 6.5 / 35.0, 1e-15);
        approx_eq(found.p_value, 0.03575551007430148, 1e-10);
        assert!(!found.is_significant());
    }

    #[test]
    fn few_rows_and_good_models_raise_no_alarm() {
        let test = |labels: &[f64], predictions: &[f64]| {
            let rows = BinaryRows::new(labels, predictions).unwrap();
            below_chance(&rows).map(|test| test.is_significant()).into_result()
        };
        assert_eq!(test(&[1.0, 1.0, 0.0, 0.0], &[0.1, 0.2, 0.3, 0.4]), Ok(false));
        let labels: Vec<f64> = (0..60).map(|i| f64::from(i >= 30)).collect();
        let predictions: Vec<f64> = (0..60).map(f64::from).collect();
        assert_eq!(test(&labels, &predictions), Ok(false));
        let mirrored: Vec<f64> = predictions.iter().map(|p| -p).collect();
        assert_eq!(test(&labels, &mirrored), Ok(true));
        assert_eq!(test(&[1.0, 0.0, 0.0], &[0.5; 3]), Err(Undefined::ConstantPrediction));
        assert_eq!(test(&[1.0], &[0.5]), Err(Undefined::NoNegatives));
    }
}
