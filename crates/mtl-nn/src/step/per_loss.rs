//! Each loss's own gradient, and the Gram matrix of them over shared parameters.
//!
//! The towers are visited once: the pass of one loss also gives the gradients of the parameters
//! that only this loss reaches, and those that the Gram matrix is taken over need no other pass
//! either: their part of the update is Σ shared_t·g_t. What is left to the weighted pass starts
//! beneath the towers, where the architecture allows it.

use std::ops::Range;

use rayon::prelude::*;

use super::division::{
    Shared, Source, gram_parameters, left_parameters, owned, runs, schedules, sources,
};
use super::reduce::{add_shards, scatter, squares};
use super::shards::Shard;
use super::start::{self, Columns, Start};
use super::{LossWeights, Passes, Step};
use crate::optimiser::CHUNK;
use crate::{
    Backward, Batch, Graph, Mode, Optimiser, Ownership, Params, Scalar, SparseGradient, TableId,
    Wanted, kernel,
};

/// The backward schedules of single losses and what they leave.
#[derive(Debug)]
pub(super) struct PerLoss<S> {
    schedules: Vec<Backward>,
    /// Where the weighted pass starts, if not at the losses.
    start: Option<Start>,
    /// Runs of the flat vector that the Gram matrix is taken over.
    pub(super) shared: Vec<Range<usize>>,
    pub(super) tables: Vec<TableId>,
    /// The activations that it is taken over, in place of parameters.
    representation: Vec<Columns>,
    /// By loss: the tables that it alone reaches.
    owned_tables: Vec<Vec<TableId>>,
    /// By chunk of the flat gradient: its runs, and where they come from.
    sources: Vec<Vec<(Range<usize>, Source)>>,
    /// By loss: the reduced gradient, meaningful in the `shared` runs.
    pub(super) flat: Vec<Vec<S>>,
    /// By loss, then by table.
    sparse: Vec<Vec<SparseGradient<S>>>,
    /// By loss, laid out like `flat`: its running gradient, where a weighting asks for it.
    pub(super) running: Option<Vec<Vec<S>>>,
    pub(super) present: Vec<bool>,
    gram: Vec<f64>,
}

impl<S> PerLoss<S> {
    pub(super) fn schedules(&self) -> &[Backward] {
        &self.schedules
    }

    pub(super) const fn start(&self) -> Option<&Start> {
        self.start.as_ref()
    }

    pub(super) fn gram(&self) -> &[f64] {
        &self.gram
    }

    pub(super) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn representation(&self) -> &[Columns] {
        &self.representation
    }
}

impl<S: Scalar> PerLoss<S> {
    /// The schedules of single losses, and that of the weighted pass.
    pub(super) fn new(graph: &Graph<S>, ownership: &Ownership, shared: Shared) -> (Self, Backward) {
        let layout = graph.layout();
        let gram = gram_parameters(graph, ownership, shared);
        let representation = match shared {
            Shared::Representation => start::representation(graph),
            _ => Vec::new(),
        };
        let left = left_parameters(graph, ownership, &gram);
        let wanted = Wanted::none(graph).params(&left.0).tables(&left.1);
        let started = Start::find(graph, ownership, &left).and_then(|start| {
            let schedules = schedules(graph, ownership, &gram, &representation, Some(&start));
            let weighted = start.schedule(graph, wanted.clone(), &schedules)?;
            Some((Some(start), schedules, weighted))
        });
        let (start, schedules, weighted) = started.unwrap_or_else(|| {
            let losses: Vec<_> = graph.losses().iter().map(|loss| loss.1).collect();
            let schedules = schedules(graph, ownership, &gram, &representation, None);
            (None, schedules, Backward::new(graph, &losses, &wanted))
        });
        let n = schedules.len();
        let sparse = || layout.tables().iter().map(|t| SparseGradient::new(t.dim)).collect();
        let per_loss = Self {
            schedules,
            start,
            shared: runs(layout, &gram.0),
            owned_tables: (0..n).map(|t| owned(graph, ownership, t).1).collect(),
            sources: sources(graph, ownership, &gram.0),
            tables: gram.1,
            representation,
            running: None,
            flat: vec![vec![S::zero(); layout.n_trainable()]; n],
            sparse: (0..n).map(|_| sparse()).collect(),
            present: vec![false; n],
            gram: vec![0.0; n * n],
        };
        (per_loss, weighted)
    }

