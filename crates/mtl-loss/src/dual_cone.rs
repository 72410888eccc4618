//! The projection of a combination Σ u_t g_t onto the dual cone of all gradients, {d : ⟨g_i, d⟩ ≥ 0}.
//!
//! It is Σ v_t g_t with v the minimiser of vᵀG v subject to v ≥ u (Quinton and Rey, *Jacobian Descent
//! for Multi-Objective Optimization*, 2024, proposition 1): a non-negative quadratic program in v − u.

use crate::linear_algebra::{max_abs, multiply};
use crate::non_negative_qp::NonNegativeQp;

/// The projection's scratch, for up to `capacity` tasks.
#[derive(Debug, Clone)]
pub(crate) struct DualCone {
    qp: NonNegativeQp,
    pull: Vec<f64>,
}

impl DualCone {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { qp: NonNegativeQp::new(capacity, 1e-13), pull: vec![0.0; capacity] }
    }

    /// Writes v into `v`; returns the residual of the optimality conditions relative to
    /// max |G_ij| · max |v|.
    pub(crate) fn project(&mut self, gram: &[f64], u: &[f64], v: &mut [f64]) -> f64 {
        let n = u.len();
        multiply(gram, u, &mut self.pull[..n]);
        self.pull[..n].iter_mut().for_each(|p| *p = -*p);
        let residual = self.qp.minimise(gram, &self.pull[..n], v);
        v.iter_mut().zip(u).for_each(|(v, u)| *v += u);
        residual / (max_abs(gram) * max_abs(v)).max(f64::MIN_POSITIVE)
    }
}
