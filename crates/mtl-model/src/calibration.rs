//! Calibrated outputs: what `predict`, `serve` and an export do to a network's probabilities.

use std::collections::BTreeMap;

use mtl_calibrate::Calibrator;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::{Error, ModelSpec, Result};

/// A calibrator for some outputs, by name: `p_click`, `pCTCVR`.
///
/// Each output is changed by itself. Under a chain pCTCVR = pCTR·pCVR holds no longer once one of
/// them is calibrated, and a rare pCTCVR may exceed its pCTR.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calibration {
    outputs: BTreeMap<String, Calibrator>,
}

impl Calibration {
    /// Adds or replaces an output's calibrator.
    pub fn insert(&mut self, output: impl Into<String>, calibrator: Calibrator) {
        self.outputs.insert(output.into(), calibrator);
    }

    /// An output's calibrator, if it has one.
    pub fn of(&self, output: &str) -> Option<&Calibrator> {
        self.outputs.get(output)
    }

    /// Outputs and calibrators, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Calibrator)> {
        self.outputs.iter().map(|(output, calibrator)| (output.as_str(), calibrator))
    }

    /// Whether no output is calibrated.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    /// Calibrates the columns `names` of predictions, rows × names, in place. All that a model
    /// predicts goes through here.
    ///
    /// # Panics
    /// If there are fewer columns than names.
    pub fn apply(&self, names: &[String], values: &mut Array2<f32>) {
        for (i, name) in names.iter().enumerate() {
            if let Some(calibrator) = self.outputs.get(name) {
                let calibrated = |p: f32| calibrator.apply(f64::from(p)) as f32;
                values.column_mut(i).mapv_inplace(calibrated);
            }
        }
    }

    /// Whether each is of a probability that a model of this specification has.
    pub(crate) fn check(&self, spec: &ModelSpec) -> Result<()> {
        let outputs = spec.probabilities()?;
        for output in self.outputs.keys() {
            if !outputs.contains(output) {
                let known = outputs.join(", ");
                let message =
                    format!("`{output}` is no probability of the model, which has {known}");
                return Err(Error::config("calibration", message));
            }
        }
        Ok(())
    }
}