    /// ⟨g_i, g_j⟩ over the shared parameters or activations, in f64.
    pub(super) fn fill_gram(&mut self, shards: &[Shard<S>]) {
        let n = self.flat.len();
        let (shared, tables, sparse) = (&self.shared, &self.tables, &self.sparse);
        let flat = self.running.as_ref().unwrap_or(&self.flat);
        let (present, keeps) = (&self.present, !self.representation.is_empty());
        self.gram.par_chunks_mut(n).enumerate().for_each(|(i, row)| {
            for (j, product) in row.iter_mut().enumerate().skip(i) {
                let run = |run: &Range<usize>| dot(&flat[i][run.clone()], &flat[j][run.clone()]);
                let dense: f64 = shared.iter().map(run).sum();
                let table = |t: &TableId| sparse_dot(&sparse[i][t.index()], &sparse[j][t.index()]);
                let shard = |s: &Shard<S>| dot(&s.per_loss[i].kept, &s.per_loss[j].kept);
                let kept = match keeps && present[i] && present[j] {
                    true => shards.iter().map(shard).sum::<f64>(),
                    false => 0.0,
                };
                *product = dense + tables.iter().map(table).sum::<f64>() + kept;
            }
        });
        for i in 0..n {
            for j in 0..i {
                self.gram[i * n + j] = self.gram[j * n + i];
            }
        }
    }

    /// One chunk of the flat gradient, run by run.
    #[inline(always)]
    pub(super) fn combine(
        &self,
        chunk: usize,
        out: &mut [S],
        shards: &[Shard<S>],
        weights: &LossWeights,
    ) {
        let is_combined = |run: &(Range<usize>, Source)| run.1 == Source::Combined;
        let alike = self.sources[chunk].chunk_by(|a, b| is_combined(a) == is_combined(b));
        for runs in alike.filter(|runs| !is_combined(&runs[0])) {
            let span = runs[0].0.start..runs[runs.len() - 1].0.end;
            let out = &mut out[span.start - chunk * CHUNK..span.end - chunk * CHUNK];
            add_shards(out, shards, None, span);
        }
        for (run, source) in &self.sources[chunk] {
            let out = &mut out[run.start - chunk * CHUNK..run.end - chunk * CHUNK];
            match *source {
                Source::Weighted => {}
                Source::Own(t) if self.present[t] => {
                    let weight = S::of(weights.own[t]);
                    out.iter_mut().for_each(|value| *value *= weight);
                }
                Source::Own(_) => out.fill(S::zero()),
                Source::Combined => {
                    out.fill(S::zero());
                    let gradients = self.running.as_ref().unwrap_or(&self.flat);
                    for (t, flat) in gradients.iter().enumerate() {
                        kernel::axpy(out, S::of(weights.shared[t]), &flat[run.clone()]);
                    }
                }
            }
        }
    }
}

impl<S: Scalar> Step<S> {
    /// Makes the schedules of single losses, and leaves to the weighted pass what they do not give.
    pub(super) fn weigh_by_gradients(&mut self, shared: Shared) {
        let (per_loss, weighted) = PerLoss::new(&self.graph, &Ownership::of(&self.graph), shared);
        self.per_loss = Some(per_loss);
        self.backward = weighted;
    }

    /// The forward pass, and a backward pass for each loss that is present, if asked for.
    pub(super) fn run_losses(
        &mut self,
        params: &Params<S>,
        batch: &Batch<S>,
        mode: Mode,
        n: usize,
    ) {
        let totals = std::mem::take(&mut self.total_weights);
        let n_losses = if self.per_loss.is_some() { totals.len() } else { 0 };
        let present = (0..n_losses).filter(|&t| totals[t] > 0.0);
        let passes = std::iter::once(Passes::Forward).chain(present.map(Passes::BackwardOf));
        self.run_all(params, batch, mode, n, passes);
        self.total_weights = totals;
    }

