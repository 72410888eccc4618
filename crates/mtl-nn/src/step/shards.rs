//! Running the shards of a batch: their buffers, the fork-joins, and the barriers between them.

use std::sync::Mutex;

use rayon::prelude::*;

use super::Step;
use super::start::Columns;
use crate::packed::PackedWeights;
use crate::repeats::Heads;
use crate::workspace::{Pass, Statistics};
use crate::{Backward, Batch, Graph, Mode, NodeId, Op, Params, Plan, Scalar, Workspace};

/// What outlives a shard's pass.
#[derive(Debug)]
pub(super) struct Shard<S> {
    pub(super) first_row: usize,
    pub(super) rows: usize,
    /// Of the weighted sum of all losses; and, of parameters that one loss alone reaches, of that.
    pub(super) main: Gradients<S>,
    /// Of each loss by itself, where a weighting compares them.
    pub(super) per_loss: Vec<Gradients<S>>,
    pub(super) gathered: [Statistics; 2],
    pub(super) losses: Vec<f64>,
}

/// One backward schedule's gradients of one shard.
#[derive(Debug)]
pub(super) struct Gradients<S> {
    /// Laid out like the trainable values.
    pub(super) flat: Vec<S>,
    /// Those of the outputs of lookups, in the order of the schedule's.
    pub(super) lookups: Vec<Vec<S>>,
    /// By lookup, the rows that stand for all.
    pub(super) heads: Vec<Heads>,
    /// Those of the activations that a Gram matrix is taken over, run of columns after run; 0 where
    /// the loss does not reach them, and in rows that the shard does not have.
    pub(super) kept: Vec<S>,
}

impl<S: Scalar> Gradients<S> {
    fn new(graph: &Graph<S>, backward: &Backward, shard_rows: usize) -> Self {
        let width = |node: &NodeId| graph.widths()[node.index()];
        let lookups = backward.lookups().iter();
        Self {
            flat: vec![S::zero(); graph.layout().n_trainable()],
            lookups: lookups.map(|n| vec![S::zero(); shard_rows * width(n)]).collect(),
            heads: vec![Heads::default(); backward.lookups().len()],
            kept: Vec::new(),
        }
    }
}

impl<S> Shard<S> {
    /// The gradients of one loss, or of the weighted sum of all.
    pub(super) fn gradients(&self, loss: Option<usize>) -> &Gradients<S> {
        loss.map_or(&self.main, |loss| &self.per_loss[loss])
    }
}

impl<S: Scalar> Step<S> {
    /// Packs the weights, makes the buffers that `rows` rows need and cuts the shards; allocates
    /// only to grow.
    pub(super) fn prepare(&mut self, params: &Params<S>, rows: usize) -> usize {
        self.packed.pack(&self.graph, params);
        let size = super::cut(rows, self.shard_rows);
        let n = rows.div_ceil(size).max(1);
        while self.shards.len() < n {
            self.shards.push(self.new_shard());
        }
        for (i, shard) in self.shards[..n].iter_mut().enumerate() {
            shard.first_row = i * size;
            shard.rows = size.min(rows - shard.first_row);
        }
        let workers = if self.keeps_values { n } else { rayon::current_num_threads() };
        while self.workspaces.len() < workers {
            let per_loss = self.per_loss.iter().flat_map(|p| p.schedules());
            let schedules = std::iter::once(&self.backward).chain(per_loss);
            let workspace = Workspace::new(&self.graph, &self.plan, schedules, self.shard_rows);
            self.workspaces.push(Mutex::new(workspace));
        }
        n
    }

    fn new_shard(&self) -> Shard<S> {
        let gradients =
            |backward: &Backward| Gradients::new(&self.graph, backward, self.shard_rows);
        let per_loss = self.per_loss.iter().flat_map(|p| p.schedules());
        Shard {
            first_row: 0,
            rows: 0,
            main: gradients(&self.backward),
            per_loss: per_loss.map(gradients).collect(),
            gathered: [0, 1].map(|_| statistics(&self.graph, self.shard_rows)),
            losses: vec![0.0; self.losses.len()],
        }
    }

    /// Runs one pass, or forward and backward together, over the first `n` shards: one fork-join,
    /// plus one a barrier.
    pub(super) fn run_shards(
        &mut self,
        params: &Params<S>,
        batch: &Batch<S>,
        mode: Mode,
        n: usize,
        passes: Passes<'_, S>,
    ) {
        let (n_forward, n_phases) = self.phases(passes);
        for phase in 0..n_phases {
            self.fork(params, batch, mode, n, std::iter::once((passes, phase)));
            if phase + 1 < n_forward {
                add_statistics(&self.graph, &mut self.statistics[0], &self.shards[..n], 0);
            } else if phase + 1 < n_phases {
                add_statistics(&self.graph, &mut self.statistics[1], &self.shards[..n], 1);
            }
        }
    }

