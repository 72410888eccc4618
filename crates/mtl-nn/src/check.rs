//! Finite differences: the test that every op passes, in f64.

use std::sync::Arc;

use crate::{
    Batch, Entry, Error, GraphBuilder, Ids, Mat, Mode, NodeId, Optimiser, OptimiserConfig, Params,
    Result, Step, Var, Wanted, Workspace, kernel,
};

/// Rows of the batch: more than a shard's, and not a multiple, so that several shards of
/// different sizes are always tested.
const ROWS: usize = 8;
const SHARD: usize = 3;
const STEP: f64 = 1e-5;

/// Compares the gradients of Σ c·y, over all values y of `roots` with arbitrary coefficients c,
/// with central differences: for every parameter, every table row and every value slot of the
/// graph (slots named `label…` or `weight…` aside, which take labels and weights, and no gradient).
///
/// # Errors
/// Those of the graph.
///
/// # Panics
/// If a gradient differs by more than 1e-7 (relative to 1 + its size): that is the test.
pub fn gradients(builder: GraphBuilder<f64>, roots: &[Var]) -> Result<()> {
    let graph = Arc::new(builder.finish());
    let nodes: Vec<NodeId> = roots.iter().map(|v| v.node()).collect();
    let mut wanted = Wanted::all(&graph);
    let mut reads = Vec::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        if node.op().kind() == "read" {
            wanted = wanted.node(NodeId(i as u32));
            reads.push((NodeId(i as u32), node.op().value_slots()[0]));
        }
    }
    let mut checked = Checked {
        params: Params::init(graph.layout(), 7),
        batch: example(&graph),
        step: Step::with(Arc::clone(&graph), &nodes, &wanted, SHARD, true),
        roots: roots.to_vec(),
        coefficients: nodes
            .iter()
            .map(|n| noise(n.index() as u64, ROWS * graph.nodes()[n.index()].n_cols()))
            .collect(),
    };
    let optimiser = Optimiser::new(OptimiserConfig::default(), graph.layout())?;
    checked.run(&optimiser)?;
    checked.check_params()?;
    for (node, slot) in reads {
        let width = graph.nodes()[node.index()].n_cols();
        checked.run(&optimiser)?; // the last difference left gradients of a nudged batch
        let exact = checked.gathered(|workspace| workspace.gradient(&graph, node));
        for i in 0..ROWS * width {
            let at = slot.index();
            let difference = checked.difference(|c| &mut c.batch.values[at][i]);
            let name = &graph.value_slots()[at].name;
            compare(&format!("slot `{name}` [{}, {}]", i / width, i % width), exact[i], difference);
        }
    }
    Ok(())
}

struct Checked {
    params: Params<f64>,
    batch: Batch<f64>,
    step: Step<f64>,
    roots: Vec<Var>,
    coefficients: Vec<Vec<f64>>,
}

impl Checked {
    const MODE: Mode = Mode::Train { seed: 3, step: 1 };

    fn run(&mut self, optimiser: &Optimiser<f64>) -> Result<()> {
        self.batch.check(self.step.graph(), self.step.plan())?;
        self.step.run_seeded(&self.params, &self.batch, Self::MODE, &self.coefficients);
        self.step.reduce_seeded(&self.params, optimiser, &self.batch);
        Ok(())
    }

    /// A matrix of every shard, one after another.
    fn gathered(&mut self, of: impl Fn(&Workspace<f64>) -> Mat<'_, f64>) -> Vec<f64> {
        let rows = |m: Mat<'_, f64>| (0..m.rows()).flat_map(|r| m.row(r).to_vec()).collect();
        self.step.workspaces().flat_map(|w| -> Vec<f64> { rows(of(w)) }).collect()
    }

    /// Σ c·y at the current values.
    fn total(&mut self) -> f64 {
        self.step.run_seeded(&self.params, &self.batch, Self::MODE, &self.coefficients);
        let graph = Arc::clone(self.step.graph());
        let roots = std::mem::take(&mut self.roots);
        let mut total = 0.0;
        for (root, coefficients) in roots.iter().zip(&self.coefficients.clone()) {
            let values = self.gathered(|workspace| workspace.value(&graph, *root));
            total += values.iter().zip(coefficients).map(|(y, c)| y * c).sum::<f64>();
        }
        self.roots = roots;
        total
    }

