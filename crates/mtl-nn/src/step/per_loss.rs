//! Each loss's own gradient, and the Gram matrix of them over shared parameters.
//!
//! The towers are visited once: the pass of one loss also gives the gradients of the parameters
//! that only this loss reaches, and the weighted pass after it leaves them out.

use std::ops::Range;

use rayon::prelude::*;

use super::reduce::{scatter, squares};
use super::{Passes, Step};
use crate::optimiser::CHUNK;
use crate::reach::Reach;
use crate::{
    Backward, Batch, Graph, Layout, Mode, Optimiser, Ownership, ParamId, Params, Role, Scalar,
    SparseGradient, TableId, Wanted, kernel,
};

/// Which shared parameters the Gram matrix is taken over.
///
/// A parameter is shared if more than one loss reaches it in the graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shared {
    /// The weights of the last shared layers: those from which a loss is reached through no other
    /// shared weight. Where no dense weight is shared, as [`Shared::All`].
    #[default]
    LastLayer,
    /// All shared dense parameters.
    Dense,
    /// All shared parameters, tables included.
    All,
}

/// The backward schedules of single losses and what they leave.
#[derive(Debug)]
pub(super) struct PerLoss<S> {
    schedules: Vec<Backward>,
    /// Runs of the flat vector that the Gram matrix is taken over.
    shared: Vec<Range<usize>>,
    tables: Vec<TableId>,
    /// Runs that only one loss reaches, and tables likewise.
    owned: Vec<(Vec<Range<usize>>, Vec<TableId>)>,
    /// By loss: the reduced gradient, meaningful in `shared` and the loss's `owned` runs.
    flat: Vec<Vec<S>>,
    /// By loss, then by table.
    sparse: Vec<Vec<SparseGradient<S>>>,
    gram: Vec<f64>,
}

impl<S> PerLoss<S> {
    pub(super) fn schedules(&self) -> &[Backward] {
        &self.schedules
    }

    pub(super) fn gram(&self) -> &[f64] {
        &self.gram
    }
}

impl<S: Scalar> PerLoss<S> {
    fn new(graph: &Graph<S>, ownership: &Ownership, shared: Shared) -> Self {
        let layout = graph.layout();
        let (params, tables) = gram_parameters(graph, ownership, shared);
        let mut per_loss = Self {
            schedules: Vec::new(),
            shared: runs(layout, &params),
            tables,
            owned: Vec::new(),
            flat: Vec::new(),
            sparse: Vec::new(),
            gram: vec![0.0; graph.losses().len() * graph.losses().len()],
        };
        for (t, &(_, root)) in graph.losses().iter().enumerate() {
            let own = all_params(layout).filter(|&p| ownership.param(p) == [t]).collect::<Vec<_>>();
            let own_tables: Vec<_> =
                all_tables(layout).filter(|&table| ownership.table(table) == [t]).collect();
            let mut wanted = Wanted::none(graph);
            for &param in params.iter().chain(&own) {
                wanted = wanted.param(param);
            }
            for &table in per_loss.tables.iter().chain(&own_tables) {
                wanted = wanted.table(table);
            }
            per_loss.schedules.push(Backward::new(graph, &[root], &wanted));
            per_loss.owned.push((runs(layout, &own), own_tables));
            per_loss.flat.push(vec![S::zero(); layout.n_trainable()]);
            let sparse = layout.tables().iter().map(|t| SparseGradient::new(t.dim));
            per_loss.sparse.push(sparse.collect());
        }
        per_loss
    }

    /// ⟨g_i, g_j⟩ over the shared parameters, in f64.
    fn fill_gram(&mut self) {
        let n = self.flat.len();
        let pairs: Vec<_> = (0..n).flat_map(|i| (i..n).map(move |j| (i, j))).collect();
        let (shared, tables, flat, sparse) = (&self.shared, &self.tables, &self.flat, &self.sparse);
        let product = |&(i, j): &(usize, usize)| {
            let run = |run: &Range<usize>| dot(&flat[i][run.clone()], &flat[j][run.clone()]);
            let dense: f64 = shared.iter().map(run).sum();
            let table = |t: &TableId| sparse_dot(&sparse[i][t.index()], &sparse[j][t.index()]);
            dense + tables.iter().map(table).sum::<f64>()
        };
        let products: Vec<f64> = pairs.par_iter().map(product).collect();
        for ((i, j), value) in pairs.into_iter().zip(products) {
            self.gram[i * n + j] = value;
            self.gram[j * n + i] = value;
        }
    }
}

impl<S: Scalar> Step<S> {
    /// Makes the schedules of single losses, and leaves to the weighted pass what several reach.
    pub(super) fn weigh_by_gradients(&mut self, shared: Shared) {
        let (graph, ownership) = (&self.graph, Ownership::of(&self.graph));
        let layout = graph.layout();
        let mut wanted = Wanted::none(graph);
        for param in all_params(layout).filter(|&p| ownership.param(p).len() > 1) {
            wanted = wanted.param(param);
        }
        for table in all_tables(layout).filter(|&t| ownership.table(t).len() > 1) {
            wanted = wanted.table(table);
        }
        self.per_loss = Some(PerLoss::new(graph, &ownership, shared));
        self.backward = Backward::new(graph, self.plan.targets(), &wanted);
    }

