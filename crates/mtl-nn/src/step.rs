//! The training step, data-parallel over shards of a fixed number of rows.
//!
//! A batch is cut into shards of [`SHARD_ROWS`] rows, whatever the machine. Workers take shards;
//! each shard has a gradient buffer of its own, and the buffers are added in shard order. So the
//! trained model is the same, bit for bit, for any number of threads.

use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use crate::optimiser::CHUNK;
use crate::workspace::{Pass, Statistics};
use crate::{
    Backward, Batch, Error, Graph, Mat, Mode, NodeId, Optimiser, Params, Plan, Result,
    RowGradients, Scalar, SparseGradient, TableId, Wanted, Workspace,
};

/// Rows of a shard: activations of a shard stay in a second-level cache, and a batch of 1,024
/// still feeds four workers. `docs/decisions.md` has the measurement.
pub const SHARD_ROWS: usize = 256;

/// A graph's training step and all buffers it needs, kept from step to step.
#[derive(Debug)]
pub struct Step<S> {
    graph: Arc<Graph<S>>,
    plan: Plan,
    backward: Backward,
    shard_rows: usize,
    /// Whether values must outlive the shard's pass, as they do where there is a barrier.
    keeps_values: bool,
    /// One a worker; one a shard where values are kept.
    workspaces: Vec<Mutex<Workspace<S>>>,
    shards: Vec<Shard<S>>,
    statistics: [Statistics; 2],
    gradient: Vec<S>,
    sparse: Vec<SparseGradient<S>>,
    chunk_norms: Vec<f64>,
    table_norms: Vec<f64>,
    losses: Vec<f64>,
    total_weights: Vec<f64>,
    seeds: Vec<S>,
}

/// What outlives a shard's pass.
#[derive(Debug)]
struct Shard<S> {
    first_row: usize,
    rows: usize,
    gradient: Vec<S>,
    lookups: Vec<Vec<S>>,
    gathered: [Statistics; 2],
    losses: Vec<f64>,
}

/// The losses of one step.
#[derive(Clone, Copy, Debug)]
pub struct StepReport<'a> {
    /// Each loss's weighted mean over the batch, in the order of [`Graph::losses`]; 0 where no
    /// row carries the label.
    pub losses: &'a [f64],
    /// Σ w over the rows that carry each label.
    pub total_weights: &'a [f64],
    /// Norm of the whole gradient, before clipping.
    pub gradient_norm: f64,
}

impl<S: Scalar> Step<S> {
    /// The step that trains every parameter on all losses of the graph.
    ///
    /// # Errors
    /// [`Error::Unknown`] if the graph has no loss.
    pub fn new(graph: Arc<Graph<S>>) -> Result<Self> {
        let losses: Vec<NodeId> = graph.losses().iter().map(|&(_, node)| node).collect();
        if losses.is_empty() {
            let known = graph.outputs().iter().map(|(n, _)| n.clone()).collect();
            return Err(Error::Unknown { what: "loss", name: "any".to_owned(), known });
        }
        let wanted = Wanted::all(&graph);
        Ok(Self::with(graph, &losses, &wanted, SHARD_ROWS, false))
    }

    /// The step for chosen roots and gradients, with another shard size; with `keep_values` all
    /// values and gradients of all shards can be read after it.
    pub(crate) fn with(
        graph: Arc<Graph<S>>,
        roots: &[NodeId],
        wanted: &Wanted,
        shard_rows: usize,
        keep_values: bool,
    ) -> Self {
        let plan = Plan::new(&graph, roots, true);
        let backward = Backward::new(&graph, roots, wanted);
        let tables = graph.layout().tables();
        let n_chunks = graph.layout().n_trainable().div_ceil(CHUNK);
        let statistics = statistics(&graph);
        let barriers = plan.phases().len() > 1 || backward.phases().len() > 1;
        Self {
            keeps_values: keep_values || barriers,
            gradient: vec![S::zero(); graph.layout().n_trainable()],
            sparse: tables.iter().map(|t| SparseGradient::new(t.dim)).collect(),
            table_norms: vec![0.0; tables.len()],
            chunk_norms: vec![0.0; n_chunks],
            losses: vec![0.0; roots.len()],
            total_weights: vec![0.0; roots.len()],
            seeds: vec![S::zero(); roots.len()],
            statistics: [statistics.clone(), statistics],
            shards: Vec::new(),
            workspaces: Vec::new(),
            shard_rows,
            plan,
            backward,
            graph,
        }
    }

    /// The graph.
    pub const fn graph(&self) -> &Arc<Graph<S>> {
        &self.graph
    }

