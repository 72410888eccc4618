//! A fusion formula found offline: the exponents of ∏ p^a, or the weights of Σ b·p, that rank best.
//!
//! What is maximised is Σ w·m over some measures, m the GAUC or NDCG of the formula's value against
//! that measure's label. Neither has a gradient, and there are few exponents, so the search draws:
//! each step moves the best exponents so far by a random amount that shrinks.
//!
//! A product's exponents are drawn as they are. A sum's weights are drawn as shares: b times the mean
//! of p, so that one step does as much for a purchase of one row in a thousand as for a click.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use mtl_data::RowSource;
use mtl_eval::{BinaryRows, GaucMode, auc, gauc, top_k};
use mtl_model::{Fusion, Model, Space};
use mtl_nn::kernel::hash;
use serde::Serialize;

use crate::{Error, Result, Scored};

/// What is maximised for each measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RankMetric {
    /// AUC within each group, averaged over groups; AUC of all rows where the data has no group.
    Gauc,
    /// NDCG of the first k rows of each group.
    Ndcg(NonZeroUsize),
}

/// What kind of formula is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FusionForm {
    /// ∏ p^a.
    Product,
    /// Σ b·p.
    Sum,
}

/// How a formula is searched for.
///
/// | field | default | purpose |
/// |---|---|---|
/// | `form` | product | exponents of ∏ p^a, or weights of Σ b·p |
/// | `weights` | 1 each | what each measure counts, by name; below 0 for what is not wanted |
/// | `metric` | GAUC | what is maximised for each |
/// | `steps` | 200 | formulas tried |
/// | `seed` | 1 | another seed is another search |
#[derive(Clone, Debug, PartialEq)]
pub struct TuneConfig {
    /// What kind of formula.
    pub form: FusionForm,
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
        let (form, metric) = (FusionForm::Product, RankMetric::Gauc);
        Self { form, weights: BTreeMap::new(), metric, steps: 200, seed: 1 }
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
    /// Each output alone, then the product or the sum of all, each with the same share.
    pub others: Vec<Ranking>,
}

/// Searches for the formula over some rows. Exponents and weights have the sign of their measure's
/// weight, and the largest is 1, since a common factor changes no order.
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
    let one = |i: usize| (0..n).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
    let starts = (0..n).map(one).chain((n > 1).then(|| vec![1.0; n]));
    let others = starts.map(|shares: Vec<f64>| search.rank(&shares));
    let others = others.collect::<Result<Vec<Ranking>>>()?;
    let mut best = others[0].clone();
    for other in &others[1..] {
        if other.objective > best.objective {
            best = other.clone();
        }
    }
    // One output has one order.
    for step in 0..if n > 1 { config.steps } else { 0 } {
        let tried = search.rank(&search.draw(&best.fusion, step as u64))?;
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
    /// What a share of 1 is as an exponent or a weight, before all are scaled.
    unit: f64,
    /// What each row adds for each unit of it: ln p or p.
    values: Vec<f64>,
    labels: Vec<f32>,
}

struct Search {
    form: FusionForm,
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
        let formula = formula(config.form, BTreeMap::new());
        let part = |measure: &mtl_model::Measure| {
            let p = predictions.column(&measure.output)?;
            let values: Vec<f64> = p.iter().map(|&p| formula.term(f64::from(p))).collect();
            let unit = match config.form {
                FusionForm::Product => 1.0,
                FusionForm::Sum => {
                    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
                    1.0 / mean.max(LEAST_MEAN)
                }
            };
            Some(Part {
                weight: weight(&measure.name),
                unit,
                values,
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
        let &TuneConfig { form, metric, steps, seed, .. } = config;
        Ok(Self { form, parts, weights, groups, metric, steps, seed })
    }

    /// Exponents or weights with these shares, the largest of them 1.
    fn factors(&self, shares: &[f64]) -> Vec<f64> {
        let sized: Vec<f64> =
            shares.iter().zip(&self.parts).map(|(s, part)| s * part.unit).collect();
        let largest = sized.iter().copied().fold(0.0, f64::max);
        let scale = if largest > 0.0 { 1.0 / largest } else { 1.0 };
        let signed = sized.iter().zip(&self.parts);
        signed.map(|(size, part)| part.weight.signum() * self.rounded(size * scale)).collect()
    }

    /// Four digits are what a person can read, and more than the data can tell apart: of an exponent
    /// those after the point, of a weight those that are not 0, since it may be a thousandth of
    /// another and count as much.
    fn rounded(&self, size: f64) -> f64 {
        let unit = match self.form {
            FusionForm::Sum if size > 1e-12 => 10f64.powi(3 - size.log10().floor() as i32),
            _ => 1e4,
        };
        (size * unit).round() / unit
    }

    /// The formula of some shares, and its objective.
    fn rank(&self, shares: &[f64]) -> Result<Ranking> {
        let factors = self.factors(shares);
        let mut scores = vec![0.0; self.parts[0].labels.len()];
        for (part, &factor) in self.parts.iter().zip(&factors) {
            scores.iter_mut().zip(&part.values).for_each(|(score, v)| *score += factor * v);
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
        let terms = self.parts.iter().zip(factors).map(|(part, a)| (part.output.clone(), a));
        let fusion = formula(self.form, terms.collect());
        Ok(Ranking { fusion, objective: sum / total, metrics })
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

    /// A formula's shares moved by a factor e^x and a shift, both smaller the later the step.
    fn draw(&self, from: &Fusion, step: u64) -> Vec<f64> {
        let shares = self.parts.iter().map(|part| from.terms()[&part.output].abs() / part.unit);
        let shares: Vec<f64> = shares.collect();
        let largest = shares.iter().copied().fold(0.0, f64::max);
        let scale = if largest > 0.0 { 1.0 / largest } else { 1.0 };
        let width = 1.5 * 0.02f64.powf(step as f64 / self.steps.max(1) as f64);
        let uniform = |i: usize, which: u64| {
            let bits = hash(hash(hash(self.seed, step), i as u64), which);
            (bits >> 11) as f64 / (1_u64 << 53) as f64
        };
        let moved = shares.iter().enumerate().map(|(i, share)| {
            let factor = (width * (2.0 * uniform(i, 0) - 1.0)).exp();
            let shift = 0.2 * width * (2.0 * uniform(i, 1) - 1.0);
            (share * scale * factor + shift).max(0.0)
        });
        moved.collect()
    }
}

/// A mean below this is that of an output that says 0.
const LEAST_MEAN: f64 = 1e-8;

fn formula(form: FusionForm, terms: BTreeMap<String, f64>) -> Fusion {
    match form {
        FusionForm::Product => Fusion::Product(terms),
        FusionForm::Sum => Fusion::Sum(terms),
    }
}
