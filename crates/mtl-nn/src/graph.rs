//! The static graph: nodes, slots, parameters, outputs and losses.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::op::describe;
use crate::params::NewParam;
use crate::{
    Error, IdSlot, Init, Layout, ListSlot, NodeId, Op, ParamId, Result, Role, Scalar, TableId,
    TableSpec, ValueSlot, Var,
};

/// A slot of ids: one id a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdSlotSpec {
    /// Its name.
    pub name: String,
}

/// A slot of lists of ids: one list a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSlotSpec {
    /// Its name.
    pub name: String,
    /// Ids of the longest list.
    pub max_length: usize,
}

/// A slot of values: `n_cols` values a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueSlotSpec {
    /// Its name.
    pub name: String,
    /// Values a row.
    pub n_cols: usize,
}

/// One op of a graph, with a name.
#[derive(Debug)]
pub struct Node<S> {
    name: String,
    op: Box<dyn Op<S>>,
    n_cols: usize,
}

impl<S: Scalar> Node<S> {
    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The op.
    pub fn op(&self) -> &dyn Op<S> {
        &*self.op
    }

    /// Columns of its value.
    pub const fn n_cols(&self) -> usize {
        self.n_cols
    }
}

/// An immutable graph: built once, checked once, run many times.
///
/// Nodes stand in topological order. Display prints one node a line.
#[derive(Debug)]
pub struct Graph<S> {
    nodes: Vec<Node<S>>,
    widths: Vec<usize>,
    layout: Arc<Layout>,
    id_slots: Vec<IdSlotSpec>,
    list_slots: Vec<ListSlotSpec>,
    value_slots: Vec<ValueSlotSpec>,
    outputs: Vec<(String, Var)>,
    losses: Vec<(String, NodeId)>,
}

impl<S: Scalar> Graph<S> {
    /// The nodes, in topological order.
    pub fn nodes(&self) -> &[Node<S>] {
        &self.nodes
    }

    /// Columns of each node's value.
    pub(crate) fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// Names and shapes of the parameters.
    pub const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The slots of ids that a batch must fill, in order.
    pub fn id_slots(&self) -> &[IdSlotSpec] {
        &self.id_slots
    }

    /// The slots of lists that a batch must fill, in order.
    pub fn list_slots(&self) -> &[ListSlotSpec] {
        &self.list_slots
    }

    /// The slots of values that a batch must fill, in order.
    pub fn value_slots(&self) -> &[ValueSlotSpec] {
        &self.value_slots
    }

    /// Named outputs, sorted by name.
    pub fn outputs(&self) -> &[(String, Var)] {
        &self.outputs
    }

    /// Named losses, sorted by name.
    pub fn losses(&self) -> &[(String, NodeId)] {
        &self.losses
    }

    /// The output of that name.
    ///
    /// # Errors
    /// [`Error::Unknown`], listing the outputs.
    pub fn output(&self, name: &str) -> Result<Var> {
        let found = self.outputs.iter().find(|(n, _)| n == name);
        found.map(|&(_, var)| var).ok_or_else(|| Error::Unknown {
            what: "output",
            name: name.to_owned(),
            known: self.outputs.iter().map(|(n, _)| n.clone()).collect(),
        })
    }

    /// All columns of a node.
    pub fn var(&self, node: NodeId) -> Var {
        Var { node, start: 0, n_cols: self.widths[node.index()] as u32 }
    }

    /// The node of that name.
    ///
    /// # Errors
    /// [`Error::Unknown`], listing the nodes.
    pub fn node(&self, name: &str) -> Result<NodeId> {
        let found = self.nodes.iter().position(|n| n.name == name);
        found.map(|i| NodeId(i as u32)).ok_or_else(|| Error::Unknown {
            what: "node",
            name: name.to_owned(),
            known: self.nodes.iter().map(|n| n.name.clone()).collect(),
        })
    }
}

