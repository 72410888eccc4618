//! What a comparison or a sweep lacks that was interrupted.

use std::collections::BTreeMap;

use mtl_loss::WeightingConfig;
use serde::Serialize;

use crate::Contender;
use crate::sweep::given;

/// A model, and the seeds that it was not trained with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingRuns {
    /// The model.
    pub model: String,
    /// The seeds.
    pub seeds: Vec<u64>,
}

impl MissingRuns {
    /// What is missing after so many runs, which go model by model.
    pub(crate) fn after(n_runs: usize, contenders: &[Contender], seeds: &[u64]) -> Vec<Self> {
        let missing = |(i, contender): (usize, &Contender)| {
            let n_done = n_runs.saturating_sub(i * seeds.len()).min(seeds.len());
            let (model, seeds) = (contender.name.clone(), seeds[n_done..].to_vec());
            (!seeds.is_empty()).then_some(Self { model, seeds })
        };
        contenders.iter().enumerate().filter_map(missing).collect()
    }
}

/// A weighting of a sweep, and the seeds that the model was not trained with under it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MissingPoint {
    /// `fixed`, or the adaptive method with the settings that tell it apart.
    pub weighting: String,
    /// The method with all its settings.
    pub method: WeightingConfig,
    /// The weight of each loss, where they are given.
    pub weights: BTreeMap<String, f64>,
    /// The seeds.
    pub seeds: Vec<u64>,
}

impl MissingPoint {
    /// A weighting without those seeds.
    pub fn new(weighting: &str, method: WeightingConfig, seeds: Vec<u64>) -> Self {
        let weights = given(&method);
        Self { weighting: weighting.to_owned(), method, weights, seeds }
    }
}
