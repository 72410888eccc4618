//! What `metrics.json` holds beside a trained model, and of one that is measured again.

use serde::Serialize;

use crate::{BySegment, CalibratedOutput, Evaluation, Gate, History, Importance, Part};

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
    /// Metrics of the reported rows by the columns that were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<BySegment>,
    /// What features are worth on the reported rows, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub importance: Option<Importance>,
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

/// A trained model measured on a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluated {
    /// The model's name.
    pub model: String,
    /// The version of these crates.
    pub version: &'static str,
    /// The file.
    pub data: String,
    /// The metrics of its rows.
    #[serde(flatten)]
    pub evaluation: Evaluation,
    /// The metrics by the columns that were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<BySegment>,
    /// What features are worth, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub importance: Option<Importance>,
    /// How its gates use their experts.
    pub gates: Vec<Gate>,
}