impl<S: Scalar> fmt::Display for Graph<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.nodes {
            let inputs: Vec<_> = node.op.inputs().iter().map(|&v| describe(self, v)).collect();
            let (kind, name) = (node.op.kind(), &node.name);
            writeln!(f, "{name} [rows × {}] = {kind}({})", node.n_cols, inputs.join(", "))?;
        }
        Ok(())
    }
}

/// Builds a [`Graph`].
///
/// ```
/// use mtl_nn::{GraphBuilder, layers::{Activation, Mlp}};
///
/// let mut b = GraphBuilder::<f32>::new();
/// let x = b.values("x", 8)?;
/// let x = b.read(x)?;
/// let z = Mlp::new(&[16, 1], Activation::Relu).build(&mut b, "tower", x)?;
/// b.output("logit", z)?;
/// let graph = b.finish();
/// assert_eq!(graph.layout().n_trainable(), 8 * 16 + 16 + 16 + 1);
/// # Ok::<(), mtl_nn::Error>(())
/// ```
#[derive(Debug)]
pub struct GraphBuilder<S> {
    nodes: Vec<Node<S>>,
    layout: Layout,
    id_slots: Vec<IdSlotSpec>,
    list_slots: Vec<ListSlotSpec>,
    value_slots: Vec<ValueSlotSpec>,
    outputs: Vec<(String, Var)>,
    losses: Vec<(String, NodeId)>,
    names: HashSet<String>,
}

impl<S: Scalar> Default for GraphBuilder<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Scalar> GraphBuilder<S> {
    /// An empty graph.
    pub fn new() -> Self {
        Self {
            nodes: Vec::new(),
            layout: Layout::default(),
            id_slots: Vec::new(),
            list_slots: Vec::new(),
            value_slots: Vec::new(),
            outputs: Vec::new(),
            losses: Vec::new(),
            names: HashSet::new(),
        }
    }

    /// Declares a slot of ids, or finds the one of that name.
    pub fn ids(&mut self, name: &str) -> IdSlot {
        let found = self.id_slots.iter().position(|s| s.name == name);
        IdSlot(found.unwrap_or_else(|| {
            self.id_slots.push(IdSlotSpec { name: name.to_owned() });
            self.id_slots.len() - 1
        }) as u32)
    }

    /// Declares a slot of lists of at most `max_length` ids, or finds the one of that name.
    ///
    /// # Errors
    /// [`Error::Setting`] if it exists with another length.
    pub fn lists(&mut self, name: &str, max_length: usize) -> Result<ListSlot> {
        if let Some(i) = self.list_slots.iter().position(|s| s.name == name) {
            if self.list_slots[i].max_length == max_length {
                return Ok(ListSlot(i as u32));
            }
            let value = format!("{max_length} in `{name}`");
            let expected = "the length with which the slot was declared";
            return Err(Error::Setting { name: "max_length", value, expected });
        }
        self.list_slots.push(ListSlotSpec { name: name.to_owned(), max_length });
        Ok(ListSlot(self.list_slots.len() as u32 - 1))
    }

    /// Declares a slot of `n_cols` values a row, or finds the one of that name.
    ///
    /// # Errors
    /// [`Error::Columns`] if it exists with another width.
    pub fn values(&mut self, name: &str, n_cols: usize) -> Result<ValueSlot> {
        if let Some(i) = self.value_slots.iter().position(|s| s.name == name) {
            let found = self.value_slots[i].n_cols;
            if found == n_cols {
                return Ok(ValueSlot(i as u32));
            }
            let (node, what) = (name.to_owned(), "the slot".to_owned());
            return Err(Error::Columns { node, what, found, expected: n_cols });
        }
        self.value_slots.push(ValueSlotSpec { name: name.to_owned(), n_cols });
        Ok(ValueSlot(self.value_slots.len() as u32 - 1))
    }

    /// A node that reads a slot of values.
    ///
    /// # Errors
    /// [`Error::Twice`] if the slot was read before.
    pub fn read(&mut self, slot: ValueSlot) -> Result<Var> {
        let spec = self.value_slots[slot.index()].clone();
        self.push(&spec.name, crate::ops::Read::new(slot, spec.n_cols))
    }

