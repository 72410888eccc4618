//! The buffers of one shard, and the passes over them.

use std::ops::Range;

use crate::backward::BackwardStep;
use crate::kernel::{ClassRoom, Precision, Products, Scratch, vectorise};
use crate::op::{Backprop, Forward};
use crate::packed::PackedWeights;
use crate::plan::{Item, is_training};
use crate::repeats::{Heads, Repeats};
use crate::shared::{SharedSlots, Split};
use crate::{Backward, Batch, Graph, Mat, Mode, NodeId, Params, Plan, Scalar, Var};

/// All buffers of one shard: values, saved values and gradients of every node of a plan.
///
/// The caller owns it and keeps it from step to step; a warm pass allocates nothing. Any node's
/// value can be read from it after a pass.
#[derive(Debug)]
pub struct Workspace<S> {
    capacity: usize,
    rows: usize,
    first_row: usize,
    values: Vec<Vec<S>>,
    saved: Vec<Vec<S>>,
    gradients: Vec<Vec<S>>,
    /// By node, the columns that hold one value in every row; empty where nothing is known.
    shared: Vec<Vec<Range<usize>>>,
    shared_slots: SharedSlots,
    split: Split<S>,
    /// By node, which rows repeat, where an op of the plan asks.
    repeats: Vec<Option<Repeats<S>>>,
    /// By node: whether ops that ask are all that reads its value.
    only_heads: Vec<bool>,
    room: ClassRoom<S>,
    scratch: Scratch,
}

/// The rows of a batch that a pass works on, and how.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a, S> {
    /// The whole batch.
    pub batch: &'a Batch<S>,
    /// First row of the shard.
    pub first_row: usize,
    /// Rows of the shard.
    pub rows: usize,
    /// Training or prediction.
    pub mode: Mode,
}

/// Sums over the whole batch, by node: see [`crate::Op::n_statistics`].
pub(crate) type Statistics = Vec<Vec<f64>>;

