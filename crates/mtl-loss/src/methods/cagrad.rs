//! **CAGrad**, conflict-averse gradient descent: near the mean gradient, the direction that is best for
//! the task worst off.
//!
//! ```text
//! max_d min_i ⟨g_i, d⟩   subject to   ‖d − g_0‖ ≤ c ‖g_0‖,   g_0 = mean_t g_t
//! dual:  d = g_0 + g_w/λ,   w minimises ‖g_w + λ g_0‖ over the simplex,   λ such that ‖g_w‖/λ = c ‖g_0‖
//! ```
//!
//! For each λ that is a quadratic program, solved exactly; ‖g_w‖/λ falls with λ, so a bracketed root
//! search gives λ to the last digits, where the authors minimise the dual by a general solver of
//! tolerance 1e-6. Where Σ w_t g_t = 0 for some w (Pareto stationary) the ball may not bind; then d is
//! the projection of g_0 onto the directions that oppose no task.
//!
//! Source: Liu et al., *Conflict-Averse Gradient Descent for Multi-task Learning*, NeurIPS 2021,
//! algorithm 1. Cost: the Gram matrix and about ten small quadratic programs. Choose it to trade between
//! the mean (c = 0) and MGDA (c → 1). c = 0.4, no rescaling.

use serde::{Deserialize, Serialize};

use crate::config::Setup;
use crate::dual_cone::DualCone;
use crate::linear_algebra::{dot, max_abs, multiply};
use crate::setting::require;
use crate::simplex_qp::SimplexQp;
use crate::{Active, Error, Needs, OwnWeight, Solve, Weighting};

/// The residual beyond which failure is reported.
const TOLERANCE: f64 = 1e-8;
/// A shortest combination below this share of the longest gradient's squared norm is zero.
const STATIONARY: f64 = 1e-14;
/// Steps of ln λ in which the search for a bracket comes down.
const STRIDE: f64 = 3.0;
/// Rounds of the root search that may take a secant; the others halve the bracket.
const SECANTS: usize = 30;

/// What the direction is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rescale {
    /// 1, as in the paper.
    #[default]
    None,
    /// 1 + c², the default of the authors' code.
    Square,
    /// 1 + c.
    Linear,
}

/// Settings of CAGrad.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaGradConfig {
    /// The radius c of the ball around the mean gradient, in its own length: from 0, below 1.
    pub c: f64,
    /// What the direction is divided by.
    pub rescale: Rescale,
}

impl Default for CaGradConfig {
    fn default() -> Self {
        Self { c: 0.4, rescale: Rescale::None }
    }
}

impl CaGradConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> Result<CaGrad, Error> {
        let in_range = (0.0..1.0).contains(&self.c);
        let n = setup.tasks.len();
        let c = require(in_range, "cagrad", "c", self.c, "a number from 0, below 1")?;
        Ok(CaGrad {
            c,
            divisor: match self.rescale {
                Rescale::None => 1.0,
                Rescale::Square => 1.0 + c * c,
                Rescale::Linear => 1.0 + c,
            },
            uniform: vec![0.0; n],
            bound: vec![0.0; n],
            image: vec![0.0; n],
            qp: SimplexQp::new(n),
            cone: DualCone::new(n),
            solve: None,
        })
    }
}

#[derive(Debug)]
pub(crate) struct CaGrad {
    c: f64,
    divisor: f64,
    /// 1/n each.
    uniform: Vec<f64>,
    bound: Vec<f64>,
    image: Vec<f64>,
    qp: SimplexQp,
    cone: DualCone,
    solve: Option<Solve>,
}

impl CaGrad {
    /// ‖Σ v_t g_t‖ of a combination.
    fn length(&mut self, gram: &[f64], v: &[f64]) -> f64 {
        multiply(gram, v, &mut self.image[..v.len()]);
        dot(v, &self.image[..v.len()]).max(0.0).sqrt()
    }

    /// ‖d − g_0‖ of the combination d = Σ v_t g_t, leaving v − 1/n in `bound`.
    fn distance(&mut self, gram: &[f64], v: &[f64]) -> f64 {
        let n = v.len();
        for i in 0..n {
            self.bound[i] = v[i] - self.uniform[i];
        }
        multiply(gram, &self.bound[..n], &mut self.image[..n]);
        dot(&self.bound[..n], &self.image[..n]).max(0.0).sqrt()
    }

    /// Writes v/λ, the coefficients of d at λ, and returns ‖d − g_0‖.
    fn direction(&mut self, gram: &[f64], lambda: f64, weights: &mut [f64]) -> f64 {
        let n = weights.len();
        // w + λ/n each is at least λ/n and sums to 1 + λ: the same program with other bounds.
        self.bound[..n].fill(lambda / n as f64);
        self.qp.minimise(gram, &self.bound[..n], 1.0 + lambda, weights);
        weights.iter_mut().for_each(|w| *w /= lambda);
        self.distance(gram, weights)
    }

