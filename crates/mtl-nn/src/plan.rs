//! Forward and backward schedules, pruned to what is wanted.

use std::ops::Range;

use crate::op::{Ids, Put};
use crate::reach::Reach;
use crate::{
    Graph, IdSlot, ListSlot, Lookup, Mode, NodeId, ParamId, Scalar, TableId, ValueSlot, Var,
};

/// One action of a schedule. A phase ends after a gather; the sums it wrote are added over all
/// shards before the next phase starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// Run the node (forward), or the step of that index (backward).
    Run(usize),
    /// Gather the node's sums (forward), or those of the step of that index (backward).
    Gather(usize),
}

/// The nodes to run for some targets, in order.
#[derive(Clone, Debug)]
pub struct Plan {
    targets: Vec<NodeId>,
    nodes: Vec<NodeId>,
    phases: Vec<Vec<Item>>,
    value_slots: Vec<ValueSlot>,
    id_slots: Vec<IdSlot>,
    list_slots: Vec<ListSlot>,
    lookups: Vec<Lookup>,
}

impl Plan {
    /// Everything that `targets` depend on.
    pub fn new<S: Scalar>(graph: &Graph<S>, targets: &[NodeId], training: bool) -> Self {
        let mut wanted = vec![false; graph.nodes().len()];
        for target in targets {
            wanted[target.index()] = true;
        }
        for (i, node) in graph.nodes().iter().enumerate().rev() {
            if wanted[i] {
                node.op().inputs().iter().for_each(|v| wanted[v.node.index()] = true);
            }
        }
        let mut plan = Self {
            targets: targets.to_vec(),
            nodes: Vec::new(),
            phases: vec![Vec::new()],
            value_slots: Vec::new(),
            id_slots: Vec::new(),
            list_slots: Vec::new(),
            lookups: Vec::new(),
        };
        for (i, node) in graph.nodes().iter().enumerate().filter(|&(i, _)| wanted[i]) {
            plan.nodes.push(NodeId(i as u32));
            push_item(&mut plan.phases, i, training && node.op().n_statistics() > 0);
            plan.value_slots.extend_from_slice(node.op().value_slots());
            plan.lookups.extend_from_slice(node.op().lookups());
            plan.id_slots.extend_from_slice(node.op().id_slots());
            plan.list_slots.extend_from_slice(node.op().list_slots());
        }
        plan.value_slots.sort_by_key(|s| s.index());
        plan.value_slots.dedup();
        for lookup in &plan.lookups {
            match lookup.ids {
                Ids::One(slot) => plan.id_slots.push(slot),
                Ids::List(slot) => plan.list_slots.push(slot),
            }
        }
        plan.list_slots.sort_by_key(|s| s.index());
        plan.list_slots.dedup();
        plan.id_slots.sort_by_key(|s| s.index());
        plan.id_slots.dedup();
        plan
    }

    /// The plan of all named outputs, for prediction.
    pub fn outputs<S: Scalar>(graph: &Graph<S>) -> Self {
        let targets: Vec<_> = graph.outputs().iter().map(|(_, var)| var.node).collect();
        Self::new(graph, &targets, false)
    }

    /// The nodes that the plan was made for.
    pub fn targets(&self) -> &[NodeId] {
        &self.targets
    }

    /// The nodes that run, in order.
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// The value slots that a batch must fill.
    pub fn value_slots(&self) -> &[ValueSlot] {
        &self.value_slots
    }

    /// The id slots that a batch must fill.
    pub fn id_slots(&self) -> &[IdSlot] {
        &self.id_slots
    }

    /// The slots of lists that a batch must fill.
    pub fn list_slots(&self) -> &[ListSlot] {
        &self.list_slots
    }

    /// The tables that are read, and through which slots.
    pub fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    pub(crate) fn phases(&self) -> &[Vec<Item>] {
        &self.phases
    }
}

/// Adds a run to the last phase; a barrier first ends that phase with its gather.
fn push_item(phases: &mut Vec<Vec<Item>>, index: usize, barrier: bool) {
    let last = phases.len() - 1;
    if barrier {
        phases[last].push(Item::Gather(index));
        phases.push(vec![Item::Run(index)]);
    } else {
        phases[last].push(Item::Run(index));
    }
}

/// What gradients are wanted of.
#[derive(Clone, Debug)]
pub struct Wanted {
    params: Vec<bool>,
    tables: Vec<bool>,
    nodes: Vec<bool>,
}

