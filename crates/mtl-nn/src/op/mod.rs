//! The one trait that every op implements, and what an op sees while it runs.
//!
//! An op is a node of a [`Graph`](crate::Graph): it maps columns of earlier nodes, parameters and
//! slots of the batch to a matrix of its own. Other crates add ops through this trait on the same
//! terms as the ones here.
//!
//! How to add one: a struct of [`Var`]s and ids in a file of its own; [`Op::forward`] and
//! [`Op::backward`] side by side; a test that calls [`crate::check::gradients`].

mod pass;

use std::any::Any;
use std::fmt::Debug;
use std::ops::Range;

pub use pass::{Backprop, Forward, RowGradients, Sink};
pub(crate) use pass::{ByClass, ParamSink, Put};

use crate::{
    Batch, ColumnsById, Graph, IdSlot, ListSlot, ParamId, Params, Scalar, SharedSlots,
    SparseGradient, TableId, ValueSlot,
};

/// A node of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// Position in [`Graph::nodes`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Some consecutive columns of a node's value: what ops read and what layers hand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Var {
    pub(crate) node: NodeId,
    pub(crate) start: u32,
    pub(crate) n_cols: u32,
}

impl Var {
    /// The node whose columns these are.
    pub const fn node(self) -> NodeId {
        self.node
    }

    /// The first column.
    pub const fn start(self) -> usize {
        self.start as usize
    }

    /// The number of columns.
    pub const fn n_cols(self) -> usize {
        self.n_cols as usize
    }

    /// `n` columns of the node from the first of these on, which may reach beyond them.
    ///
    /// An op that reads past the node's last column panics when it runs.
    pub const fn widen(self, n: usize) -> Self {
        Self { node: self.node, start: self.start, n_cols: n as u32 }
    }

    /// Columns `start .. start + n` of these; nothing is copied.
    ///
    /// # Panics
    /// If they are not all among these columns.
    pub fn columns(self, start: usize, n: usize) -> Self {
        assert!(start + n <= self.n_cols(), "columns {start}+{n} of {}", self.n_cols);
        Self { node: self.node, start: self.start + start as u32, n_cols: n as u32 }
    }
}

/// Where the ids of a lookup are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// One id a row.
    One(IdSlot),
    /// A list of ids a row.
    List(ListSlot),
}

/// A table read through a slot of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Where the ids are.
    pub ids: Ids,
    /// The table they index.
    pub table: TableId,
}

/// Whether a pass trains or predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dropout and batch statistics are on.
    Train {
        /// The seed that dropout draws from.
        seed: u64,
        /// The training step, which dropout draws from too.
        step: u64,
    },
    /// Dropout is off; running statistics stand in for the batch's.
    Predict,
}

/// Some output columns of an op and what they depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpPart {
    /// The output columns.
    pub columns: Range<usize>,
    /// Positions in [`Op::inputs`], with the columns of each that are read.
    pub inputs: Vec<(usize, Range<usize>)>,
    /// Positions in [`Op::params`].
    pub params: Vec<usize>,
    /// Positions in [`Op::lookups`].
    pub lookups: Vec<usize>,
}

/// A differentiable function of earlier nodes, parameters and the batch.
///
/// All values of a pass have the same number of rows, and rows do not meet, save in ops that
/// declare [`Op::n_statistics`].
///
/// Ops are [`Any`], so that who writes a graph in another form can ask which op it has and read its
/// settings.
pub trait Op<S: Scalar>: Any + Debug + Send + Sync {
    /// The kind of op, such as `dense`, for printing and export.
    fn kind(&self) -> &'static str;

    /// Columns of the output.
    fn n_cols(&self) -> usize;

    /// Columns of earlier nodes that the op reads. [`Forward::input`] and
    /// [`Backprop::input_gradient`] index this list.
    fn inputs(&self) -> &[Var] {
        &[]
    }

    /// Dense parameters that the op reads.
    fn params(&self) -> &[ParamId] {
        &[]
    }

    /// The weights that the op multiplies by: the first parameter of each bank, and the columns from
    /// its first on. A training step packs them once for all shards; [`Forward::take_products`] and
    /// [`Backprop::take_products`] index this list.
    fn banks(&self) -> &[(ParamId, usize)] {
        &[]
    }

    /// Embedding tables that the op reads. An op with lookups has no inputs; instead of
    /// [`Op::backward`] it has [`Op::scatter`].
    fn lookups(&self) -> &[Lookup] {
        &[]
    }

    /// Slots of lists that the op reads beside those of its lookups: for the lists' lengths.
    fn list_slots(&self) -> &[ListSlot] {
        &[]
    }

    /// Slots of values that the op reads.
    fn value_slots(&self) -> &[ValueSlot] {
        &[]
    }

    /// Slots of ids that the op reads itself, not through a table.
    fn id_slots(&self) -> &[IdSlot] {
        &[]
    }

