//! **IMTL-G**: the combination whose projections onto all gradients are equal.
//!
//! ```text
//! ⟨Σ_s w_s g_s, g_t/‖g_t‖⟩ = κ for every t,   Σ_t w_t = 1     ⇔     w ∝ G⁻¹ d,   d_t = ‖g_t‖
//! ```
//!
//! Solved on the matrix of cosines by its eigenvectors. Where it is singular, the limit of the
//! regularised solution is taken: with opposed gradients κ = 0 and the weights cancel them. Weights may
//! be negative, and with Σ w = 1 so may κ: then the update opposes every task. Where the solution's sum
//! is 0 no κ exists, and where G is nearly singular none may be found: where the projections differ by
//! more than 1e-8 of what they are summed from. Equal weights are then the fallback.
//!
//! Source: Liu et al., *Towards Impartial Multi-task Learning*, ICLR 2021, eqs. 4 to 6. Cost: the Gram
//! matrix and one eigendecomposition. Choose it when gradients differ in size by orders of
//! magnitude; the line it moves on does not depend on the scale of any
//! loss.

use serde::{Deserialize, Serialize};

use crate::config::Setup;
use crate::linear_algebra::{Eigen, dot, multiply};
use crate::{Active, Error, Needs, OwnWeight, Solve, Weighting};

/// The relative spread of the projections beyond which there is no solution.
const TOLERANCE: f64 = 1e-8;
/// Eigenvalues of the matrix of cosines that count as 0.
const NULL: f64 = 2e-13;
/// The smallest component of (1, …, 1) along a null vector that is more than rounding.
const COMPONENT: f64 = 1e-6;

/// Settings of IMTL-G: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImtlGConfig {}

impl ImtlGConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> ImtlG {
        let n = setup.tasks.len();
        ImtlG {
            cosines: vec![0.0; n * n],
            projections: vec![0.0; n],
            eigen: Eigen::new(n),
            solve: None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct ImtlG {
    cosines: Vec<f64>,
    projections: Vec<f64>,
    eigen: Eigen,
    solve: Option<Solve>,
}

impl ImtlG {
    /// y with C y = 1, or with C y = 0 where (1, …, 1) has a component in the null space.
    fn equal_projections(&mut self, n: usize, y: &mut [f64]) {
        let ones = |eigen: &Eigen, k: usize| (0..n).map(|i| eigen.vector(k, i)).sum::<f64>();
        let is_null = |eigen: &Eigen, k: usize| eigen.value(k) <= NULL;
        let opposed =
            (0..n).any(|k| is_null(&self.eigen, k) && ones(&self.eigen, k).abs() > COMPONENT);
        y.fill(0.0);
        for k in (0..n).filter(|&k| is_null(&self.eigen, k) == opposed) {
            let divisor = if opposed { 1.0 } else { self.eigen.value(k) };
            let along = ones(&self.eigen, k) / divisor;
            y.iter_mut().enumerate().for_each(|(i, y)| *y += along * self.eigen.vector(k, i));
        }
    }

    /// The spread of the projections relative to what they are summed from.
    fn residual(&mut self, n: usize, y: &[f64]) -> f64 {
        multiply(&self.cosines[..n * n], y, &mut self.projections[..n]);
        let mean = self.projections[..n].iter().sum::<f64>() / n as f64;
        let spread = self.projections[..n].iter().fold(0.0, |s: f64, p| s.max((p - mean).abs()));
        spread / dot(y, y).sqrt()
    }
}

impl Weighting for ImtlG {
    fn name(&self) -> &'static str {
        "imtl_g"
    }

    fn needs(&self) -> Needs {
        Needs { gram: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::One
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        let n = active.n();
        let norm = |i: usize| active.squared_norm(i).sqrt();
        for i in 0..n {
            for j in 0..n {
                self.cosines[i * n + j] = active.gram[i * n + j] / (norm(i) * norm(j));
            }
        }
        self.eigen.decompose(&self.cosines, n).map_err(|left| left.of("imtl_g"))?;
        self.equal_projections(n, weights);
        let residual = self.residual(n, weights);
        weights.iter_mut().enumerate().for_each(|(i, w)| *w /= norm(i));
        let total: f64 = weights.iter().sum();
        let size: f64 = weights.iter().map(|w| w.abs()).sum();
        // NaN is no solution either.
        let is_solved = residual <= TOLERANCE && total.abs() > 1e-12 * size;
        self.solve = if is_solved {
            weights.iter_mut().for_each(|w| *w /= total);
            Some(Solve { residual, fallback: false })
        } else {
            weights.fill(1.0 / n as f64);
            Some(Solve { residual: 0.0, fallback: true })
        };
        Ok(())
    }

    fn solve(&self) -> Option<Solve> {
        self.solve
    }
}
