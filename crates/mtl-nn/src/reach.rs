//! What a node depends on, part by part.
//!
//! One op may compute the layers of several experts or towers side by side. Which parameters a
//! loss reaches is therefore decided by the ops' [`Part`](crate::OpPart)s, not by nodes: a tower
//! of task A stands in one node with that of task B, yet only A's loss reaches it.

use crate::{Graph, NodeId, OpPart, ParamId, Scalar, TableId};

/// The columns of every node that some roots depend on.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    columns: Vec<Vec<bool>>,
}

impl Reach {
    /// Walks back from the roots. `visit` is called once for each part that is reached and says
    /// whether to go on to what the part reads.
    pub(crate) fn walk<S: Scalar>(
        graph: &Graph<S>,
        roots: &[NodeId],
        mut visit: impl FnMut(NodeId, &OpPart) -> bool,
    ) -> Self {
        let widths = graph.widths();
        let mut columns: Vec<Vec<bool>> = widths.iter().map(|&n| vec![false; n]).collect();
        for root in roots {
            columns[root.index()].fill(true);
        }
        for i in (0..widths.len()).rev() {
            if !columns[i].contains(&true) {
                continue;
            }
            let op = graph.nodes()[i].op();
            for part in op.parts() {
                let reached = columns[i][part.columns.clone()].contains(&true);
                if reached && visit(NodeId(i as u32), &part) {
                    for (input, range) in &part.inputs {
                        let var = op.inputs()[*input];
                        let start = var.start() + range.start;
                        columns[var.node().index()][start..var.start() + range.end].fill(true);
                    }
                }
            }
        }
        Self { columns }
    }

    /// Whether some of these columns of a node are reached.
    pub(crate) fn any(&self, node: NodeId, columns: std::ops::Range<usize>) -> bool {
        self.columns[node.index()][columns].contains(&true)
    }
}

/// By node and column: whether something lies beneath that `is_wanted` says of a part, or `columns`
/// of a node that it is computed from.
pub(crate) fn beneath<S: Scalar>(
    graph: &Graph<S>,
    columns: &[Vec<bool>],
    is_wanted: impl Fn(NodeId, &OpPart) -> bool,
) -> Vec<Vec<bool>> {
    let mut beneath: Vec<Vec<bool>> = graph.widths().iter().map(|&n| vec![false; n]).collect();
    for (i, node) in graph.nodes().iter().enumerate() {
        let inputs = node.op().inputs();
        for part in node.op().parts() {
            let leads_on = part.inputs.iter().any(|(input, range)| {
                let (var, from) = (inputs[*input], inputs[*input].node().index());
                let read = var.start() + range.start..var.start() + range.end;
                beneath[from][read.clone()].contains(&true) || columns[from][read].contains(&true)
            });
            if leads_on || is_wanted(NodeId(i as u32), &part) {
                beneath[i][part.columns].fill(true);
            }
        }
    }
    beneath
}

/// Which losses (by position in [`Graph::losses`]) reach each parameter: who shares a parameter is
/// derived from the graph, never declared.
#[derive(Clone, Debug)]
pub struct Ownership {
    params: Vec<Vec<usize>>,
    tables: Vec<Vec<usize>>,
}

impl Ownership {
    /// Of all parameters of a graph.
    pub fn of<S: Scalar>(graph: &Graph<S>) -> Self {
        let layout = graph.layout();
        let mut params = vec![Vec::new(); layout.params().len()];
        let mut tables = vec![Vec::new(); layout.tables().len()];
        for (t, &(_, root)) in graph.losses().iter().enumerate() {
            Reach::walk(graph, &[root], |node, part| {
                let op = graph.nodes()[node.index()].op();
                part.params.iter().for_each(|&p| note(&mut params[op.params()[p].index()], t));
                for &lookup in &part.lookups {
                    note(&mut tables[op.lookups()[lookup].table.index()], t);
                }
                true
            });
        }
        Self { params, tables }
    }

    /// The losses that reach a dense parameter.
    pub fn param(&self, id: ParamId) -> &[usize] {
        &self.params[id.index()]
    }

    /// The losses that reach a table.
    pub fn table(&self, id: TableId) -> &[usize] {
        &self.tables[id.index()]
    }
}

/// Losses come in order, so a repeated one is the last.
fn note(losses: &mut Vec<usize>, t: usize) {
    if losses.last() != Some(&t) {
        losses.push(t);
    }
}
