//! Importance of features by permutation (Breiman, 2001, section 10): how much worse a model gets
//! when the rows' values of a feature change places.

use std::collections::BTreeSet;

use mtl_data::Shuffle;
use mtl_eval::{Measured, Summary};
use mtl_feature::{FeatureTable, FittedFeature, NO_GROUP};
use mtl_model::Model;
use serde::Serialize;

use crate::{Error, Evaluation, NamedMetrics, Result, TaskMetrics, evaluate};

/// How importance is measured.
///
/// | field | default | purpose |
/// |---|---|---|
/// | `repeats` | 5 | permutations of each feature |
/// | `seed` | 1 | another seed draws others |
/// | `within_groups` | false | whether values change places within the rows of a group (a user) only |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ImportanceConfig {
    /// Permutations of each feature.
    pub repeats: usize,
    /// What they are drawn by.
    pub seed: u64,
    /// Whether values stay in their group.
    pub within_groups: bool,
}

impl Default for ImportanceConfig {
    fn default() -> Self {
        Self { repeats: 5, seed: 1, within_groups: false }
    }
}

/// What [`importance`] found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Importance {
    /// Rows of the table.
    pub rows: usize,
    /// The settings.
    #[serde(flatten)]
    pub config: ImportanceConfig,
    /// The metrics as they are: the tasks', then the mean AUC under the name `macro`.
    pub baseline: Vec<Baseline>,
    /// By what is permuted together, the largest drop of the macro AUC first (of the first metric,
    /// where there is none).
    pub features: Vec<FeatureImportance>,
}

/// A metric of the model on the rows as they are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Baseline {
    /// The task, or `macro`.
    pub task: String,
    /// `auc` (of several classes: the mean of each against the rest) or `rmse`.
    pub metric: &'static str,
    /// Its value.
    #[serde(flatten)]
    pub measured: Measured,
}

/// What permuting some features did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureImportance {
    /// The feature; the column, if several features read it; or several columns, ` + ` between.
    pub name: String,
    /// The features that were permuted together, in order of name.
    pub features: Vec<String>,
    /// The drop of each metric, in the order of [`Importance::baseline`].
    pub drops: Vec<Drop>,
}

/// How much worse a metric got: AUC less, RMSE more. Below 0 it got better, as it does by chance for a
/// feature that says nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drop {
    /// The task, or `macro`.
    pub task: String,
    /// The metric.
    pub metric: &'static str,
    /// Mean over the permutations; `None` where the metric is undefined.
    pub mean: Option<f64>,
    /// Standard error of the mean: what other permutations would change. It says nothing of other
    /// rows. `None` of one permutation.
    pub standard_error: Option<f64>,
}