impl<S: Scalar> Workspace<S> {
    /// Buffers for `capacity` rows: values for the nodes of `plan`, gradients for the
    /// schedules `backward` (an option or a list of them).
    pub fn new<'b>(
        graph: &Graph<S>,
        plan: &Plan,
        backward: impl IntoIterator<Item = &'b Backward>,
        capacity: usize,
    ) -> Self {
        let schedules: Vec<&Backward> = backward.into_iter().collect();
        let n = graph.nodes().len();
        let mut workspace = Self {
            capacity,
            rows: 0,
            first_row: 0,
            values: vec![Vec::new(); n],
            saved: vec![Vec::new(); n],
            gradients: vec![Vec::new(); n],
            shared: Vec::new(),
            shared_slots: SharedSlots::default(),
            split: Split::default(),
            repeats: Vec::new(),
            only_heads: Vec::new(),
            room: ClassRoom::default(),
            scratch: Scratch::default(),
        };
        (workspace.repeats, workspace.only_heads) = repeats(graph, plan);
        for id in plan.nodes() {
            let (i, node) = (id.index(), &graph.nodes()[id.index()]);
            workspace.values[i] = vec![S::zero(); capacity * node.n_cols()];
            workspace.saved[i] = vec![S::zero(); capacity * node.op().n_saved()];
            if schedules.iter().any(|b| b.reaches(i)) {
                workspace.gradients[i] = vec![S::zero(); capacity * node.n_cols()];
            }
        }
        workspace
    }

    /// The most rows a pass may have.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Says which slots hold one value in every row of the passes to come.
    pub(crate) fn share(&mut self, graph: &Graph<S>, plan: &Plan, slots: &SharedSlots) {
        if self.shared_slots == *slots {
            return;
        }
        self.shared.resize(graph.nodes().len(), Vec::new());
        for id in plan.nodes() {
            self.shared[id.index()] = graph.nodes()[id.index()].op().shared_columns(slots);
        }
        self.shared_slots.clone_from(slots);
    }

    /// The value of some columns after the last forward pass, rows × columns.
    pub fn value(&self, graph: &Graph<S>, var: Var) -> Mat<'_, S> {
        let width = graph.widths()[var.node.index()];
        Mat::new(&self.values[var.node.index()][var.start()..], self.rows, var.n_cols(), width)
    }

    /// The gradient of a node after the last backward pass, rows × columns. Ops work in place on
    /// the gradient of their output, so this is meaningful for leaves; for a leaf of ids where
    /// [`Wanted::node`](crate::Wanted::node) asked for it, since else an id's rows may be summed in one of them.
    pub fn gradient(&self, graph: &Graph<S>, node: NodeId) -> Mat<'_, S> {
        let width = graph.widths()[node.index()];
        Mat::new(&self.gradients[node.index()], self.rows, width, width)
    }

    /// Runs a whole plan that has no barriers: prediction, or training without batch statistics.
    ///
    /// # Panics
    /// If the pass has more rows than the workspace's capacity, or `plan` has barriers.
    pub fn forward(
        &mut self,
        graph: &Graph<S>,
        plan: &Plan,
        params: &Params<S>,
        pass: Pass<'_, S>,
    ) {
        self.forward_by(graph, plan, params, None, pass);
    }

    /// As [`Workspace::forward`], by kernels of ours.
    pub(crate) fn forward_by(
        &mut self,
        graph: &Graph<S>,
        plan: &Plan,
        params: &Params<S>,
        packed: Option<&PackedWeights>,
        pass: Pass<'_, S>,
    ) {
        assert_eq!(plan.phases().len(), 1, "a plan with barriers runs through `Step`");
        self.forward_phase(graph, &plan.phases()[0], params, packed, pass, &[], &mut []);
    }

    /// Runs a whole backward schedule that has no barriers, after [`Workspace::forward`]. `seeds`
    /// are the gradients of the roots, one value for all rows of each; the gradients of the
    /// parameters are written to `flat`, laid out like the trainable values.
    ///
    /// # Panics
    /// If `backward` has barriers.
    pub fn backward(
        &mut self,
        graph: &Graph<S>,
        backward: &Backward,
        params: &Params<S>,
        pass: Pass<'_, S>,
        seeds: &[S],
        flat: &mut [S],
    ) {
        assert_eq!(backward.phases().len(), 1, "a schedule with barriers runs through `Step`");
        self.seed(backward, seeds);
        let flats = [flat, &mut []];
        self.backward_phase(
            graph,
            backward,
            0,
            params,
            None,
            pass,
            flats,
            &[],
            (&[], &[]),
            &mut [],
        );
    }

    /// Sets the gradients of the roots.
    pub(crate) fn seed(&mut self, backward: &Backward, seeds: &[S]) {
        for (root, &seed) in backward.roots().iter().zip(seeds) {
            self.gradients[root.index()].fill(seed);
        }
    }

    /// The sum of a node's values, in f64, row after row.
    pub(crate) fn sum(&self, graph: &Graph<S>, node: NodeId) -> f64 {
        let n = self.rows * graph.widths()[node.index()];
        self.values[node.index()][..n].iter().map(|v| v.f64()).sum()
    }

    /// Sets the gradient of a root, one value for each of the batch's rows and its columns.
    pub(crate) fn seed_each(&mut self, graph: &Graph<S>, root: NodeId, seeds: &[S]) {
        let width = graph.widths()[root.index()];
        let (first, n) = (self.first_row * width, self.rows * width);
        self.gradients[root.index()][..n].copy_from_slice(&seeds[first..first + n]);
    }

    /// Runs one phase. `gathered` receives this shard's sums of the barrier that ends it.
    pub(crate) fn forward_phase(
        &mut self,
        graph: &Graph<S>,
        phase: &[Item],
        params: &Params<S>,
        packed: Option<&PackedWeights>,
        pass: Pass<'_, S>,
        statistics: &[Vec<f64>],
        gathered: &mut [Vec<f64>],
    ) {
        assert!(pass.rows <= self.capacity, "{} rows in {}", pass.rows, self.capacity);
        self.rows = pass.rows;
        self.first_row = pass.first_row;
        if pass.rows == 0 {
            return;
        }
        let takes_repeats = takes_repeats(packed);
        for &item in phase {
            let (Item::Run(i) | Item::Gather(i)) = item;
            let node = &graph.nodes()[i];
            let own = self.find_repeats(i, takes_repeats, pass);
            let (before, rest) = self.values.split_at_mut(i);
            let mut forward = Forward {
                rows: pass.rows,
                first_row: pass.first_row,
                op_inputs: node.op().inputs(),
                widths: graph.widths(),
                before,
                out: &mut rest[0][..pass.rows * node.n_cols()],
                saved: &mut self.saved[i][..pass.rows * node.op().n_saved()],
                params,
                products: products(packed, i, &mut self.scratch),
                batch: pass.batch,
                mode: pass.mode,
                statistics: if is_training(pass.mode) { of(statistics, i) } else { &[] },
                shared: &self.shared,
                split: &mut self.split,
                repeats: if takes_repeats { &self.repeats } else { &[] },
                own: match (own, &self.repeats[i]) {
                    (true, Some(repeats)) => Some(repeats.distinct()),
                    _ => None,
                },
                room: &mut self.room,
            };
            match item {
                Item::Run(_) => node.op().forward(&mut forward),
                Item::Gather(_) => node.op().gather(&forward, &mut gathered[i]),
            }
            if takes_repeats && let Some(repeats) = &mut self.repeats[i] {
                let width = node.n_cols();
                repeats.fill(Mat::new(&self.values[i], pass.rows, width, width));
            }
        }
    }

    /// Runs one phase of a backward schedule, whose gradients of parameters go to two vectors laid out
    /// like the trainable values; `factors` are, by loss, of what the schedule resumes.
    pub(crate) fn backward_phase(
        &mut self,
        graph: &Graph<S>,
        backward: &Backward,
        phase: usize,
        params: &Params<S>,
        packed: Option<&PackedWeights>,
        pass: Pass<'_, S>,
        [flat, apart]: [&mut [S]; 2],
        factors: &[f64],
        (forward_statistics, statistics): (&[Vec<f64>], &[Vec<f64>]),
        gathered: &mut [Vec<f64>],
    ) {
        if pass.rows == 0 {
            flat.fill(S::zero());
            apart.fill(S::zero());
            return;
        }
        for &item in &backward.phases()[phase] {
            let (Item::Run(i) | Item::Gather(i)) = item;
            let step = backward.step(i);
            let i = step.node.index();
            let first_visit = matches!(item, Item::Gather(_)) || of(statistics, i).is_empty();
            if first_visit {
                self.zero(graph, step);
            }
            if !step.runs() {
                continue;
            }
            let op = graph.nodes()[i].op();
            let (before, rest) = self.gradients.split_at_mut(i);
            let mut backprop = Backprop {
                rows: pass.rows,
                first_row: pass.first_row,
                node: step.node,
                op_inputs: op.inputs(),
                op_params: op.params(),
                widths: graph.widths(),
                values: &self.values,
                saved: &mut self.saved[i][..pass.rows * op.n_saved()],
                before,
                gradient: &mut rest[0][..pass.rows * graph.nodes()[i].n_cols()],
                params,
                products: products(packed, i, &mut self.scratch),
                param_gradients: [&mut *flat, &mut *apart],
                input_sinks: &step.inputs,
                param_sinks: &step.params,
                live: &step.live,
                resumed: &step.resumed,
                factors,
                batch: pass.batch,
                mode: pass.mode,
                forward_statistics: of(forward_statistics, i),
                statistics: of(statistics, i),
                repeats: if takes_repeats(packed) { &self.repeats } else { &[] },
                by_class: &step.by_class,
                room: &mut self.room,
            };
            match item {
                Item::Run(_) => op.backward(&mut backprop),
                Item::Gather(_) => op.gather_backward(&mut backprop, &mut gathered[i]),
            }
        }
    }

    /// Finds out which rows of a node repeat, if anybody asks; returns whether of repeated rows the
    /// first is all that is read.
    fn find_repeats(&mut self, node: usize, takes_repeats: bool, pass: Pass<'_, S>) -> bool {
        let Some(repeats) = self.repeats[node].as_mut().filter(|_| takes_repeats) else {
            return false;
        };
        let rows = pass.first_row..pass.first_row + pass.rows;
        repeats.find(pass.rows, |slot| &pass.batch.id_column(slot)[rows.clone()]);
        self.only_heads[node] && (pass.mode == Mode::Predict || repeats.distinct().pays())
    }

    /// Exchanges the gradient buffer of a lookup node for one that outlives the shard's pass, and says
    /// which rows of it stand for all; `by_class` is whether all of it was written class by class.
    pub(crate) fn swap_gradient(
        &mut self,
        (node, by_class): (NodeId, bool),
        buffer: &mut Vec<S>,
        heads: &mut Heads,
        packed: &PackedWeights,
    ) {
        std::mem::swap(&mut self.gradients[node.index()], buffer);
        // Of a shard without rows nothing was found: what is known is of the rows before.
        let repeats = self.repeats[node.index()].as_ref().filter(|_| self.rows > 0);
        let distinct = repeats.map(Repeats::distinct).filter(|distinct| distinct.pays());
        heads.copy(distinct.filter(|_| by_class && takes_repeats(Some(packed))));
    }

    /// Multiplies some columns of a node's gradient; by zero, whatever they hold.
    pub(crate) fn scale_gradient(
        &mut self,
        graph: &Graph<S>,
        (node, columns): (NodeId, Range<usize>),
        factor: S,
    ) {
        let (width, rows) = (graph.widths()[node.index()], self.rows);
        let gradient = &mut self.gradients[node.index()];
        vectorise(
            #[inline(always)]
            || {
                for row in gradient.chunks_exact_mut(width).take(rows) {
                    let row = &mut row[columns.clone()];
                    if factor == S::zero() {
                        row.fill(S::zero());
                    } else {
                        row.iter_mut().for_each(|value| *value *= factor);
                    }
                }
            },
        );
    }

    fn zero(&mut self, graph: &Graph<S>, step: &BackwardStep) {
        for (node, columns) in &step.fills {
            let width = graph.widths()[node.index()];
            let gradient = &mut self.gradients[node.index()];
            for r in 0..self.rows {
                gradient[r * width + columns.start..r * width + columns.end].fill(S::zero());
            }
        }
    }
}

