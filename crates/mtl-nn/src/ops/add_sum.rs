//! `AddSum`: a first-order term beside a network.

use crate::{Backprop, Forward, Op, Scalar, Var};

/// y = z + Σ_c x_c, rows × 1: with x the one-column embeddings of all features this is the linear
/// part of wide & deep (Cheng et al., 2016, §3.1) added to a logit.
#[derive(Debug)]
pub struct AddSum {
    inputs: [Var; 2],
}

impl AddSum {
    /// `z` is rows × 1, `x` rows × any.
    ///
    /// # Panics
    /// If `z` is not one column.
    pub fn new(z: Var, x: Var) -> Self {
        assert_eq!(z.n_cols(), 1, "a logit is one column");
        Self { inputs: [z, x] }
    }
}

impl<S: Scalar> Op<S> for AddSum {
    fn kind(&self) -> &'static str {
        "add_sum"
    }

    fn n_cols(&self) -> usize {
        1
    }

    fn inputs(&self) -> &[Var] {
        &self.inputs
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (z, x) = (pass.input(0), pass.input(1));
        let (mut y, _) = pass.output();
        for r in 0..z.rows() {
            y.row(r)[0] = z.row(r)[0] + crate::kernel::sum(x.row(r));
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let d = pass.take_gradient();
        let d = d.as_mat();
        for i in 0..2 {
            let Some(mut sink) = pass.input_gradient(i) else { continue };
            let n = sink.to.cols();
            for r in 0..d.rows() {
                sink.put_row(r, std::iter::repeat_n(d.row(r)[0], n));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphBuilder, Result, check};

    #[test]
    fn finite_differences() -> Result<()> {
        let mut b = GraphBuilder::new();
        let (z, x) = (b.values("z", 1)?, b.values("x", 19)?);
        let (z, x) = (b.read(z)?, b.read(x)?);
        let y = b.push("y", AddSum::new(z, x))?;
        check::gradients(b, &[y])
    }
}
