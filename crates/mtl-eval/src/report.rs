//! Every metric of one binary task in one call, from one sort by prediction and one by group.

use std::num::NonZeroUsize;

use serde::Serialize;

use crate::auc::auc_ranked;
use crate::below_chance::below_chance_ranked;
use crate::calibration::{both_binnings, error_of};
use crate::delong::delong_ranked;
use crate::gauc::gauc_of;
use crate::probabilities::ProbabilitySums;
use crate::ranked::Ranked;
use crate::{
    BelowChance, BinaryRows, CalibrationBin, ConfidenceLevel, Gauc, GaucMode, Interval, Measured,
    group_aucs,
};

/// Settings of a report.
///
/// | field | default | purpose |
/// |---|---|---|
/// | `gauc_mode` | `Uniform` | how groups are weighted in GAUC |
/// | `n_bins` | 10 | bins of the two calibration errors |
/// | `level` | 0.95 | confidence level of the interval of AUC |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReportSettings {
    /// How groups are weighted in GAUC.
    pub gauc_mode: GaucMode,
    /// Number of bins of the calibration errors.
    pub n_bins: NonZeroUsize,
    /// Confidence level of the interval of AUC.
    pub level: ConfidenceLevel,
}

impl Default for ReportSettings {
    fn default() -> Self {
        const TEN: NonZeroUsize = NonZeroUsize::new(10).unwrap();
        ReportSettings {
            gauc_mode: GaucMode::default(),
            n_bins: TEN,
            level: ConfidenceLevel::default(),
        }
    }
}

/// Every metric of one binary task. Each field is what the function of that name returns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BinaryReport {
    /// Number of rows that count.
    pub rows: usize,
    /// Number of positive rows.
    pub positives: usize,
    /// Number of rows whose label is missing.
    pub missing: usize,
    /// Area under the ROC curve.
    pub auc: Measured,
    /// DeLong's interval of it.
    pub auc_interval: Measured<Interval>,
    /// The test that AUC is below one half.
    pub below_chance: Measured<BelowChance>,
    /// AUC averaged over groups; its value is undefined if the rows have none.
    pub gauc: Gauc,
    /// Log loss of probabilities.
    pub log_loss: Measured,
    /// Log loss over the entropy of the base rate.
    pub normalised_entropy: Measured,
    /// Brier score.
    pub brier: Measured,
    /// Mean prediction over mean label (PCOC).
    pub pcoc: Measured,
    /// Calibration error in bins of equal width.
    pub ece: Measured,
    /// Calibration error in bins of equal mass.
    pub ece_equal_mass: Measured,
    /// The reliability diagram, in bins of equal mass.
    pub reliability: Measured<Vec<CalibrationBin>>,
}

impl BinaryReport {
    /// Measures the rows.
    pub fn new(rows: &BinaryRows<'_>, settings: &ReportSettings) -> Self {
        let ranked = Ranked::new(rows);
        let sums = ProbabilitySums::new(rows);
        let of_sums = |f: fn(&ProbabilitySums) -> f64| sums.as_ref().map(f).map_err(Clone::clone);
        let bins = sums.clone().map(|_| both_binnings(rows, &ranked, settings.n_bins));
        let (by_width, by_mass) = (bins.clone().map(|(w, _)| w), bins.map(|(_, m)| m));
        BinaryReport {
            rows: rows.n_rows(),
            positives: rows.n_positives(),
            missing: rows.n_missing(),
            auc: auc_ranked(rows, &ranked).into(),
            auc_interval: delong_ranked(rows, &ranked, settings.level),
            below_chance: below_chance_ranked(rows, &ranked),
            gauc: gauc_of(&group_aucs(rows), settings.gauc_mode),
            log_loss: of_sums(ProbabilitySums::log_loss).into(),
            normalised_entropy: sums.clone().and_then(|sums| sums.normalised_entropy(rows)).into(),
            brier: of_sums(ProbabilitySums::brier).into(),
            pcoc: sums.clone().and_then(|sums| sums.pcoc(rows)).into(),
            ece: by_width.map(|bins| error_of(&bins)).into(),
            ece_equal_mass: by_mass.clone().map(|bins| error_of(&bins)).into(),
            reliability: by_mass.into(),
        }
    }

