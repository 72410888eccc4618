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

use super::{LEARNING_RATE, LOG_SCALE_BOUND};
use crate::config::Setup;
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
        let n = setup.tasks.len();
        let start = self.start.losses("imtl_l", setup)?;
        let start = start.map(|losses| losses.iter().map(|loss| -loss.ln()).collect());
        Ok(ImtlL {
            learning_rate: learning_rate("imtl_l", self.learning_rate)?,
            log_scale: start.unwrap_or_else(|| vec![0.0; n]),
            gradient: vec![0.0; n],
        })
    }
}

#[derive(Debug)]
pub(crate) struct ImtlL {
    learning_rate: Option<f64>,
    /// s.
    log_scale: Vec<f64>,
    gradient: Vec<f64>,
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
        self.gradient.fill(0.0);
        for (i, &task) in active.tasks.iter().enumerate() {
            weights[i] = self.log_scale[task].exp();
            self.gradient[task] = weights[i] * active.losses[i] - 1.0;
        }
        Ok(())
    }

    fn learned(&mut self) -> Option<LearnedState<'_>> {
        Some(LearnedState {
            values: &mut self.log_scale,
            gradient: &self.gradient,
            learning_rate: self.learning_rate,
        })
    }

    fn project(&mut self, touched: &[bool]) {
        for (s, _) in self.log_scale.iter_mut().zip(touched).filter(|(_, touched)| **touched) {
            *s = s.clamp(-LOG_SCALE_BOUND, LOG_SCALE_BOUND);
        }
    }

    fn state(&self) -> Vec<(&'static str, &[f64])> {
        vec![("log_scale", &self.log_scale)]
    }

    fn state_mut(&mut self) -> Vec<(&'static str, &mut [f64])> {
        vec![("log_scale", &mut self.log_scale)]
    }
}
