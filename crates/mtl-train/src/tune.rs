//! A fusion formula found offline: the exponents of ∏ p^a that rank best.
//!
//! What is maximised is Σ w·m over some measures, m the GAUC or NDCG of the formula's value against
//! that measure's label. Neither has a gradient, and there are few exponents, so the search draws:
//! each step moves the best exponents so far by a random amount that shrinks.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use mtl_data::RowSource;
use mtl_eval::{BinaryRows, GaucMode, auc, gauc, top_k};
use mtl_model::{Fusion, Model, Space};
use mtl_nn::kernel::hash;
use serde::Serialize;

use crate::{Error, Result, Scored};

/// Probabilities are held at or above this, as [`Fusion`] holds them.
const LOWEST: f64 = 1e-30;

/// What is maximised for each measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RankMetric {
    /// AUC within each group, averaged over groups; AUC of all rows where the data has no group.
    Gauc,
    /// NDCG of the first k rows of each group.
    Ndcg(NonZeroUsize),
}

/// How a formula is searched for.
///
/// | field | default | purpose |
/// |---|---|---|
/// | `weights` | 1 each | what each measure counts, by name; below 0 for what is not wanted |
/// | `metric` | GAUC | what is maximised for each |
/// | `steps` | 200 | formulas tried |
/// | `seed` | 1 | another seed is another search |
#[derive(Clone, Debug, PartialEq)]
pub struct TuneConfig {
    /// What each measure counts; those not named count nothing. Empty: all count 1.
    pub weights: BTreeMap<String, f64>,
    /// What is maximised for each.
    pub metric: RankMetric,
    /// Formulas tried.
    pub steps: usize,
    /// Keys the draws.
    pub seed: u64,
}

impl Default for TuneConfig {
    fn default() -> Self {
        Self { weights: BTreeMap::new(), metric: RankMetric::Gauc, steps: 200, seed: 1 }
    }
}

/// A formula and what it reaches.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranking {
    /// The formula.
    pub fusion: Fusion,
    /// Σ w·m over Σ |w|.
    pub objective: f64,
    /// m of each measure, by name.
    pub metrics: BTreeMap<String, f64>,
}

/// The best formula found, beside those it has to beat.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tuned {
    /// What was maximised.
    pub metric: RankMetric,
    /// The best formula.
    pub best: Ranking,
    /// Each output alone, then the product of all.
    pub others: Vec<Ranking>,
}

/// Searches for the formula over some rows. Exponents have the sign of their measure's weight, and
/// the largest is 1, since a common factor changes no order.
///
/// # Errors
/// A measure that there is none of, rows without a feature that the model reads or on which no metric
/// is defined, what is wrong with a file.
pub fn tune_fusion<R: RowSource + ?Sized>(
    model: &Model,
    rows: &R,
    config: &TuneConfig,
) -> Result<Tuned> {
    let search = Search::new(model, rows, config)?;
    let n = search.parts.len();
    let one = |i: usize| (0..n).map(|j| if i == j { search.sign(i) } else { 0.0 }).collect();
    let all: Vec<f64> = (0..n).map(|i| search.sign(i)).collect();
    let starts = (0..n).map(one).chain((n > 1).then_some(all));
    let others = starts.map(|exponents: Vec<f64>| search.rank(&exponents));
    let others = others.collect::<Result<Vec<Ranking>>>()?;
    let exponents = |ranking: &Ranking| -> Vec<f64> {
        search.parts.iter().map(|part| ranking.fusion.terms()[&part.output]).collect()
    };
    let mut best = others[0].clone();
    for other in &others[1..] {
        if other.objective > best.objective {
            best = other.clone();
        }
    }
    // One output has one order.
    for step in 0..if n > 1 { config.steps } else { 0 } {
        let tried = search.rank(&search.draw(&exponents(&best), step as u64))?;
        if tried.objective > best.objective {
            best = tried;
        }
    }
    Ok(Tuned { metric: config.metric, best, others })
}

/// An output and its label.
struct Part {
    name: String,
    output: String,
    weight: f64,
    log_p: Vec<f64>,
    labels: Vec<f32>,
}

struct Search {
    parts: Vec<Part>,
    weights: Option<Vec<f32>>,
    groups: Option<Vec<u64>>,
    metric: RankMetric,
    steps: usize,
    seed: u64,
}

