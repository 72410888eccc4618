//! **Nash-MTL**: the tasks bargain for the update; its direction is Nash's solution.
//!
//! ```text
//! max_d Σ_t ln ⟨g_t, d⟩ over a ball     ⇔     G w = 1/w,   w > 0
//! ```
//!
//! Solved by Newton's method on the convex ½ wᵀG w − Σ ln w_t to a relative residual of 1e-14 or so
//! (the authors linearise and stop at 1e-3). w_t ∝ 1/scale of the loss, so the update does not depend on
//! any loss's scale. At a Pareto stationary point there is no solution: where the relative residual
//! stays above 1e-8 the fallback is MGDA's weights, whose update is (nearly) zero there.
//!
//! Source: Navon et al., *Multi-Task Learning as a Bargaining Game*, ICML 2022, claim 3.1 and
//! algorithm 1. Cost: the Gram matrix and about ten T³/3. Choose it when losses differ in scale and
//! conflict. No limit on the norm of the update by default (the authors' code has 1).

use serde::{Deserialize, Serialize};

use crate::config::Setup;
use crate::fair_point::FairPoint;
use crate::linear_algebra::{dot, multiply};
use crate::setting::positive;
use crate::simplex_qp::SimplexQp;
use crate::{Active, Error, Needs, OwnWeight, Solve, Weighting};

/// The relative residual of G w = 1/w beyond which there is no solution.
const TOLERANCE: f64 = 1e-8;

/// Settings of Nash-MTL.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NashMtlConfig {
    /// The largest norm of the update Σ w_t g_t, above 0; no limit by default.
    pub max_norm: Option<f64>,
}

impl NashMtlConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> Result<NashMtl, Error> {
        let n = setup.tasks.len();
        let check = |norm| positive("nash_mtl", "max_norm", norm);
        Ok(NashMtl {
            max_norm: self.max_norm.map(check).transpose()?,
            bargain: Bargain::new(n),
            image: vec![0.0; n],
            solve: None,
        })
    }
}

#[derive(Debug)]
pub(crate) struct NashMtl {
    max_norm: Option<f64>,
    bargain: Bargain,
    image: Vec<f64>,
    solve: Option<Solve>,
}

impl Weighting for NashMtl {
    fn name(&self) -> &'static str {
        "nash_mtl"
    }

    fn needs(&self) -> Needs {
        Needs { gram: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::One
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        self.solve = Some(self.bargain.solve("nash_mtl", active.gram, 1.0, weights)?);
        if let Some(limit) = self.max_norm {
            multiply(active.gram, weights, &mut self.image[..active.n()]);
            let norm = dot(weights, &self.image[..active.n()]).max(0.0).sqrt();
            if norm > limit {
                weights.iter_mut().for_each(|w| *w *= limit / norm);
            }
        }
        Ok(())
    }

    fn solve(&self) -> Option<Solve> {
        self.solve
    }
}

/// G w = w^(−p), or MGDA's weights where it has no solution. Nash-MTL and FairGrad share it.
#[derive(Debug)]
pub(super) struct Bargain {
    fair: FairPoint,
    shortest: SimplexQp,
    bound: Vec<f64>,
}

impl Bargain {
    pub(super) fn new(n: usize) -> Self {
        Self { fair: FairPoint::new(n), shortest: SimplexQp::new(n), bound: vec![0.0; n] }
    }

    /// # Errors
    /// Where neither has a solution.
    pub(super) fn solve(
        &mut self,
        method: &'static str,
        gram: &[f64],
        power: f64,
        weights: &mut [f64],
    ) -> Result<Solve, Error> {
        let residual = self.fair.solve(gram, power, weights);
        if residual <= TOLERANCE {
            return Ok(Solve { residual, fallback: false });
        }
        let residual = self.shortest.minimise(gram, &self.bound[..weights.len()], 1.0, weights);
        if residual <= TOLERANCE {
            return Ok(Solve { residual, fallback: true });
        }
        Err(Error::NotConverged { method, residual, tolerance: TOLERANCE })
    }
}
