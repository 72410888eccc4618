//! The walk over a graph: each node that an output needs, written once, by its op's entry in the
//! table.

use std::any::Any;
use std::collections::HashMap;

use mtl_nn::{Graph, IdSlot, ListSlot, ParamId, Params, TableId, ValueSlot, Var};

use super::features::{List, Slots};
use super::ops::OPS;
use super::writer::Writer;
use crate::{Error, Result};

/// A node's value: pieces side by side. Ops that compute several layers at once are written as one
/// operator a layer, and whoever reads a layer gets it without a slice.
///
/// The one value that is no matrix is that of `embed_list`, batch × length × dim. It is one piece,
/// and the ops that pool it read all of it.
#[derive(Clone, Debug)]
pub(crate) struct Pieces(pub(crate) Vec<(String, usize)>);

impl Pieces {
    /// One value of `n_cols` columns.
    pub(crate) fn one(name: String, n_cols: usize) -> Self {
        Self(vec![(name, n_cols)])
    }
}

/// A graph, what was written of it so far, and where to write.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    pub(crate) params: &'a Params<f32>,
    pub(crate) to: Writer,
    graph: &'a Graph<f32>,
    slots: Slots<'a>,
    written: HashMap<usize, Pieces>,
    spans: HashMap<Var, String>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(graph: &'a Graph<f32>, params: &'a Params<f32>, slots: Slots<'a>) -> Self {
        let (written, spans) = (HashMap::new(), HashMap::new());
        Self { params, to: Writer::default(), graph, slots, written, spans }
    }

    /// The value of some columns, rows × n, and before it all that it needs.
    pub(crate) fn value(&mut self, var: Var) -> Result<String> {
        if let Some(name) = self.spans.get(&var) {
            return Ok(name.clone());
        }
        let pieces = self.node(var)?;
        let name = self.span(var, &pieces);
        self.spans.insert(var, name.clone());
        Ok(name)
    }

    /// The values of all pieces of the node that `var` is of.
    fn node(&mut self, var: Var) -> Result<Pieces> {
        let index = var.node().index();
        if let Some(pieces) = self.written.get(&index) {
            return Ok(pieces.clone());
        }
        let graph = self.graph;
        let node = &graph.nodes()[index];
        let kind = node.op().kind();
        let Some((_, write)) = OPS.iter().find(|(known, _)| *known == kind) else {
            let known = OPS.map(|(known, _)| known).join(", ");
            let (node, kind) = (node.name().to_owned(), kind.to_owned());
            return Err(Error::Op { node, kind, known });
        };
        let op: &dyn Any = node.op();
        let pieces = write(op, node.name(), self)?;
        self.written.insert(index, pieces.clone());
        Ok(pieces)
    }

    /// The columns of `var` out of its node's pieces.
    fn span(&mut self, var: Var, pieces: &Pieces) -> String {
        let (start, end) = (var.start(), var.start() + var.n_cols());
        let prefix = self.graph.nodes()[var.node().index()].name();
        let (mut at, mut parts) = (0, Vec::new());
        for (name, n) in &pieces.0 {
            let (from, to) = (start.max(at), end.min(at + n));
            if (from, to) == (at, at + n) {
                parts.push(name.clone());
            } else if from < to {
                parts.push(self.to.slice(prefix, name, from - at, to - from));
            }
            at += n;
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.to.concat(prefix, &parts)
    }

    /// The ids of a slot, batch.
    pub(crate) fn ids(&mut self, slot: IdSlot) -> Result<String> {
        let name = &self.graph.id_slots()[slot.index()].name;
        self.slots.ids(name, &mut self.to)
    }

    /// The lists of a slot.
    pub(crate) fn lists(&mut self, slot: ListSlot) -> Result<List> {
        let name = &self.graph.list_slots()[slot.index()].name;
        self.slots.lists(name, &mut self.to)
    }

    /// A parameter as a constant of its path, and its columns.
    pub(crate) fn parameter(&mut self, id: ParamId) -> (String, usize) {
        let spec = self.params.layout().param(id);
        let values: Vec<f32> = self.params.param(id).as_array().iter().copied().collect();
        (self.to.floats(&spec.path, &[spec.rows, spec.cols], &values), spec.cols)
    }

    /// A table as a constant of its path, ids × dim.
    pub(crate) fn table(&mut self, table: TableId) -> String {
        let (spec, values) = (self.params.layout().table(table), self.params.table(table));
        self.to.floats(&spec.path, &[spec.rows, spec.dim], values)
    }

    /// The values of a slot, batch × its columns.
    pub(crate) fn values(&mut self, slot: ValueSlot) -> Result<String> {
        let name = &self.graph.value_slots()[slot.index()].name;
        self.slots.values(name, &mut self.to)
    }
}
