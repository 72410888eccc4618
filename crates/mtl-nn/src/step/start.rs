//! Where the weighted pass starts: beneath what one loss alone reaches, which the pass of that loss
//! has been through already.
//!
//! Columns that one loss alone reaches have a gradient in the weighted pass that is w_t times the
//! one of that loss's own pass. So of the parts of ops that one loss reaches the weighted pass runs
//! only those that read what several losses reach, and goes on from the gradients that are there:
//! those of the output, where an op leaves them alone (mixtures), or what it leaves in their place
//! (first layers of gates and towers: [`crate::Op::resumes`]).

use std::ops::Range;

use super::division::Parameters;
use crate::backward::Resumed;
use crate::reach::{Reach, beneath};
use crate::{Backward, Graph, NodeId, OpPart, Ownership, ParamId, Role, Scalar, Wanted};

/// Some columns of a node.
pub(super) type Columns = (NodeId, Range<usize>);

/// Where the weighted pass starts.
#[derive(Debug)]
pub(super) struct Start {
    /// Columns whose gradients are there, and the loss whose pass computes them.
    scaled: Vec<(Columns, usize)>,
    /// Columns of parts that go on from what an op left, and the loss whose pass leaves it.
    left: Vec<(Columns, usize)>,
    /// By loss: the weights of such parts, whose gradients are put off to the weighted pass.
    put_off: Vec<Vec<ParamId>>,
    resumed: Resumed,
}

impl Start {
    /// The start of a pass for `wanted`, which several losses reach; `None` if it must begin at a
    /// loss.
    pub(super) fn find<S: Scalar>(
        graph: &Graph<S>,
        ownership: &Ownership,
        wanted: &Parameters,
    ) -> Option<Self> {
        let mut search = Search::new(graph, ownership, wanted);
        for i in 0..graph.nodes().len() {
            search.visit(NodeId(i as u32));
        }
        let open = &search.start.resumed.open;
        let is_open = |loss: &(String, NodeId)| open[loss.1.index()].contains(&true);
        (!graph.losses().iter().any(is_open)).then_some(search.start)
    }

    /// Columns whose gradients are to be multiplied by the weights of their losses before the pass.
    pub(super) fn scaled(&self) -> &[(Columns, usize)] {
        &self.scaled
    }

    /// The weights of a loss that its own pass leaves out.
    pub(super) fn put_off(&self, loss: usize) -> &[ParamId] {
        &self.put_off[loss]
    }

    /// Adds what the pass of a loss must leave.
    pub(super) fn want(&self, loss: usize, mut wanted: Wanted) -> Wanted {
        for ((node, columns), _) in self.scaled.iter().filter(|(_, of)| *of == loss) {
            wanted = wanted.columns(*node, columns.clone());
        }
        for ((node, columns), _) in self.left.iter().filter(|(_, of)| *of == loss) {
            wanted = wanted.left(*node, columns.clone());
        }
        wanted
    }

    /// The weighted pass for `wanted`, if the pass of each loss writes the gradients of its own
    /// columns and of no other.
    pub(super) fn schedule<S: Scalar>(
        &self,
        graph: &Graph<S>,
        wanted: Wanted,
        schedules: &[Backward],
    ) -> Option<Backward> {
        let starts = self.scaled.iter().chain(&self.left);
        for (((node, columns), loss), (t, schedule)) in
            starts.flat_map(|start| schedules.iter().enumerate().map(move |pass| (start, pass)))
        {
            let written = schedule.written(*node).get(columns.clone()).unwrap_or_default();
            let is_right = match *loss == t {
                true => !written.is_empty() && !written.contains(&false),
                false => !written.contains(&true),
            };
            if !is_right {
                return None;
            }
        }
        let wanted = self.put_off.iter().fold(wanted, |wanted, weights| wanted.params(weights));
        Backward::resuming(graph, &self.resumed, &wanted)
    }
}

/// Goes through the parts of a graph from the inputs to the losses.
struct Search<'a, S> {
    graph: &'a Graph<S>,
    ownership: &'a Ownership,
    wanted: &'a Parameters,
    /// By parameter: how many parts read it.
    uses: Vec<usize>,
    beneath: Vec<Vec<bool>>,
    reached: Vec<Vec<Reached>>,
    start: Start,
}

