//! **PCGrad**, gradient surgery: take out of each gradient what points against another.
//!
//! ```text
//! for each i:  p_i = g_i;   for j ≠ i in random order:  if ⟨p_i, g_j⟩ < 0:  p_i −= ⟨p_i, g_j⟩/‖g_j‖² · g_j
//! update  Σ_i p_i
//! ```
//!
//! Source: Yu et al., *Gradient Surgery for Multi-Task Learning*, NeurIPS 2020, algorithm 1. Cost: the
//! Gram matrix and T³ operations. Choose it as the simple remedy for conflict; without conflict it is
//! the plain sum. For T = 2 the update opposes no task; for more it may. Orders are keyed by
//! (seed, step); seed 0.

use serde::{Deserialize, Serialize};

use crate::config::Setup;
use crate::linear_algebra::dot;
use crate::surgery::Surgery;
use crate::{Active, Error, Needs, OwnWeight, Weighting};

/// Settings of PCGrad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PcGradConfig {
    /// The seed of the random orders.
    pub seed: u64,
}

impl PcGradConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> PcGrad {
        PcGrad { surgery: Surgery::new(self.seed, setup.tasks.len()) }
    }
}

#[derive(Debug)]
pub(crate) struct PcGrad {
    surgery: Surgery,
}

/// Takes p_i = Σ_j coefficients_j g_j through the other gradients in `order`.
fn operate(gram: &[f64], order: &[usize], coefficients: &mut [f64]) {
    let n = coefficients.len();
    for &j in order {
        let along = dot(&gram[j * n..(j + 1) * n], coefficients);
        if along < 0.0 {
            coefficients[j] -= along / gram[j * n + j];
        }
    }
}

impl Weighting for PcGrad {
    fn name(&self) -> &'static str {
        "pcgrad"
    }

    fn needs(&self) -> Needs {
        Needs { gram: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::One
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        self.surgery.sum(active.step, weights, |_, order, p| operate(active.gram, order, p));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::golden;

    #[test]
    fn operation_equals_the_reference_on_vectors() {
        for case in golden::cases("pcgrad_orders") {
            let (gram, expected) = (case.numbers("gram"), case.numbers("weights"));
            let n = expected.len();
            let mut weights = vec![0.0; n];
            for (i, order) in case.orders().iter().enumerate() {
                let mut coefficients = vec![0.0; n];
                coefficients[i] = 1.0;
                operate(&gram, order, &mut coefficients);
                weights.iter_mut().zip(&coefficients).for_each(|(w, c)| *w += c);
            }
            golden::assert_close(&weights, &expected, "pcgrad");
        }
    }
}
