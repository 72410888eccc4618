//! The reduction: gradients of all shards into one, always in shard order.

use std::ops::Range;

use rayon::prelude::*;

use super::Step;
use super::shards::{Gradients, Shard};
use crate::op::Ids;
use crate::optimiser::CHUNK;
use crate::{
    Backward, Batch, Error, Graph, Mat, Optimiser, Params, RowGradients, Scalar, SparseGradient,
    TableId,
};

impl<S: Scalar> Step<S> {
    /// Adds the shards' gradients in shard order, L2 on top, and takes the norms.
    pub(super) fn reduce(
        &mut self,
        params: &Params<S>,
        optimiser: &Optimiser<S>,
        batch: &Batch<S>,
        n: usize,
    ) {
        let shards = &self.shards[..n];
        let per_loss = self.per_loss.as_ref().map(|per_loss| (per_loss, &self.loss_weights));
        let chunks = self.gradient.par_chunks_mut(CHUNK).zip(&mut self.chunk_norms);
        chunks.enumerate().for_each(|(i, (out, norm))| {
            let span = i * CHUNK..i * CHUNK + out.len();
            crate::kernel::vectorise(
                #[inline(always)]
                || match per_loss {
                    None => add_shards(out, shards, None, span.clone()),
                    Some((per_loss, weights)) => per_loss.combine(i, out, shards, weights),
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
            scatter(graph, backward, table, shards, None, batch, sparse);
            optimiser.add_table_l2(params.table(table), sparse);
            *norm = squares(sparse.rows());
        });
    }

    /// The first parameter whose gradient is not finite.
    pub(super) fn blame(&self, step: u64) -> Error {
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

/// The sum over the shards of a span of one loss's gradient, or of the weighted sum's.
#[inline(always)]
pub(super) fn add_shards<S: Scalar>(
    out: &mut [S],
    shards: &[Shard<S>],
    loss: Option<usize>,
    span: Range<usize>,
) {
    /// Sums stay in the first-level cache until the last shard is added.
    const BLOCK: usize = 1024;
    for (i, out) in out.chunks_mut(BLOCK).enumerate() {
        let start = span.start + i * BLOCK;
        let span = start..start + out.len();
        out.copy_from_slice(&shards[0].gradients(loss).flat[span.clone()]);
        for shard in &shards[1..] {
            crate::kernel::add(out, &shard.gradients(loss).flat[span.clone()]);
        }
    }
}

/// Sums the gradient rows of one table over all shards, in shard order.
pub(super) fn scatter<S: Scalar>(
    graph: &Graph<S>,
    backward: &Backward,
    table: TableId,
    shards: &[Shard<S>],
    loss: Option<usize>,
    batch: &Batch<S>,
    sparse: &mut SparseGradient<S>,
) {
    let ops = || backward.lookups().iter().map(|n| (n, graph.nodes()[n.index()].op()));
    let lookups = ops().flat_map(|(_, op)| op.lookups()).filter(|lookup| lookup.table == table);
    let n_ids = lookups.map(|lookup| match lookup.ids {
        Ids::One(_) => batch.rows,
        Ids::List(slot) => batch.list_column(slot).ids().len(),
    });
    // No more rows than the table has can be touched, however many ids point at them.
    sparse.reset(n_ids.sum::<usize>().min(graph.layout().table(table).rows));
    for shard in shards {
        let Gradients { lookups, heads, .. } = shard.gradients(loss);
        for ((node, op), (buffer, heads)) in ops().zip(lookups.iter().zip(heads)) {
            let width = graph.widths()[node.index()];
            let gradient = Mat::new(buffer, shard.rows, width, width);
            let rows = RowGradients { batch, first_row: shard.first_row, gradient, heads };
            op.scatter(table, &rows, sparse);
        }
    }
}

/// Σ x², in f64.
pub(super) fn squares<S: Scalar>(values: &[S]) -> f64 {
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
