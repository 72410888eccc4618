//! `Excess`: by how much a later event is more probable than the one before it.

use mtl_nn::ops::sigmoid;
use mtl_nn::{Backprop, Forward, Op, Scalar, Var};

/// a = λ·max(σ(z) − σ(z₀), 0), rows × 1: what AITM's behavioural expectation calibrator adds to
/// the loss of z.
///
/// Xi et al., KDD 2021, eq. 9; λ is 0.6 there.
#[derive(Debug)]
pub struct Excess {
    inputs: [Var; 2],
    weight: f64,
}

impl Excess {
    /// λ = `weight` over the logits `z` and `before`, each rows × 1.
    ///
    /// # Panics
    /// If a logit is not one column.
    pub fn new(z: Var, before: Var, weight: f64) -> Self {
        assert_eq!((z.n_cols(), before.n_cols()), (1, 1), "a logit is one column");
        Self { inputs: [z, before], weight }
    }
}

impl<S: Scalar> Op<S> for Excess {
    fn kind(&self) -> &'static str {
        "excess"
    }

    fn n_cols(&self) -> usize {
        1
    }

    fn inputs(&self) -> &[Var] {
        &self.inputs
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (z, before, weight) = (pass.input(0), pass.input(1), S::of(self.weight));
        let (mut a, _) = pass.output();
        for r in 0..z.rows() {
            let excess = sigmoid(z.row(r)[0]) - sigmoid(before.row(r)[0]);
            // A NaN passes through and is caught at the loss.
            a.row(r)[0] = if excess < S::zero() { S::zero() } else { weight * excess };
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (logits, a, d) = ([pass.input(0), pass.input(1)], pass.output(), pass.take_gradient());
        let d = d.as_mat();
        for (i, sign) in [self.weight, -self.weight].into_iter().enumerate() {
            let Some(mut sink) = pass.input_gradient(i) else { continue };
            for r in 0..d.rows() {
                let slope = if a.row(r)[0] > S::zero() {
                    let p = sigmoid(logits[i].row(r)[0]);
                    S::of(sign) * p * (S::one() - p)
                } else {
                    S::zero()
                };
                sink.put_row(r, std::iter::once(slope * d.row(r)[0]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mtl_nn::{GraphBuilder, Result, check};

    use super::*;

    #[test]
    fn finite_differences() -> Result<()> {
        let mut b = GraphBuilder::new();
        let z = b.values("z", 2)?;
        let z = b.read(z)?;
        let a = b.push("a", Excess::new(z.columns(0, 1), z.columns(1, 1), 0.6))?;
        check::gradients(b, &[a])
    }
}