/// Room for what is known of the rows of each node, where an op of the plan asks; and whether all ops
/// that read the node do.
fn repeats<S: Scalar>(graph: &Graph<S>, plan: &Plan) -> (Vec<Option<Repeats<S>>>, Vec<bool>) {
    let n = graph.nodes().len();
    let (mut asked, mut only) = (vec![false; n], vec![true; n]);
    plan.targets().iter().for_each(|node| only[node.index()] = false);
    for node in plan.nodes() {
        let op = graph.nodes()[node.index()].op();
        for (i, input) in op.inputs().iter().enumerate() {
            let is_whole = input.n_cols() == graph.widths()[input.node.index()];
            let takes = is_whole && op.takes_repeats(i);
            asked[input.node.index()] |= takes;
            only[input.node.index()] &= takes;
        }
    }
    let of_node = |(node, asked): (&crate::Node<S>, bool)| {
        let found = || Repeats::new(node.op().columns_by_id(), node.n_cols());
        asked.then(found).flatten()
    };
    (graph.nodes().iter().zip(asked).map(of_node).collect(), only)
}

/// Whether repeated rows are worth looking for: bf16 products are too fast for the sums that they
/// would take.
fn takes_repeats(packed: Option<&PackedWeights>) -> bool {
    packed.is_none_or(|packed| packed.kernels().precision() == Precision::F32)
}

/// The products of a node's op.
fn products<'a>(
    packed: Option<&'a PackedWeights>,
    node: usize,
    scratch: &'a mut Scratch,
) -> Products<'a> {
    match packed {
        Some(packed) => packed.products(node, scratch),
        None => Products::plain(),
    }
}

/// A node's sums; none where there are no barriers.
fn of(statistics: &[Vec<f64>], node: usize) -> &[f64] {
    statistics.get(node).map_or(&[], Vec::as_slice)
}