    /// The output columns that hold one value in all rows if the slots of `shared` do, in order. A
    /// dense layer over them computes their part once for all candidates of one user.
    fn shared_columns(&self, shared: &SharedSlots) -> Vec<Range<usize>> {
        let _ = shared;
        Vec::new()
    }

    /// The output columns that are a function of one id a row, in order: rows of one id hold the same
    /// values there. A dense layer over them multiplies each id's values once a shard, and writes the
    /// gradient of all of them into the first of its rows: see [`Forward::rows_read`] and
    /// [`RowGradients::heads`].
    fn columns_by_id(&self) -> Vec<ColumnsById> {
        Vec::new()
    }

    /// Whether the op gains by knowing which rows of its `i`-th input repeat: see
    /// [`Op::columns_by_id`].
    fn takes_repeats(&self, i: usize) -> bool {
        let _ = i;
        false
    }

    /// Values a row that the op keeps between its forward and its backward pass.
    fn n_saved(&self) -> usize {
        0
    }

    /// The parts that have nothing to do with each other, covering all columns: one, unless the
    /// op computes several layers side by side. What a loss reaches is derived from them.
    fn parts(&self) -> Vec<OpPart> {
        vec![OpPart {
            columns: 0..self.n_cols(),
            inputs: self.inputs().iter().map(|v| 0..v.n_cols()).enumerate().collect(),
            params: (0..self.params().len()).collect(),
            lookups: (0..self.lookups().len()).collect(),
        }]
    }

    /// Computes the output: every value of it.
    fn forward(&self, pass: &mut Forward<'_, S>);

    /// Turns the gradient of the output into gradients of inputs and parameters.
    ///
    /// Each of [`Backprop::input_gradient`] and [`Backprop::param_gradient`] says whether to set
    /// or to add, or that nobody needs it; they must be visited in the order of
    /// [`Op::inputs`] and [`Op::params`].
    fn backward(&self, pass: &mut Backprop<'_, S>);

    /// Whether [`Op::backward`] leaves alone the parts that [`Backprop::is_live`] denies: it reads
    /// no gradient of theirs and writes no column that only they read. A schedule of one loss then
    /// costs that loss's parts; without it the dead columns are filled with zeros first.
    fn skips_dead_parts(&self) -> bool {
        false
    }

    /// Whether [`Op::backward`] leaves the gradient of the output as it found it.
    fn keeps_gradient(&self) -> bool {
        false
    }

    /// Whether [`Op::backward`] can be stopped half-way and go on in another pass, part by part. What
    /// it leaves in the gradient of a part must then give, by itself, the gradients of the part's
    /// [`Role::Weight`](crate::Role::Weight) parameters and, multiplied by a factor, those of its
    /// inputs; all else is done in the first pass. [`Backprop::resumed`] says which parts go on.
    ///
    /// So the passes of single losses leave the first layers of towers and gates to the pass of the
    /// weighted sum, which has the same wide products as plain training.
    fn resumes(&self) -> bool {
        false
    }

    /// Adds the gradients of the rows of `table` to `sink`, one batch row after another.
    fn scatter(&self, table: TableId, rows: &RowGradients<'_, S>, sink: &mut SparseGradient<S>) {
        let _ = (table, rows, sink);
    }

    /// For a loss (output rows × 1, the weighted losses of the rows): Σ w over the rows of the
    /// batch that carry the label. `None` for every other op.
    fn total_weight(&self, batch: &Batch<S>) -> Option<f64> {
        let _ = batch;
        None
    }

    /// The number of sums over the whole batch that the op needs before [`Op::forward`], in
    /// training only. Not 0 makes the op a barrier: all shards gather, the sums are added in
    /// shard order, then all shards go on. The backward pass has a barrier with as many sums.
    fn n_statistics(&self) -> usize {
        0
    }

    /// Whether [`Op::n_statistics`] counts values a row that every shard must see for all rows of the
    /// batch, as where rows meet in pairs: each shard writes those of its rows, and they are put
    /// one after another in place of being added.
    fn gathers_rows(&self) -> bool {
        false
    }

    /// Writes this shard's sums; see [`Op::n_statistics`].
    fn gather(&self, pass: &Forward<'_, S>, sums: &mut [f64]) {
        let _ = (pass, sums);
    }

    /// Writes this shard's sums of the backward pass; see [`Op::n_statistics`].
    fn gather_backward(&self, pass: &mut Backprop<'_, S>, sums: &mut [f64]) {
        let _ = (pass, sums);
    }

    /// Updates the op's [`Role::State`](crate::Role::State) parameters after a training step.
    fn update_state(&self, sums: &[f64], rows: usize, params: &mut Params<S>) {
        let _ = (sums, rows, params);
    }
}

/// Prints a graph's inputs of an op, `name[0..64]`.
pub(crate) fn describe<S: Scalar>(graph: &Graph<S>, var: Var) -> String {
    let node = &graph.nodes()[var.node.index()];
    if var.n_cols() == node.n_cols() {
        node.name().to_owned()
    } else {
        format!("{}[{}..{}]", node.name(), var.start(), var.start() + var.n_cols())
    }
}
