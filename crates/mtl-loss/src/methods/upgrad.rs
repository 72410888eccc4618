//! **UPGrad**: the mean of the gradients, each projected so that it opposes no task.
//!
//! ```text
//! update  1/T Σ_i π(g_i),    π the projection onto {d : ⟨g_t, d⟩ ≥ 0 for all t}
//! π(g_i) = Σ_t v_t g_t,      v = argmin vᵀG v   subject to   v ≥ e_i
//! ```
//!
//! The update opposes no task at any T. Without conflict it is the mean of the gradients.
//!
//! Source: Quinton and Rey, *Jacobian Descent for Multi-Objective Optimization*, 2024, eq. 5 and
//! proposition 1. Solved exactly, without the regularisation 1e-4 of the authors' code. Cost: the Gram
//! matrix and T small quadratic programs. Choose it where PCGrad is meant and T > 2: the same idea, with
//! the guarantee and no random order.

use serde::{Deserialize, Serialize};

use crate::config::Setup;
use crate::dual_cone::DualCone;
use crate::nearest_uniform::NearestUniform;
use crate::{Active, Error, Needs, OwnWeight, Solve, Weighting};

/// The residual beyond which failure is reported.
const TOLERANCE: f64 = 1e-8;

/// Settings of UPGrad: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpGradConfig {}

impl UpGradConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> UpGrad {
        let n = setup.tasks.len();
        UpGrad {
            cone: DualCone::new(n),
            ties: NearestUniform::new(n),
            everyone: (0..n).collect(),
            start: vec![0.0; n],
            projected: vec![0.0; n],
            solve: None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct UpGrad {
    cone: DualCone,
    ties: NearestUniform,
    everyone: Vec<usize>,
    /// e_i.
    start: Vec<f64>,
    projected: Vec<f64>,
    solve: Option<Solve>,
}

impl Weighting for UpGrad {
    fn name(&self) -> &'static str {
        "upgrad"
    }

    fn needs(&self) -> Needs {
        Needs { gram: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::One
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        let n = active.n();
        let mut residual = 0.0;
        weights.fill(0.0);
        for i in 0..n {
            self.start[..n].fill(0.0);
            self.start[i] = 1.0;
            let (start, projected) = (&self.start[..n], &mut self.projected[..n]);
            residual = f64::max(residual, self.cone.project(active.gram, start, projected));
            weights.iter_mut().zip(&*projected).for_each(|(w, v)| *w += v / n as f64);
        }
        // Dependent gradients have the same update under many weights; take the most even ones. All
        // are at least 1/n, since v ≥ e_i.
        let total = weights.iter().sum();
        self.start[..n].fill(1.0 / n as f64);
        let (lower, everyone) = (Some(&self.start[..n]), &self.everyone[..n]);
        let ties = self.ties.apply(active.gram, everyone, lower, total, weights);
        ties.map_err(|left| left.of("upgrad"))?;
        self.solve = Some(Solve { residual, fallback: false });
        if residual <= TOLERANCE {
            return Ok(());
        }
        Err(Error::NotConverged { method: "upgrad", residual, tolerance: TOLERANCE })
    }

    fn solve(&self) -> Option<Solve> {
        self.solve
    }
}
