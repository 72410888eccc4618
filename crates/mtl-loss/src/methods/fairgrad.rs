//! **FairGrad**: α-fair allocation of the update among the tasks.
//!
//! ```text
//! max_d Σ_t ⟨g_t, d⟩^(1−α)/(1−α) over a ball     ⇔     G w = w^(−1/α),   w > 0
//! ```
//!
//! α = 1 is Nash-MTL (proportional fairness), α → ∞ max-min fairness, α → 0 the plain sum. Solved by
//! Newton's method on the convex potential; at a Pareto stationary point there is no solution, and where
//! the relative residual stays above 1e-8 the fallback is MGDA's weights.
//!
//! Source: Ban and Ji, *Fair Resource Allocation in Multi-Task Learning*, ICML 2024, eq. 7. Cost: the
//! Gram matrix and about ten T³/3. Choose it to tune how much the worst-off task counts. α = 1, range
//! from 0.1 to 100.

use serde::{Deserialize, Serialize};

use super::nash_mtl::Bargain;
use crate::config::Setup;
use crate::setting::require;
use crate::{Active, Error, Needs, OwnWeight, Solve, Weighting};

/// Settings of FairGrad.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FairGradConfig {
    /// The fairness α, from 0.1 to 100.
    pub alpha: f64,
}

impl Default for FairGradConfig {
    fn default() -> Self {
        Self { alpha: 1.0 }
    }
}

impl FairGradConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> Result<FairGrad, Error> {
        let in_range = (0.1..=100.0).contains(&self.alpha);
        let alpha = require(in_range, "fairgrad", "alpha", self.alpha, "a number from 0.1 to 100")?;
        Ok(FairGrad { power: 1.0 / alpha, bargain: Bargain::new(setup.tasks.len()), solve: None })
    }
}

#[derive(Debug)]
pub(crate) struct FairGrad {
    /// 1/α.
    power: f64,
    bargain: Bargain,
    solve: Option<Solve>,
}

impl Weighting for FairGrad {
    fn name(&self) -> &'static str {
        "fairgrad"
    }

    fn needs(&self) -> Needs {
        Needs { gram: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::One
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        self.solve = Some(self.bargain.solve("fairgrad", active.gram, self.power, weights)?);
        Ok(())
    }

    fn solve(&self) -> Option<Solve> {
        self.solve
    }
}
