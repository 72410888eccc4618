//! Backward schedules, pruned to what is wanted and to what the roots reach.

use std::ops::Range;

use crate::op::{ByClass, ParamSink, Put};
use crate::plan::{Item, push_item};
use crate::reach::{Reach, beneath};
use crate::{Graph, NodeId, OpPart, Scalar, TableId, Var, Wanted};

/// One op's turn in a backward schedule.
#[derive(Clone, Debug)]
pub(crate) struct BackwardStep {
    pub(crate) node: NodeId,
    /// Zero fills needed before: (node, columns) that no consumer wrote.
    pub(crate) fills: Vec<(NodeId, Range<usize>)>,
    pub(crate) inputs: Vec<Option<Put>>,
    pub(crate) params: Vec<Option<ParamSink>>,
    /// By input.
    pub(crate) by_class: Vec<ByClass>,
    /// By part of the op: see [`crate::Backprop::is_live`].
    pub(crate) live: Vec<bool>,
    /// By part of the op, the loss whose pass left what this one goes on from; empty if it resumes
    /// nothing.
    pub(crate) resumed: Vec<Option<usize>>,
    /// Whether the op must run for what it leaves.
    leaves: bool,
}

impl BackwardStep {
    /// Whether the op itself has anything to do; otherwise only the fills run.
    pub(crate) fn runs(&self) -> bool {
        self.leaves
            || self.inputs.iter().any(Option::is_some)
            || self.params.iter().any(Option::is_some)
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
    /// By lookup: whether all of its gradient is written class by class, where rows repeat.
    heads: Vec<bool>,
    tables: Vec<TableId>,
    /// By node: the columns whose gradients are written; empty where there is none.
    written: Vec<Vec<bool>>,
}

impl Backward {
    /// The schedule that turns gradients of `roots` into those of `wanted`.
    pub fn new<S: Scalar>(graph: &Graph<S>, roots: &[NodeId], wanted: &Wanted) -> Self {
        Self::of(roots, Scheduling::from_roots(graph, wanted, roots).run())
    }

    /// The schedule that goes on from where others stopped; `None` if an op of it would write where
    /// a gradient is given.
    pub(crate) fn resuming<S: Scalar>(
        graph: &Graph<S>,
        resumed: &Resumed,
        wanted: &Wanted,
    ) -> Option<Self> {
        let state = Scheduling::from_resumed(graph, wanted, resumed).run();
        (!state.conflict).then(|| Self::of(&[], state))
    }

    fn of<S: Scalar>(roots: &[NodeId], state: Scheduling<'_, S>) -> Self {
        let Scheduling { graph, wanted, mut steps, lookups, written, .. } = state;
        let heads = only_heads(graph, &mut steps, &lookups);
        let mut tables: Vec<_> = lookups
            .iter()
            .flat_map(|n| graph.nodes()[n.index()].op().lookups())
            .map(|lookup| lookup.table)
            .filter(|table| wanted.tables[table.index()])
            .collect();
        tables.sort();
        tables.dedup();
        let mut phases = vec![Vec::new()];
        for (i, step) in steps.iter().enumerate() {
            let barrier = step.runs() && graph.nodes()[step.node.index()].op().n_statistics() > 0;
            push_item(&mut phases, i, barrier);
        }
        Self { roots: roots.to_vec(), steps, phases, lookups, heads, tables, written }
    }

    /// The nodes whose gradients the caller seeds.
    pub fn roots(&self) -> &[NodeId] {
        &self.roots
    }

    /// The nodes with lookups whose gradients are left for [`crate::Op::scatter`].
    pub fn lookups(&self) -> &[NodeId] {
        &self.lookups
    }

