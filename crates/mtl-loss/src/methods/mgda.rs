//! **MGDA**: the shortest vector in the convex hull of the gradients.
//!
//! ```text
//! min_w ‖Σ_t w_t g_t / n_t‖²   subject to   Σ_t w_t = 1,   w_t ≥ 0;      weights w_t / n_t
//! ```
//!
//! The update improves every task, or is zero at a Pareto stationary point. n_t = 1 by default; the
//! normalisations of the authors' code are offered, and the update is the combination of the
//! *normalised* gradients, so that it improves every task with them too.
//!
//! Source: Sener and Koltun, *Multi-Task Learning as Multi-Objective Optimization*, NeurIPS 2018, eq. 3
//! (after Désidéri 2012). Solved exactly, without the paper's Frank-Wolfe iteration. Cost: the Gram
//! matrix, and microseconds. Choose it when no task may get worse; it favours the task with the
//! smallest gradient.

use serde::{Deserialize, Serialize};

use crate::config::Setup;
use crate::simplex_qp::SimplexQp;
use crate::weigher::LOSS_FLOOR;
use crate::{Active, Error, Needs, OwnWeight, Solve, Weighting};

/// The residual beyond which failure is reported.
const TOLERANCE: f64 = 1e-8;

/// What each gradient is divided by, n_t.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// 1.
    #[default]
    None,
    /// Its norm.
    L2,
    /// Its loss.
    Loss,
    /// Its norm times its loss.
    LossL2,
}

/// Settings of MGDA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MgdaConfig {
    /// What each gradient is divided by.
    pub normalise: Normalise,
}

impl MgdaConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> Mgda {
        let n = setup.tasks.len();
        Mgda {
            normalise: self.normalise,
            bound: vec![0.0; n],
            divisor: vec![1.0; n],
            gram: vec![0.0; n * n],
            qp: SimplexQp::new(n),
            solve: None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Mgda {
    normalise: Normalise,
    /// Zeros.
    bound: Vec<f64>,
    divisor: Vec<f64>,
    gram: Vec<f64>,
    qp: SimplexQp,
    solve: Option<Solve>,
}

impl Weighting for Mgda {
    fn name(&self) -> &'static str {
        "mgda"
    }

    fn needs(&self) -> Needs {
        let non_negative_losses = matches!(self.normalise, Normalise::Loss | Normalise::LossL2);
        Needs { gram: true, non_negative_losses, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::One
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        let n = active.n();
        for i in 0..n {
            let (norm, loss) = (active.squared_norm(i).sqrt(), active.losses[i].max(LOSS_FLOOR));
            self.divisor[i] = match self.normalise {
                Normalise::None => 1.0,
                Normalise::L2 => norm,
                Normalise::Loss => loss,
                Normalise::LossL2 => norm * loss,
            };
        }
        for i in 0..n {
            for j in 0..n {
                let divisor = self.divisor[i] * self.divisor[j];
                self.gram[i * n + j] = active.gram[i * n + j] / divisor;
            }
        }
        let residual = self.qp.minimise(&self.gram[..n * n], &self.bound[..n], 1.0, weights);
        self.solve = Some(Solve { residual, fallback: false });
        weights.iter_mut().zip(&self.divisor).for_each(|(w, divisor)| *w /= divisor);
        if residual <= TOLERANCE {
            return Ok(());
        }
        Err(Error::NotConverged { method: "mgda", residual, tolerance: TOLERANCE })
    }

    fn solve(&self) -> Option<Solve> {
        self.solve
    }
}
