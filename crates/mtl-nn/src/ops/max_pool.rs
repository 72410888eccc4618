//! `MaxPool`: the largest value of each column over the places of a list.

use crate::{Backprop, Forward, ListSlot, Op, Scalar, Var};

/// `y_c = max_j h_{j,c}` over the places j of a list, 0 for an empty list; rows × `dim`.
///
/// # Shapes
/// h is rows × (longest · dim), a list's values first, as [`super::EmbedList`] writes them. The
/// gradient goes to the first of equal places.
#[derive(Debug)]
pub struct MaxPool {
    input: [Var; 1],
    slot: [ListSlot; 1],
    dim: usize,
}

impl MaxPool {
    /// Over `h`, whose lists' lengths are those of `slot`.
    pub const fn new(h: Var, slot: ListSlot, dim: usize) -> Self {
        Self { input: [h], slot: [slot], dim }
    }

    /// The place of the largest value of column `c`, if the list has any.
    fn largest<S: Scalar>(&self, h: &[S], length: usize, c: usize) -> Option<usize> {
        let places = (0..length).map(|j| j * self.dim + c);
        places.reduce(|best, place| if h[place] > h[best] { place } else { best })
    }
}

impl<S: Scalar> Op<S> for MaxPool {
    fn kind(&self) -> &'static str {
        "max_pool"
    }

    fn n_cols(&self) -> usize {
        self.dim
    }

    fn inputs(&self) -> &[Var] {
        &self.input
    }

    fn list_slots(&self) -> &[ListSlot] {
        &self.slot
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (h, lists) = (pass.input(0), pass.lists(self.slot[0]));
        let (mut y, _) = pass.output();
        for (r, list) in lists.iter().enumerate() {
            for (c, y) in y.row(r).iter_mut().enumerate() {
                *y = self.largest(h.row(r), list.len(), c).map_or(S::zero(), |at| h.row(r)[at]);
            }
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (h, lists, dy) = (pass.input(0), pass.lists(self.slot[0]), pass.take_gradient());
        let Some(mut sink) = pass.input_gradient(0) else { return };
        for (r, list) in lists.iter().enumerate() {
            let to = sink.to.row(r);
            if !sink.add {
                to.fill(S::zero());
            }
            for (c, &dy) in dy.as_mat().row(r).iter().enumerate() {
                if let Some(at) = self.largest(h.row(r), list.len(), c) {
                    to[at] += dy;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::EmbedList;
    use crate::{GraphBuilder, Init, Result, check};

    #[test]
    fn finite_differences() -> Result<()> {
        let mut b = GraphBuilder::new();
        let slot = b.lists("history", 4)?;
        let table = b.table("embedding.item.table", 5, 3, Init::Uniform(0.5))?;
        let h = b.push("history", EmbedList::new(slot, 4, table, 3))?;
        let y = b.push("max", MaxPool::new(h, slot, 3))?;
        check::gradients(b, &[y])
    }
}
