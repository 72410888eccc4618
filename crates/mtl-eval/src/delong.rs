//! DeLong's variance of AUC: intervals of one model, differences of two on the same rows.
//!
//! A positive row's component is the share of negatives that it beats, a negative row's the share of
//! positives that beat it (ties half). Their sample variances, over P and over N, add up to the
//! variance of AUC (DeLong, DeLong and Clarke-Pearson, Biometrics 1988, equations 4–6). All rows of a
//! tie share a component, so one pass over the sorted ties finds them all, in place of P·N
//! comparisons (the idea of Sun and Xu, IEEE Signal Processing Letters 2014).

use serde::Serialize;

use crate::auc::{auc_ranked, both_classes};
use crate::interval::z_and_p;
use crate::ranked::{Ranked, Tie};
use crate::{BinaryRows, Column, ConfidenceLevel, Error, Interval, Measured, Undefined};

/// AUC with DeLong's confidence interval, cut off at 0 and 1.
///
/// Rows are taken as independent; rows of one user are not quite, so the interval is then somewhat
/// too narrow ([`GroupAucs::bootstrap`](crate::GroupAucs::bootstrap) draws users instead).
///
/// Undefined with fewer than two rows of a class, and for weighted rows.
///
/// ```
/// use mtl_eval::{BinaryRows, ConfidenceLevel, delong};
///
/// let labels = [0.0_f32, 0.0, 1.0, 1.0, 0.0, 1.0];
/// let rows = BinaryRows::new(&labels, &[0.1_f32, 0.4, 0.35, 0.8, 0.2, 0.9])?;
/// let interval = delong(&rows, ConfidenceLevel::default()).value().unwrap();
/// assert!(interval.low < interval.estimate && interval.estimate <= interval.high);
/// # Ok::<(), mtl_eval::Error>(())
/// ```
pub fn delong(rows: &BinaryRows<'_>, level: ConfidenceLevel) -> Measured<Interval> {
    match check(rows) {
        Ok(()) => delong_ranked(rows, &Ranked::new(rows), level),
        Err(reason) => Measured::Undefined(reason),
    }
}

/// DeLong's interval of rows that a report has ranked already.
pub(crate) fn delong_ranked(
    rows: &BinaryRows<'_>,
    ranked: &Ranked<'_>,
    level: ConfidenceLevel,
) -> Measured<Interval> {
    interval(rows, ranked, level).into()
}

fn interval(
    rows: &BinaryRows<'_>,
    ranked: &Ranked<'_>,
    level: ConfidenceLevel,
) -> Result<Interval, Undefined> {
    check(rows)?;
    let auc = auc_ranked(rows, ranked)?;
    let mut spread = Spread::new(rows, auc);
    for (tie, components) in components(rows, ranked) {
        spread.of_positives += tie.positives * (components.positive - auc).powi(2);
        spread.of_negatives += tie.negatives * (components.negative - auc).powi(2);
    }
    let standard_error = spread.variance().sqrt();
    let half_width = level.normal_quantile() * standard_error;
    let (low, high) = ((auc - half_width).max(0.0), (auc + half_width).min(1.0));
    Ok(Interval { estimate: auc, standard_error, low, high, level })
}

/// Two models on the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairedDelong {
    /// AUC of the first model.
    pub first: f64,
    /// AUC of the second model.
    pub second: f64,
    /// `first − second` with its standard error and interval.
    pub difference: Interval,
    /// The difference in standard errors.
    pub z: f64,
    /// Two-sided p-value of "both models have the same AUC".
    pub p_value: f64,
}

/// DeLong's test of two models on the same rows, their correlation taken into account.
///
/// Undefined with fewer than two rows of a class.
///
/// # Errors
///
/// Those of [`BinaryRows::new`], of either model's predictions.
///
/// ```
/// use mtl_eval::{ConfidenceLevel, paired_delong};
///
/// let labels = [0.0_f32, 0.0, 1.0, 1.0, 0.0, 1.0];
/// let (first, second) = ([0.1_f32, 0.2, 0.6, 0.8, 0.3, 0.9], [0.1_f32, 0.4, 0.35, 0.8, 0.9, 0.7]);
/// let test = paired_delong(&labels, &first, &second, ConfidenceLevel::default())?.value().unwrap();
/// assert!(test.first > test.second && test.p_value > 0.05);
/// # Ok::<(), mtl_eval::Error>(())
/// ```
pub fn paired_delong<'a>(
    labels: impl Into<Column<'a>>,
    first: impl Into<Column<'a>>,
    second: impl Into<Column<'a>>,
    level: ConfidenceLevel,
) -> Result<Measured<PairedDelong>, Error> {
    let labels = labels.into();
    let first = BinaryRows::new(labels, first)?;
    let second = BinaryRows::new(labels, second)?;
    Ok(paired(&first, &second, level).into())
}

