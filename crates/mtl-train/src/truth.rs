//! Errors that only a generator can tell: against true probabilities, over the entire space.

use mtl_eval::{BinaryRows, Measured, auc};
use mtl_feature::FeatureTable;
use mtl_model::Model;
use serde::Serialize;

use crate::Result;

/// Which truth an output is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruthOf {
    /// The output, such as `pCVR`.
    pub output: &'static str,
    /// The truth's column of what would have happened, 0 or 1, for every row.
    pub label: Option<&'static str>,
    /// The truth's column of the probability.
    pub probability: &'static str,
}

/// An output's errors over the entire space.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TruthMetrics {
    /// The output.
    pub output: String,
    /// AUC against what would have happened, over all rows.
    pub auc_entire: Option<Measured>,
    /// √ mean (ln p̂/(1 − p̂) − ln p/(1 − p))², over all rows.
    pub log_odds_rmse: f64,
    /// Mean prediction over mean true probability.
    pub ratio: f64,
}

/// A probability closer to 0 or 1 counts as this: an `f32` has no digits left beyond.
const LEAST: f64 = 1e-7;

/// Measures the outputs of `model` that `truths` names on a table beside its truth.
///
/// # Errors
/// A table without a feature that the model reads, or a prediction that is NaN.
pub fn measure_truth(
    model: &Model,
    table: &FeatureTable,
    truth: &FeatureTable,
    truths: &[TruthOf],
) -> Result<Vec<TruthMetrics>> {
    let predictions = model.predict(table)?;
    let mut metrics = Vec::new();
    for of in truths {
        let Some(predicted) = predictions.column(of.output) else { continue };
        let Some(p) = truth.label_of(of.probability) else { continue };
        let predicted = predicted.to_vec();
        let auc_entire = match of.label.and_then(|label| truth.label_of(label)) {
            Some(label) => Some(auc(&BinaryRows::new(label, &predicted)?)),
            None => None,
        };
        let log_odds = |p: f32| {
            let p = f64::from(p).clamp(LEAST, 1.0 - LEAST);
            (p / (1.0 - p)).ln()
        };
        let n = p.len().max(1) as f64;
        let error = |(&found, &p): (&f32, &f32)| (log_odds(found) - log_odds(p)).powi(2);
        let sum = |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>();
        metrics.push(TruthMetrics {
            output: of.output.to_owned(),
            auc_entire,
            log_odds_rmse: (predicted.iter().zip(p).map(error).sum::<f64>() / n).sqrt(),
            ratio: sum(&predicted) / sum(p),
        });
    }
    Ok(metrics)
}
