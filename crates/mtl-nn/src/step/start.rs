//! Where the weighted pass starts: beneath the towers, which the passes of single losses have been
//! through already.
//!
//! Columns that one loss alone reaches have a gradient in the weighted pass that is w_t times the
//! one of that loss's own pass. Nodes of such columns that cut every path from the losses to what
//! the weighted pass is for are its roots; in MMoE and PLE these are the last mixtures.

use std::ops::Range;

use crate::reach::Reach;
use crate::{Backward, Graph, NodeId, OpPart, Scalar};

/// Columns of a node that a weighted pass starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StartColumns {
    pub(super) node: NodeId,
    pub(super) columns: Range<usize>,
    /// The one loss that reaches them; `None` if no loss does, or several.
    pub(super) loss: Option<usize>,
}

/// How many losses reach a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    Never,
    By(usize),
    Often,
}

/// The nodes nearest to the losses whose columns each belong to one loss, if together they stand
/// before every part that `is_wanted` says of.
pub(super) fn nodes<S: Scalar>(
    graph: &Graph<S>,
    is_wanted: impl Fn(NodeId, &OpPart) -> bool,
) -> Option<Vec<NodeId>> {
    let reached = reached(graph);
    let may_start = |node: NodeId| {
        let columns = &reached[node.index()];
        graph.nodes()[node.index()].op().keeps_gradient() && !columns.contains(&Reached::Often)
    };
    let roots: Vec<NodeId> = graph.losses().iter().map(|loss| loss.1).collect();
    let (mut found, mut cut) = (Vec::new(), true);
    Reach::walk(graph, &roots, |node, part| {
        if may_start(node) {
            found.push(node);
            return false;
        }
        cut &= !is_wanted(node, part);
        true
    });
    found.sort();
    found.dedup();
    // A start beneath another would count what comes down from there twice.
    let is_apart = |&start: &NodeId| {
        let mut apart = true;
        Reach::walk(graph, &[start], |node, _| {
            apart &= node == start || !found.contains(&node);
            true
        });
        apart
    };
    (cut && !found.is_empty() && found.iter().all(is_apart)).then_some(found)
}

/// The columns of these nodes by the loss that reaches them, if the pass of each loss writes the
/// gradients of its own columns and of no other.
pub(super) fn columns<S: Scalar>(
    graph: &Graph<S>,
    nodes: &[NodeId],
    schedules: &[Backward],
) -> Option<Vec<StartColumns>> {
    let reached = reached(graph);
    let mut start = Vec::new();
    for &node in nodes {
        let mut end = 0;
        for run in reached[node.index()].chunk_by(PartialEq::eq) {
            let columns = end..end + run.len();
            end = columns.end;
            let loss = if let Reached::By(loss) = run[0] { Some(loss) } else { None };
            for (t, schedule) in schedules.iter().enumerate() {
                let written = schedule.written(node).get(columns.clone()).unwrap_or_default();
                let right = match loss == Some(t) {
                    true => !written.is_empty() && !written.contains(&false),
                    false => !written.contains(&true),
                };
                if !right {
                    return None;
                }
            }
            start.push(StartColumns { node, columns, loss });
        }
    }
    Some(start)
}

/// The columns that several losses reach and that are met first on the paths from them, but for
/// nodes that another of these is computed from.
pub(super) fn representation<S: Scalar>(graph: &Graph<S>) -> Vec<StartColumns> {
    let reached = reached(graph);
    let roots: Vec<NodeId> = graph.losses().iter().map(|loss| loss.1).collect();
    let mut found: Vec<(NodeId, Range<usize>)> = Vec::new();
    Reach::walk(graph, &roots, |node, part| {
        let columns = &reached[node.index()][part.columns.clone()];
        let is_shared = columns.contains(&Reached::Often);
        if is_shared {
            found.push((node, part.columns.clone()));
        }
        !is_shared
    });
    let is_beneath = |node: NodeId| {
        let others: Vec<NodeId> =
            found.iter().map(|(other, _)| *other).filter(|&other| other != node).collect();
        let mut beneath = false;
        Reach::walk(graph, &others, |visited, _| {
            beneath |= visited == node;
            true
        });
        beneath
    };
    let last = found.iter().filter(|(node, _)| !is_beneath(*node));
    let mut last: Vec<_> = last.cloned().collect();
    last.sort_by_key(|(node, columns)| (*node, columns.start));
    let mut runs = Vec::new();
    for (node, part) in last {
        let mut end = part.start;
        for run in reached[node.index()][part].chunk_by(PartialEq::eq) {
            let columns = end..end + run.len();
            end = columns.end;
            if run[0] == Reached::Often {
                runs.push(StartColumns { node, columns, loss: None });
            }
        }
    }
    runs
}

fn reached<S: Scalar>(graph: &Graph<S>) -> Vec<Vec<Reached>> {
    let mut reached: Vec<Vec<Reached>> =
        graph.widths().iter().map(|&n| vec![Reached::Never; n]).collect();
    for (t, &(_, root)) in graph.losses().iter().enumerate() {
        let reach = Reach::walk(graph, &[root], |_, _| true);
        for (i, columns) in reached.iter_mut().enumerate() {
            for (c, column) in columns.iter_mut().enumerate() {
                if reach.any(NodeId(i as u32), c..c + 1) {
                    *column = match *column {
                        Reached::Never => Reached::By(t),
                        _ => Reached::Often,
                    };
                }
            }
        }
    }
    reached
}
