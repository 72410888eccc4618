//! Do predictions mean what they say? Brier score, prediction ratio (PCOC), calibration error.

use std::num::NonZeroUsize;

use serde::Serialize;

use crate::probabilities::{ProbabilitySums, check_probabilities};
use crate::ranked::Ranked;
use crate::sums::sum_over_rows;
use crate::{BinaryRows, Measured};

/// The Brier score: the mean of (p − y)², with weights if the rows have them.
///
/// Undefined without rows, and if a prediction is not in [0, 1].
///
/// ```
/// use mtl_eval::{BinaryRows, brier};
///
/// let rows = BinaryRows::new(&[1.0_f64, 0.0], &[0.5_f64, 0.25])?;
/// assert_eq!(brier(&rows).value(), Some(0.15625));
/// # Ok::<(), mtl_eval::Error>(())
/// ```
pub fn brier(rows: &BinaryRows<'_>) -> Measured {
    ProbabilitySums::new(rows).map(|sums| sums.brier()).into()
}

/// PCOC, predicted clicks over clicks: the mean prediction over the mean label; 1 is calibrated,
/// above 1 the model promises too much.
///
/// Undefined without positive rows, and if a prediction is not in [0, 1].
///
/// ```
/// use mtl_eval::{BinaryRows, pcoc};
///
/// let rows = BinaryRows::new(&[1.0_f64, 0.0], &[0.5_f64, 0.25])?;
/// assert_eq!(pcoc(&rows).value(), Some(0.75));
/// # Ok::<(), mtl_eval::Error>(())
/// ```
pub fn pcoc(rows: &BinaryRows<'_>) -> Measured {
    ProbabilitySums::new(rows).and_then(|sums| sums.pcoc(rows)).into()
}

/// How [0, 1] is cut into bins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Binning {
    /// M bins of width 1/M; a prediction p falls in bin ⌊p·M⌋, 1 in the last.
    EqualWidth(NonZeroUsize),
    /// M bins of about equal weight. Equal predictions share a bin, that of their middle, so the
    /// result does not depend on the order of rows. For rare tasks, whose predictions would all
    /// fall into the first bin of equal width.
    EqualMass(NonZeroUsize),
}

/// The rows of one bin of predictions; a point of the reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Weight of the bin's rows (their number, without weights).
    pub weight: f64,
    /// Mean prediction.
    pub mean_prediction: f64,
    /// Mean label: the share of positives.
    pub mean_label: f64,
}

/// The reliability diagram: the bins that hold rows, in ascending order of predictions.
///
/// Undefined without rows, and if a prediction is not in [0, 1].
pub fn calibration_bins(rows: &BinaryRows<'_>, binning: Binning) -> Measured<Vec<CalibrationBin>> {
    check_probabilities(rows)
        .map(|()| match binning {
            Binning::EqualWidth(n_bins) => equal_width(rows, n_bins),
            Binning::EqualMass(n_bins) => equal_mass(&Ranked::new(rows), n_bins),
        })
        .into()
}

/// Expected calibration error: Σ_b (n_b/n)·|mean label − mean prediction| over bins b
/// (Naeini et al., AAAI 2015; Guo et al., ICML 2017, equation 3).
///
/// Undefined without rows, and if a prediction is not in [0, 1].
///
/// ```
/// use std::num::NonZeroUsize;
/// use mtl_eval::{Binning, BinaryRows, ece};
///
/// let rows = BinaryRows::new(&[1.0_f64, 0.0, 1.0, 1.0], &[0.3_f64, 0.3, 0.9, 0.9])?;
/// let ten = Binning::EqualWidth(NonZeroUsize::new(10).unwrap());
/// assert!((ece(&rows, ten).value().unwrap() - 0.15).abs() < 1e-15);
/// # Ok::<(), mtl_eval::Error>(())
/// ```
pub fn ece(rows: &BinaryRows<'_>, binning: Binning) -> Measured {
    calibration_bins(rows, binning).map(|bins| error_of(&bins))
}