fn paired(
    first: &BinaryRows<'_>,
    second: &BinaryRows<'_>,
    level: ConfidenceLevel,
) -> Result<PairedDelong, Undefined> {
    check(first)?;
    let (ranked_first, ranked_second) = (Ranked::new(first), Ranked::new(second));
    let (auc_first, auc_second) =
        (auc_ranked(first, &ranked_first)?, auc_ranked(second, &ranked_second)?);
    let (of_first, of_second) =
        (components_by_row(first, &ranked_first), components_by_row(second, &ranked_second));
    let difference = auc_first - auc_second;
    // The variance of the difference is the variance of the components' differences: no covariance
    // matrix, and no cancellation where the models are nearly equal.
    let mut spread = Spread::new(first, difference);
    for row in 0..first.len() {
        if let Some(r) = first.get(row) {
            spread.add(r.positive, of_first[row] - of_second[row]);
        }
    }
    let standard_error = spread.variance().sqrt();
    let half_width = level.normal_quantile() * standard_error;
    let (z, p_value) = z_and_p(difference, standard_error);
    let (low, high) = (difference - half_width, difference + half_width);
    let difference = Interval { estimate: difference, standard_error, low, high, level };
    Ok(PairedDelong { first: auc_first, second: auc_second, difference, z, p_value })
}

fn check(rows: &BinaryRows<'_>) -> Result<(), Undefined> {
    both_classes(rows)?;
    if rows.weights().is_some() {
        return Err(Undefined::Weighted);
    }
    let at_least_two = |what, found| {
        if found < 2 { Err(Undefined::TooFew { what, needed: 2, found }) } else { Ok(()) }
    };
    at_least_two("positive rows", rows.n_positives())?;
    at_least_two("negative rows", rows.n_negatives())
}

/// Squared deviations of the components from their mean, by class.
struct Spread {
    mean: f64,
    n_positives: f64,
    n_negatives: f64,
    of_positives: f64,
    of_negatives: f64,
}

impl Spread {
    fn new(rows: &BinaryRows<'_>, mean: f64) -> Self {
        let (n_positives, n_negatives) = (rows.n_positives() as f64, rows.n_negatives() as f64);
        Spread { mean, n_positives, n_negatives, of_positives: 0.0, of_negatives: 0.0 }
    }

    fn add(&mut self, positive: bool, component: f64) {
        let sum = if positive { &mut self.of_positives } else { &mut self.of_negatives };
        *sum += (component - self.mean).powi(2);
    }

    fn variance(&self) -> f64 {
        let of_mean = |sum: f64, n: f64| sum / (n - 1.0) / n;
        of_mean(self.of_positives, self.n_positives) + of_mean(self.of_negatives, self.n_negatives)
    }
}

/// What a row of a tie contributes to AUC, if it is positive and if it is negative.
struct Components {
    positive: f64,
    negative: f64,
}

fn components(
    rows: &BinaryRows<'_>,
    ranked: &Ranked<'_>,
) -> impl Iterator<Item = (Tie, Components)> {
    let (n_positives, n_negatives) = (rows.n_positives() as f64, rows.n_negatives() as f64);
    ranked.ties().scan((0.0, 0.0), move |(positives, negatives), tie| {
        let beaten = *negatives + 0.5 * tie.negatives;
        let beating = n_positives - *positives - 0.5 * tie.positives;
        *positives += tie.positives;
        *negatives += tie.negatives;
        let shares = Components { positive: beaten / n_negatives, negative: beating / n_positives };
        Some((tie, shares))
    })
}