    /// One backward pass for each loss, reduced in shard order, and the Gram matrix.
    pub(super) fn per_loss_gradients(
        &mut self,
        params: &Params<S>,
        batch: &Batch<S>,
        mode: Mode,
        n: usize,
    ) {
        for t in 0..self.losses.len() {
            if self.total_weights[t] > 0.0 {
                self.run_shards(params, batch, mode, n, Passes::BackwardOf(t));
            }
        }
        let Some(per_loss) = &mut self.per_loss else { return };
        let (graph, shards) = (&self.graph, &self.shards[..n]);
        let PerLoss { schedules, shared, tables, owned, flat, sparse, .. } = per_loss;
        let losses = (&*schedules, &*owned, &mut *flat, &mut *sparse).into_par_iter();
        let (shared, tables, present) = (&*shared, &*tables, &self.total_weights);
        losses.enumerate().for_each(|(t, (schedule, (own, own_tables), flat, sparse))| {
            for run in shared.iter().chain(own) {
                let out = &mut flat[run.clone()];
                out.fill(S::zero());
                for shard in shards.iter().filter(|_| present[t] > 0.0) {
                    kernel::add(out, &shard.per_loss[t].flat[run.clone()]);
                }
            }
            for &table in tables.iter().chain(own_tables) {
                let sparse = &mut sparse[table.index()];
                match present[t] > 0.0 {
                    true => scatter(graph, schedule, table, shards, Some(t), batch, sparse),
                    false => sparse.reset(0),
                }
            }
        });
        per_loss.fill_gram();
    }

    /// Adds own_t·g_t to the parameters that only loss t reaches, which the weighted pass left out.
    pub(super) fn add_own_gradients(&mut self, params: &Params<S>, optimiser: &Optimiser<S>) {
        let Some(per_loss) = &self.per_loss else { return };
        for (t, (runs, tables)) in per_loss.owned.iter().enumerate() {
            let weight = S::of(self.loss_weights.own[t]);
            for run in runs {
                let own = &per_loss.flat[t][run.clone()];
                kernel::axpy(&mut self.gradient[run.clone()], weight, own);
            }
            for &table in tables {
                let (own, out) =
                    (&per_loss.sparse[t][table.index()], &mut self.sparse[table.index()]);
                own.scaled_into(weight, out);
                optimiser.add_table_l2(params.table(table), out);
                self.table_norms[table.index()] = squares(out.rows());
            }
        }
        for (chunk, norm) in self.gradient.chunks(CHUNK).zip(&mut self.chunk_norms) {
            *norm = squares(chunk);
        }
    }
}

/// The parameters and tables that the Gram matrix is taken over.
fn gram_parameters<S: Scalar>(
    graph: &Graph<S>,
    ownership: &Ownership,
    shared: Shared,
) -> (Vec<ParamId>, Vec<TableId>) {
    let layout = graph.layout();
    let is_shared = |p: ParamId| ownership.param(p).len() > 1;
    let dense = || all_params(layout).filter(|&p| is_shared(p)).collect::<Vec<_>>();
    let tables = || all_tables(layout).filter(|&t| ownership.table(t).len() > 1).collect();
    match shared {
        Shared::Dense => (dense(), Vec::new()),
        Shared::All => (dense(), tables()),
        Shared::LastLayer => {
            let mut last = Vec::new();
            for &(_, root) in graph.losses() {
                Reach::walk(graph, &[root], |node, part| {
                    let params = graph.nodes()[node.index()].op().params();
                    let before = last.len();
                    let weights = part.params.iter().map(|&p| params[p]);
                    let is_weight = |p: &ParamId| layout.param(*p).role == Role::Weight;
                    last.extend(weights.filter(|p| is_shared(*p) && is_weight(p)));
                    last.len() == before // go on only past what is not shared
                });
            }
            last.sort();
            last.dedup();
            if last.is_empty() { (dense(), tables()) } else { (last, Vec::new()) }
        }
    }
}

fn all_params(layout: &Layout) -> impl Iterator<Item = ParamId> {
    let trainable = layout.params().iter().map(|p| p.role != Role::State);
    trainable.enumerate().filter(|(_, yes)| *yes).map(|(i, _)| ParamId(i as u32))
}

fn all_tables(layout: &Layout) -> impl Iterator<Item = TableId> {
    (0..layout.tables().len()).map(|i| TableId(i as u32))
}

/// The runs of the flat vector that some parameters fill, in order.
fn runs(layout: &Layout, params: &[ParamId]) -> Vec<Range<usize>> {
    layout.runs(params.iter().map(|&p| layout.param(p)))
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
