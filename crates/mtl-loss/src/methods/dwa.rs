//! **DWA**, dynamic weight average: tasks whose loss falls more slowly get more weight.
//!
//! ```text
//! r_t = L_t(e − 1) / L_t(e − 2)      w_t = T · softmax(r / τ)_t       w_t = 1 in the first two epochs
//! ```
//!
//! L_t(e) is the mean of the task's losses over the batches of epoch e.
//!
//! Source: Liu, Johns and Davison, *End-to-End Multi-Task Learning with Attention*, CVPR 2019, eq. 7.
//! Cost: nothing. Choose it when an epoch is short and no gradient is to be looked at. It does nothing
//! within the first two epochs, so it suits long trainings. τ = 2.

use serde::{Deserialize, Serialize};

use super::softmax;
use crate::config::Setup;
use crate::setting::positive;
use crate::weigher::LOSS_FLOOR;
use crate::{Active, Error, Needs, OwnWeight, Weighting};

/// Settings of DWA.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DwaConfig {
    /// τ, above 0: higher is closer to equal.
    pub temperature: f64,
}

impl Default for DwaConfig {
    fn default() -> Self {
        Self { temperature: 2.0 }
    }
}

impl DwaConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> Result<Dwa, Error> {
        let zeros = || vec![0.0; setup.tasks.len()];
        Ok(Dwa {
            temperature: positive("dwa", "temperature", self.temperature)?,
            sum: zeros(),
            count: zeros(),
            rate: vec![1.0; setup.tasks.len()],
            last: zeros(),
            seen: zeros(),
        })
    }
}

#[derive(Debug)]
pub(crate) struct Dwa {
    temperature: f64,
    /// Sum and number of this epoch's losses.
    sum: Vec<f64>,
    count: Vec<f64>,
    /// r; 1 until two epochs are over.
    rate: Vec<f64>,
    /// The mean of the last epoch in which the task was present, and whether there was one.
    last: Vec<f64>,
    seen: Vec<f64>,
}

impl Weighting for Dwa {
    fn name(&self) -> &'static str {
        "dwa"
    }

    fn needs(&self) -> Needs {
        Needs { non_negative_losses: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::SameAsShared
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        for (i, &task) in active.tasks.iter().enumerate() {
            self.sum[task] += active.losses[i];
            self.count[task] += 1.0;
            weights[i] = self.rate[task] / self.temperature;
        }
        softmax(weights);
        weights.iter_mut().for_each(|w| *w *= active.n() as f64);
        Ok(())
    }

    fn end_epoch(&mut self) {
        for t in 0..self.sum.len() {
            if self.count[t] > 0.0 {
                let mean = self.sum[t] / self.count[t];
                if self.seen[t] > 0.0 {
                    self.rate[t] = mean.max(LOSS_FLOOR) / self.last[t].max(LOSS_FLOOR);
                }
                self.last[t] = mean;
                self.seen[t] = 1.0;
            }
        }
        self.sum.fill(0.0);
        self.count.fill(0.0);
    }

    fn state(&self) -> Vec<(&'static str, &[f64])> {
        vec![
            ("sum", &self.sum),
            ("count", &self.count),
            ("rate", &self.rate),
            ("last", &self.last),
            ("seen", &self.seen),
        ]
    }

    fn state_mut(&mut self) -> Vec<(&'static str, &mut [f64])> {
        vec![
            ("sum", &mut self.sum),
            ("count", &mut self.count),
            ("rate", &mut self.rate),
            ("last", &mut self.last),
            ("seen", &mut self.seen),
        ]
    }
}
