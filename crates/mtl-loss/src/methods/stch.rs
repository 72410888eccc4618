//! **STCH**, smooth Tchebycheff scalarization: minimise the smoothed maximum of the losses.
//!
//! ```text
//! T · μ ln Σ_t exp(ln((L_t − z_t)/n_t) / μ)      w_t = T · softmax(ln((L − z)/n) / μ)_t / (L_t − z_t)
//! ```
//!
//! z is the ideal (0 unless known), n the nadir: the mean of L − z over the warm-up's last epoch. During
//! the epochs 0 … `warmup_epochs` the objective is Σ ln (L_t − z_t), w_t = 1/(L_t − z_t). L − z below
//! 1e-8 counts as 1e-8. A task first seen after the warm-up takes its first loss as nadir.
//!
//! Source: Lin et al., *Smooth Tchebycheff Scalarization for Multi-Objective Optimization*, ICML 2024,
//! eq. 10; warm-up and logarithms from the authors' multi-task code. Cost: T logarithms. Choose it to
//! reach parts of the Pareto front that no weighted sum reaches. μ = 1, `warmup_epochs` = 4.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::softmax;
use crate::config::Setup;
use crate::setting::{non_negative, per_task, positive};
use crate::weigher::LOSS_FLOOR;
use crate::{Active, Error, Needs, OwnWeight, Weighting};

/// Settings of STCH.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StchConfig {
    /// The smoothing μ, above 0: towards 0 only the worst task counts.
    pub mu: f64,
    /// The epoch (from 0) over which the nadir is averaged; training differs from the next one on.
    pub warmup_epochs: u64,
    /// The best value z_t that a loss can take, by task; 0 for tasks not listed.
    pub ideal: BTreeMap<String, f64>,
}

impl Default for StchConfig {
    fn default() -> Self {
        Self { mu: 1.0, warmup_epochs: 4, ideal: BTreeMap::new() }
    }
}

impl StchConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> Result<Stch, Error> {
        for (task, &value) in &self.ideal {
            non_negative("stch", &format!("ideal.{task}"), value)?;
        }
        let n = setup.tasks.len();
        Ok(Stch {
            mu: positive("stch", "mu", self.mu)?,
            warmup_epochs: self.warmup_epochs,
            ideal: per_task("stch", "ideal", 0.0, &self.ideal, setup.tasks)?,
            sum: vec![0.0; n],
            count: vec![0.0; n],
        })
    }
}

#[derive(Debug)]
pub(crate) struct Stch {
    mu: f64,
    warmup_epochs: u64,
    /// z.
    ideal: Vec<f64>,
    /// Sum and number of the losses that the nadir averages.
    sum: Vec<f64>,
    count: Vec<f64>,
}

impl Weighting for Stch {
    fn name(&self) -> &'static str {
        "stch"
    }

    fn needs(&self) -> Needs {
        Needs { non_negative_losses: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::SameAsShared
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        let distance =
            |i: usize, ideal: &[f64]| (active.losses[i] - ideal[active.tasks[i]]).max(LOSS_FLOOR);
        for (i, &task) in active.tasks.iter().enumerate() {
            let averaging = active.epoch == self.warmup_epochs;
            let late = active.epoch > self.warmup_epochs && self.count[task] == 0.0;
            if averaging || late {
                self.sum[task] += distance(i, &self.ideal);
                self.count[task] += 1.0;
            }
        }
        if active.epoch <= self.warmup_epochs {
            weights.fill(1.0);
        } else {
            for (i, &task) in active.tasks.iter().enumerate() {
                let nadir = self.sum[task] / self.count[task];
                weights[i] = (distance(i, &self.ideal) / nadir).ln() / self.mu;
            }
            softmax(weights);
            weights.iter_mut().for_each(|w| *w *= active.n() as f64);
        }
        for (i, weight) in weights.iter_mut().enumerate() {
            *weight /= distance(i, &self.ideal);
        }
        Ok(())
    }

    fn state(&self) -> Vec<(&'static str, &[f64])> {
        vec![("nadir_sum", &self.sum), ("nadir_count", &self.count)]
    }

    fn state_mut(&mut self) -> Vec<(&'static str, &mut [f64])> {
        vec![("nadir_sum", &mut self.sum), ("nadir_count", &mut self.count)]
    }
}
