//! **GradVac**, gradient vaccine: raise the cosine of each pair to its own running mean.
//!
//! ```text
//! for each i:  p_i = g_i;   for j ≠ i in random order:  φ = cos(p_i, g_j)
//!   if φ < φ̂_ij:  p_i += ‖p_i‖ (φ̂ √(1 − φ²) − φ √(1 − φ̂²)) / (‖g_j‖ √(1 − φ̂²)) · g_j
//!   φ̂_ij ← (1 − β) φ̂_ij + β φ
//! update  Σ_i p_i
//! ```
//!
//! With φ̂ = 0 it is PCGrad. φ̂ starts at 0; for the step it counts as at most 1 − 10⁻⁸, where the formula
//! has a pole.
//!
//! Source: Wang et al., *Gradient Vaccine*, ICLR 2021, eqs. 2 and 3 and algorithm 1. Cost: the Gram matrix
//! and T⁴ operations at most. Choose it where PCGrad does too little since gradients hardly ever
//! oppose. β = 0.01; orders are keyed by (seed, step); seed 0.

use serde::{Deserialize, Serialize};

use crate::config::Setup;
use crate::linear_algebra::dot;
use crate::setting::require;
use crate::surgery::Surgery;
use crate::{Active, Error, Needs, OwnWeight, Weighting};

/// Settings of GradVac.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GradVacConfig {
    /// The share β of the newest cosine in its running mean, from 0 to 1.
    pub beta: f64,
    /// The seed of the random orders.
    pub seed: u64,
}

impl Default for GradVacConfig {
    fn default() -> Self {
        Self { beta: 0.01, seed: 0 }
    }
}

impl GradVacConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> Result<GradVac, Error> {
        let n = setup.tasks.len();
        let in_range = (0.0..=1.0).contains(&self.beta);
        Ok(GradVac {
            surgery: Surgery::new(self.seed, n),
            cosines: Cosines {
                beta: require(in_range, "gradvac", "beta", self.beta, "a number from 0 to 1")?,
                targets: vec![0.0; n * n],
            },
        })
    }
}

#[derive(Debug)]
pub(crate) struct GradVac {
    surgery: Surgery,
    cosines: Cosines,
}

/// The running means of the cosines of each pair.
#[derive(Debug)]
struct Cosines {
    beta: f64,
    /// φ̂, T × T.
    targets: Vec<f64>,
}

impl Cosines {
    /// Takes p_i = Σ_j p_j g_j through the other gradients in `order`.
    fn operate(&mut self, active: &Active<'_>, i: usize, order: &[usize], p: &mut [f64]) {
        let n = active.n();
        let n_tasks = self.targets.len().isqrt();
        for &j in order {
            let row = |k: usize| &active.gram[k * n..(k + 1) * n];
            let along = dot(row(j), p);
            let norm = (0..n).map(|k| p[k] * dot(row(k), p)).sum::<f64>().max(0.0).sqrt();
            let norm_j = active.squared_norm(j).sqrt();
            if norm <= 1e-12 * norm_j.min(active.squared_norm(i).sqrt()) {
                continue;
            }
            let cosine = (along / (norm * norm_j)).clamp(-1.0, 1.0);
            let target = &mut self.targets[active.tasks[i] * n_tasks + active.tasks[j]];
            let aim = target.min(1.0 - 1e-8);
            if cosine < aim {
                let (sine, aim_sine) = ((1.0 - cosine * cosine).sqrt(), (1.0 - aim * aim).sqrt());
                p[j] += norm * (aim * sine - cosine * aim_sine) / (norm_j * aim_sine);
            }
            *target = (1.0 - self.beta) * *target + self.beta * cosine;
        }
    }
}

impl Weighting for GradVac {
    fn name(&self) -> &'static str {
        "gradvac"
    }

    fn needs(&self) -> Needs {
        Needs { gram: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::One
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        let Self { surgery, cosines } = self;
        surgery.sum(active.step, weights, |i, order, p| cosines.operate(active, i, order, p));
        Ok(())
    }

    fn state(&self) -> Vec<(&'static str, &[f64])> {
        vec![("cosines", &self.cosines.targets)]
    }

    fn state_mut(&mut self) -> Vec<(&'static str, &mut [f64])> {
        vec![("cosines", &mut self.cosines.targets)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::golden;

    #[test]
    fn operation_equals_the_reference_on_vectors() {
        let tasks: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let config = GradVacConfig { beta: 0.2, seed: 0 };
        let mut cosines = config.build(&Setup::new(&tasks)).expect("valid settings").cosines;
        for case in golden::cases("gradvac_orders") {
            let (gram, expected) = (case.numbers("gram"), case.numbers("weights"));
            let active =
                Active { step: 0, epoch: 0, tasks: &[0, 1, 2], losses: &[1.0; 3], gram: &gram };
            let mut weights = vec![0.0; 3];
            for (i, order) in case.orders().into_iter().enumerate() {
                let mut coefficients = [0.0; 3];
                coefficients[i] = 1.0;
                cosines.operate(&active, i, &order, &mut coefficients);
                weights.iter_mut().zip(&coefficients).for_each(|(w, c)| *w += c);
            }
            golden::assert_close(&weights, &expected, "gradvac");
            golden::assert_close(&cosines.targets, &case.numbers("targets"), "gradvac targets");
        }
    }
}
