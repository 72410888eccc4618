//! `SpaceLoss`: a conditional probability trained where its condition holds (naive CVR).

use mtl_nn::{Backprop, Batch, Forward, Op, Scalar, ValueSlot, Var};

use super::SpaceSlots;
use super::event_loss::cross_entropy;

/// Row losses w·o·δ, δ the cross-entropy of P(event | given) and o whether `given` happened;
/// rows × 1. The batch's loss is their sum divided by Σ w·o.
#[derive(Debug)]
pub struct SpaceLoss {
    input: [Var; 1],
    labels: SpaceSlots,
}

impl SpaceLoss {
    /// The loss of the conditional probability `log` (rows × 2).
    ///
    /// # Panics
    /// If `log` is not two columns.
    pub fn new(log: Var, labels: SpaceSlots) -> Self {
        assert_eq!(log.n_cols(), 2, "an event is (ln p, ln(1 − p))");
        Self { input: [log], labels }
    }
}

impl<S: Scalar> Op<S> for SpaceLoss {
    fn kind(&self) -> &'static str {
        "space_loss"
    }

    fn n_cols(&self) -> usize {
        1
    }

    fn inputs(&self) -> &[Var] {
        &self.input
    }

    fn value_slots(&self) -> &[ValueSlot] {
        self.labels.slots()
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let log = pass.input(0);
        for r in 0..log.rows() {
            let (y, o, w) = self.labels.read(|slot| pass.values(slot, 1).row(r)[0]);
            let (mut out, _) = pass.output();
            out.row(r)[0] =
                if o * w == S::zero() { S::zero() } else { o * w * cross_entropy(log.row(r), y) };
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (rows, d) = (pass.rows(), pass.take_gradient());
        let d = d.as_mat();
        for r in 0..rows {
            let (y, o, w) = self.labels.read(|slot| pass.values(slot, 1).row(r)[0]);
            let scale = d.row(r)[0] * o * w;
            let Some(mut sink) = pass.input_gradient(0) else { return };
            sink.put_row(r, [-scale * y, -scale * (S::one() - y)].into_iter());
        }
    }

    fn total_weight(&self, batch: &Batch<S>) -> Option<f64> {
        let row = |r: usize| {
            let (_, o, w) = self.labels.read(|slot| batch.value_column(slot)[r]);
            o.f64() * w.f64()
        };
        Some((0..batch.rows).map(row).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::TargetSlots;
    use mtl_nn::{GraphBuilder, Result, check};

    #[test]
    fn finite_differences() -> Result<()> {
        let mut b = GraphBuilder::new();
        let (log, event) = (b.values("log", 2)?, b.values("label_event", 1)?);
        let (given, weight) = (b.values("label_given", 1)?, b.values("weight", 1)?);
        let log = b.read(log)?;
        let given = TargetSlots::label(given, Some(weight));
        let labels = SpaceSlots::new(TargetSlots::label(event, None), given);
        let loss = b.push("loss", SpaceLoss::new(log, labels))?;
        check::gradients(b, &[loss])
    }
}
