//! Prediction: the same graph without a backward schedule, any number of rows at a time.

use std::borrow::Borrow;
use std::sync::{Arc, Mutex};

use ndarray::Array2;
use rayon::prelude::*;

use crate::kernel::Kernels;
use crate::packed::PackedWeights;
use crate::workspace::Pass;
use crate::{
    Batch, Frozen, Graph, MatMut, Mode, Params, Plan, Result, SHARD_ROWS, Scalar, SharedSlots, Var,
    Workspace, shard_rows,
};

/// A batch of no more rows is a request: it waits for no other thread than one, and packs no weights.
const REQUEST_ROWS: usize = 256;

/// A request of so many rows is two threads' work.
const SPLIT_ROWS: usize = 65;

/// The pieces that a prediction of `rows` rows is cut into: as many threads have work in it. Where a row's
/// bits could depend on its neighbours (sums by the GEMM crate) a request stays whole.
pub const fn prediction_pieces(rows: usize) -> usize {
    match rows {
        0..SPLIT_ROWS => 1,
        SPLIT_ROWS..=REQUEST_ROWS => 2,
        _ => rows.div_ceil(shard_rows(rows)),
    }
}

/// Computes chosen outputs of a graph, in parallel over shards, with buffers kept between calls.
#[derive(Debug)]
pub struct Predictor<S> {
    graph: Arc<Graph<S>>,
    plan: Plan,
    targets: Vec<Var>,
    workspaces: Vec<Mutex<Workspace<S>>>,
    kernels: Kernels,
    packed: Option<PackedWeights>,
    shares: bool,
}

impl<S: Scalar> Predictor<S> {
    /// A predictor of all named outputs, in the order of [`Graph::outputs`].
    pub fn new(graph: Arc<Graph<S>>) -> Self {
        let targets = graph.outputs().iter().map(|&(_, var)| var).collect();
        Self::of(graph, targets)
    }

    /// A predictor of any values of the graph.
    pub fn of(graph: Arc<Graph<S>>, targets: Vec<Var>) -> Self {
        let nodes: Vec<_> = targets.iter().map(|var| var.node()).collect();
        let plan = Plan::new(&graph, &nodes, false);
        let (workspaces, kernels) = (Vec::new(), Kernels::default());
        Self { graph, plan, targets, workspaces, kernels, packed: None, shares: false }
    }

    /// The same by other kernels, or in another precision of products.
    #[must_use]
    pub fn with_kernels(self, kernels: Kernels) -> Self {
        Self { kernels, packed: None, ..self }
    }

    /// The kernels of its products.
    pub const fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// For batches in which many slots hold one value in every row: one user's candidates. In bf16 the
    /// first layers then compute that part of their products once; sums are added in another order,
    /// so a row's last bits depend on what its batch shares. In `f32` they do so for any rows that
    /// repeat: see [`crate::Op::columns_by_id`].
    #[must_use]
    pub const fn sharing(mut self) -> Self {
        self.shares = true;
        self
    }

    /// The slots that a batch must fill.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The targets' values side by side: batch rows × Σ columns.
    ///
    /// # Errors
    /// A batch that does not fit the graph.
    pub fn predict(&mut self, params: &Params<S>, batch: &Batch<S>) -> Result<Array2<S>> {
        let width: usize = self.targets.iter().map(|t| t.n_cols()).sum();
        let mut out = vec![S::zero(); batch.rows * width];
        self.predict_into(params, batch, &mut out)?;
        Ok(Array2::from_shape_vec((batch.rows, width), out).expect("rows × width values"))
    }

    /// As [`Predictor::predict`] into a row-major buffer. For more rows than a request has, 256, the weights are
    /// packed first: for this call alone, since `params` may have changed by the next.
    ///
    /// # Errors
    /// A batch that does not fit the graph.
    ///
    /// # Panics
    /// If `out` does not have batch rows × Σ columns values.
    pub fn predict_into(
        &mut self,
        params: &Params<S>,
        batch: &Batch<S>,
        out: &mut [S],
    ) -> Result<()> {
        if batch.rows <= REQUEST_ROWS {
            return self.run(params, &PackedWeights::none(self.kernels), batch, out);
        }
        let packed = self.packed.take();
        let new = || PackedWeights::forward(self.kernels, &self.graph);
        let mut packed = packed.unwrap_or_else(new);
        packed.pack(&self.graph, params);
        let result = self.run(params, &packed, batch, out);
        self.packed = Some(packed);
        result
    }

