//! `RowLoss`: a task's loss, one weighted value a row.

use super::PointLoss;
use crate::{Backprop, Batch, Forward, Op, Scalar, ValueSlot, Var};

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
pub(super) fn weight<S: Scalar>(label: S, weights: Option<&[S]>, row: usize) -> S {
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