/// The component of every row; 0 for rows that count nowhere.
fn components_by_row(rows: &BinaryRows<'_>, ranked: &Ranked<'_>) -> Vec<f64> {
    let mut by_row = vec![0.0; rows.len()];
    let mut start = 0;
    for (tie, components) in components(rows, ranked) {
        for position in start..start + tie.len() {
            let (row, positive) = ranked.row(position);
            by_row[row] = if positive { components.positive } else { components.negative };
        }
        start += tie.len();
    }
    by_row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{self, PlainRow, approx_eq, beats, same};
    use proptest::prelude::*;

    /// Structural components by the definition: all pairs of one positive with all negatives.
    fn structural(rows: &[PlainRow]) -> [Vec<f64>; 2] {
        let of = |positive| rows.iter().filter(move |r: &&PlainRow| r.0 == positive).map(|r| r.1);
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let v10 = of(true).map(|p| mean(of(false).map(|n| beats(p, n)).collect())).collect();
        let v01 = of(false).map(|n| mean(of(true).map(|p| beats(p, n)).collect())).collect();
        [v10, v01]
    }

    fn covariance(a: &[f64], b: &[f64]) -> f64 {
        let n = a.len() as f64;
        let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
        a.iter().zip(b).map(|(x, y)| (x - mean_a) * (y - mean_b)).sum::<f64>() / (n - 1.0)
    }

    fn variance(rows: &[PlainRow]) -> Option<f64> {
        let components = structural(rows);
        let enough = components.iter().all(|v| v.len() >= 2);
        enough.then(|| components.iter().map(|v| covariance(v, v) / v.len() as f64).sum())
    }

    /// Positives .6, .8 against negatives .5, .7, .1: V10 = 2/3, 1; V01 = 1, ½, 1. AUC = 5/6.
    /// Variances: (1/6)²·2/1 = 1/18 over 2; ((1/6)²·2 + (1/3)²)/2 = 1/12 over 3; sum 1/36 + 1/36.
    #[test]
    fn by_hand() {
        let labels = [1.0_f64, 1.0, 0.0, 0.0, 0.0];
        let rows = BinaryRows::new(&labels, &[0.6_f64, 0.8, 0.5, 0.7, 0.1]).unwrap();
        let found = delong(&rows, ConfidenceLevel::default()).value().unwrap();
        approx_eq(found.estimate, 5.0 / 6.0, 1e-15);
        approx_eq(found.standard_error, (1.0_f64 / 18.0).sqrt(), 1e-15);
        approx_eq(found.low, 5.0 / 6.0 - 1.959_963_984_540_054 * (1.0_f64 / 18.0).sqrt(), 1e-9);
        assert_eq!(found.high, 1.0);
    }

    #[test]
    fn undefined_says_why() {
        let check = |labels: &[f64], expected: Undefined| {
            let predictions = vec![0.5_f64; labels.len()];
            let rows = BinaryRows::new(labels, &predictions).unwrap();
            assert_eq!(delong(&rows, ConfidenceLevel::default()).reason(), Some(&expected));
        };
        check(&[1.0, 1.0], Undefined::NoNegatives);
        check(&[1.0, 0.0, 0.0], Undefined::TooFew { what: "positive rows", needed: 2, found: 1 });
        check(&[1.0, 1.0, 0.0], Undefined::TooFew { what: "negative rows", needed: 2, found: 1 });
        let rows = BinaryRows::new(&[1.0_f64, 0.0], &[0.5_f64, 0.2]).unwrap();
        let rows = rows.with_weights(&[1.0_f64, 1.0]).unwrap();
        let found = delong(&rows, ConfidenceLevel::default());
        assert_eq!(found.reason(), Some(&Undefined::Weighted));
    }

    #[test]
    fn a_model_does_not_differ_from_itself() {
        let (labels, p) = ([1.0_f64, 1.0, 0.0, 0.0], [0.5_f64, 0.3, 0.4, 0.1]);
        let found = paired_delong(&labels, &p, &p, ConfidenceLevel::default()).unwrap();
        let found = found.value().unwrap();
        assert_eq!((found.difference.estimate, found.z, found.p_value), (0.0, 0.0, 1.0));
    }

    proptest! {
        #[test]
        fn variance_is_that_of_the_structural_components(case in oracle::case()) {
            let case = oracle::Case { weights: None, ..case };
            let found = delong(&case.rows(), ConfidenceLevel::default());
            let found = found.value().map(|interval| interval.standard_error.powi(2));
            prop_assert!(same(found, variance(&case.counted()), 1e-12));
        }

        #[test]
        fn paired_variance_is_var_plus_var_minus_twice_the_covariance(
            case in oracle::case(), seed in 0_u64..100
        ) {
            let mut first = oracle::Case { weights: None, ..case };
            first.labels.iter_mut().for_each(|y| if y.is_nan() { *y = 0.0 });
            let second = oracle::Case { predictions: first.shuffled(seed).predictions, ..first.clone() };
            let level = ConfidenceLevel::default();
            let found = paired_delong(&first.labels, &first.predictions, &second.predictions, level);
            let found = found.unwrap().value();
            let (a, b) = (structural(&first.counted()), structural(&second.counted()));
            let expected = a.iter().all(|v| v.len() >= 2).then(|| {
                a.iter().zip(&b).map(|(a, b)| {
                    (covariance(a, a) + covariance(b, b) - 2.0 * covariance(a, b)) / a.len() as f64
                }).sum::<f64>()
            });
            prop_assert!(same(found.map(|f| f.difference.standard_error.powi(2)), expected, 1e-12));
            let expected = oracle::auc(&first.counted()).zip(oracle::auc(&second.counted()));
            prop_assert!(same(
                found.map(|f| f.difference.estimate),
                expected.filter(|_| found.is_some()).map(|(a, b)| a - b),
                1e-12
            ));
        }
    }
}