    /// As [`Predictor::predict_into`] by weights that were packed once, for these kernels or others.
    ///
    /// # Errors
    /// A batch that does not fit the graph.
    ///
    /// # Panics
    /// If the values are another graph's, or `out` does not have batch rows × Σ columns values.
    pub fn predict_frozen_into<P: Borrow<Params<S>>>(
        &mut self,
        frozen: &Frozen<S, P>,
        batch: &Batch<S>,
        out: &mut [S],
    ) -> Result<()> {
        assert!(Arc::ptr_eq(&self.graph, frozen.graph()), "values of the predictor's graph");
        self.run(frozen.params(), frozen.packed(), batch, out)
    }

    fn run(
        &mut self,
        params: &Params<S>,
        packed: &PackedWeights,
        batch: &Batch<S>,
        out: &mut [S],
    ) -> Result<()> {
        batch.check(&self.graph, &self.plan)?;
        let width: usize = self.targets.iter().map(|t| t.n_cols()).sum();
        assert_eq!(out.len(), batch.rows * width, "rows × width values");
        if out.is_empty() {
            return Ok(());
        }
        let workers = rayon::current_num_threads();
        // A workspace for one row is a thousand times smaller than one for a shard.
        let capacity = SHARD_ROWS.min(batch.rows);
        self.workspaces.retain(|w| w.lock().is_ok_and(|w| w.capacity() >= capacity));
        while self.workspaces.len() < workers {
            let workspace = Workspace::new(&self.graph, &self.plan, None, capacity);
            self.workspaces.push(Mutex::new(workspace));
        }
        if self.shares {
            let shared = SharedSlots::of(batch);
            for workspace in &mut self.workspaces {
                let workspace = workspace.get_mut().expect("no worker panicked");
                workspace.share(&self.graph, &self.plan, &shared);
            }
        }
        if batch.rows <= REQUEST_ROWS {
            let by = (params, packed);
            // A row has the same bits in a part of any size where the kernels are ours.
            let is_whole = prediction_pieces(batch.rows) == 1;
            if is_whole || workers == 1 || !packed.kernels().keep_order::<S>() {
                self.shard(by, batch, 0, out, 0); // no fork-join for a request of few rows
                return Ok(());
            }
            let rows = batch.rows.div_ceil(2);
            let (first, second) = out.split_at_mut(rows * width);
            // This thread works on one half; it would else only wait for two others to wake.
            rayon::in_place_scope(|scope| {
                scope.spawn(|_| self.shard(by, batch, rows, second, 1));
                self.shard(by, batch, 0, first, 0);
            });
            return Ok(());
        }
        let size = shard_rows(batch.rows);
        let shards = out.par_chunks_mut(size * width).enumerate();
        shards.for_each(|(i, out)| {
            let worker = rayon::current_thread_index().unwrap_or(0);
            self.shard((params, packed), batch, i * size, out, worker);
        });
        Ok(())
    }

    fn shard(
        &self,
        (params, packed): (&Params<S>, &PackedWeights),
        batch: &Batch<S>,
        first_row: usize,
        out: &mut [S],
        worker: usize,
    ) {
        let width: usize = self.targets.iter().map(|t| t.n_cols()).sum();
        let rows = out.len() / width;
        let mut out = MatMut::new(out, rows, width, width);
        let mut workspace = self.workspaces[worker].lock().expect("no worker panicked");
        let pass = Pass { batch, first_row, rows, mode: Mode::Predict };
        workspace.forward_by(&self.graph, &self.plan, params, Some(packed), pass);
        let mut start = 0;
        for &target in &self.targets {
            let value = workspace.value(&self.graph, target);
            for r in 0..rows {
                out.row(r)[start..start + target.n_cols()].copy_from_slice(value.row(r));
            }
            start += target.n_cols();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::prediction_pieces;

    #[test]
    fn a_request_has_two_pieces_at_most_and_more_rows_have_one_a_shard() {
        let found = [0, 1, 64, 65, 256, 257, 1_024, 1_500].map(prediction_pieces);
        assert_eq!(found, [1, 1, 1, 2, 2, 2, 2, 3]);
    }
}
