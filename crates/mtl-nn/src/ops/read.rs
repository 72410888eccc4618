//! `Read`: a slot of values as a node.

use crate::{Backprop, Forward, Op, Scalar, ValueSlot};

/// Copies a slot of the batch: y = x. Output rows × the slot's columns.
#[derive(Debug)]
pub struct Read {
    slot: [ValueSlot; 1],
    n_cols: usize,
}

impl Read {
    /// Reads `slot`, which has `n_cols` values a row.
    pub const fn new(slot: ValueSlot, n_cols: usize) -> Self {
        Self { slot: [slot], n_cols }
    }
}

impl<S: Scalar> Op<S> for Read {
    fn kind(&self) -> &'static str {
        "read"
    }

    fn n_cols(&self) -> usize {
        self.n_cols
    }

    fn value_slots(&self) -> &[ValueSlot] {
        &self.slot
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let x = pass.values(self.slot[0], self.n_cols);
        let (mut y, _) = pass.output();
        for r in 0..x.rows() {
            y.row(r).copy_from_slice(x.row(r));
        }
    }

    fn backward(&self, _: &mut Backprop<'_, S>) {} // a leaf: its gradient is read, not passed on
}