    /// Finds λ with ‖d − g_0‖ = `radius` by the Illinois method on ln λ, and writes d's coefficients.
    ///
    /// The bracket is sought from above: a large λ makes an easy program, and where gradients nearly
    /// cancel, the program at the smallest λ that may be has no digits left to tell its gap by.
    fn search(&mut self, gram: &[f64], radius: f64, shortest: f64, weights: &mut [f64]) {
        let gap = |distance: f64| (distance / radius).ln();
        let longest = max_abs(gram).sqrt();
        let floor = (shortest / radius).ln();
        let mut high = (longest / radius).ln() + 1e-9;
        let mut at_high = gap(self.direction(gram, high.exp(), weights));
        let mut low = (high - STRIDE).max(floor);
        let mut at_low = gap(self.direction(gram, low.exp(), weights));
        while at_low < 0.0 && low > floor {
            (high, at_high) = (low, at_low);
            low = (low - STRIDE).max(floor);
            at_low = gap(self.direction(gram, low.exp(), weights));
        }
        let mut side = 0;
        for round in 0..100 {
            let secant = (at_high * low - at_low * high) / (at_high - at_low);
            // A gap of two scales can hold secants at one end for long; halves always end.
            let inside = round < SECANTS && secant > low && secant < high;
            let middle = if inside { secant } else { 0.5 * (low + high) };
            let at_middle = gap(self.direction(gram, middle.exp(), weights));
            if at_middle.abs() <= 1e-14 || high - low <= 1e-15 * high.abs() {
                return;
            }
            if at_middle > 0.0 {
                (low, at_low) = (middle, at_middle);
                at_high *= if side == 1 { 0.5 } else { 1.0 };
                side = 1;
            } else {
                (high, at_high) = (middle, at_middle);
                at_low *= if side == -1 { 0.5 } else { 1.0 };
                side = -1;
            }
        }
    }

    /// The optimality of d: the tasks with more than the common share gain equally, the others no
    /// less (relative to max |G|), and the ball's bound is met. That is relative to the longest
    /// gradient too: where gradients nearly cancel, the radius has no digits left beyond it.
    fn residual(&mut self, gram: &[f64], radius: f64, weights: &[f64]) -> f64 {
        let n = weights.len();
        let off_ball = (self.distance(gram, weights) - radius).abs() / max_abs(gram).sqrt();
        let least = weights.iter().copied().fold(f64::INFINITY, f64::min);
        let size = max_abs(gram) * max_abs(weights);
        multiply(gram, weights, &mut self.image[..n]);
        let image = &self.image[..n];
        let worst_off = image.iter().copied().fold(f64::INFINITY, f64::min);
        let excess = |i: usize| (weights[i] - least) / max_abs(weights) * (image[i] - worst_off);
        (0..n).fold(off_ball, |worst: f64, i| worst.max(excess(i) / size))
    }
}

impl Weighting for CaGrad {
    fn name(&self) -> &'static str {
        "cagrad"
    }

    fn needs(&self) -> Needs {
        Needs { gram: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::One
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        let (n, gram) = (active.n(), active.gram);
        let largest = max_abs(gram);
        self.uniform[..n].fill(1.0 / n as f64);
        weights.copy_from_slice(&self.uniform[..n]);
        let radius = self.c * self.length(gram, weights);
        self.solve = Some(Solve { residual: 0.0, fallback: false });
        // With c = 0, one task or g_0 = 0 there is nothing to choose: d is along g_0.
        if radius > self.c * (STATIONARY * largest).sqrt() {
            self.bound[..n].fill(0.0);
            self.qp.minimise(gram, &self.bound[..n], 1.0, weights);
            let shortest = self.length(gram, weights);
            let residual = self.best_direction(gram, radius, shortest, weights);
            self.solve = Some(Solve { residual, fallback: false });
            if residual > TOLERANCE {
                let tolerance = TOLERANCE;
                return Err(Error::NotConverged { method: "cagrad", residual, tolerance });
            }
        }
        weights.iter_mut().for_each(|w| *w /= self.divisor);
        Ok(())
    }

    fn solve(&self) -> Option<Solve> {
        self.solve
    }
}

impl CaGrad {
    fn best_direction(
        &mut self,
        gram: &[f64],
        radius: f64,
        shortest: f64,
        weights: &mut [f64],
    ) -> f64 {
        let n = weights.len();
        let stationary = (STATIONARY * max_abs(gram)).sqrt();
        if shortest <= stationary {
            let residual = self.cone.project(gram, &self.uniform[..n], weights);
            if self.distance(gram, weights) <= radius * (1.0 + 1e-9) {
                return residual;
            }
        }
        self.search(gram, radius, shortest.max(1e-3 * stationary), weights);
        self.residual(gram, radius, weights)
    }
}
