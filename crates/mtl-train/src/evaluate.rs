//! Every metric of a model on some rows.

use mtl_calibrate::Quality;
use mtl_data::RowSource;
use mtl_eval::{
    BinaryReport, BinaryRows, ClassReport, ClassRows, Measured, RegressionReport, RegressionRows,
    ReportSettings, macro_mean,
};
use mtl_feature::LabelKind;
use mtl_model::{Model, Predictions, Space, TaskConfig, TaskLoss, VisitPointLoss};
use mtl_nn::ops::PointLoss;
use serde::Serialize;

use crate::{Result, Scored, TruthMetrics};

/// One task's metrics.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskMetrics {
    /// Of a binary task.
    Binary(Box<BinaryReport>),
    /// Of a regression.
    Regression(RegressionReport),
    /// Of a task of several classes.
    Multiclass(ClassReport),
}

impl TaskMetrics {
    /// Those of a binary task.
    pub fn binary(&self) -> Option<&BinaryReport> {
        match self {
            Self::Binary(report) => Some(report),
            _ => None,
        }
    }

    /// Those of a regression.
    pub const fn regression(&self) -> Option<&RegressionReport> {
        match self {
            Self::Regression(report) => Some(report),
            _ => None,
        }
    }

    /// Those of a task of several classes.
    pub const fn multiclass(&self) -> Option<&ClassReport> {
        match self {
            Self::Multiclass(report) => Some(report),
            _ => None,
        }
    }
}

/// A model's metrics on some rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Their number.
    pub rows: usize,
    /// Σ weight·mean loss over the tasks; `None` if no row carries a task's label, or one has a
    /// pairwise loss.
    pub loss: Option<f64>,
    /// By measure: tasks, then the chain's events and conditional probabilities.
    pub tasks: Vec<NamedMetrics>,
    /// Mean AUC over the binary tasks and events.
    pub auc_macro: Measured,
    /// Mean GAUC over the binary tasks and events.
    pub gauc_macro: Measured,
    /// What the calibration changed, output by output.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calibration: Vec<CalibrationChange>,
    /// Errors against the truth, where the data has one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub truth: Vec<TruthMetrics>,
}

/// A calibrated output on some rows, each counted once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CalibrationChange {
    /// The measure's name.
    pub task: String,
    /// As the network has it.
    pub before: Quality,
    /// As it is predicted.
    pub after: Quality,
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
    /// The truth's own figures: it has neither a loss nor tasks to take the mean over.
    pub(crate) fn of_truth(
        rows: usize,
        tasks: Vec<NamedMetrics>,
        truth: Vec<TruthMetrics>,
    ) -> Self {
        let none = || macro_mean(std::iter::empty());
        let calibration = Vec::new();
        Self { rows, loss: None, tasks, auc_macro: none(), gauc_macro: none(), calibration, truth }
    }

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

/// Predicts rows and measures every task against its label; of rows that stay in their files one
/// pass is read.
///
/// # Errors
/// Rows without a feature that the model reads, what is wrong with a file, or a prediction that is
/// NaN.
pub fn evaluate<R: RowSource + ?Sized>(model: &Model, rows: &R) -> Result<Evaluation> {
    measure(model, &Scored::of(model, rows)?)
}

/// Measures every task of rows that are predicted.
///
/// # Errors
/// A prediction that is NaN.
pub fn measure(model: &Model, scored: &Scored) -> Result<Evaluation> {
    let calibration = changes(model, scored)?;
    let predictions = scored.predictions(model);
    let (measures, rows) = (model.measures(), scored.n_rows());
    let beside = Beside::from(scored);
    let mut tasks = Vec::with_capacity(measures.len());
    let mut loss = Some(0.0);
    for measure in &measures {
        let (labels, task) = (&scored.labels[&measure.name], model.spec().task(&measure.name));
        let predicted = || column(&predictions, &measure.output, rows);
        let (metrics, own_loss) = match (measure.kind, task) {
            (LabelKind::Multiclass, Some(task)) => {
                multiclass(task, task.classes(model.schema()), labels, &predictions, beside)?
            }
            (LabelKind::Regression, Some(task)) => regression(task, labels, &predicted(), beside)?,
            _ => binary(task, labels, &predicted(), beside)?,
        };
        if measure.weight > 0.0 {
            loss = loss.zip(own_loss).map(|(sum, own)| sum + measure.weight * own);
        }
        tasks.push(NamedMetrics { task: measure.name.clone(), metrics });
    }
    // A conversion rate on clicked rows alone is no task of its own.
    let counts = |i: usize| measures[i].space == Space::All;
    let reports = || {
        let counted = tasks.iter().enumerate().filter(|&(i, _)| counts(i));
        counted.filter_map(|(_, t)| Some((t.task.as_str(), t.metrics.binary()?)))
    };
    let auc_macro = macro_mean(reports().map(|(name, report)| (name, &report.auc)));
    let gauc_macro = macro_mean(reports().map(|(name, report)| (name, &report.gauc.value)));
    let truth = Vec::new();
    Ok(Evaluation { rows, loss, tasks, auc_macro, gauc_macro, calibration, truth })
}

// One mark for rows that are read and for rows that are measured.
const _: () = assert!(mtl_feature::NO_GROUP == mtl_eval::NO_GROUP);

/// What rows have beside labels and predictions.
#[derive(Clone, Copy)]
pub(crate) struct Beside<'a> {
    pub(crate) weights: Option<&'a [f32]>,
    pub(crate) groups: Option<&'a [u64]>,
}

