//! `EmbedList`: the embeddings of a list of ids, each at a place of its own.

use crate::op::{Ids, Lookup, RowGradients};
use crate::{Backprop, Forward, ListSlot, Op, Scalar, SparseGradient, TableId};

/// `y = [E[id₁], E[id₂], …, 0]`, rows × (`max_length` · `dim`): the rows of the table that the
/// list names, in its order, then zeros.
///
/// It is what [`super::MaxPool`] and [`super::TargetAttention`] read. A sum or a mean needs no such
/// node: [`super::Part::Pooled`] takes it straight from the table.
#[derive(Debug)]
pub struct EmbedList {
    lookup: [Lookup; 1],
    slot: ListSlot,
    dim: usize,
    n_cols: usize,
}

impl EmbedList {
    /// The rows of `table` (with `dim` columns) that the lists of a slot (of at most `max_length`
    /// ids) name.
    pub const fn new(slot: ListSlot, max_length: usize, table: TableId, dim: usize) -> Self {
        let lookup = Lookup { ids: Ids::List(slot), table };
        Self { lookup: [lookup], slot, dim, n_cols: max_length * dim }
    }
}

impl<S: Scalar> Op<S> for EmbedList {
    fn kind(&self) -> &'static str {
        "embed_list"
    }

    fn n_cols(&self) -> usize {
        self.n_cols
    }

    fn lookups(&self) -> &[Lookup] {
        &self.lookup
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (lists, table) = (pass.lists(self.slot), pass.table(self.lookup[0].table));
        let (mut y, _) = pass.output();
        for (r, list) in lists.iter().enumerate() {
            let (known, rest) = y.row(r).split_at_mut(list.len() * self.dim);
            for (to, &id) in known.chunks_exact_mut(self.dim).zip(list) {
                to.copy_from_slice(&table[id as usize * self.dim..(id as usize + 1) * self.dim]);
            }
            rest.fill(S::zero());
        }
    }

    fn backward(&self, _: &mut Backprop<'_, S>) {} // a leaf: the table gets its own by `scatter`

    fn scatter(&self, wanted: TableId, rows: &RowGradients<'_, S>, sink: &mut SparseGradient<S>) {
        if wanted != self.lookup[0].table {
            return;
        }
        for (r, list) in rows.lists(self.slot).iter().enumerate() {
            let gradients = rows.gradient.row(r).chunks_exact(self.dim);
            list.iter().zip(gradients).for_each(|(&id, gradient)| sink.add(id, gradient));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphBuilder, Init, Result, check};

    #[test]
    fn finite_differences() -> Result<()> {
        let mut b = GraphBuilder::new();
        let slot = b.lists("history", 4)?;
        let table = b.table("embedding.item.table", 5, 3, Init::Uniform(0.5))?;
        let y = b.push("history", EmbedList::new(slot, 4, table, 3))?;
        check::gradients(b, &[y])
    }
}