/// Permutes each feature and measures the model on rows that carry labels, best such that it was not
/// trained on. `progress` is told how many measurements are done, and of how many.
///
/// Features that read a column in common change places together, for one would tell what the others
/// forget. A feature that another one tells (a user's age, beside the user) looks unimportant though
/// the model reads it. Values that change places make rows that no log has: within groups, fewer.
///
/// # Errors
/// As [`evaluate`]; [`Error::Data`] for a table without rows, no repeats, or no groups to stay in.
pub fn importance(
    model: &Model,
    table: &FeatureTable,
    config: &ImportanceConfig,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Importance> {
    check(table, config)?;
    let baseline = metrics(&evaluate(model, table)?);
    let units = units(model.schema().features());
    let orders: Vec<Vec<u32>> = (0..config.repeats).map(|i| order(table, config, i)).collect();
    let total = units.len() * orders.len();
    let mut permuted = table.clone();
    let mut features = Vec::with_capacity(units.len());
    for (i, unit) in units.iter().enumerate() {
        let mut found = Vec::with_capacity(orders.len());
        for (j, order) in orders.iter().enumerate() {
            permuted.permute(&unit.slots, order);
            found.push(metrics(&evaluate(model, &permuted)?));
            permuted.permute(&unit.slots, &inverse(order));
            progress(i * orders.len() + j + 1, total);
        }
        features.push(FeatureImportance {
            name: unit.name(),
            features: unit.features.clone(),
            drops: drops(&baseline, &found)?,
        });
    }
    sort(&mut features);
    Ok(Importance { rows: table.n_rows(), config: *config, baseline, features })
}

fn check(table: &FeatureTable, config: &ImportanceConfig) -> Result<()> {
    let wrong = |message: &str| Err(Error::Data(message.to_owned()));
    match (table.is_empty(), config.repeats, config.within_groups, table.groups()) {
        (true, ..) => wrong("there are no rows to measure on, expected some"),
        (_, 0, ..) => wrong("`repeats` is 0, expected at least 1"),
        (.., true, None) => wrong("rows have no groups to stay in, expected `group` in [data]"),
        _ => Ok(()),
    }
}

/// Features that are permuted together.
#[derive(Debug)]
struct Unit {
    features: Vec<String>,
    columns: BTreeSet<String>,
    /// The table's columns.
    slots: Vec<String>,
}

impl Unit {
    fn name(&self) -> String {
        match &self.features[..] {
            [feature] => feature.clone(),
            _ => self.columns.iter().map(String::as_str).collect::<Vec<_>>().join(" + "),
        }
    }
}

/// The features by columns that they have in common, in order of their first feature's name.
fn units(features: &[FittedFeature]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for feature in features {
        let mut unit = Unit {
            features: vec![feature.name().to_owned()],
            columns: feature.columns().into_iter().map(str::to_owned).collect(),
            slots: feature.slots(),
        };
        // A cross may bring units together that were apart.
        let (with, apart): (Vec<Unit>, _) =
            units.into_iter().partition(|other| !other.columns.is_disjoint(&unit.columns));
        units = apart;
        for other in with {
            unit.features.extend(other.features);
            unit.columns.extend(other.columns);
            unit.slots.extend(other.slots);
        }
        unit.features.sort_unstable();
        units.push(unit);
    }
    units.sort_by(|a, b| a.features.cmp(&b.features));
    units
}

/// For each row, the row whose values it gets.
fn order(table: &FeatureTable, config: &ImportanceConfig, repeat: usize) -> Vec<u32> {
    let shuffle = Shuffle::new(table.n_rows(), config.seed, repeat as u64);
    let drawn = shuffle.order().to_vec();
    match table.groups().filter(|_| config.within_groups) {
        None => drawn,
        Some(groups) => within(groups, drawn),
    }
}

/// The k-th place of a group gets the k-th row of the group that was drawn; a row without a group
/// keeps its own.
fn within(groups: &[u64], mut drawn: Vec<u32>) -> Vec<u32> {
    let group = |&row: &u32| match groups[row as usize] {
        NO_GROUP => (NO_GROUP, row),
        group => (group, 0),
    };
    let mut places: Vec<u32> = (0..drawn.len()).map(|row| row as u32).collect();
    places.sort_by_key(group);
    drawn.sort_by_key(group);
    let mut order = vec![0; drawn.len()];
    places.iter().zip(drawn).for_each(|(&place, row)| order[place as usize] = row);
    order
}

fn inverse(order: &[u32]) -> Vec<u32> {
    let mut inverse = vec![0; order.len()];
    order.iter().zip(0..).for_each(|(&row, place)| inverse[row as usize] = place);
    inverse
}

/// The metric of each task by which importance is told, and the macro AUC.
fn metrics(evaluation: &Evaluation) -> Vec<Baseline> {
    let of_task = |NamedMetrics { task, metrics }: &NamedMetrics| {
        let (metric, measured) = match metrics {
            TaskMetrics::Binary(report) => ("auc", report.auc.clone()),
            TaskMetrics::Multiclass(report) => ("auc", report.auc_macro.clone()),
            TaskMetrics::Regression(report) => ("rmse", report.rmse.clone()),
        };
        Baseline { task: task.clone(), metric, measured }
    };
    let mut all: Vec<Baseline> = evaluation.tasks.iter().map(of_task).collect();
    if evaluation.tasks.iter().any(|named| named.metrics.binary().is_some()) {
        let measured = evaluation.auc_macro.clone();
        all.push(Baseline { task: "macro".to_owned(), metric: "auc", measured });
    }
    all
}

fn drops(baseline: &[Baseline], permuted: &[Vec<Baseline>]) -> Result<Vec<Drop>> {
    let drop = |(i, before): (usize, &Baseline)| {
        let sign = if before.metric == "rmse" { -1.0 } else { 1.0 };
        let before_value = before.measured.value();
        let differences: Option<Vec<f64>> = permuted
            .iter()
            .map(|after| Some(sign * (before_value? - after[i].measured.value()?)))
            .collect();
        let summary = differences.map(|found| Summary::new(&found)).transpose()?;
        let error = |summary: &Summary| Some(summary.sd.value()? / (summary.n as f64).sqrt());
        Ok(Drop {
            task: before.task.clone(),
            metric: before.metric,
            mean: summary.as_ref().and_then(|summary| summary.mean.value()),
            standard_error: summary.as_ref().and_then(error),
        })
    };
    baseline.iter().enumerate().map(drop).collect()
}

/// By the drop of the macro AUC, which is last, or else of the first metric; ties stay in order of
/// name.
fn sort(features: &mut [FeatureImportance]) {
    let key = |feature: &FeatureImportance| {
        let of_macro = feature.drops.last().filter(|drop| drop.task == "macro");
        let of_macro = of_macro.and_then(|drop| drop.mean);
        of_macro.or_else(|| feature.drops.iter().find_map(|drop| drop.mean)).unwrap_or(0.0)
    };
    features.sort_by(|a, b| key(b).total_cmp(&key(a)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_without_a_group_keeps_its_values() {
        let groups = [NO_GROUP, 3, NO_GROUP, 3, 3];
        assert_eq!(within(&groups, vec![4, 2, 1, 0, 3]), [0, 4, 2, 1, 3]);
    }

    proptest! {
        #[test]
        fn within_groups_every_row_gets_one_of_its_group(
            groups in prop::collection::vec(0_u64..4, 1..40),
            seed in any::<u64>(),
        ) {
            let drawn = Shuffle::new(groups.len(), seed, 0).order().to_vec();
            let order = within(&groups, drawn);
            for (place, &row) in order.iter().enumerate() {
                prop_assert_eq!(groups[place], groups[row as usize]);
            }
            let back = inverse(&order);
            prop_assert!((0..groups.len()).all(|i| back[order[i] as usize] as usize == i));
        }
    }
}