    /// By lookup: whether all of its gradient is written class by class, where rows repeat.
    pub(crate) fn heads(&self) -> &[bool] {
        &self.heads
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

/// By lookup, whether all that is written to its gradient is written class by class; the steps are told.
fn only_heads<S: Scalar>(
    graph: &Graph<S>,
    steps: &mut [BackwardStep],
    lookups: &[NodeId],
) -> Vec<bool> {
    let inputs = |step: &BackwardStep| graph.nodes()[step.node.index()].op().inputs();
    let alone = |&lookup: &NodeId| {
        steps.iter().all(|step| {
            let op = graph.nodes()[step.node.index()].op();
            let width = graph.widths()[lookup.index()];
            let writes = |i: usize| step.inputs[i].is_some() && op.inputs()[i].node == lookup;
            let by_class = |i: usize| {
                let is_whole = op.inputs()[i].n_cols() == width;
                step.by_class[i] == ByClass::Beside && is_whole && op.takes_repeats(i)
            };
            (0..op.inputs().len()).all(|i| !writes(i) || by_class(i))
                && step.fills.iter().all(|(node, _)| *node != lookup)
        })
    };
    let heads: Vec<bool> = lookups.iter().map(alone).collect();
    for step in steps {
        let inputs = inputs(step);
        for (by_class, var) in step.by_class.iter_mut().zip(inputs) {
            let is_alone =
                lookups.iter().zip(&heads).any(|(node, &alone)| alone && *node == var.node);
            if is_alone && *by_class == ByClass::Beside {
                *by_class = ByClass::Alone;
            }
        }
    }
    heads
}

/// Where a schedule goes on from the gradients that others left.
#[derive(Debug)]
pub(crate) struct Resumed {
    /// By node and part: whether it runs.
    pub(crate) live: Vec<Vec<bool>>,
    /// By node and part: the loss whose pass left what the op resumes from.
    pub(crate) losses: Vec<Vec<Option<usize>>>,
    /// By node and column: whether the gradient, or what is left of it, is there already.
    pub(crate) given: Vec<Vec<bool>>,
    /// By node and column: whether this schedule computes the gradient.
    pub(crate) open: Vec<Vec<bool>>,
}

struct Scheduling<'g, S> {
    graph: &'g Graph<S>,
    wanted: &'g Wanted,
    parts: Vec<Vec<OpPart>>,
    /// By node: the columns that something wanted lies beneath, or that are wanted.
    needed: Vec<Vec<bool>>,
    /// By node and part: whether it leads from where the schedule starts to something wanted. Of
    /// any other part neither the parameters nor the inputs are written.
    live: Vec<Vec<bool>>,
    resumed: Option<&'g Resumed>,
    written: Vec<Vec<bool>>,
    param_written: Vec<bool>,
    steps: Vec<BackwardStep>,
    lookups: Vec<NodeId>,
    /// Whether an op would write where a gradient is given.
    conflict: bool,
}

impl<'g, S: Scalar> Scheduling<'g, S> {
    /// From seeds of the roots.
    fn from_roots(graph: &'g Graph<S>, wanted: &'g Wanted, roots: &[NodeId]) -> Self {
        let reach = Reach::walk(graph, roots, |_, _| true);
        let mut state = Self::new(graph, wanted);
        // What no root depends on has a gradient of 0.
        for (i, live) in state.live.iter_mut().enumerate() {
            for (live, part) in live.iter_mut().zip(&state.parts[i]) {
                *live &= reach.any(NodeId(i as u32), part.columns.clone());
            }
        }
        for root in roots {
            let node = root.index();
            state.written[node] = vec![true; graph.nodes()[node].n_cols()];
        }
        state
    }

    /// From what other schedules left.
    fn from_resumed(graph: &'g Graph<S>, wanted: &'g Wanted, resumed: &'g Resumed) -> Self {
        let mut state = Self::new(graph, wanted);
        for (needed, open) in state.needed.iter_mut().flatten().zip(resumed.open.iter().flatten()) {
            *needed &= open;
        }
        for (written, given) in state.written.iter_mut().zip(&resumed.given) {
            if given.contains(&true) {
                written.clone_from(given);
            }
        }
        state.live.clone_from(&resumed.live);
        Self { resumed: Some(resumed), ..state }
    }

