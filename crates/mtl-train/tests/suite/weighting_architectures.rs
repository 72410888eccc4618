//! The engine under every architecture: a weighed step's update and Gram matrix against the plain
//! gradients of single losses, with dropout, batch normalisation, two shards and an absent task.

use std::sync::Arc;

use mtl_arch::{ArchitectureConfig, Counts, InputKind, Inputs, NAMES, PerLevel, architecture};
use mtl_nn::ops::{Bce, Domains, Embed, Part, RowLoss};
use mtl_nn::{
    Batch, Entry, Graph, GraphBuilder, Init, LossWeights, Optimiser, OptimiserConfig, Ownership,
    Params, Rule, Seen, Shared, Step, Weigh,
};

type Anything = Box<dyn std::error::Error>;

const TASKS: [&str; 3] = ["a", "b", "c"];
const ROWS: usize = 300;
const SEED: u64 = 11;
const LR: f64 = 0.1;

#[test]
fn a_weighed_update_is_the_weighted_sum_of_single_gradients() -> Result<(), Anything> {
    for name in NAMES {
        for batch_norm in [false, true] {
            let graph = Arc::new(graph(name, batch_norm)?);
            for shared in [Shared::LastLayer, Shared::Dense, Shared::All, Shared::Representation] {
                check(&graph, shared)
                    .map_err(|e| format!("{name}, batch_norm {batch_norm}, {shared:?}: {e}"))?;
            }
        }
    }
    Ok(())
}

fn check(graph: &Arc<Graph<f64>>, shared: Shared) -> Result<(), Anything> {
    let mut params = Params::<f64>::init(graph.layout(), 5);
    let mut optimiser = sgd(graph)?;
    let mut step = Step::weighed(Arc::clone(graph), Some(shared))?;
    let user = [1.0, 2.0, 0.5];
    let mut given = Given { shared: [0.3, -0.2, 0.7], own: [1.0, 0.5, 2.0], gram: Vec::new() };
    // What the first step leaves in the buffers must not reach the second, which has no task `b`.
    for without in [None, Some("b"), None] {
        let batch = batch(graph, without);
        let single: Vec<_> = (0..TASKS.len())
            .map(|t| gradients_of(graph, &params, &optimiser, &batch, t))
            .collect::<Result<_, _>>()?;
        let before = params.clone();
        step.run_weighed(&mut params, &mut optimiser, &batch, (&user, &mut given), SEED)?;
        check_update(graph, &before, &params, &single, &user, &given)?;
        if matches!(shared, Shared::Dense | Shared::All) {
            check_gram(graph, shared, &single, &user, &given.gram)?;
        }
    }
    Ok(())
}

fn check_update(
    graph: &Graph<f64>,
    before: &Params<f64>,
    after: &Params<f64>,
    single: &[Vec<Vec<f64>>],
    user: &[f64; 3],
    given: &Given,
) -> Result<(), Anything> {
    for (p, path) in graph.layout().paths().enumerate() {
        let losses = losses_of(graph, path)?;
        let weights = if losses.len() > 1 { &given.shared } else { &given.own };
        if single[0][p].is_empty() {
            continue; // running statistics
        }
        let pairs = before.get(path)?.into_iter().zip(after.get(path)?).enumerate();
        for (i, (before, after)) in pairs {
            let g: f64 = losses.iter().map(|&t| user[t] * weights[t] * single[t][p][i]).sum();
            let slack = (after - (before - LR * g)).abs();
            if slack.is_nan() || slack > 1e-12 {
                return Err(format!("{path} [{i}] is off by {slack:e}").into());
            }
        }
    }
    Ok(())
}

fn check_gram(
    graph: &Graph<f64>,
    shared: Shared,
    single: &[Vec<Vec<f64>>],
    user: &[f64; 3],
    gram: &[f64],
) -> Result<(), Anything> {
    let mut over = Vec::new();
    for (p, path) in graph.layout().paths().enumerate() {
        let is_table = matches!(graph.layout().find(path)?, Entry::Table(_));
        if losses_of(graph, path)?.len() > 1 && (shared == Shared::All || !is_table) {
            over.push(p);
        }
    }
    for (i, j) in (0..3).flat_map(|i| (0..3).map(move |j| (i, j))) {
        let values = over.iter().flat_map(|&p| single[i][p].iter().zip(&single[j][p]));
        let expected = user[i] * user[j] * values.map(|(x, y)| x * y).sum::<f64>();
        let found = gram[3 * i + j];
        if (found - expected).abs() > 1e-12 {
            return Err(format!("G[{i}][{j}] is {found}, expected {expected}").into());
        }
    }
    Ok(())
}

/// Answers with weights given beforehand.
struct Given {
    shared: [f64; 3],
    own: [f64; 3],
    gram: Vec<f64>,
}

impl Weigh for Given {
    fn weigh(
        &mut self,
        seen: &Seen<'_>,
        out: &mut LossWeights,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.gram = seen.gram.map(<[f64]>::to_vec).unwrap_or_default();
        out.shared.copy_from_slice(&self.shared);
        out.own.copy_from_slice(&self.own);
        Ok(())
    }
}

