//! The training step, data-parallel over shards of a number of rows that the batch alone decides.
//!
//! A batch is cut into shards of [`shard_rows`] rows, whatever the machine. Workers take shards;
//! each shard has a gradient buffer of its own, and the buffers are added in shard order. So the
//! trained model is the same, bit for bit, for any number of threads.

mod division;
mod per_loss;
mod reduce;
mod running;
mod shards;
mod start;
mod weighed;

use std::sync::{Arc, Mutex};

use crate::kernel::Kernels;
use crate::optimiser::CHUNK;
use crate::packed::PackedWeights;
use crate::workspace::Statistics;
use crate::{
    Backward, Batch, Error, Graph, Mat, Mode, NodeId, Optimiser, Params, Plan, Result, Scalar,
    SparseGradient, TableId, Wanted, Workspace,
};
use per_loss::PerLoss;
use shards::{Passes, Shard, statistics};

pub use division::Shared;
pub use weighed::{LossWeights, Seen, Weigh};

/// The most rows of a shard. The more there are, the more of them repeat an id, and a repeated id's part of
/// the first layer is computed once a shard; a batch of 1,024 still feeds two workers.
/// `docs/decisions.md` has the measurement.
pub const SHARD_ROWS: usize = 512;

/// Rows of each shard but the last, of a batch of `rows`: [`SHARD_ROWS`], or half of a smaller batch, but
/// no less than a quarter of that.
pub const fn shard_rows(rows: usize) -> usize {
    cut(rows, SHARD_ROWS)
}

/// As [`shard_rows`], of at most `most` rows.
const fn cut(rows: usize, most: usize) -> usize {
    let (half, least) = (rows.div_ceil(2), if most < 4 { most } else { most / 4 });
    if half > most {
        most
    } else if half < least {
        least
    } else {
        half
    }
}

/// A graph's training step and all buffers it needs, kept from step to step.
#[derive(Debug)]
pub struct Step<S> {
    graph: Arc<Graph<S>>,
    plan: Plan,
    packed: PackedWeights,
    backward: Backward,
    /// Each loss by itself, where a weighting needs their gradients.
    per_loss: Option<PerLoss<S>>,
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
    scaled_losses: Vec<f64>,
    present: Vec<bool>,
    loss_weights: LossWeights,
    /// What the weighted pass multiplies each loss's gradient by.
    pass_weights: Vec<f64>,
    last_norm: f64,
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
        let statistics = statistics(&graph, 0);
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
            per_loss: None,
            scaled_losses: Vec::new(),
            present: Vec::new(),
            loss_weights: LossWeights::default(),
            pass_weights: Vec::new(),
            last_norm: 0.0,
            packed: PackedWeights::new(Kernels::default(), &graph, &plan),
            plan,
            backward,
            graph,
        }
    }

    /// The same step with other kernels, or another precision of products.
    #[must_use]
    pub fn with_kernels(mut self, kernels: Kernels) -> Self {
        self.packed = PackedWeights::new(kernels, &self.graph, &self.plan);
        self
    }

    /// The kernels of its products.
    pub const fn kernels(&self) -> Kernels {
        self.packed.kernels()
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
        self.update(params, optimiser, batch, norm);
        self.last_norm = norm;
        Ok(self.report(norm))
    }

    fn report(&self, gradient_norm: f64) -> StepReport<'_> {
        let (losses, total_weights) = (&self.losses, &self.total_weights);
        StepReport { losses, total_weights, gradient_norm }
    }

    /// The optimiser's step, and the running statistics.
    fn update(
        &self,
        params: &mut Params<S>,
        optimiser: &mut Optimiser<S>,
        batch: &Batch<S>,
        norm: f64,
    ) {
        optimiser.step(params, &self.gradient, &self.sparse, optimiser.clip_factor(norm));
        for node in self.plan.nodes() {
            let op = self.graph.nodes()[node.index()].op();
            // A batch without rows has no mean.
            if op.n_statistics() > 0 && batch.rows > 0 {
                op.update_state(&self.statistics[0][node.index()], batch.rows, params);
            }
        }
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
        let n = self.prepare(params, batch.rows);
        self.run_shards(params, batch, Mode::Train { seed, step }, n, Passes::Both);
        self.collect_losses(n, step)?;
        self.reduce(params, optimiser, batch, n);
        self.norm(step)
    }

    /// The norm of the reduced gradient.
    fn norm(&self, step: u64) -> Result<f64> {
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
        let n = self.prepare(params, batch.rows);
        self.run_shards(params, batch, mode, n, Passes::Seeded(seeds));
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
        for (i, root) in self.plan.targets().iter().enumerate() {
            let op = self.graph.nodes()[root.index()].op();
            let total = op.total_weight(batch).unwrap_or(1.0);
            self.total_weights[i] = total;
            self.seeds[i] = if total > 0.0 { S::of(weights[i] / total) } else { S::zero() };
        }
    }

    fn collect_losses(&mut self, n: usize, step: u64) -> Result<()> {
        for (i, loss) in self.losses.iter_mut().enumerate() {
            let mut total = 0.0;
            for shard in &self.shards[..n] {
                let value = shard.losses[i];
                if !value.is_finite() {
                    let root = self.plan.targets()[i];
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
}