impl Wanted {
    /// Nothing yet.
    pub fn none<S: Scalar>(graph: &Graph<S>) -> Self {
        Self {
            params: vec![false; graph.layout().params().len()],
            tables: vec![false; graph.layout().tables().len()],
            nodes: vec![false; graph.nodes().len()],
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
        self.nodes[id.index()] = true;
        self
    }
}

/// One op's turn in a backward schedule.
#[derive(Clone, Debug)]
pub(crate) struct BackwardStep {
    pub(crate) node: NodeId,
    /// Zero fills needed before: (node, columns) that no consumer wrote.
    pub(crate) fills: Vec<(NodeId, Range<usize>)>,
    pub(crate) inputs: Vec<Option<Put>>,
    pub(crate) params: Vec<Option<Put>>,
    /// By part of the op: see [`crate::Backprop::is_live`].
    pub(crate) live: Vec<bool>,
}

impl BackwardStep {
    /// Whether the op itself has anything to do; otherwise only the fills run.
    pub(crate) fn runs(&self) -> bool {
        self.inputs.iter().chain(&self.params).any(Option::is_some)
    }
}

/// A reverse schedule for chosen roots, pruned to what they reach.
///
/// Whether an op sets or adds to a gradient is decided here, once, so no buffer is zeroed that
/// some op overwrites.
#[derive(Clone, Debug)]
pub struct Backward {
    roots: Vec<NodeId>,
    steps: Vec<BackwardStep>,
    phases: Vec<Vec<Item>>,
    lookups: Vec<NodeId>,
    tables: Vec<TableId>,
    /// By node: the columns whose gradients are written; empty where there is none.
    written: Vec<Vec<bool>>,
}

impl Backward {
    /// The schedule that turns gradients of `roots` into those of `wanted`.
    pub fn new<S: Scalar>(graph: &Graph<S>, roots: &[NodeId], wanted: &Wanted) -> Self {
        let mut state = Scheduling::new(graph, roots, wanted);
        for root in roots {
            let node = root.index();
            state.written[node] = vec![true; graph.nodes()[node].n_cols()];
        }
        for i in (0..graph.nodes().len()).rev() {
            if state.needed[i].contains(&true) && !state.written[i].is_empty() {
                state.schedule(NodeId(i as u32));
            }
        }
        let mut tables: Vec<_> = state
            .lookups
            .iter()
            .flat_map(|n| graph.nodes()[n.index()].op().lookups())
            .map(|lookup| lookup.table)
            .filter(|table| wanted.tables[table.index()])
            .collect();
        tables.sort();
        tables.dedup();
        let mut phases = vec![Vec::new()];
        for (i, step) in state.steps.iter().enumerate() {
            let barrier = step.runs() && graph.nodes()[step.node.index()].op().n_statistics() > 0;
            push_item(&mut phases, i, barrier);
        }
        let Scheduling { steps, lookups, written, .. } = state;
        Self { roots: roots.to_vec(), steps, phases, lookups, tables, written }
    }

    /// The nodes whose gradients the caller seeds.
    pub fn roots(&self) -> &[NodeId] {
        &self.roots
    }

    /// The nodes with lookups whose gradients are left for [`crate::Op::scatter`].
    pub fn lookups(&self) -> &[NodeId] {
        &self.lookups
    }

    /// The tables that receive gradients, sorted.
    pub fn tables(&self) -> &[TableId] {
        &self.tables
    }

    pub(crate) fn step(&self, i: usize) -> &BackwardStep {
        &self.steps[i]
    }

    pub(crate) fn phases(&self) -> &[Vec<Item>] {
        &self.phases
    }

    /// Whether a node has a gradient buffer.
    pub(crate) fn reaches(&self, node: usize) -> bool {
        !self.written[node].is_empty()
    }

    /// The columns of a node whose gradients are written; empty where there is none.
    pub(crate) fn written(&self, node: NodeId) -> &[bool] {
        &self.written[node.index()]
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

struct Scheduling<'g, S> {
    graph: &'g Graph<S>,
    reach: Reach,
    wanted: &'g Wanted,
    /// By node: the columns that something wanted lies beneath, or that are wanted.
    needed: Vec<Vec<bool>>,
    /// By node: the columns that something wanted lies beneath.
    beneath: Vec<Vec<bool>>,
    written: Vec<Vec<bool>>,
    param_written: Vec<bool>,
    steps: Vec<BackwardStep>,
    lookups: Vec<NodeId>,
}

impl<'g, S: Scalar> Scheduling<'g, S> {
    fn new(graph: &'g Graph<S>, roots: &[NodeId], wanted: &'g Wanted) -> Self {
        let n = graph.nodes().len();
        let (mut needed, mut beneath) = (Vec::<Vec<bool>>::with_capacity(n), Vec::with_capacity(n));
        for (i, node) in graph.nodes().iter().enumerate() {
            let op = node.op();
            let mut columns = vec![false; node.n_cols()];
            for part in op.parts() {
                let is_needed = part.params.iter().any(|&p| wanted.params[op.params()[p].index()])
                    || part.lookups.iter().any(|&l| wanted.tables[op.lookups()[l].table.index()])
                    || part.inputs.iter().any(|(input, range)| {
                        let read = read(op.inputs()[*input], range);
                        needed[op.inputs()[*input].node.index()][read].contains(&true)
                    });
                if is_needed {
                    columns[part.columns].fill(true);
                }
            }
            beneath.push(columns.clone());
            if wanted.nodes[i] {
                columns.fill(true);
            }
            needed.push(columns);
        }
        Self {
            graph,
            reach: Reach::walk(graph, roots, |_, _| true),
            wanted,
            needed,
            beneath,
            written: vec![Vec::new(); n],
            param_written: vec![false; graph.layout().params().len()],
            steps: Vec::new(),
            lookups: Vec::new(),
        }
    }

