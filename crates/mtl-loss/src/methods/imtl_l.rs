//! **IMTL-L**: learned scales that bring every scaled loss to the same size.
//!
//! ```text
//! minimise Σ_t e^(s_t) L_t − s_t over s     w_t = e^(s_t)     ∂/∂s_t = w_t L_t − 1
//! ```
//!
//! With L fixed, w_t L_t = 1 for every task.
//!
//! Source: Liu et al., *Towards Impartial Multi-task Learning*, ICLR 2021, eq. 7 (base e). Cost: T
//! exponentials. Choose it, like uncertainty weighting, when losses differ in scale; it assumes no
//! likelihood. s_t starts at rest for the losses of the base rates ([`Start::BaseRate`]), is stepped at a rate of its
//! own, 0.025, as in [`uncertainty`](super::uncertainty), and is kept within ±20.

use serde::{Deserialize, Serialize};

use crate::config::Setup;
use crate::log_scales::{LEARNING_RATE, LogScales};
use crate::setting::{Start, learning_rate};
use crate::{Active, Error, LearnedState, Needs, OwnWeight, Weighting};

/// Settings of IMTL-L.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImtlLConfig {
    /// The learning rate of s, above 0; `None` (not expressible in TOML) is the model's.
    pub learning_rate: Option<f64>,
    /// Where s starts.
    pub start: Start,
}

impl Default for ImtlLConfig {
    fn default() -> Self {
        Self { learning_rate: Some(LEARNING_RATE), start: Start::default() }
    }
}

impl ImtlLConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> Result<ImtlL, Error> {
        let start = self.start.losses("imtl_l", setup)?;
        let start = start.map(|losses| losses.iter().map(|loss| -loss.ln()).collect());
        let learning_rate = learning_rate("imtl_l", self.learning_rate)?;
        Ok(ImtlL { s: LogScales::new(setup.tasks.len(), start, learning_rate) })
    }
}

#[derive(Debug)]
pub(crate) struct ImtlL {
    s: LogScales,
}

impl Weighting for ImtlL {
    fn name(&self) -> &'static str {
        "imtl_l"
    }

    fn needs(&self) -> Needs {
        Needs { learned: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::SameAsShared
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        self.s.gradient.fill(0.0);
        for (i, &task) in active.tasks.iter().enumerate() {
            weights[i] = self.s.values[task].exp();
            self.s.gradient[task] = weights[i] * active.losses[i] - 1.0;
        }
        Ok(())
    }

    fn learned(&mut self) -> Option<LearnedState<'_>> {
        Some(self.s.learned())
    }

    fn project(&mut self, touched: &[bool]) {
        self.s.clamp(touched);
    }

    fn state(&self) -> Vec<(&'static str, &[f64])> {
        vec![("log_scale", &self.s.values)]
    }

    fn state_mut(&mut self) -> Vec<(&'static str, &mut [f64])> {
        vec![("log_scale", &mut self.s.values)]
    }
}
