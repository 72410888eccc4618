//! `Sigmoid`: logits to probabilities.

use crate::{Backprop, Forward, Op, Scalar, Var};

/// p = 1 / (1 + e^−z), element-wise; rows × the input's columns.
#[derive(Debug)]
pub struct Sigmoid {
    input: [Var; 1],
}

impl Sigmoid {
    /// The sigmoid of `z`.
    pub const fn new(z: Var) -> Self {
        Self { input: [z] }
    }
}

/// σ(z), without overflow for any finite z.
pub fn sigmoid<S: Scalar>(z: S) -> S {
    let e = (-z.abs()).exp();
    if z >= S::zero() { S::one() / (S::one() + e) } else { e / (S::one() + e) }
}

impl<S: Scalar> Op<S> for Sigmoid {
    fn kind(&self) -> &'static str {
        "sigmoid"
    }

    fn n_cols(&self) -> usize {
        self.input[0].n_cols()
    }

    fn inputs(&self) -> &[Var] {
        &self.input
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let z = pass.input(0);
        let (mut p, _) = pass.output();
        for r in 0..z.rows() {
            p.row(r).iter_mut().zip(z.row(r)).for_each(|(p, &z)| *p = sigmoid(z));
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (p, dp) = (pass.output(), pass.take_gradient());
        let Some(mut dz) = pass.input_gradient(0) else { return };
        let dp = dp.as_mat();
        for r in 0..p.rows() {
            let gradient = p.row(r).iter().zip(dp.row(r)).map(|(&p, &d)| d * p * (S::one() - p));
            dz.put_row(r, gradient);
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
        let x = b.values("x", 5)?;
        let x = b.read(x)?;
        let y = b.push("sigmoid", Sigmoid::new(x))?;
        check::gradients(b, &[y])
    }

    #[test]
    fn extreme_logits_stay_finite() {
        assert_eq!(sigmoid(-800.0f32), 0.0);
        assert_eq!(sigmoid(800.0f32), 1.0);
        assert!((sigmoid(-80.0f64) - (-80.0f64).exp()).abs() < 1e-48);
    }
}
