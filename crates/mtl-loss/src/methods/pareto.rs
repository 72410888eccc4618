//! **Pareto / PE-LTR**: the shortest combination of the gradients, with a minimum weight per task.
//!
//! ```text
//! min_w ‖Σ_t w_t g_t‖²   subject to   Σ_t w_t = 1,   w_t ≥ c_t
//! ```
//!
//! `exact` solves it with an active set; its relative KKT residual is at most 1e-8 (in practice 1e-14)
//! on singular and badly scaled matrices too, and of several minimisers it takes the one nearest
//! to uniform. `relaxed` is the paper's two steps: the minimiser w̃ + c under Σ w = 1 alone, then the
//! Euclidean projection of w̃ onto {w̃ ≥ 0, Σ w̃ = 1 − Σ c}; it is not the minimiser where a bound is met.
//!
//! Source: Lin et al., *A Pareto-Efficient Algorithm for Multiple Objective Optimization in E-Commerce
//! Recommendation*, RecSys 2019, eqs. 7 to 10 and algorithm 2. Cost: the Gram matrix, and
//! microseconds. Choose it when each task must keep at least a stated share. c_t = 0 by default
//! (then it is MGDA).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Setup;
use crate::setting::{non_negative, per_task, require};
use crate::simplex_qp::SimplexQp;
use crate::{Active, Error, Needs, OwnWeight, Solve, Weighting};

/// The residual beyond which the exact form reports failure.
const TOLERANCE: f64 = 1e-8;

/// How the problem is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParetoForm {
    /// The minimiser.
    #[default]
    Exact,
    /// The paper's two steps.
    Relaxed,
}

/// Settings of Pareto weighting.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParetoConfig {
    /// Exact or relaxed.
    pub form: ParetoForm,
    /// The minimum weight c of tasks that `min_weights` does not list, at least 0.
    pub min_weight: f64,
    /// The minimum weight by task; all together at most 1.
    pub min_weights: BTreeMap<String, f64>,
}

impl ParetoConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> Result<Pareto, Error> {
        const METHOD: &str = "pareto";
        non_negative(METHOD, "min_weight", self.min_weight)?;
        for (task, &bound) in &self.min_weights {
            non_negative(METHOD, &format!("min_weights.{task}"), bound)?;
        }
        let tasks = setup.tasks;
        let lower = per_task(METHOD, "min_weights", self.min_weight, &self.min_weights, tasks)?;
        let total = lower.iter().sum::<f64>();
        require(total <= 1.0 + 1e-12, METHOD, "sum of min_weights", total, "at most 1")?;
        Ok(Pareto {
            form: self.form,
            lower,
            bound: vec![0.0; tasks.len()],
            sorted: vec![0.0; tasks.len()],
            qp: SimplexQp::new(tasks.len()),
            solve: None,
        })
    }
}

#[derive(Debug)]
pub(crate) struct Pareto {
    form: ParetoForm,
    /// c.
    lower: Vec<f64>,
    /// c of the active tasks.
    bound: Vec<f64>,
    sorted: Vec<f64>,
    qp: SimplexQp,
    solve: Option<Solve>,
}

impl Pareto {
    fn exact(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        let bound = &self.bound[..active.n()];
        let residual = self.qp.minimise(active.gram, bound, 1.0, weights);
        self.solve = Some(Solve { residual, fallback: false });
        if residual <= TOLERANCE {
            return Ok(());
        }
        Err(Error::NotConverged { method: "pareto", residual, tolerance: TOLERANCE })
    }

    fn relaxed(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        let n = active.n();
        let bound = &self.bound[..n];
        let found = self.qp.minimise_without_bounds(active.gram, 1.0, weights);
        found.map_err(|left| left.of("pareto"))?;
        weights.iter_mut().zip(bound).for_each(|(w, c)| *w -= c);
        project_to_simplex(weights, 1.0 - bound.iter().sum::<f64>(), &mut self.sorted[..n]);
        weights.iter_mut().zip(bound).for_each(|(w, c)| *w += c);
        self.solve = None;
        Ok(())
    }
}

impl Weighting for Pareto {
    fn name(&self) -> &'static str {
        "pareto"
    }

    fn needs(&self) -> Needs {
        Needs { gram: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::SameAsShared
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        for (bound, &task) in self.bound.iter_mut().zip(active.tasks) {
            *bound = self.lower[task];
        }
        match self.form {
            ParetoForm::Exact => self.exact(active, weights),
            ParetoForm::Relaxed => self.relaxed(active, weights),
        }
    }

    /// Its parameters go on training, by no less than its minimum.
    fn resting_weight(&self, task: usize, n_present: usize) -> f64 {
        self.equal_weight(n_present).max(self.lower[task])
    }

    fn solve(&self) -> Option<Solve> {
        self.solve
    }
}

/// The point of {v ≥ 0, Σ v = total} nearest to `v`, in place.
///
/// Only differences to the largest count, and of those only what is below `total`: with them the sum
/// keeps its digits where nearly parallel gradients have minimisers of 10⁶ and more.
///
/// Source: Duchi et al., *Efficient Projections onto the ℓ1-Ball*, ICML 2008, figure 1.
fn project_to_simplex(v: &mut [f64], total: f64, sorted: &mut [f64]) {
    let largest = v.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    v.iter_mut().for_each(|v| *v -= largest);
    sorted.copy_from_slice(v);
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut sum = 0.0;
    let mut shift = 0.0;
    for (k, &value) in sorted.iter().enumerate() {
        sum += value;
        let candidate = (sum - total) / (k + 1) as f64;
        if k == 0 || value > candidate {
            shift = candidate;
        }
    }
    v.iter_mut().for_each(|v| *v = (*v - shift).max(0.0));
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn simplex_projection_by_hand() {
        let mut v = [0.5, 1.2, -0.3];
        project_to_simplex(&mut v, 1.0, &mut [0.0; 3]);
        // Two stay: shift (1.7 − 1)/2 = 0.35.
        for (v, expected) in v.iter().zip([0.15, 0.85, 0.0]) {
            assert_abs_diff_eq!(*v, expected, epsilon = 1e-15);
        }
    }

    #[test]
    fn simplex_projection_of_large_numbers_keeps_the_sum() {
        let mut v = [3e15, 3e15 - 0.5, -6e15];
        project_to_simplex(&mut v, 1.0, &mut [0.0; 3]);
        assert_eq!(v, [0.75, 0.25, 0.0]);
    }

    #[test]
    fn simplex_projection_to_nothing() {
        let mut v = [0.5, 1.2];
        project_to_simplex(&mut v, 0.0, &mut [0.0; 2]);
        assert_eq!(v, [0.0, 0.0]);
    }
}