    /// Runs passes one after another; in one fork-join if none of them has a barrier, so that a
    /// shard's values are still near when the next pass reads them.
    pub(super) fn run_all<'p>(
        &mut self,
        params: &Params<S>,
        batch: &Batch<S>,
        mode: Mode,
        n: usize,
        passes: impl Iterator<Item = Passes<'p, S>> + Clone + Send + Sync,
    ) where
        S: 'p,
    {
        if passes.clone().all(|pass| self.phases(pass).1 == 1) {
            self.fork(params, batch, mode, n, passes.map(|pass| (pass, 0)));
        } else {
            passes.for_each(|pass| self.run_shards(params, batch, mode, n, pass));
        }
    }

    /// Forward phases, and phases in all.
    fn phases(&self, passes: Passes<'_, S>) -> (usize, usize) {
        let n_forward = if passes.has_forward() { self.plan.phases().len() } else { 0 };
        let n_backward =
            if passes.has_backward() { self.schedule(passes).phases().len() } else { 0 };
        // The last forward phase and the first backward one have no barrier between them.
        (n_forward, n_forward + n_backward - usize::from(n_forward > 0 && n_backward > 0))
    }

    fn schedule(&self, passes: Passes<'_, S>) -> &Backward {
        let of_loss = |loss: usize| self.per_loss.as_ref().map(|p| &p.schedules()[loss]);
        passes.loss().and_then(of_loss).unwrap_or(&self.backward)
    }

    /// One fork-join: every shard goes through these phases of passes.
    fn fork<'p>(
        &mut self,
        params: &Params<S>,
        batch: &Batch<S>,
        mode: Mode,
        n: usize,
        phases: impl Iterator<Item = (Passes<'p, S>, usize)> + Clone + Send + Sync,
    ) where
        S: 'p,
    {
        let mut shards = std::mem::take(&mut self.shards);
        let (this, keeps_values) = (&*self, self.keeps_values);
        shards[..n].par_iter_mut().enumerate().with_max_len(1).for_each(|(i, shard)| {
            let worker = if keeps_values { i } else { rayon::current_thread_index().unwrap_or(0) };
            let mut workspace =
                this.workspaces[worker].lock().expect("a worker that panicked ends the run");
            for (passes, phase) in phases.clone() {
                this.context(params, batch, mode, passes, phase).run(&mut workspace, shard);
            }
        });
        self.shards = shards;
    }

    fn context<'c>(
        &'c self,
        params: &'c Params<S>,
        batch: &'c Batch<S>,
        mode: Mode,
        passes: Passes<'c, S>,
        phase: usize,
    ) -> Context<'c, S> {
        let (n_forward, n_phases) = self.phases(passes);
        let backward = self.schedule(passes);
        let n_backward = if passes.has_backward() { backward.phases().len() } else { 0 };
        let first_backward = n_phases - n_backward;
        Context {
            graph: &self.graph,
            plan: &self.plan,
            backward,
            params,
            packed: &self.packed,
            batch,
            mode,
            seeds: self.seeds_of(passes),
            loss: passes.loss(),
            representation: self.per_loss.as_ref().map_or(&[], |p| p.representation()),
            weights: &self.pass_weights,
            statistics: &self.statistics,
            forward: (phase < n_forward).then_some(phase),
            backward_phase: (phase >= first_backward && n_backward > 0)
                .then(|| phase - first_backward),
        }
    }

    /// A schedule of one loss has one root, whose seed the step has put first.
    fn seeds_of<'c>(&'c self, passes: Passes<'c, S>) -> Seeds<'c, S> {
        match passes {
            Passes::Seeded(each) => Seeds::Each(each),
            Passes::BackwardOf(loss) => Seeds::Roots(&self.seeds[loss..=loss]),
            Passes::Weighted => {
                let start = self.per_loss.as_ref().and_then(|per_loss| per_loss.start());
                start.map_or(Seeds::Roots(&self.seeds), |start| Seeds::Left(start.scaled()))
            }
            Passes::Forward | Passes::Both => Seeds::Roots(&self.seeds),
        }
    }
}

/// Which passes to run, and from which seeds the backward pass starts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Passes<'a, S> {
    /// Forward alone.
    Forward,
    /// Forward, then backward from the step's seeds.
    Both,
    /// Backward alone of the weighted sum, over the values of an earlier forward pass.
    Weighted,
    /// Backward alone of one loss.
    BackwardOf(usize),
    /// Forward, then backward from one value for each row and column of each root.
    Seeded(&'a [Vec<S>]),
}

impl<S> Passes<'_, S> {
    const fn has_forward(&self) -> bool {
        matches!(self, Self::Forward | Self::Both | Self::Seeded(_))
    }

    const fn has_backward(&self) -> bool {
        !matches!(self, Self::Forward)
    }

    const fn loss(&self) -> Option<usize> {
        if let Self::BackwardOf(loss) = self { Some(*loss) } else { None }
    }
}

/// What all shards of a phase share.
struct Context<'a, S> {
    graph: &'a Graph<S>,
    plan: &'a Plan,
    backward: &'a Backward,
    params: &'a Params<S>,
    packed: &'a PackedWeights,
    batch: &'a Batch<S>,
    mode: Mode,
    seeds: Seeds<'a, S>,
    loss: Option<usize>,
    /// By loss: what a gradient that its pass left is multiplied by.
    weights: &'a [f64],
    representation: &'a [Columns],
    statistics: &'a [Statistics; 2],
    forward: Option<usize>,
    backward_phase: Option<usize>,
}

