//! Errors that only a generator can tell: against true probabilities, over the entire space.

use std::collections::BTreeMap;

use mtl_eval::{BinaryRows, Measured, auc};
use mtl_feature::FeatureTable;
use mtl_model::Model;
use serde::Serialize;

use crate::evaluate::{NamedMetrics, binary};
use crate::{Evaluation, Result};

/// Which truth an output is measured against.
///
/// A log can teach P(purchase | click, x). What would follow if the click were *forced* is another
/// number where clickers differ from the others by more than x shows, and no log has it. Both are
/// measured, each under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruthOf {
    /// The output, such as `pCVR`.
    pub output: &'static str,
    /// The truth's columns whose product is the probability that a log can teach.
    pub probability: &'static [&'static str],
    /// What would happen if the click were forced, for an output that is conditional on it.
    pub if_clicked: Option<IfClicked>,
}

/// The truth's columns of what follows a click that is forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfClicked {
    /// The probability.
    pub probability: &'static str,
    /// What would have happened, 0 or 1, for every row.
    pub label: &'static str,
}

/// An output's errors over the entire space.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TruthMetrics {
    /// The output.
    pub output: String,
    /// AUC against what would have happened with a click, over all rows.
    pub auc_entire: Option<Measured>,
    /// √ mean (ln p̂/(1 − p̂) − ln p/(1 − p))² over all rows, p what a log can teach.
    pub log_odds_rmse: f64,
    /// The same with p the probability if the click were forced.
    pub log_odds_rmse_if_clicked: Option<f64>,
    /// Mean prediction over mean probability, over all rows, p what a log can teach.
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
        metrics.extend(errors(&predicted.to_vec(), truth, of)?);
    }
    Ok(metrics)
}

/// The truth as if it were a model: what the best possible one reaches on these rows, and how far
/// from calibrated a sample of this size makes even that one look. `labels` are those of the
/// measures that any model of the comparison has.
pub(crate) fn evaluate_truth(
    labels: &BTreeMap<String, Vec<f32>>,
    table: &FeatureTable,
    truth: &FeatureTable,
    truths: &[TruthOf],
) -> Result<Evaluation> {
    let (mut tasks, mut metrics) = (Vec::new(), Vec::new());
    for of in truths {
        let Some(p) = probability(truth, of.probability) else { continue };
        metrics.extend(errors(&p, truth, of)?);
        if let Some(labels) = labels.get(of.output) {
            let (metrics, _) = binary(None, labels, &p, table.into())?;
            tasks.push(NamedMetrics { task: of.output.to_owned(), metrics });
        }
    }
    Ok(Evaluation::of_truth(table.n_rows(), tasks, metrics))
}

/// `None` where the truth does not have the columns.
fn errors(predicted: &[f32], truth: &FeatureTable, of: &TruthOf) -> Result<Option<TruthMetrics>> {
    let Some(p) = probability(truth, of.probability) else { return Ok(None) };
    let if_clicked = of.if_clicked.as_ref();
    let forced = if_clicked.and_then(|forced| truth.label_of(forced.probability));
    let auc_entire = match if_clicked.and_then(|forced| truth.label_of(forced.label)) {
        Some(label) => Some(auc(&BinaryRows::new(label, predicted)?)),
        None => None,
    };
    let sum = |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>();
    Ok(Some(TruthMetrics {
        output: of.output.to_owned(),
        auc_entire,
        log_odds_rmse: log_odds_rmse(predicted, &p),
        log_odds_rmse_if_clicked: forced.map(|p| log_odds_rmse(predicted, p)),
        ratio: sum(predicted) / sum(&p),
    }))
}

/// The product of columns, row by row.
fn probability(truth: &FeatureTable, columns: &[&str]) -> Option<Vec<f32>> {
    let mut product = vec![1.0; truth.n_rows()];
    for column in columns {
        product.iter_mut().zip(truth.label_of(column)?).for_each(|(p, factor)| *p *= factor);
    }
    Some(product)
}

fn log_odds_rmse(predicted: &[f32], p: &[f32]) -> f64 {
    let log_odds = |p: f32| {
        let p = f64::from(p).clamp(LEAST, 1.0 - LEAST);
        (p / (1.0 - p)).ln()
    };
    let error = |(&found, &p): (&f32, &f32)| (log_odds(found) - log_odds(p)).powi(2);
    let n = p.len().max(1) as f64;
    (predicted.iter().zip(p).map(error).sum::<f64>() / n).sqrt()
}
