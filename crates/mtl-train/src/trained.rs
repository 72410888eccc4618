//! What `metrics.json` holds beside a trained model.

use serde::Serialize;

use crate::{CalibratedOutput, Evaluation, Gate, History, Part};

/// One trained model: how training went and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trained {
    /// The model's name.
    pub model: String,
    /// The version of these crates.
    pub version: &'static str,
    /// Trainable values, those of tables included.
    pub parameters: usize,
    /// Keys initial values, order of rows and dropout.
    pub seed: u64,
    /// The data's parts.
    pub parts: Vec<Part>,
    /// How training went.
    pub history: History,
    /// What the calibration of each output did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calibration: Vec<CalibratedOutput>,
    /// Metrics on the validation rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Evaluation>,
    /// Metrics on the test rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Evaluation>,
    /// On the validation rows, or the training rows where there are none.
    pub gates: Vec<Gate>,
    /// The text of the configuration.
    pub configuration: String,
}

impl Trained {
    /// The metrics to report: of the test rows if there are any, else of the validation rows.
    pub fn reported(&self) -> Option<(&'static str, &Evaluation)> {
        let test = self.test.as_ref().map(|found| ("test", found));
        test.or_else(|| self.validation.as_ref().map(|found| ("validation", found)))
    }
}