/// The gradients that a backward pass starts from.
#[derive(Clone, Copy)]
enum Seeds<'a, S> {
    /// One value a root, for all its rows.
    Roots(&'a [S]),
    /// One value for each row and column of each root.
    Each(&'a [Vec<S>]),
    /// What the passes of single losses left in some columns, times the weight of the loss.
    Left(&'a [(Columns, usize)]),
}

impl<S: Scalar> Context<'_, S> {
    fn run(&self, workspace: &mut Workspace<S>, shard: &mut Shard<S>) {
        let (batch, mode) = (self.batch, self.mode);
        let pass = Pass { batch, first_row: shard.first_row, rows: shard.rows, mode };
        let [gathered, gathered_back] = &mut shard.gathered;
        if let Some(phase) = self.forward {
            let items = &self.plan.phases()[phase];
            let statistics = &self.statistics[0];
            workspace.forward_phase(
                self.graph,
                items,
                self.params,
                Some(self.packed),
                pass,
                statistics,
                gathered,
            );
            if phase + 1 == self.plan.phases().len() {
                for (&root, sum) in self.plan.targets().iter().zip(&mut shard.losses) {
                    *sum = workspace.sum(self.graph, root);
                }
            }
        }
        let Some(phase) = self.backward_phase else { return };
        if phase == 0 {
            match self.seeds {
                Seeds::Roots(seeds) => workspace.seed(self.backward, seeds),
                Seeds::Each(seeds) => {
                    for (&root, seeds) in self.backward.roots().iter().zip(seeds) {
                        workspace.seed_each(self.graph, root, seeds);
                    }
                }
                Seeds::Left(left) => {
                    for ((node, columns), loss) in left {
                        let factor = S::of(self.weights[*loss]);
                        workspace.scale_gradient(self.graph, (*node, columns.clone()), factor);
                    }
                }
            }
        }
        let [forward, back] = self.statistics;
        let sums = (forward.as_slice(), back.as_slice());
        let flat = &mut shard.main.flat;
        let (flats, lookups, heads) = match self.loss {
            Some(loss) => {
                let of_loss = &mut shard.per_loss[loss];
                ([flat, &mut of_loss.flat], &mut of_loss.lookups, &mut of_loss.heads)
            }
            None => ([flat, &mut Vec::new()], &mut shard.main.lookups, &mut shard.main.heads),
        };
        workspace.backward_phase(
            self.graph,
            self.backward,
            phase,
            self.params,
            Some(self.packed),
            pass,
            flats.map(Vec::as_mut_slice),
            self.weights,
            sums,
            gathered_back,
        );
        if phase + 1 == self.backward.phases().len() {
            let nodes = self.backward.lookups().iter().zip(self.backward.heads());
            for ((&node, &by_class), (buffer, heads)) in nodes.zip(lookups.iter_mut().zip(heads)) {
                workspace.swap_gradient((node, by_class), buffer, heads, self.packed);
            }
            if let Some(loss) = self.loss {
                self.keep(workspace, shard.rows, &mut shard.per_loss[loss].kept);
            }
        }
    }
}

impl<S: Scalar> Context<'_, S> {
    /// Keeps the gradients of the activations that the Gram matrix is taken over.
    fn keep(&self, workspace: &Workspace<S>, rows: usize, kept: &mut Vec<S>) {
        kept.clear();
        for (node, columns) in self.representation {
            let written = self.backward.written(*node);
            let gradient = workspace.gradient(self.graph, *node);
            for r in 0..rows {
                match written.get(columns.start) {
                    Some(true) => kept.extend_from_slice(&gradient.row(r)[columns.clone()]),
                    _ => kept.extend(std::iter::repeat_n(S::zero(), columns.len())),
                }
            }
        }
    }
}

/// Buffers for the sums of every barrier, or for the values of `rows` rows; empty for other nodes.
pub(super) fn statistics<S: Scalar>(graph: &Graph<S>, rows: usize) -> Statistics {
    let buffer =
        |op: &dyn Op<S>| vec![0.0; op.n_statistics() * if op.gathers_rows() { rows } else { 1 }];
    graph.nodes().iter().map(|node| buffer(node.op())).collect()
}

/// The sums of all shards; of an op that gathers rows, those of all shards one after another.
fn add_statistics<S: Scalar>(
    graph: &Graph<S>,
    total: &mut Statistics,
    shards: &[Shard<S>],
    direction: usize,
) {
    for (node, total) in total.iter_mut().enumerate() {
        let op = graph.nodes()[node].op();
        if op.gathers_rows() {
            total.clear();
            for shard in shards {
                let n = shard.rows * op.n_statistics();
                total.extend_from_slice(&shard.gathered[direction][node][..n]);
            }
            continue;
        }
        total.fill(0.0);
        for shard in shards {
            let sums = &shard.gathered[direction][node];
            total.iter_mut().zip(sums).for_each(|(t, s)| *t += s);
        }
    }
}