impl<'a, S: Scalar> Search<'a, S> {
    fn new(graph: &'a Graph<S>, ownership: &'a Ownership, wanted: &'a Parameters) -> Self {
        let none: Vec<Vec<bool>> = graph.widths().iter().map(|&n| vec![false; n]).collect();
        let beneath = beneath(graph, &none, |node, part| is_wanted(graph, wanted, node, part));
        let mut uses = vec![0; graph.layout().params().len()];
        for op in graph.nodes().iter().map(|node| node.op()) {
            for part in op.parts() {
                part.params.iter().for_each(|&p| uses[op.params()[p].index()] += 1);
            }
        }
        let reached = reached(graph);
        let often = |columns: &Vec<Reached>| columns.iter().map(|c| *c == Reached::Often).collect();
        let resumed = Resumed {
            live: Vec::new(),
            losses: Vec::new(),
            given: none,
            open: reached.iter().map(often).collect(),
        };
        let put_off = vec![Vec::new(); graph.losses().len()];
        let start = Start { scaled: Vec::new(), left: Vec::new(), put_off, resumed };
        Self { graph, ownership, wanted, uses, beneath, reached, start }
    }

    fn visit(&mut self, node: NodeId) {
        let (mut live, mut losses) = (Vec::new(), Vec::new());
        for part in self.graph.nodes()[node.index()].op().parts() {
            let runs = self.runs(node, &part);
            live.push(runs);
            losses.push(if runs { self.begin(node, &part) } else { None });
        }
        self.start.resumed.live.push(live);
        self.start.resumed.losses.push(losses);
    }

    /// Whether the weighted pass runs a part: it leads to something wanted, and not only through
    /// what one loss alone reaches.
    fn runs(&self, node: NodeId, part: &OpPart) -> bool {
        let (inputs, open) =
            (self.graph.nodes()[node.index()].op().inputs(), &self.start.resumed.open);
        let reads_open = part.inputs.iter().any(|(input, range)| {
            let (var, from) = (inputs[*input], inputs[*input].node().index());
            (range.start..range.end)
                .map(|column| var.start() + column)
                .any(|column| open[from][column] && self.beneath[from][column])
        });
        let is_reached = |column: &Reached| *column != Reached::Never;
        self.reached[node.index()][part.columns.clone()].iter().any(is_reached)
            && (reads_open || is_wanted(self.graph, self.wanted, node, part))
    }

    /// Notes where a part that runs gets its gradient from; gives the loss if it goes on from what
    /// its op left.
    fn begin(&mut self, node: NodeId, part: &OpPart) -> Option<usize> {
        let op = self.graph.nodes()[node.index()].op();
        let columns = part.columns.clone();
        let owner = owner(&self.reached[node.index()][columns.clone()]);
        let start = &mut self.start;
        let resumes = op.resumes() && !is_wanted(self.graph, self.wanted, node, part);
        let Some(loss) = owner.filter(|_| op.keeps_gradient() || resumes) else {
            start.resumed.open[node.index()][columns].fill(true);
            return None;
        };
        start.resumed.given[node.index()][columns.clone()].fill(true);
        if op.keeps_gradient() {
            start.scaled.push(((node, columns), loss));
            return None;
        }
        start.left.push(((node, columns), loss));
        let (layout, ownership) = (self.graph.layout(), self.ownership);
        let is_put_off = |&p: &ParamId| {
            let is_weight = layout.param(p).role == Role::Weight;
            is_weight && ownership.param(p) == [loss] && self.uses[p.index()] == 1
        };
        let params = part.params.iter().map(|&p| op.params()[p]);
        start.put_off[loss].extend(params.filter(is_put_off));
        Some(loss)
    }
}

fn is_wanted<S: Scalar>(
    graph: &Graph<S>,
    wanted: &Parameters,
    node: NodeId,
    part: &OpPart,
) -> bool {
    let op = graph.nodes()[node.index()].op();
    part.params.iter().any(|&p| wanted.0.contains(&op.params()[p]))
        || part.lookups.iter().any(|&l| wanted.1.contains(&op.lookups()[l].table))
}

/// How many losses reach a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    Never,
    By(usize),
    Often,
}

/// The one loss that reaches these columns.
fn owner(columns: &[Reached]) -> Option<usize> {
    let mut reached = columns.iter().filter(|column| **column != Reached::Never);
    let first = reached.next()?;
    match *first {
        Reached::By(loss) if reached.all(|column| column == first) => Some(loss),
        _ => None,
    }
}