impl<'a> From<&'a Scored> for Beside<'a> {
    fn from(scored: &'a Scored) -> Self {
        Self { weights: scored.weights.as_deref(), groups: scored.groups.as_deref() }
    }
}

/// Before and after, for each output that is calibrated.
fn changes(model: &Model, scored: &Scored) -> Result<Vec<CalibrationChange>> {
    let mut changes = Vec::new();
    for measure in model.measures() {
        let calibrator = model.calibration().of(&measure.output);
        let (Some(calibrator), Some(raw)) = (calibrator, scored.raw.column(&measure.output)) else {
            continue;
        };
        let quality = |predictions: &[f32]| -> Result<Quality> {
            let mut rows = BinaryRows::new(&scored.labels[&measure.name], predictions)?;
            if let Some(weights) = &scored.weights {
                rows = rows.with_weights(weights)?;
            }
            Ok(Quality::new(&rows))
        };
        let after: Vec<f32> = raw.iter().map(|&p| calibrator.apply(p.into()) as f32).collect();
        let (before, after) = (quality(&raw.to_vec())?, quality(&after)?);
        changes.push(CalibrationChange { task: measure.name.clone(), before, after });
    }
    Ok(changes)
}

/// An output of every row; NaN if there is none of that name.
fn column(predictions: &Predictions, output: &str, n_rows: usize) -> Vec<f32> {
    predictions.column(output).map_or_else(|| vec![f32::NAN; n_rows], |c| c.to_vec())
}

/// The metrics of a probability, and the mean of its own loss.
pub(crate) fn binary(
    task: Option<&TaskConfig>,
    labels: &[f32],
    predicted: &[f32],
    beside: Beside<'_>,
) -> Result<(TaskMetrics, Option<f64>)> {
    let mut rows = BinaryRows::new(labels, predicted)?;
    if let Some(weights) = beside.weights {
        rows = rows.with_weights(weights)?;
    }
    if let Some(groups) = beside.groups {
        rows = rows.with_groups(groups)?;
    }
    let report = BinaryReport::new(&rows, &ReportSettings::default());
    let loss = match task {
        Some(task) if task.task_loss() != TaskLoss::Bce => {
            // The logit that the probability came from, as near as 32 bits tell.
            let logit = |p: f64| {
                let p = p.clamp(f64::from(f32::EPSILON), 1.0 - f64::from(f32::EPSILON));
                (p / (1.0 - p)).ln()
            };
            let logits: Vec<f64> = predicted.iter().map(|&p| logit(f64::from(p))).collect();
            mean_loss(task, labels, &logits, beside.weights)?
        }
        _ => report.log_loss.value(),
    };
    Ok((TaskMetrics::Binary(Box::new(report)), loss))
}

/// The metrics of the probabilities of several classes, and their log loss.
fn multiclass(
    task: &TaskConfig,
    classes: &[String],
    labels: &[f32],
    predictions: &Predictions,
    beside: Beside<'_>,
) -> Result<(TaskMetrics, Option<f64>)> {
    let of_class = |class: &String| column(predictions, &task.class_output(class), labels.len());
    let columns: Vec<Vec<f32>> = classes.iter().map(of_class).collect();
    let columns: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
    let mut rows = ClassRows::new(labels, &columns)?;
    if let Some(weights) = beside.weights {
        rows = rows.with_weights(weights)?;
    }
    let report = ClassReport::new(&rows, classes)?;
    let loss = report.log_loss.value();
    Ok((TaskMetrics::Multiclass(report), loss))
}

/// The metrics of a regression, and its mean loss.
fn regression(
    task: &TaskConfig,
    labels: &[f32],
    predicted: &[f32],
    beside: Beside<'_>,
) -> Result<(TaskMetrics, Option<f64>)> {
    let mut rows = RegressionRows::new(labels, predicted)?;
    if let Some(weights) = beside.weights {
        rows = rows.with_weights(weights)?;
    }
    let predicted: Vec<f64> = predicted.iter().map(|&z| f64::from(z)).collect();
    let loss = mean_loss(task, labels, &predicted, beside.weights)?;
    Ok((TaskMetrics::Regression(RegressionReport::new(&rows)), loss))
}

/// The weighted mean of a task's own loss of logits or predictions; `None` without a labelled row,
/// and for a loss of pairs.
fn mean_loss(
    task: &TaskConfig,
    labels: &[f32],
    predicted: &[f64],
    weights: Option<&[f32]>,
) -> Result<Option<f64>> {
    Ok(task.with_point_loss(MeanLoss { labels, predicted, weights })?.flatten())
}

struct MeanLoss<'a> {
    labels: &'a [f32],
    predicted: &'a [f64],
    weights: Option<&'a [f32]>,
}

impl VisitPointLoss for MeanLoss<'_> {
    type Output = Option<f64>;

    fn visit<L: PointLoss>(self, loss: L) -> Option<f64> {
        let (mut sum, mut total) = (0.0, 0.0);
        let rows = self.labels.iter().zip(self.predicted).enumerate();
        for (i, (&y, &z)) in rows.filter(|(_, (y, _))| !y.is_nan()) {
            let w = self.weights.map_or(1.0, |w| f64::from(w[i]));
            sum += w * loss.loss(z, f64::from(y));
            total += w;
        }
        (total > 0.0).then(|| sum / total)
    }
}
