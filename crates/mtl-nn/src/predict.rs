//! Prediction: the same graph without a backward schedule, any number of rows at a time.

use std::sync::{Arc, Mutex};

use ndarray::Array2;
use rayon::prelude::*;

use crate::workspace::Pass;
use crate::{
    Batch, Graph, MatMut, Mode, Params, Plan, Result, SHARD_ROWS, Scalar, SharedSlots, Var,
    Workspace,
};

/// Computes chosen outputs of a graph, in parallel over shards, with buffers kept between calls.
#[derive(Debug)]
pub struct Predictor<S> {
    graph: Arc<Graph<S>>,
    plan: Plan,
    targets: Vec<Var>,
    workspaces: Vec<Mutex<Workspace<S>>>,
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
        Self { graph, plan, targets, workspaces: Vec::new(), shares: false }
    }

    /// For batches in which many slots hold one value in every row: one user's candidates. The
    /// first layers compute that part of their products once. Sums are then added in another order,
    /// so a row's last bits depend on what its batch shares.
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

    /// As [`Predictor::predict`] into a row-major buffer.
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
        if batch.rows <= SHARD_ROWS {
            self.shard(params, batch, 0, out, 0); // no fork-join for a request of few rows
            return Ok(());
        }
        let shards = out.par_chunks_mut(SHARD_ROWS * width).enumerate();
        shards.for_each(|(i, out)| {
            let worker = rayon::current_thread_index().unwrap_or(0);
            self.shard(params, batch, i * SHARD_ROWS, out, worker);
        });
        Ok(())
    }

    fn shard(
        &self,
        params: &Params<S>,
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
        workspace.forward(&self.graph, &self.plan, params, pass);
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
