//! Which pass gives the gradient of which parameter: that of one loss, or that of the weighted sum.

use std::ops::Range;

use super::start::{Columns, Start};
use crate::optimiser::CHUNK;
use crate::reach::Reach;
use crate::{Backward, Graph, Layout, NodeId, Ownership, ParamId, Role, Scalar, TableId, Wanted};

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
    /// No parameters but activations: the values that losses share and are computed from directly.
    /// They are the columns of the graph's nodes that more than one loss reaches, each met first
    /// on a path from a loss, but for nodes that another of them is computed from: the bottom's
    /// output, the experts' outputs of MMoE, those of the last shared experts of CGC and PLE, x where
    /// nothing but the input is shared. One gradient is rows × those columns, over the batch.
    Representation,
}

/// Where a run of the flat gradient comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The weighted pass.
    Weighted,
    /// Σ shared_t·g_t.
    Combined,
    /// own_t·g_t of the one loss that reaches it.
    Own(usize),
}

/// Dense parameters, and tables.
pub(super) type Parameters = (Vec<ParamId>, Vec<TableId>);

/// The parameters and tables that the Gram matrix is taken over.
pub(super) fn gram_parameters<S: Scalar>(
    graph: &Graph<S>,
    ownership: &Ownership,
    shared: Shared,
) -> Parameters {
    let layout = graph.layout();
    let is_shared = |p: ParamId| ownership.param(p).len() > 1;
    let dense = || all_params(layout).filter(|&p| is_shared(p)).collect::<Vec<_>>();
    let tables = || all_tables(layout).filter(|&t| ownership.table(t).len() > 1).collect();
    match shared {
        Shared::Dense => (dense(), Vec::new()),
        Shared::Representation => (Vec::new(), Vec::new()),
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
pub(super) fn runs(layout: &Layout, params: &[ParamId]) -> Vec<Range<usize>> {
    layout.runs(params.iter().map(|&p| layout.param(p)))
}

/// What several losses reach and the Gram matrix is not taken over: left to the weighted pass.
pub(super) fn left_parameters<S: Scalar>(
    graph: &Graph<S>,
    ownership: &Ownership,
    gram: &Parameters,
) -> Parameters {
    let layout = graph.layout();
    let is_left = |p: &ParamId| ownership.param(*p).len() > 1 && !gram.0.contains(p);
    let is_table_left = |t: &TableId| ownership.table(*t).len() > 1 && !gram.1.contains(t);
    (
        all_params(layout).filter(is_left).collect(),
        all_tables(layout).filter(is_table_left).collect(),
    )
}

/// What one loss alone reaches.
pub(super) fn owned<S: Scalar>(graph: &Graph<S>, ownership: &Ownership, t: usize) -> Parameters {
    let layout = graph.layout();
    let params = all_params(layout).filter(|&p| ownership.param(p) == [t]);
    (params.collect(), all_tables(layout).filter(|&table| ownership.table(table) == [t]).collect())
}

/// The pass of each loss: its own parameters, those of the Gram matrix (apart), the gradients of
/// `kept`, and what the weighted pass starts from.
pub(super) fn schedules<S: Scalar>(
    graph: &Graph<S>,
    ownership: &Ownership,
    gram: &Parameters,
    kept: &[Columns],
    start: Option<&Start>,
) -> Vec<Backward> {
    let schedule = |(t, &(_, root)): (usize, &(String, NodeId))| {
        let own = owned(graph, ownership, t);
        let put_off = start.map_or(&[][..], |start| start.put_off(t));
        let own_params = own.0.iter().filter(|param| !put_off.contains(param));
        let wanted = Wanted::none(graph).params(own_params).apart(&gram.0);
        let wanted = wanted.tables(gram.1.iter().chain(&own.1));
        let keep =
            |wanted: Wanted, (node, columns): &Columns| wanted.columns(*node, columns.clone());
        let wanted = kept.iter().fold(wanted, keep);
        let wanted = start.map_or(wanted.clone(), |start| start.want(t, wanted));
        Backward::new(graph, &[root], &wanted)
    };
    graph.losses().iter().enumerate().map(schedule).collect()
}

/// By chunk of the flat gradient: its runs, and where they come from.
pub(super) fn sources<S: Scalar>(
    graph: &Graph<S>,
    ownership: &Ownership,
    gram: &[ParamId],
) -> Vec<Vec<(Range<usize>, Source)>> {
    let layout = graph.layout();
    let mut sources = vec![Source::Weighted; layout.n_trainable()];
    for t in 0..graph.losses().len() {
        let own = owned(graph, ownership, t).0;
        runs(layout, &own).into_iter().for_each(|run| sources[run].fill(Source::Own(t)));
    }
    runs(layout, gram).into_iter().for_each(|run| sources[run].fill(Source::Combined));
    let of_chunk = |(i, chunk): (usize, &[Source])| {
        let mut start = i * CHUNK;
        let run = |run: &[Source]| {
            let place = start..start + run.len();
            start = place.end;
            (place, run[0])
        };
        chunk.chunk_by(PartialEq::eq).map(run).collect()
    };
    sources.chunks(CHUNK).enumerate().map(of_chunk).collect()
}