/// The columns that several losses reach and that are met first on the paths from them, but for
/// nodes that another of these is computed from.
pub(super) fn representation<S: Scalar>(graph: &Graph<S>) -> Vec<Columns> {
    let reached = reached(graph);
    let roots: Vec<NodeId> = graph.losses().iter().map(|loss| loss.1).collect();
    let mut found: Vec<Columns> = Vec::new();
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
                runs.push((node, columns));
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::layers::{Activation, Mlp, Stack, build_stacks};
    use crate::ops::{Bce, RowLoss, Sigmoid};
    use crate::step::Shared;
    use crate::step::per_loss::PerLoss;
    use crate::{GraphBuilder, Result, Var};

    /// Towers over a shared bottom; what the losses read is made of logits by `last`.
    fn graph(
        last: impl Fn(&mut GraphBuilder<f64>, &str, Var) -> Result<Var>,
    ) -> Result<Arc<Graph<f64>>> {
        let mut b = GraphBuilder::new();
        let x = b.values("x", 3)?;
        let x = b.read(x)?;
        let h = Mlp::new(&[5, 4], Activation::Relu).build(&mut b, "bottom", x)?;
        let tower = |task: &str| Stack {
            path: format!("task.{task}"),
            input: h,
            layers: Mlp::new(&[3, 1], Activation::Relu).layers(),
        };
        let logits = build_stacks(&mut b, "towers", vec![tower("a"), tower("b")])?;
        for (task, z) in ["a", "b"].into_iter().zip(logits) {
            let z = last(&mut b, task, z)?;
            let label = b.values(&format!("label.{task}"), 1)?;
            let loss = b.push(&format!("loss.{task}"), RowLoss::new(Bce, z, label, None))?;
            b.loss(task, loss)?;
        }
        Ok(Arc::new(b.finish()))
    }

    /// The nodes that a weighted pass runs, from the losses down.
    fn weighted_nodes(graph: &Graph<f64>) -> Vec<String> {
        let (per_loss, weighted) = PerLoss::new(graph, &Ownership::of(graph), Shared::LastLayer);
        assert!(per_loss.start().is_some());
        let items = weighted.phases().iter().flatten();
        let node = |item: &crate::plan::Item| match *item {
            crate::plan::Item::Run(i) | crate::plan::Item::Gather(i) => weighted.step(i).node,
        };
        items.map(|item| graph.nodes()[node(item).index()].name().to_owned()).collect()
    }

    #[test]
    fn a_weighted_pass_goes_on_from_the_first_layers_of_the_towers() -> Result<()> {
        let graph = graph(|_, _, z| Ok(z))?;
        assert_eq!(weighted_nodes(&graph), ["towers.0", "bottom.1", "bottom.0"]);
        let ownership = Ownership::of(&graph);
        let left = (graph.layout().find("bottom.0.weight")?, graph.layout().find("bottom.0.bias")?);
        let (crate::Entry::Param(weight), crate::Entry::Param(bias)) = left else { return Ok(()) };
        let Some(start) = Start::find(&graph, &ownership, &(vec![weight, bias], Vec::new())) else {
            panic!("the towers' first layers are a start");
        };
        assert!(start.scaled.is_empty());
        for (loss, path) in ["task.a.0.weight", "task.b.0.weight"].into_iter().enumerate() {
            let crate::Entry::Param(expected) = graph.layout().find(path)? else { continue };
            assert_eq!(start.put_off(loss), [expected]);
        }
        Ok(())
    }

    /// A sigmoid is no place to start, and neither is a layer above one that runs.
    #[test]
    fn what_cannot_be_gone_on_from_is_run_again() -> Result<()> {
        let mut b = GraphBuilder::new();
        let x = b.values("x", 3)?;
        let x = b.read(x)?;
        let h = Mlp::new(&[4, 2], Activation::Relu).build(&mut b, "bottom", x)?;
        for (i, task) in ["a", "b"].into_iter().enumerate() {
            let p = b.push(&format!("p.{task}"), Sigmoid::new(h.columns(0, 2 - i)))?;
            let z =
                Mlp::new(&[1], Activation::Linear).build(&mut b, &format!("tower.{task}"), p)?;
            let label = b.values(&format!("label.{task}"), 1)?;
            let loss = b.push(&format!("loss.{task}"), RowLoss::new(Bce, z, label, None))?;
            b.loss(task, loss)?;
        }
        let graph = b.finish();
        let nodes = weighted_nodes(&graph);
        let expected = ["tower.b.0", "p.b", "tower.a.0", "p.a", "bottom.1", "bottom.0"];
        assert_eq!(nodes, expected);
        Ok(())
    }
}
