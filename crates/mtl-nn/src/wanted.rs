//! What gradients a backward schedule is for.

use std::ops::Range;

use crate::{Graph, NodeId, ParamId, Scalar, TableId};

/// What gradients are wanted of.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub(crate) params: Vec<bool>,
    /// Of `params`: those whose gradients go to the second flat vector.
    pub(crate) apart: Vec<bool>,
    pub(crate) tables: Vec<bool>,
    /// By node and column.
    pub(crate) columns: Vec<Vec<bool>>,
    /// By node and column: where an op must run for what it leaves to another schedule.
    pub(crate) left: Vec<Vec<bool>>,
}

impl Wanted {
    /// Nothing yet.
    pub fn none<S: Scalar>(graph: &Graph<S>) -> Self {
        let columns: Vec<_> = graph.widths().iter().map(|&n| vec![false; n]).collect();
        let n_params = graph.layout().params().len();
        Self {
            params: vec![false; n_params],
            apart: vec![false; n_params],
            tables: vec![false; graph.layout().tables().len()],
            left: columns.clone(),
            columns,
        }
    }

    /// Every parameter and table.
    pub fn all<S: Scalar>(graph: &Graph<S>) -> Self {
        let mut wanted = Self::none(graph);
        wanted.params.fill(true);
        wanted.tables.fill(true);
        wanted
    }

    /// Adds a dense parameter.
    #[must_use]
    pub fn param(mut self, id: ParamId) -> Self {
        self.params[id.index()] = true;
        self
    }

    /// Adds dense parameters.
    #[must_use]
    pub(crate) fn params<'a>(mut self, ids: impl IntoIterator<Item = &'a ParamId>) -> Self {
        ids.into_iter().for_each(|id| self.params[id.index()] = true);
        self
    }

    /// Adds dense parameters whose gradients go to the second flat vector.
    #[must_use]
    pub(crate) fn apart(mut self, ids: &[ParamId]) -> Self {
        for id in ids {
            self.params[id.index()] = true;
            self.apart[id.index()] = true;
        }
        self
    }

    /// Adds tables.
    #[must_use]
    pub(crate) fn tables<'a>(mut self, ids: impl IntoIterator<Item = &'a TableId>) -> Self {
        ids.into_iter().for_each(|id| self.tables[id.index()] = true);
        self
    }

    /// Adds a table.
    #[must_use]
    pub fn table(mut self, id: TableId) -> Self {
        self.tables[id.index()] = true;
        self
    }

    /// Adds the value of a node: an activation, or a slot that was read. Ops work in place on
    /// the gradient of their output, so columns can be read after the pass only if nothing beneath
    /// the part of the op that computes them is wanted.
    #[must_use]
    pub fn node(mut self, id: NodeId) -> Self {
        self.columns[id.index()].fill(true);
        self
    }

    /// Adds some columns of a node: see [`Wanted::node`].
    #[must_use]
    pub(crate) fn columns(mut self, node: NodeId, columns: Range<usize>) -> Self {
        self.columns[node.index()][columns].fill(true);
        self
    }

    /// Adds what an op leaves in the gradient of some of its columns: see [`crate::Op::resumes`].
    #[must_use]
    pub(crate) fn left(mut self, node: NodeId, columns: Range<usize>) -> Self {
        self.left[node.index()][columns].fill(true);
        self
    }
}
