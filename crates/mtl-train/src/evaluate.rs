//! Every metric of a model on a table.

use mtl_eval::{
    BinaryReport, BinaryRows, Measured, RegressionReport, RegressionRows, ReportSettings,
    macro_mean,
};
use mtl_feature::FeatureTable;
use mtl_model::{Model, Predictions, TaskConfig, TaskLoss};
use mtl_nn::ops::{Huber, PointLoss, SquaredError};
use serde::Serialize;

use crate::Result;

/// One task's metrics.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskMetrics {
    /// Of a binary task.
    Binary(Box<BinaryReport>),
    /// Of a regression.
    Regression(RegressionReport),
}

impl TaskMetrics {
    /// Those of a binary task.
    pub fn binary(&self) -> Option<&BinaryReport> {
        match self {
            Self::Binary(report) => Some(report),
            Self::Regression(_) => None,
        }
    }

    /// Those of a regression.
    pub const fn regression(&self) -> Option<&RegressionReport> {
        match self {
            Self::Binary(_) => None,
            Self::Regression(report) => Some(report),
        }
    }
}

/// A model's metrics on a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Rows of the table.
    pub rows: usize,
    /// Σ weight·mean loss over the tasks; `None` if no row carries a task's label.
    pub loss: Option<f64>,
    /// By task, in the order of the configuration.
    pub tasks: Vec<NamedMetrics>,
    /// Mean AUC over the binary tasks.
    pub auc_macro: Measured,
    /// Mean GAUC over the binary tasks.
    pub gauc_macro: Measured,
}

/// A task's name and metrics.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamedMetrics {
    /// The task.
    pub task: String,
    /// Its metrics.
    #[serde(flatten)]
    pub metrics: TaskMetrics,
}

impl Evaluation {
    /// A task's metrics.
    pub fn task(&self, name: &str) -> Option<&TaskMetrics> {
        self.tasks.iter().find(|named| named.task == name).map(|named| &named.metrics)
    }

    /// Warnings about tasks whose AUC lies significantly below 0.5.
    pub fn warnings(&self) -> Vec<String> {
        let warning = |named: &NamedMetrics| {
            let warning = named.metrics.binary()?.warning()?;
            Some(format!("{}: {warning}", named.task))
        };
        self.tasks.iter().filter_map(warning).collect()
    }
}

/// Predicts a table and measures every task against its label.
///
/// # Errors
/// A table without a feature that the model reads, or a prediction that is NaN.
pub fn evaluate(model: &Model, table: &FeatureTable) -> Result<Evaluation> {
    let predictions = model.predict(table)?;
    let mut tasks = Vec::with_capacity(model.spec().tasks.len());
    let mut loss = Some(0.0);
    for task in &model.spec().tasks {
        let (metrics, task_loss) = task_metrics(task, &predictions, table)?;
        loss = loss.zip(task_loss).map(|(sum, l)| sum + task.weight * l);
        tasks.push(NamedMetrics { task: task.name.clone(), metrics });
    }
    let binary = || tasks.iter().filter_map(|t| Some((t.task.as_str(), t.metrics.binary()?)));
    let auc_macro = macro_mean(binary().map(|(name, report)| (name, &report.auc)));
    let gauc_macro = macro_mean(binary().map(|(name, report)| (name, &report.gauc.value)));
    Ok(Evaluation { rows: table.n_rows(), loss, tasks, auc_macro, gauc_macro })
}

fn task_metrics(
    task: &TaskConfig,
    predictions: &Predictions,
    table: &FeatureTable,
) -> Result<(TaskMetrics, Option<f64>)> {
    let missing = || vec![f32::NAN; table.n_rows()];
    let column = predictions.column(&format!("p_{}", task.name));
    let predicted = column.map_or_else(missing, |column| column.to_vec());
    let absent;
    let labels = match table.label_of(&task.name) {
        Some(labels) => labels,
        None => {
            absent = missing();
            &absent
        }
    };
    if task.is_binary() {
        let mut rows = BinaryRows::new(labels, &predicted)?;
        if let Some(weights) = table.weights() {
            rows = rows.with_weights(weights)?;
        }
        if let Some(groups) = table.groups() {
            rows = rows.with_groups(groups)?;
        }
        let report = BinaryReport::new(&rows, &ReportSettings::default());
        let loss = report.log_loss.value();
        return Ok((TaskMetrics::Binary(Box::new(report)), loss));
    }
    let mut rows = RegressionRows::new(labels, &predicted)?;
    if let Some(weights) = table.weights() {
        rows = rows.with_weights(weights)?;
    }
    let loss = mean_loss(task, labels, &predicted, table.weights());
    Ok((TaskMetrics::Regression(RegressionReport::new(&rows)), loss))
}

/// The weighted mean of a regression's own loss.
fn mean_loss(
    task: &TaskConfig,
    labels: &[f32],
    predicted: &[f32],
    weights: Option<&[f32]>,
) -> Option<f64> {
    let huber = Huber { delta: task.delta.unwrap_or(1.0) };
    let loss = |z: f64, y: f64| match task.task_loss() {
        TaskLoss::Huber => huber.loss(z, y),
        _ => SquaredError.loss(z, y),
    };
    let (mut sum, mut total) = (0.0, 0.0);
    for (i, (&y, &z)) in labels.iter().zip(predicted).enumerate().filter(|(_, (y, _))| !y.is_nan())
    {
        let w = weights.map_or(1.0, |w| f64::from(w[i]));
        sum += w * loss(f64::from(z), f64::from(y));
        total += w;
    }
    (total > 0.0).then(|| sum / total)
}
