//! Gradients that are altered one by one along the others, as in PCGrad and GradVac.
//!
//! ```text
//! for each i:  p_i = g_i;   for j ≠ i in random order:  p_i += (what the method says) · g_j
//! update  Σ_i p_i
//! ```
//!
//! Every p_i is a combination of the g_j, so all of it happens on coefficients and the Gram matrix.

use crate::random::StepRandom;

/// The random orders, keyed by (seed, step), and scratch.
#[derive(Debug)]
pub(crate) struct Surgery {
    seed: u64,
    order: Vec<usize>,
    /// p_i = Σ_j coefficients_j g_j.
    coefficients: Vec<f64>,
}

impl Surgery {
    pub(crate) fn new(seed: u64, n_tasks: usize) -> Self {
        Self { seed, order: Vec::with_capacity(n_tasks), coefficients: vec![0.0; n_tasks] }
    }

    /// Writes the coefficients of Σ_i p_i into `weights`, one an active task. `operate(i, order, p)`
    /// takes the coefficients p of p_i through the other gradients in that order.
    pub(crate) fn sum(
        &mut self,
        step: u64,
        weights: &mut [f64],
        mut operate: impl FnMut(usize, &[usize], &mut [f64]),
    ) {
        let n = weights.len();
        let mut random = StepRandom::new(self.seed, step);
        let p = &mut self.coefficients[..n];
        weights.fill(0.0);
        for i in 0..n {
            self.order.clear();
            self.order.extend((0..n).filter(|&j| j != i));
            random.shuffle(&mut self.order);
            p.fill(0.0);
            p[i] = 1.0;
            operate(i, &self.order, p);
            weights.iter_mut().zip(&*p).for_each(|(w, c)| *w += *c);
        }
    }
}
