//! What an epoch adds up, step by step.

use mtl_loss::Solve;
use mtl_nn::{Step, StepReport};
use serde::{Deserialize, Serialize};

use crate::EpochRecord;
use crate::seen::WeightingMeans;

/// Sums over the steps of an epoch so far. A run that is interrupted keeps them, so that the epoch's
/// record, too, is the one of a run that was not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Progress {
    steps: u32,
    /// By loss: the sum, and the steps in which a row carried the label.
    losses: Vec<(f64, u32)>,
    gradient_norm: f64,
    seen: WeightingMeans,
    pub(crate) seconds: f64,
}

impl Progress {
    pub(crate) fn new(n_losses: usize) -> Self {
        Self {
            steps: 0,
            losses: vec![(0.0, 0); n_losses],
            gradient_norm: 0.0,
            seen: WeightingMeans::new(n_losses),
            seconds: 0.0,
        }
    }

    /// Steps done.
    pub(crate) const fn steps(&self) -> usize {
        self.steps as usize
    }

    /// Adds a step's report; returns the sum of its losses by `weights`.
    pub(crate) fn add(&mut self, report: &StepReport<'_>, weights: &[f64]) -> f64 {
        let mut total = 0.0;
        for (i, sum) in self.losses.iter_mut().enumerate() {
            if report.total_weights[i] > 0.0 {
                *sum = (sum.0 + report.losses[i], sum.1 + 1);
                total += weights[i] * report.losses[i];
            }
        }
        self.gradient_norm += report.gradient_norm;
        self.steps += 1;
        total
    }

    /// Adds what a weighting saw and answered in the last step, and how it came by its answer.
    pub(crate) fn add_weighed(&mut self, step: &Step<f32>, solve: Option<Solve>) {
        self.seen.add(step, solve);
    }

    /// Adds the gradients that were looked at beside the last step.
    pub(crate) fn add_watched(&mut self, step: &Step<f32>) {
        self.seen.add_gradients(step);
    }

    /// The record of the whole epoch, not validated yet; `names` are the losses'.
    pub(crate) fn record(self, epoch: usize, names: Vec<String>) -> EpochRecord {
        let mean = |&(sum, n): &(f64, u32)| (n > 0).then(|| sum / f64::from(n));
        let (weights, loss_gradient_norms, cosines) = self.seen.finish(&names);
        let solves = self.seen.solves();
        EpochRecord {
            epoch,
            losses: names.into_iter().zip(self.losses.iter().map(mean)).collect(),
            monitored: None,
            validation: Vec::new(),
            gradient_norm: self.gradient_norm / f64::from(self.steps),
            weights,
            loss_gradient_norms,
            cosines,
            solves,
            seconds: self.seconds,
        }
    }
}