    fn new(graph: &'g Graph<S>, wanted: &'g Wanted) -> Self {
        let parts: Vec<_> = graph.nodes().iter().map(|node| node.op().parts()).collect();
        let is_wanted = |node: NodeId, part: &OpPart| {
            let op = graph.nodes()[node.index()].op();
            part.params.iter().any(|&p| wanted.params[op.params()[p].index()])
                || part.lookups.iter().any(|&l| wanted.tables[op.lookups()[l].table.index()])
                || wanted.left[node.index()][part.columns.clone()].contains(&true)
        };
        let beneath = beneath(graph, &wanted.columns, is_wanted);
        let live_parts = |(parts, columns): (&Vec<OpPart>, &Vec<bool>)| {
            let live = |part: &OpPart| columns[part.columns.clone()].contains(&true);
            parts.iter().map(live).collect()
        };
        let live = parts.iter().zip(&beneath).map(live_parts).collect();
        let mut needed = beneath;
        for (needed, wanted) in needed.iter_mut().flatten().zip(wanted.columns.iter().flatten()) {
            *needed |= wanted;
        }
        Self {
            graph,
            wanted,
            parts,
            needed,
            live,
            resumed: None,
            written: vec![Vec::new(); graph.nodes().len()],
            param_written: vec![false; graph.layout().params().len()],
            steps: Vec::new(),
            lookups: Vec::new(),
            conflict: false,
        }
    }

    fn run(mut self) -> Self {
        for i in (0..self.graph.nodes().len()).rev() {
            let has_work = self.needed[i].contains(&true) || self.live[i].contains(&true);
            if has_work && !self.written[i].is_empty() {
                self.schedule(NodeId(i as u32));
            }
        }
        self
    }

    fn schedule(&mut self, node: NodeId) {
        let op = self.graph.nodes()[node.index()].op();
        let mut fills = Vec::new();
        let live = std::mem::take(&mut self.live[node.index()]);
        let parts = std::mem::take(&mut self.parts[node.index()]);
        let live_parts =
            || parts.iter().zip(&live).filter(|(_, live)| **live).map(|(part, _)| part);
        if op.skips_dead_parts() {
            for part in live_parts() {
                self.fill(node, part.columns.clone(), &mut fills);
            }
        } else {
            let width = self.written[node.index()].len();
            self.fill(node, 0..width, &mut fills);
        }
        let (mut reads, mut live_params) =
            (vec![Vec::new(); op.inputs().len()], vec![false; op.params().len()]);
        for part in live_parts() {
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
                wanted.then_some(ParamSink { put, apart: self.wanted.apart[param.index()] })
            })
            .collect();
        if !op.lookups().is_empty() {
            self.lookups.push(node); // its gradient is read by `scatter` after the pass
        }
        let by_class = op.inputs().iter().map(|var| self.by_class(var.node)).collect();
        let left = &self.wanted.left[node.index()];
        let leaves = live_parts().any(|part| left[part.columns.clone()].contains(&true));
        let resumed = self.resumed.map(|resumed| &resumed.losses[node.index()]);
        let resumed = resumed.filter(|losses| losses.iter().any(Option::is_some));
        let resumed = resumed.cloned().unwrap_or_default();
        let step = BackwardStep { node, fills, inputs, params, by_class, live, resumed, leaves };
        if step.runs() || !step.fills.is_empty() {
            self.steps.push(step);
        }
    }

    /// How the gradient of a node may be written, before what its consumers do is known.
    fn by_class(&self, node: NodeId) -> ByClass {
        let is_read = self.wanted.columns[node.index()].contains(&true);
        let goes_to_tables = !self.graph.nodes()[node.index()].op().columns_by_id().is_empty();
        if goes_to_tables && !is_read { ByClass::Beside } else { ByClass::No }
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
        if let Some(resumed) = self.resumed {
            let given = &resumed.given[node];
            self.conflict |= reads.iter().any(|columns| given[columns.clone()].contains(&true));
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
