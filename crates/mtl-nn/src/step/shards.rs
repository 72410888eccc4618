//! Running the shards of a batch: their buffers, the fork-joins, and the barriers between them.

use std::sync::Mutex;

use rayon::prelude::*;

use super::Step;
use crate::workspace::{Pass, Statistics};
use crate::{Backward, Batch, Graph, Mode, NodeId, Params, Plan, Scalar, Workspace};

/// What outlives a shard's pass.
#[derive(Debug)]
pub(super) struct Shard<S> {
    pub(super) first_row: usize,
    pub(super) rows: usize,
    /// Of the weighted sum of all losses.
    pub(super) main: Gradients<S>,
    /// Of each loss by itself, where a weighting asks for them.
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
}

impl<S: Scalar> Gradients<S> {
    fn new(graph: &Graph<S>, backward: &Backward, shard_rows: usize) -> Self {
        let width = |node: &NodeId| graph.widths()[node.index()];
        let lookups = backward.lookups().iter();
        Self {
            flat: vec![S::zero(); graph.layout().n_trainable()],
            lookups: lookups.map(|n| vec![S::zero(); shard_rows * width(n)]).collect(),
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
    /// Makes the buffers that `rows` rows need and cuts the shards; allocates only to grow.
    pub(super) fn prepare(&mut self, rows: usize) -> usize {
        let n = rows.div_ceil(self.shard_rows).max(1);
        while self.shards.len() < n {
            self.shards.push(self.new_shard());
        }
        for (i, shard) in self.shards[..n].iter_mut().enumerate() {
            shard.first_row = i * self.shard_rows;
            shard.rows = self.shard_rows.min(rows - shard.first_row);
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
            gathered: [statistics(&self.graph), statistics(&self.graph)],
            losses: vec![0.0; self.losses.len()],
        }
    }

    /// Runs passes over the first `n` shards: one fork-join, plus one a barrier.
    pub(super) fn run_shards(
        &mut self,
        params: &Params<S>,
        batch: &Batch<S>,
        mode: Mode,
        n: usize,
        passes: Passes<'_, S>,
    ) {
        let loss = passes.loss();
        let schedule = match loss {
            Some(loss) => self.per_loss.as_ref().map(|p| &p.schedules()[loss]),
            None => Some(&self.backward),
        };
        let backward = schedule.unwrap_or(&self.backward);
        let n_forward = if passes.has_forward() { self.plan.phases().len() } else { 0 };
        let n_backward = if passes.has_backward() { backward.phases().len() } else { 0 };
        // The last forward phase and the first backward one have no barrier between them.
        let joined = usize::from(n_forward > 0 && n_backward > 0);
        let keeps_values = self.keeps_values;
        for phase in 0..n_forward + n_backward - joined {
            let context = Context {
                graph: &self.graph,
                plan: &self.plan,
                backward,
                params,
                batch,
                mode,
                seeds: passes.seeds(&self.seeds),
                loss,
                statistics: &self.statistics,
                forward: (phase < n_forward).then_some(phase),
                backward_phase: (phase + joined >= n_forward && n_backward > 0)
                    .then(|| phase + joined - n_forward),
            };
            let workspaces = &*self.workspaces;
            self.shards[..n].par_iter_mut().enumerate().with_max_len(1).for_each(|(i, shard)| {
                let worker =
                    if keeps_values { i } else { rayon::current_thread_index().unwrap_or(0) };
                let mut workspace =
                    workspaces[worker].lock().expect("a worker that panicked ends the run");
                context.run(&mut workspace, shard);
            });
            if phase + 1 < n_forward {
                add_statistics(&mut self.statistics[0], &self.shards[..n], 0);
            } else if phase + 1 < n_forward + n_backward - joined {
                add_statistics(&mut self.statistics[1], &self.shards[..n], 1);
            }
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
    /// Backward alone from the step's seeds, over the values of an earlier forward pass.
    Backward,
    /// Backward alone of one loss.
    BackwardOf(usize),
    /// Forward, then backward from one value for each row and column of each root.
    Seeded(&'a [Vec<S>]),
}

impl<'a, S> Passes<'a, S> {
    const fn has_forward(&self) -> bool {
        matches!(self, Self::Forward | Self::Both | Self::Seeded(_))
    }

    const fn has_backward(&self) -> bool {
        !matches!(self, Self::Forward)
    }

    const fn loss(&self) -> Option<usize> {
        if let Self::BackwardOf(loss) = self { Some(*loss) } else { None }
    }

    /// A schedule of one loss has one root, whose seed the step has put first.
    fn seeds(&self, step: &'a [S]) -> Seeds<'a, S> {
        match self {
            Self::Seeded(each) => Seeds::Each(each),
            Self::BackwardOf(loss) => Seeds::Roots(&step[*loss..=*loss]),
            _ => Seeds::Roots(step),
        }
    }
}

/// What all shards of a phase share.
struct Context<'a, S> {
    graph: &'a Graph<S>,
    plan: &'a Plan,
    backward: &'a Backward,
    params: &'a Params<S>,
    batch: &'a Batch<S>,
    mode: Mode,
    seeds: Seeds<'a, S>,
    loss: Option<usize>,
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
}

impl<S: Scalar> Context<'_, S> {
    fn run(&self, workspace: &mut Workspace<S>, shard: &mut Shard<S>) {
        let (batch, mode) = (self.batch, self.mode);
        let pass = Pass { batch, first_row: shard.first_row, rows: shard.rows, mode };
        let [gathered, gathered_back] = &mut shard.gathered;
        if let Some(phase) = self.forward {
            let items = &self.plan.phases()[phase];
            let statistics = &self.statistics[0];
            workspace.forward_phase(self.graph, items, self.params, pass, statistics, gathered);
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
            }
        }
        let [forward, back] = self.statistics;
        let sums = (forward.as_slice(), back.as_slice());
        let gradients = match self.loss {
            Some(loss) => &mut shard.per_loss[loss],
            None => &mut shard.main,
        };
        workspace.backward_phase(
            self.graph,
            self.backward,
            phase,
            self.params,
            pass,
            &mut gradients.flat,
            sums,
            gathered_back,
        );
        if phase + 1 == self.backward.phases().len() {
            for (&node, buffer) in self.backward.lookups().iter().zip(&mut gradients.lookups) {
                workspace.swap_gradient(node, buffer);
            }
        }
    }
}

/// Buffers for the sums of every barrier; empty for other nodes.
pub(super) fn statistics<S: Scalar>(graph: &Graph<S>) -> Statistics {
    graph.nodes().iter().map(|n| vec![0.0; n.op().n_statistics()]).collect()
}

fn add_statistics<S>(total: &mut Statistics, shards: &[Shard<S>], direction: usize) {
    for (node, total) in total.iter_mut().enumerate() {
        total.fill(0.0);
        for shard in shards {
            let sums = &shard.gathered[direction][node];
            total.iter_mut().zip(sums).for_each(|(t, s)| *t += s);
        }
    }
}
