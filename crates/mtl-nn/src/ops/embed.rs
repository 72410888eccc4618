//! `Embed`: the input layer — embedding rows and plain values, concatenated.

use std::ops::Range;

use crate::op::{Ids, Lookup, RowGradients};
use crate::{
    Backprop, ColumnsById, Forward, IdSlot, ListSlot, Op, OpPart, Scalar, SharedSlots,
    SparseGradient, TableId, ValueSlot,
};

/// One part of the concatenation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The row of a table that a slot's id names: rows × `dim`.
    Lookup {
        /// The slot of ids.
        slot: IdSlot,
        /// The table.
        table: TableId,
        /// The table's columns.
        dim: usize,
    },
    /// The sum or the mean of the rows of a table that a list of ids names, 0 for an empty list;
    /// an id that comes twice counts twice: rows × `dim`.
    Pooled {
        /// The slot of lists.
        slot: ListSlot,
        /// The table.
        table: TableId,
        /// The table's columns.
        dim: usize,
        /// Whether the sum is divided by the length of the list.
        mean: bool,
    },
    /// A slot of values: rows × `n_cols`.
    Values {
        /// The slot.
        slot: ValueSlot,
        /// Its columns.
        n_cols: usize,
    },
}

impl Part {
    /// Its columns.
    pub const fn n_cols(self) -> usize {
        match self {
            Self::Lookup { dim, .. } | Self::Pooled { dim, .. } => dim,
            Self::Values { n_cols, .. } => n_cols,
        }
    }
}

/// `x = [E₁[id₁], v₂, E₃[id₃], …]`, rows × Σ columns: one gather and concatenation for all
/// features, in the order of the parts.
#[derive(Debug)]
pub struct Embed {
    parts: Vec<Part>,
    lookups: Vec<Lookup>,
    value_slots: Vec<ValueSlot>,
    n_cols: usize,
}

impl Embed {
    /// The parts side by side.
    pub fn new(parts: Vec<Part>) -> Self {
        let lookups = parts.iter().filter_map(|part| match *part {
            Part::Lookup { slot, table, .. } => Some(Lookup { ids: Ids::One(slot), table }),
            Part::Pooled { slot, table, .. } => Some(Lookup { ids: Ids::List(slot), table }),
            Part::Values { .. } => None,
        });
        let value_slots = parts.iter().filter_map(|part| match *part {
            Part::Values { slot, .. } => Some(slot),
            Part::Lookup { .. } | Part::Pooled { .. } => None,
        });
        Self {
            lookups: lookups.collect(),
            value_slots: value_slots.collect(),
            n_cols: parts.iter().map(|p| p.n_cols()).sum(),
            parts,
        }
    }

    /// The parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
}