    /// Adds one dense parameter.
    ///
    /// # Errors
    /// [`Error::Twice`] if the path is taken.
    pub fn param(
        &mut self,
        path: impl Into<String>,
        shape: (usize, usize),
        role: Role,
        init: Init,
    ) -> Result<ParamId> {
        let member = NewParam { path: path.into(), cols: shape.1, init };
        Ok(self.bank(shape.0, role, vec![member])?[0])
    }

    /// Adds parameters of `rows` rows stored side by side: consumers that read the same input
    /// through them become one product.
    ///
    /// # Errors
    /// [`Error::Twice`] if a path is taken.
    pub fn bank(
        &mut self,
        rows: usize,
        role: Role,
        members: Vec<NewParam>,
    ) -> Result<Vec<ParamId>> {
        self.layout.add_bank(rows, role, members)
    }

    /// Adds an embedding table of `rows` ids × `dim`.
    ///
    /// # Errors
    /// [`Error::Twice`] if the path is taken.
    pub fn table(
        &mut self,
        path: impl Into<String>,
        rows: usize,
        dim: usize,
        init: Init,
    ) -> Result<TableId> {
        self.layout.add_table(TableSpec { path: path.into(), rows, dim, init })
    }

    /// The layout so far.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Adds a node.
    ///
    /// # Errors
    /// [`Error::Twice`] if the name is taken.
    pub fn push(&mut self, name: &str, op: impl Op<S> + 'static) -> Result<Var> {
        if !self.names.insert(name.to_owned()) {
            return Err(Error::Twice { what: "node", name: name.to_owned() });
        }
        let n_cols = op.n_cols();
        let node = NodeId(self.nodes.len() as u32);
        debug_assert!(op.inputs().iter().all(|v| v.node < node), "inputs come before the node");
        self.nodes.push(Node { name: name.to_owned(), op: Box::new(op), n_cols });
        Ok(Var { node, start: 0, n_cols: n_cols as u32 })
    }

    /// Names some columns as an output.
    ///
    /// # Errors
    /// [`Error::Twice`] if the name is taken.
    pub fn output(&mut self, name: &str, var: Var) -> Result<()> {
        if self.outputs.iter().any(|(n, _)| n == name) {
            return Err(Error::Twice { what: "output", name: name.to_owned() });
        }
        self.outputs.push((name.to_owned(), var));
        Ok(())
    }

    /// Names a node as a loss: rows × 1, each row its weighted loss.
    ///
    /// # Errors
    /// [`Error::Twice`] if the name is taken, [`Error::Columns`] if the node is no column.
    pub fn loss(&mut self, name: &str, var: Var) -> Result<()> {
        if self.losses.iter().any(|(n, _)| n == name) {
            return Err(Error::Twice { what: "loss", name: name.to_owned() });
        }
        self.expect_columns(name, "the loss", var.n_cols(), 1)?;
        self.losses.push((name.to_owned(), var.node));
        Ok(())
    }

    /// A check for layers: `found` columns where `expected` are wanted.
    ///
    /// # Errors
    /// [`Error::Columns`] if they differ.
    pub fn expect_columns(
        &self,
        node: &str,
        what: &str,
        found: usize,
        expected: usize,
    ) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        Err(Error::Columns { node: node.to_owned(), what: what.to_owned(), found, expected })
    }

    /// The finished graph.
    pub fn finish(mut self) -> Graph<S> {
        self.outputs.sort_by(|a, b| a.0.cmp(&b.0));
        self.losses.sort_by(|a, b| a.0.cmp(&b.0));
        Graph {
            widths: self.nodes.iter().map(|n| n.n_cols).collect(),
            nodes: self.nodes,
            layout: Arc::new(self.layout),
            id_slots: self.id_slots,
            list_slots: self.list_slots,
            value_slots: self.value_slots,
            outputs: self.outputs,
            losses: self.losses,
        }
    }
}