    /// A line of warning if AUC is significantly below one half: nearly always a label that is bound
    /// to the wrong tower.
    pub fn warning(&self) -> Option<String> {
        let test = self.below_chance.value().filter(BelowChance::is_significant)?;
        Some(format!(
            "auc {:.4} is below one half (p = {:.1e}): is the label bound to the wrong tower?",
            test.auc, test.p_value
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle;
    use crate::{
        Binning, below_chance, brier, calibration_bins, delong, ece, gauc, log_loss,
        normalised_entropy, pcoc,
    };
    use proptest::prelude::*;

    #[test]
    fn json_keeps_undefined_apart_from_numbers() {
        let rows = BinaryRows::new(&[1.0_f32, 1.0], &[0.5_f32, 0.5]).unwrap();
        let report = BinaryReport::new(&rows, &ReportSettings::default());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["auc"]["value"], serde_json::Value::Null);
        assert_eq!(json["auc"]["reason"], "no negative rows");
        assert_eq!(json["brier"]["value"], 0.25);
        assert_eq!(json["gauc"]["mode"], "uniform");
        assert_eq!(json["gauc"]["value"]["reason"], "the rows have no group column");
    }

    #[test]
    fn scores_are_ranked_but_not_calibrated() {
        let rows = BinaryRows::new(&[1.0_f32, 0.0], &[3.0_f32, -2.0]).unwrap();
        let report = BinaryReport::new(&rows, &ReportSettings::default());
        assert_eq!(report.auc.value(), Some(1.0));
        assert!(report.log_loss.value().is_none() && report.ece.value().is_none());
    }

    #[test]
    fn a_label_bound_to_the_wrong_tower_is_warned_about() {
        let labels: Vec<f32> = (0..100).map(|i| f32::from(i < 50)).collect();
        let predictions: Vec<f32> = (0..100).map(|i| i as f32 / 100.0).collect();
        let settings = ReportSettings::default();
        let warn = |predictions: &[f32]| {
            BinaryReport::new(&BinaryRows::new(&labels, predictions).unwrap(), &settings).warning()
        };
        assert!(warn(&predictions).unwrap().starts_with("auc 0.0000 is below one half"));
        let right: Vec<f32> = predictions.iter().map(|p| 1.0 - p).collect();
        assert_eq!(warn(&right), None);
    }

    /// Large enough for several chunks of rows.
    #[test]
    fn threads_change_no_bit() {
        let n = 200_000_u64;
        let mixed = |i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let labels: Vec<f32> = (0..n).map(|i| f32::from(mixed(i + 9) % 7 == 0)).collect();
        let predictions: Vec<f32> = (0..n).map(|i| (mixed(i) % 9973) as f32 / 9973.0).collect();
        let weights: Vec<f32> = (0..n).map(|i| (mixed(i + 5) % 31) as f32 / 7.0).collect();
        let users: Vec<u64> = (0..n).map(|i| mixed(i + 3) % 3000).collect();
        let rows = BinaryRows::new(&labels, &predictions).unwrap().with_groups(&users).unwrap();
        for rows in [rows, rows.with_weights(&weights).unwrap()] {
            let run = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| BinaryReport::new(&rows, &ReportSettings::default()))
            };
            assert_eq!(run(1), run(3));
        }
    }

    proptest! {
        #[test]
        fn fields_are_what_the_functions_return(case in oracle::case()) {
            let settings = ReportSettings::default();
            for rows in [case.rows(), case.rows_f32()] {
                let report = BinaryReport::new(&rows, &settings);
                prop_assert_eq!(report.auc, crate::auc(&rows));
                prop_assert_eq!(report.auc_interval, delong(&rows, settings.level));
                prop_assert_eq!(report.below_chance, below_chance(&rows));
                prop_assert_eq!(report.gauc, gauc(&rows, settings.gauc_mode));
                prop_assert_eq!(report.log_loss, log_loss(&rows));
                prop_assert_eq!(report.normalised_entropy, normalised_entropy(&rows));
                prop_assert_eq!(report.brier, brier(&rows));
                prop_assert_eq!(report.pcoc, pcoc(&rows));
                let by_width = Binning::EqualWidth(settings.n_bins);
                prop_assert_eq!(report.ece, ece(&rows, by_width));
                let by_mass = Binning::EqualMass(settings.n_bins);
                prop_assert_eq!(report.ece_equal_mass, ece(&rows, by_mass));
                prop_assert_eq!(report.reliability, calibration_bins(&rows, by_mass));
            }
        }
    }
}