    fn schedule(&mut self, node: NodeId) {
        let op = self.graph.nodes()[node.index()].op();
        let mut fills = Vec::new();
        // A part that no root depends on has a gradient of 0: neither its parameters nor its
        // inputs are written. Nor are they where nothing beneath the part is wanted.
        let parts = op.parts();
        let live: Vec<bool> = (parts.iter())
            .map(|part| {
                let columns = part.columns.clone();
                self.reach.any(node, columns.clone())
                    && self.beneath[node.index()][columns].contains(&true)
            })
            .collect();
        if op.skips_dead_parts() {
            for (part, _) in parts.iter().zip(&live).filter(|(_, live)| **live) {
                self.fill(node, part.columns.clone(), &mut fills);
            }
        } else {
            let width = self.written[node.index()].len();
            self.fill(node, 0..width, &mut fills);
        }
        let (mut reads, mut live_params) =
            (vec![Vec::new(); op.inputs().len()], vec![false; op.params().len()]);
        for (part, _) in parts.iter().zip(&live).filter(|(_, live)| **live) {
            for (i, range) in &part.inputs {
                reads[*i].push(read(op.inputs()[*i], range));
            }
            part.params.iter().for_each(|&p| live_params[p] = true);
        }
        let inputs = (op.inputs().iter().zip(reads))
            .map(|(&var, reads)| self.sink(var, reads, op.skips_dead_parts(), &mut fills))
            .collect();
        let params = (op.params().iter().zip(live_params))
            .map(|(param, live)| {
                let wanted = live && self.wanted.params[param.index()];
                let written = &mut self.param_written[param.index()];
                let put = if *written { Put::Add } else { Put::Set };
                *written |= wanted;
                wanted.then_some(put)
            })
            .collect();
        if !op.lookups().is_empty() {
            self.lookups.push(node); // its gradient is read by `scatter` after the pass
        }
        let step = BackwardStep { node, fills, inputs, params, live };
        if step.runs() || !step.fills.is_empty() {
            self.steps.push(step);
        }
    }

    /// How an op writes to the gradient of an input of which its live parts read those columns.
    fn sink(
        &mut self,
        var: Var,
        mut reads: Vec<Range<usize>>,
        skips: bool,
        fills: &mut Vec<(NodeId, Range<usize>)>,
    ) -> Option<Put> {
        let node = var.node.index();
        let needed = |columns: &Range<usize>| self.needed[node][columns.clone()].contains(&true);
        if !reads.iter().any(needed) {
            return None;
        }
        if !skips {
            reads = vec![read(var, &(0..var.n_cols()))];
        }
        let written = &mut self.written[node];
        written.resize(self.graph.nodes()[node].n_cols(), false);
        let fresh = !reads.iter().any(|columns| written[columns.clone()].contains(&true));
        for columns in reads {
            if fresh {
                self.written[node][columns].fill(true);
            } else {
                self.fill(var.node, columns, fills);
            }
        }
        // Parts of one op that read the same columns write them one after another.
        Some(if fresh { Put::Set } else { Put::Add })
    }

    /// Zero-fills the unwritten columns of a range and marks them written.
    fn fill(
        &mut self,
        node: NodeId,
        columns: Range<usize>,
        fills: &mut Vec<(NodeId, Range<usize>)>,
    ) {
        let written = &mut self.written[node.index()];
        let mut at = columns.start;
        while at < columns.end {
            let end = (at..columns.end).find(|&c| written[c] != written[at]).unwrap_or(columns.end);
            if !written[at] {
                fills.push((node, at..end));
                written[at..end].fill(true);
            }
            at = end;
        }
    }
}

/// The columns of its node that a range of an input's columns are.
fn read(var: Var, range: &Range<usize>) -> Range<usize> {
    var.start() + range.start..var.start() + range.end
}

/// Whether a mode needs barriers.
pub(crate) const fn is_training(mode: Mode) -> bool {
    matches!(mode, Mode::Train { .. })
}
