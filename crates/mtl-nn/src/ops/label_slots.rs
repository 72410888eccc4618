//! The label of each row, and how much the row counts: what every loss of a task reads.

use crate::{Batch, Scalar, ValueSlot};

/// The slot of the labels and, if rows are weighted, that of their weights.
#[derive(Debug)]
pub(super) struct LabelSlots(Vec<ValueSlot>);

impl LabelSlots {
    pub(super) fn new(label: ValueSlot, weight: Option<ValueSlot>) -> Self {
        Self(std::iter::once(label).chain(weight).collect())
    }

    /// Every slot, as an op lists them.
    pub(super) fn slots(&self) -> &[ValueSlot] {
        &self.0
    }

    /// The labels and the weights, each as `column` finds it.
    #[inline]
    pub(super) fn read<'b, S>(
        &self,
        column: impl Fn(ValueSlot) -> &'b [S],
    ) -> (&'b [S], Option<&'b [S]>) {
        (column(self.0[0]), self.0.get(1).map(|&slot| column(slot)))
    }

    /// Σ w over the rows of a batch.
    pub(super) fn total_weight<S: Scalar>(&self, batch: &Batch<S>) -> f64 {
        let (labels, weights) = self.read(|slot| batch.value_column(slot));
        labels.iter().enumerate().map(|(r, &y)| weight(y, weights, r).f64()).sum()
    }
}

/// The weight of a row: 0 where its label is missing.
pub(super) fn weight<S: Scalar>(label: S, weights: Option<&[S]>, row: usize) -> S {
    if label.is_nan() { S::zero() } else { weights.map_or(S::one(), |w| w[row]) }
}
