//! One batch of rows, as a graph is fed with it.

use crate::{Error, Graph, Plan, Result, Scalar};

/// A slot of the batch holding one id a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdSlot(pub(crate) u32);

/// A slot of the batch holding a fixed number of values a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueSlot(pub(crate) u32);

impl IdSlot {
    /// Position among the graph's id slots.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl ValueSlot {
    /// Position among the graph's value slots.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Columns of ids and of values, in the order in which the graph declared their slots.
///
/// A batch is owned and reused: clear it, refill it, and a warm step allocates nothing.
///
/// # Shapes
/// Each id column has `rows` ids; a value column of a slot of width c has `rows × c` values,
/// row-major.
#[derive(Clone, Debug, Default)]
pub struct Batch<S> {
    /// Number of rows.
    pub rows: usize,
    /// Ids, one vector a slot.
    pub ids: Vec<Vec<u32>>,
    /// Values, one vector a slot.
    pub values: Vec<Vec<S>>,
}

impl<S: Scalar> Batch<S> {
    /// An empty batch with the graph's slots.
    pub fn for_graph(graph: &Graph<S>) -> Self {
        Self {
            rows: 0,
            ids: vec![Vec::new(); graph.id_slots().len()],
            values: vec![Vec::new(); graph.value_slots().len()],
        }
    }

    /// The ids of a slot.
    pub fn id_column(&self, slot: IdSlot) -> &[u32] {
        &self.ids[slot.index()]
    }

    /// The values of a slot, row-major.
    pub fn value_column(&self, slot: ValueSlot) -> &[S] {
        &self.values[slot.index()]
    }

    /// Checks every slot that `plan` reads: its length, and ids against the rows of their tables.
    ///
    /// # Errors
    /// [`Error::BatchShape`] or [`Error::IdRange`], naming the slot, the row and the value.
    pub fn check(&self, graph: &Graph<S>, plan: &Plan) -> Result<()> {
        for &slot in plan.value_slots() {
            let spec = &graph.value_slots()[slot.index()];
            let found = self.values.get(slot.index()).map_or(0, Vec::len);
            self.check_length(&spec.name, found, self.rows * spec.n_cols)?;
        }
        for &slot in plan.id_slots() {
            let found = self.ids.get(slot.index()).map_or(0, Vec::len);
            self.check_length(&graph.id_slots()[slot.index()].name, found, self.rows)?;
        }
        for lookup in plan.lookups() {
            self.check_ids(graph, lookup.slot, lookup.table)?;
        }
        Ok(())
    }

    fn check_length(&self, slot: &str, found: usize, expected: usize) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        Err(Error::BatchShape { slot: slot.to_owned(), found, expected, rows: self.rows })
    }

    fn check_ids(&self, graph: &Graph<S>, slot: IdSlot, table: crate::TableId) -> Result<()> {
        let spec = graph.layout().table(table);
        // A maximum vectorises; the search for the offender runs only once there is one.
        let ids = self.id_column(slot);
        if ids.iter().copied().max().is_none_or(|id| (id as usize) < spec.rows) {
            return Ok(());
        }
        let row = ids.iter().position(|&id| id as usize >= spec.rows).unwrap_or_default();
        Err(Error::IdRange {
            slot: graph.id_slots()[slot.index()].name.clone(),
            row,
            id: ids[row],
            table: spec.path.clone(),
            rows: spec.rows,
        })
    }
}
