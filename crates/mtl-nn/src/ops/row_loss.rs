//! `RowLoss`: a task's loss, one weighted value a row.

use super::PointLoss;
use super::label_slots::{LabelSlots, weight};
use crate::{Backprop, Batch, Forward, Op, Scalar, ValueSlot, Var};

/// Row losses w_i·(ℓ(z_i, y_i) + a_i), rows × 1; a, a penalty from elsewhere in the graph, is
/// absent unless [`RowLoss::plus`] adds one.
///
/// A NaN label means that the row does not carry it: its loss and gradient are 0 and its weight
/// does not count, so it trains nothing. The batch's loss is the sum of the rows divided by
/// [`Op::total_weight`].
#[derive(Debug)]
pub struct RowLoss<L> {
    /// z, and the penalty if there is one.
    inputs: Vec<Var>,
    labels: LabelSlots,
    loss: L,
}

impl<L: PointLoss> RowLoss<L> {
    /// The loss of `z` (rows × 1) against the slot `label`, weighted by the slot `weight`.
    ///
    /// # Panics
    /// If `z` is not one column.
    pub fn new(loss: L, z: Var, label: ValueSlot, weight: Option<ValueSlot>) -> Self {
        assert_eq!(z.n_cols(), 1, "a row loss reads one column");
        Self { inputs: vec![z], labels: LabelSlots::new(label, weight), loss }
    }

    /// Adds the values of `penalty` (rows × 1) to the row losses: they count where the label does.
    ///
    /// # Panics
    /// If `penalty` is not one column.
    #[must_use]
    pub fn plus(mut self, penalty: Var) -> Self {
        assert_eq!(penalty.n_cols(), 1, "a penalty is one column");
        self.inputs.truncate(1);
        self.inputs.push(penalty);
        self
    }
}

impl<S: Scalar, L: PointLoss> Op<S> for RowLoss<L> {
    fn kind(&self) -> &'static str {
        self.loss.kind()
    }

    fn n_cols(&self) -> usize {
        1
    }

    fn inputs(&self) -> &[Var] {
        &self.inputs
    }

    fn value_slots(&self) -> &[ValueSlot] {
        self.labels.slots()
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (z, rows) = (pass.input(0), pass.rows());
        let (labels, weights) = self.labels.read(|slot| pass.values(slot, 1).data());
        let penalty = (self.inputs.len() > 1).then(|| pass.input(1));
        let (mut out, _) = pass.output();
        for r in 0..rows {
            let w = weight(labels[r], weights, r);
            // A weight of 0 must not turn an infinite loss into NaN.
            out.row(r)[0] = if w == S::zero() {
                S::zero()
            } else {
                let penalty = penalty.map_or(S::zero(), |penalty| penalty.row(r)[0]);
                w * (self.loss.loss(z.row(r)[0], labels[r]) + penalty)
            };
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (z, rows, d) = (pass.input(0), pass.rows(), pass.take_gradient());
        let (labels, weights) = self.labels.read(|slot| pass.values(slot, 1).data());
        let d = d.as_mat();
        if let Some(mut dz) = pass.input_gradient(0) {
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
        if self.inputs.len() > 1
            && let Some(mut da) = pass.input_gradient(1)
        {
            for r in 0..rows {
                let gradient = d.row(r)[0] * weight(labels[r], weights, r);
                da.put_row(r, std::iter::once(gradient));
            }
        }
    }

    fn keeps_gradient(&self) -> bool {
        true
    }

    fn total_weight(&self, batch: &Batch<S>) -> Option<f64> {
        Some(self.labels.total_weight(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Bce;
    use crate::{GraphBuilder, Result, check};

    #[test]
    fn finite_differences_with_a_penalty() -> Result<()> {
        let mut b = GraphBuilder::new();
        let (label, weight) = (b.values("label", 1)?, b.values("weight", 1)?);
        let (z, penalty) = (b.values("z", 1)?, b.values("penalty", 1)?);
        let (z, penalty) = (b.read(z)?, b.read(penalty)?);
        let loss = b.push("loss", RowLoss::new(Bce, z, label, Some(weight)).plus(penalty))?;
        check::gradients(b, &[loss])
    }
}
