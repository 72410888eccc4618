//! Task losses, one value a row, from logits or predictions.

use std::fmt::Debug;

use super::sigmoid;
use crate::{Backprop, Batch, Forward, Op, Scalar, ValueSlot, Var};

/// ℓ(z, y) of one row and its slope ∂ℓ/∂z.
///
/// A new task loss is one implementation of this trait.
pub trait PointLoss: Debug + Send + Sync {
    /// The op's kind, such as `bce`.
    fn kind(&self) -> &'static str;

    /// ℓ(z, y) for one row.
    fn loss<S: Scalar>(&self, z: S, y: S) -> S;

    /// ∂ℓ/∂z for one row.
    fn slope<S: Scalar>(&self, z: S, y: S) -> S;
}

/// Binary cross-entropy from a logit: ℓ = max(z, 0) − z·y + ln(1 + e^−|z|), y in [0, 1].
#[derive(Clone, Copy, Debug)]
pub struct Bce;

/// Squared error: ℓ = (z − y)².
#[derive(Clone, Copy, Debug)]
pub struct SquaredError;

/// Huber, 1964: ℓ = ½r² where |r| ≤ δ, else δ(|r| − ½δ), with r = z − y.
#[derive(Clone, Copy, Debug)]
pub struct Huber {
    /// δ > 0.
    pub delta: f64,
}

impl PointLoss for Bce {
    fn kind(&self) -> &'static str {
        "bce"
    }

    fn loss<S: Scalar>(&self, z: S, y: S) -> S {
        z.max(S::zero()) - z * y + (-z.abs()).exp().ln_1p()
    }

    fn slope<S: Scalar>(&self, z: S, y: S) -> S {
        sigmoid(z) - y
    }
}

impl PointLoss for SquaredError {
    fn kind(&self) -> &'static str {
        "squared_error"
    }

    fn loss<S: Scalar>(&self, z: S, y: S) -> S {
        (z - y) * (z - y)
    }

    fn slope<S: Scalar>(&self, z: S, y: S) -> S {
        S::of(2.0) * (z - y)
    }
}

impl PointLoss for Huber {
    fn kind(&self) -> &'static str {
        "huber"
    }

    fn loss<S: Scalar>(&self, z: S, y: S) -> S {
        let (r, delta, half) = ((z - y).abs(), S::of(self.delta), S::of(0.5));
        if r <= delta { half * r * r } else { delta * (r - half * delta) }
    }

    fn slope<S: Scalar>(&self, z: S, y: S) -> S {
        let delta = S::of(self.delta);
        (z - y).max(-delta).min(delta)
    }
}

/// Row losses w_i·ℓ(z_i, y_i), rows × 1.
///
/// A NaN label means that the row does not carry it: its loss and gradient are 0 and its weight
/// does not count, so it trains nothing. The batch's loss is the sum of the rows divided by
/// [`Op::total_weight`].
#[derive(Debug)]
pub struct RowLoss<L> {
    input: [Var; 1],
    slots: Vec<ValueSlot>,
    loss: L,
}

impl<L: PointLoss> RowLoss<L> {
    /// The loss of `z` (rows × 1) against the slot `label`, weighted by the slot `weight`.
    ///
    /// # Panics
    /// If `z` is not one column.
    pub fn new(loss: L, z: Var, label: ValueSlot, weight: Option<ValueSlot>) -> Self {
        assert_eq!(z.n_cols(), 1, "a row loss reads one column");
        let slots = std::iter::once(label).chain(weight).collect();
        Self { input: [z], slots, loss }
    }
}

/// The weight of a row: 0 where its label is missing.
fn weight<S: Scalar>(label: S, weights: Option<&[S]>, row: usize) -> S {
    if label.is_nan() { S::zero() } else { weights.map_or(S::one(), |w| w[row]) }
}

impl<S: Scalar, L: PointLoss> Op<S> for RowLoss<L> {
    fn kind(&self) -> &'static str {
        self.loss.kind()
    }

    fn n_cols(&self) -> usize {
        1
    }

    fn inputs(&self) -> &[Var] {
        &self.input
    }

    fn value_slots(&self) -> &[ValueSlot] {
        &self.slots
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (z, rows) = (pass.input(0), pass.rows());
        let labels = pass.values(self.slots[0], 1).data();
        let weights = self.slots.get(1).map(|&slot| pass.values(slot, 1).data());
        let (mut out, _) = pass.output();
        for r in 0..rows {
            let w = weight(labels[r], weights, r);
            // A weight of 0 must not turn an infinite loss into NaN.
            out.row(r)[0] =
                if w == S::zero() { S::zero() } else { w * self.loss.loss(z.row(r)[0], labels[r]) };
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (z, rows, d) = (pass.input(0), pass.rows(), pass.take_gradient());
        let labels = pass.values(self.slots[0], 1).data();
        let weights = self.slots.get(1).map(|&slot| pass.values(slot, 1).data());
        let Some(mut dz) = pass.input_gradient(0) else { return };
        let d = d.as_mat();
        for r in 0..rows {
            let w = weight(labels[r], weights, r);
            let gradient = if w == S::zero() {
                S::zero()
            } else {
                d.row(r)[0] * w * self.loss.slope(z.row(r)[0], labels[r])
            };
            dz.put_row(r, std::iter::once(gradient));
        }
    }

    fn total_weight(&self, batch: &Batch<S>) -> Option<f64> {
        let labels = batch.value_column(self.slots[0]);
        let weights = self.slots.get(1).map(|&slot| batch.value_column(slot));
        Some(labels.iter().enumerate().map(|(r, &y)| weight(y, weights, r).f64()).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphBuilder, Result, check};

    fn check_loss(loss: impl PointLoss + 'static) -> Result<()> {
        let mut b = GraphBuilder::new();
        let (z, label, weight) = (b.values("z", 1)?, b.values("label", 1)?, b.values("weight", 1)?);
        let z = b.read(z)?;
        let y = b.push("loss", RowLoss::new(loss, z, label, Some(weight)))?;
        check::gradients(b, &[y])
    }

    #[test]
    fn finite_differences() -> Result<()> {
        check_loss(Bce)?;
        check_loss(SquaredError)?;
        check_loss(Huber { delta: 0.3 })
    }

    #[test]
    fn bce_is_finite_and_exact_at_extreme_logits() {
        assert_eq!(Bce.loss(80.0f32, 0.0), 80.0);
        assert_eq!(Bce.loss(-800.0f32, 1.0), 800.0);
        assert!((Bce.loss(-80.0f64, 0.0) / (-80.0f64).exp() - 1.0).abs() < 1e-12);
        assert_eq!(Bce.slope(80.0f32, 1.0), 0.0);
    }
}