    /// One training step: losses weighted by `weights` (in the order of [`Graph::losses`]),
    /// gradients reduced, parameters updated. `seed` keys the dropout.
    ///
    /// # Errors
    /// A batch that does not fit the graph; [`Error::LossNotFinite`] or
    /// [`Error::GradientNotFinite`], in which case nothing was updated.
    ///
    /// # Panics
    /// If `weights` are not one a loss.
    pub fn run(
        &mut self,
        params: &mut Params<S>,
        optimiser: &mut Optimiser<S>,
        batch: &Batch<S>,
        weights: &[f64],
        seed: u64,
    ) -> Result<StepReport<'_>> {
        let norm = self.gradients(params, optimiser, batch, weights, seed)?;
        optimiser.step(params, &self.gradient, &self.sparse, optimiser.clip_factor(norm));
        for node in self.plan.nodes() {
            let op = self.graph.nodes()[node.index()].op();
            // A batch without rows has no mean.
            if op.n_statistics() > 0 && batch.rows > 0 {
                op.update_state(&self.statistics[0][node.index()], batch.rows, params);
            }
        }
        let (losses, total_weights) = (&self.losses, &self.total_weights);
        Ok(StepReport { losses, total_weights, gradient_norm: norm })
    }

    /// The gradients of one step without the update; they can be read from
    /// [`Step::dense_gradient`] and [`Step::table_gradient`]. Returns their norm. `optimiser` says
    /// which step this is and adds its L2.
    ///
    /// # Errors
    /// As [`Step::run`].
    pub fn gradients(
        &mut self,
        params: &Params<S>,
        optimiser: &Optimiser<S>,
        batch: &Batch<S>,
        weights: &[f64],
        seed: u64,
    ) -> Result<f64> {
        assert_eq!(weights.len(), self.losses.len(), "one weight a loss");
        batch.check(&self.graph, &self.plan)?;
        let step = optimiser.steps() + 1;
        self.seed(batch, weights);
        let n = self.prepare(batch.rows);
        self.run_shards(params, batch, Mode::Train { seed, step }, n, None);
        self.collect_losses(n, step)?;
        self.reduce(params, optimiser, batch, n);
        let squares: f64 = self.chunk_norms.iter().chain(&self.table_norms).sum();
        if squares.is_finite() { Ok(squares.sqrt()) } else { Err(self.blame(step)) }
    }

    /// The reduced gradient of a dense parameter.
    pub fn dense_gradient(&self, id: crate::ParamId) -> Mat<'_, S> {
        self.graph.layout().param(id).window(&self.gradient)
    }

    /// The reduced gradient of a table: the rows of the batch.
    pub fn table_gradient(&self, id: TableId) -> &SparseGradient<S> {
        &self.sparse[id.index()]
    }

    /// Forward and backward from `seeds` (one value for each row and column of each root).
    pub(crate) fn run_seeded(
        &mut self,
        params: &Params<S>,
        batch: &Batch<S>,
        mode: Mode,
        seeds: &[Vec<S>],
    ) {
        let n = self.prepare(batch.rows);
        self.run_shards(params, batch, mode, n, Some(seeds));
    }

    /// The reduction alone, after [`Step::run_seeded`].
    pub(crate) fn reduce_seeded(
        &mut self,
        params: &Params<S>,
        optimiser: &Optimiser<S>,
        batch: &Batch<S>,
    ) {
        self.reduce(params, optimiser, batch, batch.rows.div_ceil(self.shard_rows));
    }

    /// Each shard's workspace, if values are kept.
    pub(crate) fn workspaces(&mut self) -> impl Iterator<Item = &Workspace<S>> {
        self.workspaces.iter_mut().map(|w| &*w.get_mut().expect("no worker panicked"))
    }

    /// The forward plan.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Loss weights become seeds: dL/d(row loss) = weight / Σ w.
    fn seed(&mut self, batch: &Batch<S>, weights: &[f64]) {
        for (i, root) in self.backward.roots().iter().enumerate() {
            let op = self.graph.nodes()[root.index()].op();
            let total = op.total_weight(batch).unwrap_or(1.0);
            self.total_weights[i] = total;
            self.seeds[i] = if total > 0.0 { S::of(weights[i] / total) } else { S::zero() };
        }
    }

    /// Makes the buffers that `rows` rows need and cuts the shards; allocates only to grow.
    fn prepare(&mut self, rows: usize) -> usize {
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
    fn run_shards(
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

    fn collect_losses(&mut self, n: usize, step: u64) -> Result<()> {
        for (i, loss) in self.losses.iter_mut().enumerate() {
            let mut total = 0.0;
            for shard in &self.shards[..n] {
                let value = shard.losses[i];
                if !value.is_finite() {
                    let root = self.backward.roots()[i];
                    let named = self.graph.losses().iter().find(|(_, node)| *node == root);
                    let node = self.graph.nodes()[root.index()].name();
                    return Err(Error::LossNotFinite {
                        step,
                        loss: named.map_or(node, |(name, _)| name).to_owned(),
                        value,
                        first_row: shard.first_row,
                        end_row: shard.first_row + shard.rows,
                    });
                }
                total += value;
            }
            let weight = self.total_weights[i];
            *loss = if weight > 0.0 { total / weight } else { 0.0 };
        }
        Ok(())
    }

    /// Adds the shards' gradients in shard order, L2 on top, and takes the norms.
    fn reduce(&mut self, params: &Params<S>, optimiser: &Optimiser<S>, batch: &Batch<S>, n: usize) {
        let shards = &self.shards[..n];
        let chunks = self.gradient.par_chunks_mut(CHUNK).zip(&mut self.chunk_norms);
        chunks.enumerate().for_each(|(i, (out, norm))| {
            let span = i * CHUNK..i * CHUNK + out.len();
            crate::kernel::vectorise(
                #[inline(always)]
                || {
                    out.copy_from_slice(&shards[0].gradient[span.clone()]);
                    for shard in &shards[1..] {
                        crate::kernel::add(out, &shard.gradient[span.clone()]);
                    }
                },
            );
            optimiser.add_l2(span.start, &params.trainable[span], out);
            *norm = squares(out);
        });
        let (graph, backward) = (&self.graph, &self.backward);
        let tables = self.sparse.par_iter_mut().zip(&mut self.table_norms).enumerate();
        tables.with_max_len(1).for_each(|(i, (sparse, norm))| {
            let table = TableId(i as u32);
            if backward.tables().binary_search(&table).is_err() {
                return;
            }
            scatter(graph, backward, table, shards, batch, sparse);
            optimiser.add_table_l2(params.table(table), sparse);
            *norm = squares(sparse.rows());
        });
    }

    /// The first parameter whose gradient is not finite.
    fn blame(&self, step: u64) -> Error {
        let layout = self.graph.layout();
        let finite = |values: &[S]| values.iter().all(|v| v.is_finite());
        let dense = layout.params().iter().filter(|p| p.role != crate::Role::State).find(|p| {
            let window = p.window(&self.gradient);
            !(0..window.rows()).all(|r| finite(window.row(r)))
        });
        let table = || {
            let mut tables = layout.tables().iter().zip(&self.sparse);
            tables.find(|(_, g)| !finite(g.rows())).map(|(t, _)| t.path.clone())
        };
        let parameter = dense.map(|p| p.path.clone()).or_else(table);
        // Finite values whose squares overflow leave nobody to blame but the whole.
        let parameter = parameter.unwrap_or_else(|| "(the norm of all)".to_owned());
        Error::GradientNotFinite { step, parameter }
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
fn statistics<S: Scalar>(graph: &Graph<S>) -> Statistics {
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

/// Sums the gradient rows of one table over all shards, in shard order.
fn scatter<S: Scalar>(
    graph: &Graph<S>,
    backward: &Backward,
    table: TableId,
    shards: &[Shard<S>],
    batch: &Batch<S>,
    sparse: &mut SparseGradient<S>,
) {
    let ops = || backward.lookups().iter().map(|n| (n, graph.nodes()[n.index()].op()));
    let reads = |op: &dyn crate::Op<S>| op.lookups().iter().filter(|l| l.table == table).count();
    sparse.reset(ops().map(|(_, op)| reads(op)).sum::<usize>() * batch.rows);
    for shard in shards {
        for ((node, op), buffer) in ops().zip(&shard.lookups) {
            let width = graph.widths()[node.index()];
            let gradient = Mat::new(buffer, shard.rows, width, width);
            let rows = RowGradients { batch, first_row: shard.first_row, gradient };
            op.scatter(table, &rows, sparse);
        }
    }
}

/// Σ x², in f64.
fn squares<S: Scalar>(values: &[S]) -> f64 {
    const LANES: usize = 8;
    crate::kernel::vectorise(
        #[inline(always)]
        || {
            let mut lanes = [0.0f64; LANES];
            let (whole, rest) = values.as_chunks::<LANES>();
            for x in whole {
                for i in 0..LANES {
                    lanes[i] += x[i].f64() * x[i].f64();
                }
            }
            let rest: f64 = rest.iter().map(|x| x.f64() * x.f64()).sum();
            lanes.iter().sum::<f64>() + rest
        },
    )
}
