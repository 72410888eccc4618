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
    pub(super) gradient: Vec<S>,
    pub(super) lookups: Vec<Vec<S>>,
    pub(super) gathered: [Statistics; 2],
    pub(super) losses: Vec<f64>,
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
            let backward = Some(&self.backward);
            let workspace = Workspace::new(&self.graph, &self.plan, backward, self.shard_rows);
            self.workspaces.push(Mutex::new(workspace));
        }
        n
    }

    fn new_shard(&self) -> Shard<S> {
        let lookups = self.backward.lookups().iter();
        let width = |node: &NodeId| self.graph.widths()[node.index()];
        Shard {
            first_row: 0,
            rows: 0,
            gradient: vec![S::zero(); self.graph.layout().n_trainable()],
            lookups: lookups.map(|n| vec![S::zero(); self.shard_rows * width(n)]).collect(),
            gathered: [statistics(&self.graph), statistics(&self.graph)],
            losses: vec![0.0; self.losses.len()],
        }
    }

    /// Forward and backward over all shards: one fork-join, plus one a barrier.
    pub(super) fn run_shards(
        &mut self,
        params: &Params<S>,
        batch: &Batch<S>,
        mode: Mode,
        n: usize,
        each: Option<&[Vec<S>]>,
    ) {
        let (n_forward, n_backward) = (self.plan.phases().len(), self.backward.phases().len());
        let keeps_values = self.keeps_values;
        for phase in 0..n_forward + n_backward - 1 {
            // The last forward phase and the first backward one have no barrier between them.
            let forward = (phase < n_forward).then_some(phase);
            let backward = (phase + 1 >= n_forward).then(|| phase + 1 - n_forward);
            let this = &*self.workspaces;
            let context = Context {
                graph: &self.graph,
                plan: &self.plan,
                backward: &self.backward,
                params,
                batch,
                mode,
                seeds: each.map_or(Seeds::Roots(&self.seeds), Seeds::Each),
                statistics: &self.statistics,
            };
            self.shards[..n].par_iter_mut().enumerate().with_max_len(1).for_each(|(i, shard)| {
                let worker =
                    if keeps_values { i } else { rayon::current_thread_index().unwrap_or(0) };
                let mut workspace =
                    this[worker].lock().expect("a worker that panicked ends the run");
                context.run(&mut workspace, shard, forward, backward);
            });
            if phase < n_forward - 1 {
                add_statistics(&mut self.statistics[0], &self.shards[..n], 0);
            } else if phase < n_forward + n_backward - 2 {
                add_statistics(&mut self.statistics[1], &self.shards[..n], 1);
            }
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
    statistics: &'a [Statistics; 2],
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
    fn run(
        &self,
        workspace: &mut Workspace<S>,
        shard: &mut Shard<S>,
        forward: Option<usize>,
        backward: Option<usize>,
    ) {
        let (batch, mode) = (self.batch, self.mode);
        let pass = Pass { batch, first_row: shard.first_row, rows: shard.rows, mode };
        let [gathered, gathered_back] = &mut shard.gathered;
        if let Some(phase) = forward {
            let items = &self.plan.phases()[phase];
            let statistics = &self.statistics[0];
            workspace.forward_phase(self.graph, items, self.params, pass, statistics, gathered);
        }
        let Some(phase) = backward else { return };
        if phase == 0 {
            for (&root, sum) in self.backward.roots().iter().zip(&mut shard.losses) {
                *sum = workspace.sum(self.graph, root);
            }
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
        let flat = &mut shard.gradient;
        workspace.backward_phase(
            self.graph,
            self.backward,
            phase,
            self.params,
            pass,
            flat,
            sums,
            gathered_back,
        );
        if phase + 1 == self.backward.phases().len() {
            for (&node, buffer) in self.backward.lookups().iter().zip(&mut shard.lookups) {
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
