//! **DB-MTL**, dual-balancing: logarithms of the losses, gradients of one length.
//!
//! ```text
//! ĝ_t = ∇ ln L_t = g_t / L_t      r_t ← decay·r_t + (1 − decay)·ĝ_t,   decay = β / k^½ at step k
//! update  Σ_t (max_s ‖r_s‖ / ‖r_t‖) r_t
//! ```
//!
//! With β = 0 (default) r = ĝ and the Gram matrix of g suffices: w_t = max_s ‖ĝ_s‖ / (‖ĝ_t‖ L_t). With
//! β > 0 the trainer keeps the r_t ([`crate::Running`]), gives *their* Gram matrix, and the shared
//! weights are those of the r_t. Parameters of one loss get 1/L_t. Losses below 1e-8 count as 1e-8.
//!
//! Source: Lin et al., *Dual-Balancing for Multi-Task Learning*, 2023, eqs. 2 to 4 and algorithm 1. Cost:
//! the T norms, and T gradients kept where β > 0. Choose it when losses differ in scale: neither
//! losses' nor gradients' scale matters.

use serde::{Deserialize, Serialize};

use crate::setting::require;
use crate::weigher::LOSS_FLOOR;
use crate::{Active, Error, Needs, OwnWeight, Running, Weighting};

/// Settings of DB-MTL.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DbMtlConfig {
    /// The decay β of the running gradients, from 0, below 1; 0 keeps none.
    pub beta: f64,
    /// The power of the step number that β is divided by, from 0 to 1.
    pub power: f64,
}

impl Default for DbMtlConfig {
    fn default() -> Self {
        Self { beta: 0.0, power: 0.5 }
    }
}

impl DbMtlConfig {
    pub(crate) fn build(&self) -> Result<DbMtl, Error> {
        let (beta, power) = (self.beta, self.power);
        let in_range = (0.0..1.0).contains(&beta);
        require(in_range, "db_mtl", "beta", beta, "a number from 0, below 1")?;
        let in_range = (0.0..=1.0).contains(&power);
        require(in_range, "db_mtl", "power", power, "a number from 0 to 1")?;
        Ok(DbMtl { running: (beta > 0.0).then_some(Running { beta, power }) })
    }
}

#[derive(Debug)]
pub(crate) struct DbMtl {
    running: Option<Running>,
}

impl Weighting for DbMtl {
    fn name(&self) -> &'static str {
        "db_mtl"
    }

    fn needs(&self) -> Needs {
        let running = self.running;
        Needs { gram: true, non_negative_losses: true, running, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::InverseLoss
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        // What turns the given gradients into those of the logarithms.
        let inverse = |i: usize| match self.running {
            Some(_) => 1.0,
            None => 1.0 / active.losses[i].max(LOSS_FLOOR),
        };
        let norm = |i: usize| active.squared_norm(i).sqrt() * inverse(i);
        let largest = (0..active.n()).map(norm).fold(0.0, f64::max);
        for (i, weight) in weights.iter_mut().enumerate() {
            *weight = largest / norm(i) * inverse(i);
        }
        Ok(())
    }
}
