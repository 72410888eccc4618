//! `Stitch`: every task's layer as a mixture of those of all tasks.

use mtl_nn::kernel::{axpy, dot, vectorise};
use mtl_nn::{Backprop, Forward, Op, ParamId, Scalar, Var};

/// h'_t = Σ_s A_ts·h_s for every task t, side by side: rows × T·d.
///
/// Misra et al., CVPR 2016 (Cross-Stitch), eq. 1.
#[derive(Debug)]
pub struct Stitch {
    inputs: Vec<Var>,
    params: [ParamId; 1],
}

impl Stitch {
    /// Stitches `h`, each rows × d, by A (T × T).
    ///
    /// # Panics
    /// If layers differ in width, or there is none.
    pub fn new(h: Vec<Var>, a: ParamId) -> Self {
        assert!(h.iter().all(|layer| layer.n_cols() == h[0].n_cols()), "layers of one width");
        assert!(!h.is_empty(), "a layer to stitch");
        Self { inputs: h, params: [a] }
    }

    fn d(&self) -> usize {
        self.inputs[0].n_cols()
    }
}

impl<S: Scalar> Op<S> for Stitch {
    fn kind(&self) -> &'static str {
        "stitch"
    }

    fn n_cols(&self) -> usize {
        self.inputs.len() * self.d()
    }

    fn inputs(&self) -> &[Var] {
        &self.inputs
    }

    fn params(&self) -> &[ParamId] {
        &self.params
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (a, d, rows) = (pass.param(self.params[0]), self.d(), pass.rows());
        for s in 0..self.inputs.len() {
            let h = pass.input(s);
            let (mut y, _) = pass.output();
            vectorise(
                #[inline(always)]
                || {
                    for r in 0..rows {
                        for (t, y) in y.row(r).chunks_exact_mut(d).enumerate() {
                            if s == 0 {
                                y.fill(S::zero());
                            }
                            axpy(y, a.row(t)[s], h.row(r));
                        }
                    }
                },
            );
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (a, d, rows) = (pass.param(self.params[0]), self.d(), pass.rows());
        let dy = pass.take_gradient();
        let dy = dy.as_mat();
        for s in 0..self.inputs.len() {
            let Some(mut sink) = pass.input_gradient(s) else { continue };
            vectorise(
                #[inline(always)]
                || {
                    for r in 0..rows {
                        let to = sink.to.row(r);
                        if !sink.add {
                            to.fill(S::zero());
                        }
                        for (t, dy) in dy.row(r).chunks_exact(d).enumerate() {
                            axpy(to, a.row(t)[s], dy);
                        }
                    }
                },
            );
        }
        for s in 0..self.inputs.len() {
            let h = pass.input(s);
            let Some(mut sink) = pass.param_gradient(0) else { return };
            vectorise(
                #[inline(always)]
                || {
                    for t in 0..self.inputs.len() {
                        let mut sum = S::zero();
                        for r in 0..rows {
                            sum += dot(&dy.row(r)[t * d..(t + 1) * d], h.row(r));
                        }
                        let to = &mut sink.to.row(t)[s];
                        *to = if sink.add { *to + sum } else { sum };
                    }
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use mtl_nn::{GraphBuilder, Init, Result, Role, check};

    use super::*;

    #[test]
    fn finite_differences_where_two_tasks_read_one_layer() -> Result<()> {
        let mut b = GraphBuilder::new();
        let x = b.values("x", 6)?;
        let x = b.read(x)?;
        let a = b.param("a", (3, 3), Role::Bias, Init::Diagonal { on: 0.9, off: 0.05 })?;
        let h = vec![x.columns(0, 3), x.columns(3, 3), x.columns(0, 3)];
        let y = b.push("y", Stitch::new(h, a))?;
        check::gradients(b, &[y])
    }
}
