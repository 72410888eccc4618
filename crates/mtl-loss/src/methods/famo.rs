//! **FAMO**, fast adaptive multitask optimization: equal *relative* progress without any gradient
//! of its own.
//!
//! ```text
//! z = softmax(ξ)      D_t = L_t − b_t      w_t = c · z_t/D_t,   c = 1 / Σ_s z_s/D_s
//! after the update, on the same batch:  δ_t = ln D_t − ln D_t⁺
//! gradient of ξ:  (diag z − z zᵀ) δ + γ ξ
//! ```
//!
//! Source: Liu et al., *FAMO: Fast Adaptive Multitask Optimization*, NeurIPS 2023, eqs. 7 to 9 and
//! algorithm 1. Cost: one more forward pass (the losses after the update), no Gram matrix. Choose it
//! for many tasks, where T backward passes are too dear. ξ starts at 0, its own learning rate is
//! 0.025, γ = 0.001, b = 0. D below 1e-8 counts as 1e-8.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::softmax;
use crate::config::Setup;
use crate::setting::{learning_rate, non_negative, per_task};
use crate::weigher::LOSS_FLOOR;
use crate::{Active, Error, LearnedState, Needs, OwnWeight, Weighting};

/// Settings of FAMO.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FamoConfig {
    /// The decay γ of ξ, at least 0.
    pub gamma: f64,
    /// The learning rate of ξ, above 0; `None` (not expressible in TOML) is the model's.
    pub learning_rate: Option<f64>,
    /// The smallest value b_t that a loss can take, by task; 0 for tasks not listed.
    pub min_losses: BTreeMap<String, f64>,
}

impl Default for FamoConfig {
    fn default() -> Self {
        Self { gamma: 1e-3, learning_rate: Some(0.025), min_losses: BTreeMap::new() }
    }
}

impl FamoConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> Result<Famo, Error> {
        for (task, &bound) in &self.min_losses {
            non_negative("famo", &format!("min_losses.{task}"), bound)?;
        }
        let zeros = || vec![0.0; setup.tasks.len()];
        Ok(Famo {
            gamma: non_negative("famo", "gamma", self.gamma)?,
            learning_rate: learning_rate("famo", self.learning_rate)?,
            min_losses: per_task("famo", "min_losses", 0.0, &self.min_losses, setup.tasks)?,
            logits: zeros(),
            gradient: zeros(),
            shares: zeros(),
            before: zeros(),
        })
    }
}

#[derive(Debug)]
pub(crate) struct Famo {
    gamma: f64,
    learning_rate: Option<f64>,
    /// b.
    min_losses: Vec<f64>,
    /// ξ.
    logits: Vec<f64>,
    gradient: Vec<f64>,
    /// z of this step's active tasks.
    shares: Vec<f64>,
    /// ln D of this step, by task.
    before: Vec<f64>,
}

impl Famo {
    /// D of the i-th active task.
    fn distance(&self, active: &Active<'_>, i: usize) -> f64 {
        (active.losses[i] - self.min_losses[active.tasks[i]]).max(LOSS_FLOOR)
    }
}

impl Weighting for Famo {
    fn name(&self) -> &'static str {
        "famo"
    }

    fn needs(&self) -> Needs {
        Needs { losses_after: true, non_negative_losses: true, learned: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::SameAsShared
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        let n = active.n();
        self.gradient.fill(0.0);
        for (share, &task) in self.shares.iter_mut().zip(active.tasks) {
            *share = self.logits[task];
        }
        softmax(&mut self.shares[..n]);
        for i in 0..n {
            let distance = self.distance(active, i);
            self.before[active.tasks[i]] = distance.ln();
            weights[i] = self.shares[i] / distance;
        }
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= total);
        Ok(())
    }

    fn after_update(&mut self, active: &Active<'_>) {
        let progress =
            |famo: &Self, i: usize| famo.before[active.tasks[i]] - famo.distance(active, i).ln();
        let mean: f64 = (0..active.n()).map(|i| self.shares[i] * progress(self, i)).sum();
        for (i, &task) in active.tasks.iter().enumerate() {
            let pull = self.shares[i] * (progress(self, i) - mean);
            self.gradient[task] = pull + self.gamma * self.logits[task];
        }
    }

    fn learned(&mut self) -> Option<LearnedState<'_>> {
        Some(LearnedState {
            values: &mut self.logits,
            gradient: &self.gradient,
            learning_rate: self.learning_rate,
        })
    }

    fn state(&self) -> Vec<(&'static str, &[f64])> {
        vec![("logits", &self.logits)]
    }

    fn state_mut(&mut self) -> Vec<(&'static str, &mut [f64])> {
        vec![("logits", &mut self.logits)]
    }
}