    /// Reduces the gradients of single losses over the shared parameters, in shard order, and all
    /// tables of theirs; then the Gram matrix.
    pub(super) fn reduce_per_loss(&mut self, batch: &Batch<S>, n: usize) {
        let Some(per_loss) = &mut self.per_loss else { return };
        for (present, &total) in per_loss.present.iter_mut().zip(&self.total_weights) {
            *present = total > 0.0;
        }
        let (graph, shards) = (&self.graph, &self.shards[..n]);
        let PerLoss { schedules, shared, tables, owned_tables, flat, sparse, present, .. } =
            per_loss;
        let losses = (&*schedules, &*owned_tables, &mut *flat, &mut *sparse).into_par_iter();
        let (shared, tables, present) = (&*shared, &*tables, &*present);
        losses.enumerate().for_each(|(t, (schedule, own_tables, flat, sparse))| {
            for run in shared {
                let out = &mut flat[run.clone()];
                kernel::vectorise(
                    #[inline(always)]
                    || match present[t] {
                        true => add_shards(out, shards, Some(t), run.clone()),
                        false => out.fill(S::zero()),
                    },
                );
            }
            for &table in tables.iter().chain(own_tables) {
                let sparse = &mut sparse[table.index()];
                match present[t] {
                    true => scatter(graph, schedule, table, shards, Some(t), batch, sparse),
                    false => sparse.reset(0),
                }
            }
        });
    }

    /// The tables that the weighted pass left out: own_t·g_t, or Σ shared_t·g_t.
    pub(super) fn reduce_per_loss_tables(&mut self, params: &Params<S>, optimiser: &Optimiser<S>) {
        let Some(per_loss) = &self.per_loss else { return };
        let owned = per_loss.owned_tables.iter().enumerate();
        let owned = owned.flat_map(|(t, tables)| tables.iter().map(move |&table| (table, Some(t))));
        for (table, owner) in owned.chain(per_loss.tables.iter().map(|&table| (table, None))) {
            let out = &mut self.sparse[table.index()];
            let of_table = |t: usize| &per_loss.sparse[t][table.index()];
            let losses = owner.map_or(0..self.losses.len(), |t| t..t + 1);
            out.reset(losses.clone().map(|t| of_table(t).ids().len()).sum());
            for t in losses {
                let weights = &self.loss_weights;
                let weights = if owner.is_some() { &weights.own } else { &weights.shared };
                out.add_scaled(S::of(weights[t]), of_table(t));
            }
            optimiser.add_table_l2(params.table(table), out);
            self.table_norms[table.index()] = squares(out.rows());
        }
    }
}

/// ⟨x, y⟩ in f64.
fn dot<S: Scalar>(x: &[S], y: &[S]) -> f64 {
    const LANES: usize = 8;
    kernel::vectorise(
        #[inline(always)]
        || {
            let mut lanes = [0.0f64; LANES];
            let (x_whole, x_rest) = x.as_chunks::<LANES>();
            let (y_whole, y_rest) = y.as_chunks::<LANES>();
            for (x, y) in x_whole.iter().zip(y_whole) {
                for i in 0..LANES {
                    lanes[i] += x[i].f64() * y[i].f64();
                }
            }
            let rest: f64 = x_rest.iter().zip(y_rest).map(|(x, y)| x.f64() * y.f64()).sum();
            lanes.iter().sum::<f64>() + rest
        },
    )
}

fn sparse_dot<S: Scalar>(x: &SparseGradient<S>, y: &SparseGradient<S>) -> f64 {
    let dim = x.dim();
    let row = |i: usize| i * dim..(i + 1) * dim;
    let common = x.ids().iter().enumerate().filter_map(|(i, &id)| Some((i, y.find(id)?)));
    common.map(|(i, j)| dot(&x.rows()[row(i)], &y.rows()[row(j)])).sum()
}