impl Search {
    fn new<R: RowSource + ?Sized>(model: &Model, rows: &R, config: &TuneConfig) -> Result<Self> {
        let measures = model.measures();
        let measures: Vec<_> =
            measures.into_iter().filter(|m| m.is_binary() && m.space == Space::All).collect();
        let names: Vec<&str> = measures.iter().map(|m| m.name.as_str()).collect();
        for (name, weight) in &config.weights {
            if !names.contains(&name.as_str()) {
                let near = mtl_feature::nearest_names(name, &names);
                let hint = near.first().map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                let known = names.join(", ");
                return Err(Error::Data(format!("no `{name}`, expected some of {known}{hint}")));
            }
            if !weight.is_finite() {
                let message = format!("`{name}` counts {weight}, expected a finite number");
                return Err(Error::Data(message));
            }
        }
        let weight = |name: &str| match config.weights.is_empty() {
            true => 1.0,
            false => config.weights.get(name).copied().unwrap_or(0.0),
        };
        let Scored { raw, mut labels, weights, groups, .. } = Scored::of(model, rows)?;
        let predictions = raw.calibrated(model.calibration());
        let part = |measure: &mtl_model::Measure| {
            let p = predictions.column(&measure.output)?;
            Some(Part {
                weight: weight(&measure.name),
                log_p: p.iter().map(|&p| f64::from(p).max(LOWEST).ln()).collect(),
                labels: labels.remove(&measure.name)?,
                name: measure.name.clone(),
                output: measure.output.clone(),
            })
        };
        let parts: Vec<Part> =
            measures.iter().filter_map(part).filter(|part| part.weight != 0.0).collect();
        if parts.is_empty() {
            let message = "no probability counts, expected a weight that is not 0".to_owned();
            return Err(Error::Data(message));
        }
        let (metric, steps, seed) = (config.metric, config.steps, config.seed);
        Ok(Self { parts, weights, groups, metric, steps, seed })
    }

    fn sign(&self, i: usize) -> f64 {
        self.parts[i].weight.signum()
    }

    /// A formula and its objective.
    fn rank(&self, exponents: &[f64]) -> Result<Ranking> {
        let mut scores = vec![0.0; self.parts[0].labels.len()];
        for (part, &a) in self.parts.iter().zip(exponents) {
            scores.iter_mut().zip(&part.log_p).for_each(|(score, p)| *score += a * p);
        }
        let (mut sum, mut total, mut metrics) = (0.0, 0.0, BTreeMap::new());
        for part in &self.parts {
            let value = self.metric_of(&part.labels, &scores)?;
            let value = value.map_err(|reason| {
                Error::Data(format!("`{}` cannot be ranked by: {reason}", part.name))
            })?;
            sum += part.weight * value;
            total += part.weight.abs();
            metrics.insert(part.name.clone(), value);
        }
        let terms = self.parts.iter().zip(exponents).map(|(part, &a)| (part.output.clone(), a));
        Ok(Ranking { fusion: Fusion::Product(terms.collect()), objective: sum / total, metrics })
    }

    fn metric_of(
        &self,
        labels: &[f32],
        scores: &[f64],
    ) -> Result<std::result::Result<f64, mtl_eval::Undefined>> {
        let mut rows = BinaryRows::new(labels, scores)?;
        if let Some(weights) = &self.weights {
            rows = rows.with_weights(weights)?;
        }
        let Some(groups) = &self.groups else { return Ok(auc(&rows).into_result()) };
        let rows = rows.with_groups(groups)?;
        Ok(match self.metric {
            RankMetric::Gauc => gauc(&rows, GaucMode::Uniform).value.into_result(),
            RankMetric::Ndcg(k) => top_k(&rows, k).into_result().and_then(|t| t.ndcg.into_result()),
        })
    }

    /// The exponents moved by a factor e^x and a shift, both smaller the later the step.
    fn draw(&self, exponents: &[f64], step: u64) -> Vec<f64> {
        let width = 1.5 * 0.02f64.powf(step as f64 / self.steps.max(1) as f64);
        let uniform = |i: usize, which: u64| {
            let bits = hash(hash(hash(self.seed, step), i as u64), which);
            (bits >> 11) as f64 / (1_u64 << 53) as f64
        };
        let moved = exponents.iter().enumerate().map(|(i, a)| {
            let factor = (width * (2.0 * uniform(i, 0) - 1.0)).exp();
            let shift = 0.2 * width * (2.0 * uniform(i, 1) - 1.0);
            (a.abs() * factor + shift).max(0.0)
        });
        let moved: Vec<f64> = moved.collect();
        let largest = moved.iter().copied().fold(0.0, f64::max);
        let scale = if largest > 0.0 { 1.0 / largest } else { 1.0 };
        // Four digits are what a person can read, and more than the data can tell apart.
        let rounded = |a: &f64| (a * scale * 1e4).round() / 1e4;
        moved.iter().enumerate().map(|(i, a)| self.sign(i) * rounded(a)).collect()
    }
}