/// The bins of equal width and of equal mass, of rows that a report has checked to predict
/// probabilities and ranked.
pub(crate) fn both_binnings(
    rows: &BinaryRows<'_>,
    ranked: &Ranked<'_>,
    n_bins: NonZeroUsize,
) -> (Vec<CalibrationBin>, Vec<CalibrationBin>) {
    (equal_width(rows, n_bins), equal_mass(ranked, n_bins))
}

pub(crate) fn error_of(bins: &[CalibrationBin]) -> f64 {
    let weight: f64 = bins.iter().map(|bin| bin.weight).sum();
    let error = |bin: &CalibrationBin| bin.weight * (bin.mean_label - bin.mean_prediction).abs();
    bins.iter().map(error).sum::<f64>() / weight
}

fn equal_width(rows: &BinaryRows<'_>, n_bins: NonZeroUsize) -> Vec<CalibrationBin> {
    let n_bins = n_bins.get();
    let add = |bins: &mut Vec<BinSums>, row: usize| {
        if let Some(row) = rows.get(row) {
            let bin = ((row.prediction * n_bins as f64) as usize).min(n_bins - 1);
            let positives = if row.positive { row.weight } else { 0.0 };
            bins[bin].add(row.weight, row.weight * row.prediction, positives);
        }
    };
    let merge = |total: &mut Vec<BinSums>, part: Vec<BinSums>| {
        for (t, p) in total.iter_mut().zip(part) {
            t.add(p.weight, p.predictions, p.positives);
        }
    };
    let sums = sum_over_rows(rows.len(), || vec![BinSums::default(); n_bins], add, merge);
    sums.iter().filter_map(BinSums::means).collect()
}

fn equal_mass(ranked: &Ranked<'_>, n_bins: NonZeroUsize) -> Vec<CalibrationBin> {
    let n_bins = n_bins.get();
    let total: f64 = ranked.ties().map(|tie| tie.weight()).sum();
    let (mut bins, mut current, mut below) = (Vec::new(), 0, 0.0);
    let mut sums = BinSums::default();
    for tie in ranked.ties() {
        let middle = (below + 0.5 * tie.weight()) / total;
        let bin = ((middle * n_bins as f64) as usize).min(n_bins - 1);
        if bin != current {
            bins.extend(std::mem::take(&mut sums).means());
            current = bin;
        }
        sums.add(tie.weight(), tie.weight() * tie.prediction, tie.positives);
        below += tie.weight();
    }
    bins.extend(sums.means());
    bins
}

#[derive(Clone, Copy, Debug, Default)]
struct BinSums {
    weight: f64,
    predictions: f64,
    positives: f64,
}

impl BinSums {
    fn add(&mut self, weight: f64, predictions: f64, positives: f64) {
        self.weight += weight;
        self.predictions += predictions;
        self.positives += positives;
    }

