//! How well calibrated some predictions are, in three numbers.

use mtl_eval::{BinaryRows, Binning, Measured, ReportSettings, ece, log_loss, pcoc};
use serde::Serialize;

use crate::{Calibrator, FitRows, Result};

/// Three measures of calibration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// Mean prediction over mean label; 1 is right.
    pub pcoc: Measured,
    /// Log loss; lower is better, and a better ranking lowers it too.
    pub log_loss: Measured,
    /// Expected calibration error in bins of equal mass; 0 is right.
    pub ece: Measured,
}

impl Quality {
    /// Of some rows.
    pub fn new(rows: &BinaryRows<'_>) -> Self {
        let bins = ReportSettings::default().n_bins;
        Self {
            pcoc: pcoc(rows),
            log_loss: log_loss(rows),
            ece: ece(rows, Binning::EqualMass(bins)),
        }
    }

    /// Of rows as the map of a calibrator changes them; the correction for sampled negatives is in
    /// them already.
    ///
    /// # Errors
    /// None but for weights that the sampling of negatives made too large.
    pub fn of(rows: &FitRows, calibrator: &Calibrator) -> Result<Self> {
        let (labels, mut predictions, weights) = rows.columns();
        if let Some(map) = calibrator.map() {
            predictions.iter_mut().for_each(|p| *p = map.apply(*p));
        }
        Ok(Self::new(&BinaryRows::new(&labels, &predictions)?.with_weights(&weights)?))
    }
}
