//! `EventLoss`: binary cross-entropy of a probability from its logarithms.

use mtl_nn::{Backprop, Batch, Forward, Op, Scalar, ValueSlot, Var};

use super::{SpaceSlots, TargetSlots};

/// Row losses w·(−y·ℓ − (1 − y)·m) from (ℓ, m) = (ln p, ln(1 − p)), rows × 1.
///
/// Of an event, over all rows; or of a conditional probability P(event | given) over the rows in
/// which `given` happened, whose weight elsewhere is 0 (naive CVR). A row whose target is missing
/// has loss and gradient 0 and no weight. The batch's loss is the sum of the rows divided by Σ w
/// ([`Op::total_weight`]).
#[derive(Debug)]
pub struct EventLoss {
    input: [Var; 1],
    rows: Rows,
}

/// Which rows count, and for what.
#[derive(Debug)]
enum Rows {
    All(TargetSlots),
    Given(SpaceSlots),
}

impl EventLoss {
    /// The loss of the event `log` (rows × 2) over all rows.
    ///
    /// # Panics
    /// If `log` is not two columns.
    pub fn new(log: Var, target: TargetSlots) -> Self {
        Self::over(log, Rows::All(target))
    }

    /// The loss of the conditional probability `log` (rows × 2) where its condition holds.
    ///
    /// # Panics
    /// If `log` is not two columns.
    pub fn given(log: Var, labels: SpaceSlots) -> Self {
        Self::over(log, Rows::Given(labels))
    }

    fn over(log: Var, rows: Rows) -> Self {
        assert_eq!(log.n_cols(), 2, "an event is (ln p, ln(1 − p))");
        Self { input: [log], rows }
    }
}

impl Rows {
    fn slots(&self) -> &[ValueSlot] {
        match self {
            Self::All(target) => target.slots(),
            Self::Given(labels) => labels.slots(),
        }
    }

    /// (y, w) of a row.
    #[inline]
    fn read<S: Scalar>(&self, value: impl Fn(ValueSlot) -> S) -> (S, S) {
        match self {
            Self::All(target) => target.read(value),
            Self::Given(labels) => {
                let (y, o, w) = labels.read(value);
                (y, o * w)
            }
        }
    }
}

/// −y·ℓ − (1 − y)·m.
#[inline]
pub(crate) fn cross_entropy<S: Scalar>(log: &[S], y: S) -> S {
    -(y * log[0]) - (S::one() - y) * log[1]
}

/// Its slopes by ℓ and m, times `factor`.
#[inline]
pub(super) fn cross_entropy_slopes<S: Scalar>(y: S, factor: S) -> [S; 2] {
    [-factor * y, -factor * (S::one() - y)]
}

impl<S: Scalar> Op<S> for EventLoss {
    fn kind(&self) -> &'static str {
        match self.rows {
            Rows::All(_) => "event_loss",
            Rows::Given(_) => "given_loss",
        }
    }

    fn n_cols(&self) -> usize {
        1
    }

    fn inputs(&self) -> &[Var] {
        &self.input
    }

    fn value_slots(&self) -> &[ValueSlot] {
        self.rows.slots()
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let log = pass.input(0);
        for r in 0..log.rows() {
            let (y, w) = self.rows.read(|slot| pass.values(slot, 1).row(r)[0]);
            let (mut out, _) = pass.output();
            out.row(r)[0] =
                if w == S::zero() { S::zero() } else { w * cross_entropy(log.row(r), y) };
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (rows, d) = (pass.rows(), pass.take_gradient());
        let d = d.as_mat();
        for r in 0..rows {
            let (y, w) = self.rows.read(|slot| pass.values(slot, 1).row(r)[0]);
            let scale = d.row(r)[0] * w;
            let Some(mut sink) = pass.input_gradient(0) else { return };
            sink.put_row(r, cross_entropy_slopes(y, scale).into_iter());
        }
    }

    fn keeps_gradient(&self) -> bool {
        true
    }

    fn total_weight(&self, batch: &Batch<S>) -> Option<f64> {
        let row = |r: usize| self.rows.read(|slot| batch.value_column(slot)[r]).1.f64();
        Some((0..batch.rows).map(row).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtl_nn::{GraphBuilder, Result, check};

    #[test]
    fn finite_differences() -> Result<()> {
        let mut b = GraphBuilder::new();
        let (log, label) = (b.values("log", 2)?, b.values("label", 1)?);
        let weight = b.values("weight", 1)?;
        let log = b.read(log)?;
        let target = TargetSlots::label(label, Some(weight));
        let loss = b.push("loss", EventLoss::new(log, target))?;
        check::gradients(b, &[loss])
    }

    #[test]
    fn finite_differences_where_the_condition_holds() -> Result<()> {
        let mut b = GraphBuilder::new();
        let (log, event) = (b.values("log", 2)?, b.values("label_event", 1)?);
        let (given, weight) = (b.values("label_given", 1)?, b.values("weight", 1)?);
        let log = b.read(log)?;
        let given = TargetSlots::label(given, Some(weight));
        let labels = SpaceSlots::new(TargetSlots::label(event, None), given);
        let loss = b.push("loss", EventLoss::given(log, labels))?;
        check::gradients(b, &[loss])
    }
}