impl<S: Scalar> Op<S> for Embed {
    fn kind(&self) -> &'static str {
        "embed"
    }

    fn n_cols(&self) -> usize {
        self.n_cols
    }

    fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    fn parts(&self) -> Vec<OpPart> {
        let (mut start, mut lookup) = (0, 0);
        let part = |part: &Part| {
            let columns = start..start + part.n_cols();
            start = columns.end;
            let lookups = match part {
                Part::Lookup { .. } | Part::Pooled { .. } => {
                    lookup += 1;
                    vec![lookup - 1]
                }
                Part::Values { .. } => Vec::new(),
            };
            OpPart { columns, lookups, ..OpPart::default() }
        };
        self.parts.iter().map(part).collect()
    }

    fn value_slots(&self) -> &[ValueSlot] {
        &self.value_slots
    }

    fn shared_columns(&self, shared: &SharedSlots) -> Vec<Range<usize>> {
        let mut columns: Vec<Range<usize>> = Vec::new();
        let mut start = 0;
        for part in &self.parts {
            let end = start + part.n_cols();
            let is_shared = match *part {
                Part::Lookup { slot, .. } => shared.ids(slot),
                // Lists have no place among what may be shared: they are pooled row by row.
                Part::Pooled { .. } => false,
                Part::Values { slot, .. } => shared.values(slot),
            };
            match columns.last_mut() {
                Some(last) if is_shared && last.end == start => last.end = end,
                _ if is_shared => columns.push(start..end),
                _ => {}
            }
            start = end;
        }
        columns
    }

    fn columns_by_id(&self) -> Vec<ColumnsById> {
        let mut start = 0;
        let by_id = self.parts.iter().filter_map(|part| {
            let columns = start..start + part.n_cols();
            start = columns.end;
            match *part {
                Part::Lookup { slot, .. } => Some(ColumnsById { columns, slot }),
                Part::Pooled { .. } | Part::Values { .. } => None,
            }
        });
        by_id.collect()
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (mut start, mut run) = (0, 0);
        for &part in &self.parts {
            let n = part.n_cols();
            match part {
                Part::Lookup { slot, table, dim } => {
                    let (ids, table, rows) =
                        (pass.ids(slot), pass.table(table), pass.rows_read(run));
                    let (mut x, _) = pass.output();
                    let mut copy = |r: usize| {
                        let id = ids[r] as usize;
                        x.row(r)[start..start + n]
                            .copy_from_slice(&table[id * dim..(id + 1) * dim]);
                    };
                    match rows {
                        Some(rows) => rows.iter().for_each(|&r| copy(r as usize)),
                        None => (0..ids.len()).for_each(copy),
                    }
                    run += 1;
                }
                Part::Pooled { slot, table, dim, mean } => {
                    let (lists, table) = (pass.lists(slot), pass.table(table));
                    let (mut x, _) = pass.output();
                    for (r, list) in lists.iter().enumerate() {
                        pool(list, table, dim, mean, &mut x.row(r)[start..start + n]);
                    }
                }
                Part::Values { slot, n_cols } => {
                    let values = pass.values(slot, n_cols);
                    let (mut x, _) = pass.output();
                    for r in 0..values.rows() {
                        x.row(r)[start..start + n].copy_from_slice(values.row(r));
                    }
                }
            }
            start += n;
        }
    }

    fn backward(&self, _: &mut Backprop<'_, S>) {} // a leaf: tables get theirs by `scatter`

    fn scatter(&self, wanted: TableId, rows: &RowGradients<'_, S>, sink: &mut SparseGradient<S>) {
        let (mut start, mut run) = (0, 0);
        for &part in &self.parts {
            match part {
                Part::Lookup { slot, table, dim } if table == wanted => {
                    let ids = rows.ids(slot);
                    let mut add = |r: usize| {
                        sink.add(ids[r], &rows.gradient.row(r)[start..start + dim]);
                    };
                    match rows.heads(run) {
                        Some(heads) => heads.iter().for_each(|&r| add(r as usize)),
                        None => (0..ids.len()).for_each(add),
                    }
                }
                Part::Pooled { slot, table, dim, mean } if table == wanted => {
                    for (r, list) in rows.lists(slot).iter().enumerate() {
                        let gradient = &rows.gradient.row(r)[start..start + dim];
                        let share = share(list, mean);
                        list.iter().for_each(|&id| sink.add_times(id, share, gradient));
                    }
                }
                _ => {}
            }
            run += usize::from(matches!(part, Part::Lookup { .. }));
            start += part.n_cols();
        }
    }
}

/// What a row of the table counts in the pooled sum of a list.
fn share<S: Scalar>(list: &[u32], mean: bool) -> S {
    if mean { S::of(1.0 / list.len().max(1) as f64) } else { S::one() }
}

fn pool<S: Scalar>(list: &[u32], table: &[S], dim: usize, mean: bool, to: &mut [S]) {
    to.fill(S::zero());
    for &id in list {
        crate::kernel::add(to, &table[id as usize * dim..(id as usize + 1) * dim]);
    }
    let share = share(list, mean);
    to.iter_mut().for_each(|value| *value *= share);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphBuilder, Init, Result, check};

    #[test]
    fn finite_differences_with_a_shared_table() -> Result<()> {
        let mut b = GraphBuilder::new();
        let (user, item) = (b.ids("user"), b.ids("item"));
        let price = b.values("price", 2)?;
        let history = b.lists("history", 4)?;
        let shared = b.table("embedding.shared.table", 5, 3, Init::Uniform(0.5))?;
        let own = b.table("embedding.own.table", 4, 2, Init::Uniform(0.5))?;
        let x = b.push(
            "x",
            Embed::new(vec![
                Part::Lookup { slot: user, table: shared, dim: 3 },
                Part::Values { slot: price, n_cols: 2 },
                Part::Lookup { slot: item, table: shared, dim: 3 },
                Part::Lookup { slot: item, table: own, dim: 2 },
                Part::Pooled { slot: history, table: shared, dim: 3, mean: true },
                Part::Pooled { slot: history, table: own, dim: 2, mean: false },
            ]),
        )?;
        let y = b.push("tanh", crate::ops::Sigmoid::new(x))?;
        check::gradients(b, &[y])
    }
}