    /// The bin, unless it is empty.
    fn means(&self) -> Option<CalibrationBin> {
        (self.weight > 0.0).then(|| CalibrationBin {
            weight: self.weight,
            mean_prediction: self.predictions / self.weight,
            mean_label: self.positives / self.weight,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Undefined;
    use crate::oracle::{self, approx_eq};
    use proptest::prelude::*;

    fn bins(n: usize) -> NonZeroUsize {
        NonZeroUsize::new(n).unwrap()
    }

    /// Halves: {.1, .2, .4} with 1 positive, weight 3; {.5, 1} with 1 positive, weight 2.
    #[test]
    fn equal_width_by_hand() {
        let labels = [0.0_f64, 1.0, 0.0, 0.0, 1.0, f64::NAN];
        let rows = BinaryRows::new(&labels, &[0.1_f64, 0.2, 0.4, 0.5, 1.0, 0.9]).unwrap();
        let found = calibration_bins(&rows, Binning::EqualWidth(bins(2))).value().unwrap();
        assert_eq!(found.iter().map(|bin| bin.weight).collect::<Vec<_>>(), [3.0, 2.0]);
        let expected = (3.0 * (1.0_f64 / 3.0 - 0.7 / 3.0) + 2.0 * (0.75 - 0.5)) / 5.0;
        let error = ece(&rows, Binning::EqualWidth(bins(2))).value().unwrap();
        approx_eq(error, expected, 1e-15);
        let rows = rows.with_weights(&[1.0_f64, 3.0, 1.0, 1.0, 1.0, 1.0]).unwrap();
        let expected = (5.0 * (3.0_f64 / 5.0 - 1.1 / 5.0) + 2.0 * 0.25) / 7.0;
        let error = ece(&rows, Binning::EqualWidth(bins(2))).value().unwrap();
        approx_eq(error, expected, 1e-15);
    }

    /// Four rows a half: {.01, .01, .02, .03} and {.04 × 3, .9}; no bin of equal width parts them.
    #[test]
    fn equal_mass_parts_rare_predictions() {
        let labels = [0.0_f64, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0];
        let predictions = [0.01_f64, 0.01, 0.02, 0.03, 0.04, 0.04, 0.04, 0.9];
        let rows = BinaryRows::new(&labels, &predictions).unwrap();
        let found = calibration_bins(&rows, Binning::EqualMass(bins(2))).value().unwrap();
        assert_eq!(found.len(), 2);
        approx_eq(found[0].mean_prediction, 0.07 / 4.0, 1e-15);
        approx_eq(found[1].mean_label, 0.5, 1e-15);
        let expected = ((0.25_f64 - 0.0175) + (0.5_f64 - 1.02 / 4.0)) / 2.0;
        let error = ece(&rows, Binning::EqualMass(bins(2))).value().unwrap();
        approx_eq(error, expected, 1e-15);
    }

    /// Three tied rows in the middle of five go together, by their middle.
    #[test]
    fn equal_mass_parts_no_tie() {
        let rows = BinaryRows::new(&[0.0_f64; 5], &[0.1_f64, 0.2, 0.2, 0.2, 0.3]).unwrap();
        let found = calibration_bins(&rows, Binning::EqualMass(bins(2))).value().unwrap();
        assert_eq!(found.iter().map(|bin| bin.weight).collect::<Vec<_>>(), [1.0, 4.0]);
    }

    #[test]
    fn undefined_says_why() {
        let rows = BinaryRows::new(&[0.0_f64], &[-0.5_f64]).unwrap();
        let reason = Undefined::NotAProbability { row: 0, prediction: -0.5 };
        for binning in [Binning::EqualWidth(bins(3)), Binning::EqualMass(bins(3))] {
            assert_eq!(ece(&rows, binning).reason(), Some(&reason));
        }
        assert_eq!(brier(&rows).reason(), Some(&reason));
        let rows = BinaryRows::new(&[0.0_f64], &[0.5_f64]).unwrap();
        assert_eq!(pcoc(&rows).reason(), Some(&Undefined::NoPositives));
    }

    proptest! {
        #[test]
        fn one_bin_is_the_error_of_the_means(case in oracle::case()) {
            let rows = case.counted();
            let weight: f64 = rows.iter().map(|r| r.2).sum();
            let mean = |f: fn(&oracle::PlainRow) -> f64| {
                rows.iter().map(|r| r.2 * f(r)).sum::<f64>() / weight
            };
            let labels = mean(|r| f64::from(r.0));
            let predictions = mean(|r| r.1);
            let defined = !rows.is_empty();
            let expected = defined.then_some((labels - predictions).abs());
            for binning in [Binning::EqualWidth(bins(1)), Binning::EqualMass(bins(1))] {
                let found = ece(&case.rows(), binning).value();
                prop_assert!(oracle::same(found, expected, 1e-12));
            }
            let ratio = (labels > 0.0).then(|| predictions / labels);
            prop_assert!(oracle::same(pcoc(&case.rows()).value(), ratio, 1e-12));
            let square = mean(|r| (r.1 - f64::from(r.0)).powi(2));
            prop_assert!(oracle::same(brier(&case.rows()).value(), defined.then_some(square), 1e-12));
        }
    }
}