    fn difference(&mut self, at: impl Fn(&mut Self) -> &mut f64) -> f64 {
        let value = *at(self);
        *at(self) = value + STEP;
        let above = self.total();
        *at(self) = value - STEP;
        let below = self.total();
        *at(self) = value;
        (above - below) / (2.0 * STEP)
    }

    fn check_params(&mut self) -> Result<(), Error> {
        let layout = Arc::clone(self.params.layout());
        for path in layout.paths() {
            match layout.find(path)? {
                Entry::Param(id) if layout.param(id).role == crate::Role::State => {}
                Entry::Param(id) => {
                    let (rows, cols) = (layout.param(id).rows, layout.param(id).cols);
                    for (r, c) in (0..rows).flat_map(|r| (0..cols).map(move |c| (r, c))) {
                        let exact = self.step.dense_gradient(id).row(r)[c];
                        let difference = self.difference(|s| s.params.param_value_mut(id, r, c));
                        compare(&format!("`{path}` [{r}, {c}]"), exact, difference);
                    }
                }
                Entry::Table(id) => {
                    let dim = layout.table(id).dim;
                    for i in 0..layout.table(id).rows * dim {
                        let sparse = self.step.table_gradient(id);
                        let row = sparse.find((i / dim) as u32);
                        let exact = row.map_or(0.0, |row| sparse.rows()[row * dim + i % dim]);
                        let difference = self.difference(|s| &mut s.params.table_mut(id)[i]);
                        compare(&format!("`{path}` [{}, {}]", i / dim, i % dim), exact, difference);
                    }
                }
            }
        }
        Ok(())
    }
}

fn compare(what: &str, exact: f64, difference: f64) {
    let slack = 1e-7 * (1.0 + exact.abs());
    assert!(
        (exact - difference).abs() <= slack,
        "{what}: gradient {exact:e}, central difference {difference:e}"
    );
}

/// Values in (−1, 1) that repeat on no axis.
fn noise(key: u64, n: usize) -> Vec<f64> {
    let bits = |i: usize| kernel::hash(key.wrapping_add(11), i as u64) >> 11;
    (0..n).map(|i| bits(i) as f64 / (1u64 << 52) as f64 - 1.0).collect()
}

/// Values, labels in {0, 1} with one missing, positive weights with one 0, and small ids (0 and 1
/// where no table is read by them).
fn example(graph: &crate::Graph<f64>) -> Batch<f64> {
    let mut batch = Batch::for_graph(graph);
    batch.rows = ROWS;
    for (i, spec) in graph.value_slots().iter().enumerate() {
        let mut values = noise(i as u64 + 100, ROWS * spec.n_cols);
        if spec.name.starts_with("label") {
            values.iter_mut().for_each(|v| *v = f64::from(*v > 0.0));
            values[2] = f64::NAN;
        } else if spec.name.starts_with("weight") {
            values.iter_mut().for_each(|v| *v = v.abs() + 0.1);
            values[5] = 0.0;
        }
        batch.values[i] = values;
    }
    let plan = crate::Plan::new(
        graph,
        &(0..graph.nodes().len()).map(|i| NodeId(i as u32)).collect::<Vec<_>>(),
        true,
    );
    for (i, ids) in batch.ids.iter_mut().enumerate() {
        let tables =
            plan.lookups().iter().filter(|l| matches!(l.ids, Ids::One(s) if s.index() == i));
        let rows = tables.map(|l| graph.layout().table(l.table).rows).min().unwrap_or(2);
        let bits = (0..ROWS).map(|r| kernel::hash(i as u64, r as u64));
        ids.extend(bits.map(|bits| (bits % rows as u64) as u32));
    }
    for (i, lists) in batch.lists.iter_mut().enumerate() {
        let reads = |ids| matches!(ids, Ids::List(slot) if slot.index() == i);
        let tables = plan.lookups().iter().filter(|lookup| reads(lookup.ids));
        let n_ids = tables.map(|l| graph.layout().table(l.table).rows).min().unwrap_or(1);
        let longest = graph.list_slots()[i].max_length;
        for r in 0..ROWS {
            // Empty, full and in between, with ids that come again in one list and in others.
            let bits = |j: usize| kernel::hash((i + 50) as u64, (r * 1000 + j) as u64) as usize;
            let length = (r * 3) % (longest + 1);
            let list: Vec<u32> = (0..length).map(|j| (bits(j) % n_ids) as u32).collect();
            lists.push(&list);
        }
    }
    batch
}
