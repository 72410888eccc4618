//! One batch of rows, as a graph is fed with it.

use crate::op::{Ids, Lookup};
use crate::{Error, Graph, Lists, Plan, Result, Scalar};

/// A slot of the batch holding one id a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdSlot(pub(crate) u32);

/// A slot of the batch holding a list of ids a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListSlot(pub(crate) u32);

/// A slot of the batch holding a fixed number of values a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueSlot(pub(crate) u32);

impl IdSlot {
    /// Position among the graph's id slots.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl ListSlot {
    /// Position among the graph's list slots.
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
/// Each id column has `rows` ids, each column of lists `rows` lists; a value column of a slot of
/// width c has `rows × c` values, row-major.
#[derive(Clone, Debug, Default)]
pub struct Batch<S> {
    /// Number of rows.
    pub rows: usize,
    /// Ids, one vector a slot.
    pub ids: Vec<Vec<u32>>,
    /// Lists of ids, one a slot.
    pub lists: Vec<Lists>,
    /// Values, one vector a slot.
    pub values: Vec<Vec<S>>,
}

impl<S: Scalar> Batch<S> {
    /// An empty batch with the graph's slots.
    pub fn for_graph(graph: &Graph<S>) -> Self {
        Self {
            rows: 0,
            ids: vec![Vec::new(); graph.id_slots().len()],
            lists: vec![Lists::new(); graph.list_slots().len()],
            values: vec![Vec::new(); graph.value_slots().len()],
        }
    }

    /// The ids of a slot.
    pub fn id_column(&self, slot: IdSlot) -> &[u32] {
        &self.ids[slot.index()]
    }

    /// The lists of a slot.
    pub fn list_column(&self, slot: ListSlot) -> &Lists {
        &self.lists[slot.index()]
    }

    /// The values of a slot, row-major.
    pub fn value_column(&self, slot: ValueSlot) -> &[S] {
        &self.values[slot.index()]
    }

    /// Checks every slot that `plan` reads: its length, and ids against the rows of their tables.
    ///
    /// # Errors
    /// [`Error::BatchShape`], [`Error::ListLength`] or [`Error::IdRange`], naming the slot, the row
    /// and the value.
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
        for &slot in plan.list_slots() {
            self.check_lists(graph, slot)?;
        }
        for lookup in plan.lookups() {
            self.check_ids(graph, lookup)?;
        }
        Ok(())
    }

    fn check_length(&self, slot: &str, found: usize, expected: usize) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        Err(Error::BatchShape { slot: slot.to_owned(), found, expected, rows: self.rows })
    }

    fn check_lists(&self, graph: &Graph<S>, slot: ListSlot) -> Result<()> {
        let spec = &graph.list_slots()[slot.index()];
        let found = self.lists.get(slot.index()).map_or(0, Lists::rows);
        self.check_length(&spec.name, found, self.rows)?;
        let lists = self.list_column(slot);
        match lists.iter().position(|list| list.len() > spec.max_length) {
            None => Ok(()),
            Some(row) => Err(Error::ListLength {
                slot: spec.name.clone(),
                row,
                found: lists.row(row).len(),
                expected: spec.max_length,
            }),
        }
    }

    fn check_ids(&self, graph: &Graph<S>, lookup: &Lookup) -> Result<()> {
        let spec = graph.layout().table(lookup.table);
        let (name, ids) = match lookup.ids {
            Ids::One(slot) => (&graph.id_slots()[slot.index()].name, self.id_column(slot)),
            Ids::List(slot) => {
                (&graph.list_slots()[slot.index()].name, self.list_column(slot).ids())
            }
        };
        // A maximum vectorises; the search for the offender runs only once there is one.
        if ids.iter().copied().max().is_none_or(|id| (id as usize) < spec.rows) {
            return Ok(());
        }
        let place = ids.iter().position(|&id| id as usize >= spec.rows).unwrap_or_default();
        let row = match lookup.ids {
            Ids::One(_) => place,
            Ids::List(slot) => self.list_column(slot).row_of(place),
        };
        let (slot, table) = (name.clone(), spec.path.clone());
        Err(Error::IdRange { slot, row, id: ids[place], table, rows: spec.rows })
    }
}