/// The plain gradient of one loss, by path; none for running statistics.
fn gradients_of(
    graph: &Arc<Graph<f64>>,
    params: &Params<f64>,
    optimiser: &Optimiser<f64>,
    batch: &Batch<f64>,
    t: usize,
) -> Result<Vec<Vec<f64>>, Anything> {
    let mut weights = [0.0; TASKS.len()];
    weights[t] = 1.0;
    let mut step = Step::new(Arc::clone(graph))?;
    step.gradients(params, optimiser, batch, &weights, SEED)?;
    let one = |path: &str| -> Result<Vec<f64>, Anything> {
        Ok(match graph.layout().find(path)? {
            Entry::Param(id) if graph.layout().param(id).role == mtl_nn::Role::State => Vec::new(),
            Entry::Param(id) => {
                let g = step.dense_gradient(id);
                (0..g.rows()).flat_map(|r| g.row(r).to_vec()).collect()
            }
            Entry::Table(id) => {
                let (spec, sparse) = (graph.layout().table(id), step.table_gradient(id));
                let mut whole = vec![0.0; spec.rows * spec.dim];
                for (&id, row) in sparse.ids().iter().zip(sparse.rows().chunks(spec.dim)) {
                    let start = id as usize * spec.dim;
                    whole[start..start + spec.dim].copy_from_slice(row);
                }
                whole
            }
        })
    };
    graph.layout().paths().map(one).collect()
}

fn losses_of(graph: &Graph<f64>, path: &str) -> Result<Vec<usize>, Anything> {
    let ownership = Ownership::of(graph);
    Ok(match graph.layout().find(path)? {
        Entry::Param(id) => ownership.param(id).to_vec(),
        Entry::Table(id) => ownership.table(id).to_vec(),
    })
}

fn sgd(graph: &Graph<f64>) -> Result<Optimiser<f64>, Anything> {
    let dense = Rule::Sgd { lr: LR, momentum: 0.0 };
    Ok(Optimiser::new(OptimiserConfig { dense, ..OptimiserConfig::default() }, graph.layout())?)
}

fn graph(name: &str, batch_norm: bool) -> Result<Graph<f64>, Anything> {
    let mut b = GraphBuilder::new();
    let mut parts = Vec::new();
    for (name, n) in [("item", 20), ("place", 7)] {
        let slot = b.ids(name);
        let table = b.table(format!("embedding.{name}.table"), n, 3, Init::Uniform(0.5))?;
        parts.push(Part::Lookup { slot, table, dim: 3 });
    }
    let price = b.values("price", 2)?;
    parts.push(Part::Values { slot: price, n_cols: 2 });
    let x = b.push("x", Embed::new(parts))?;
    let config = ArchitectureConfig {
        bottom_units: Some(vec![5, 4]),
        expert_units: Some(vec![5, 4]),
        gate_units: Some(vec![4, 3]),
        tower_units: Some(vec![4, 3]),
        experts: Some(3),
        shared_experts: Some(PerLevel::All(2)),
        task_experts: Some(PerLevel::All(Counts::All(2))),
        sequence: Some(["c", "a", "b"].map(str::to_owned).to_vec()),
        batch_norm,
        ..ArchitectureConfig::default()
    };
    let architecture = architecture(name, &config, &TASKS)?;
    let inputs = match architecture.input_kind() {
        InputKind::Domain => Inputs::Domain { x, domains: Domains { slot: b.ids("place"), n: 7 } },
        _ => Inputs::Shared(x),
    };
    let built = architecture.build(&mut b, &inputs)?;
    for (task, z) in built.logits.clone() {
        let label = b.values(&task, 1)?;
        let mut loss = RowLoss::new(Bce, z, label, None);
        if let Some(penalty) = built.penalty(&task) {
            loss = loss.plus(penalty.rows);
        }
        let loss = b.push(&format!("loss.{task}"), loss)?;
        b.loss(&task, loss)?;
    }
    Ok(b.finish())
}

fn batch(graph: &Graph<f64>, without: Option<&str>) -> Batch<f64> {
    let value = |i: usize, key: usize| ((i * 31 + key * 17) as f64 * 0.377).sin();
    let mut batch = Batch::for_graph(graph);
    batch.rows = ROWS;
    for (key, ids) in batch.ids.iter_mut().enumerate() {
        *ids = (0..ROWS).map(|i| ((i * i + key) % (7 - key)) as u32).collect();
    }
    for (key, spec) in graph.value_slots().iter().enumerate() {
        let values = (0..ROWS * spec.n_cols).map(|i| value(i, key));
        batch.values[key] = match spec.name.as_str() {
            "price" => values.collect(),
            task if Some(task) == without => vec![f64::NAN; ROWS],
            _ => values.map(|v| if v > 0.8 { f64::NAN } else { f64::from(v > 0.0) }).collect(),
        };
    }
    batch
}
