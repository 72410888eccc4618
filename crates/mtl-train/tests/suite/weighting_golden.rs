//! The first three updates of a small MMoE under every method, against the float64 reference of
//! `golden_weighting/generate.py`: losses, Gram matrix, weights, and every parameter in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mtl_arch::{ArchitectureConfig, Inputs, architecture};
use mtl_loss::WeightingConfig;
use mtl_nn::ops::{Bce, Embed, Part, RowLoss, SquaredError};
use mtl_nn::{
    Batch, Graph, GraphBuilder, Init, Optimiser, OptimiserConfig, Params, Rule, Step, TableUpdate,
};
use mtl_train::{SharedParameters, Weighting};
use serde::Deserialize;

type Anything = Box<dyn std::error::Error>;

const TASKS: [&str; 3] = ["buy", "click", "like"];
const TABLES: [(&str, usize); 2] = [("kind", 4), ("place", 5)];
const TOLERANCE: f64 = 1e-8;

#[derive(Deserialize)]
struct Golden {
    initial_losses: Vec<f64>,
    user_weights: Vec<f64>,
    start: BTreeMap<String, Vec<Vec<f64>>>,
    batches: Vec<GoldenBatch>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct GoldenBatch {
    ids: BTreeMap<String, Vec<u32>>,
    labels: BTreeMap<String, Vec<Option<f64>>>,
}

#[derive(Deserialize)]
struct Case {
    config: WeightingConfig,
    shared: SharedParameters,
    steps: Vec<GoldenStep>,
    end: BTreeMap<String, Vec<Vec<f64>>>,
}

#[derive(Deserialize)]
struct GoldenStep {
    losses: Vec<f64>,
    gram: Vec<f64>,
    shared: Vec<f64>,
    own: Vec<f64>,
}

#[test]
fn every_methods_first_updates_equal_the_reference() -> Result<(), Anything> {
    let golden: Golden = serde_json::from_str(include_str!("../golden_weighting/golden.json"))?;
    // 8 rows repeated 40 times have the same means, and fill two shards.
    for copies in [1, 40] {
        let graph = Arc::new(graph()?);
        let batches: Vec<_> = golden.batches.iter().map(|b| batch(&graph, b, copies)).collect();
        for case in &golden.cases {
            check(&graph, &golden, &batches, case)
                .map_err(|error| format!("{:?}, {:?}: {error}", case.config, case.shared))?;
        }
    }
    Ok(())
}

#[test]
fn no_method_is_without_a_reference() -> Result<(), Anything> {
    let golden: Golden = serde_json::from_str(include_str!("../golden_weighting/golden.json"))?;
    let found: BTreeSet<&str> = golden.cases.iter().map(|case| case.config.name()).collect();
    assert_eq!(found, WeightingConfig::NAMES.iter().copied().collect());
    Ok(())
}

fn check(
    graph: &Arc<Graph<f64>>,
    golden: &Golden,
    batches: &[Batch<f64>],
    case: &Case,
) -> Result<(), Anything> {
    let mut params = Params::<f64>::init(graph.layout(), 1);
    for (path, rows) in &golden.start {
        params.set(path, (rows.len(), rows[0].len()), &rows.concat())?;
    }
    let rule = Rule::Sgd { lr: 0.1, momentum: 0.0 };
    let config =
        OptimiserConfig { dense: rule, table_update: TableUpdate::Lazy, ..Default::default() };
    let mut optimiser = Optimiser::new(config, graph.layout())?;
    let names = TASKS.map(str::to_owned);
    let mut weighting = Weighting::new(&case.config, &names, Some(&golden.initial_losses), rule)?;
    let mut step: Step<f64> = weighting.step(Arc::clone(graph), case.shared)?;
    for (number, (batch, expected)) in batches.iter().zip(&case.steps).enumerate() {
        let user = (&golden.user_weights[..], 1);
        let report = weighting.run(&mut step, &mut params, &mut optimiser, batch, user)?;
        let losses: Vec<f64> =
            report.losses.iter().zip(&golden.user_weights).map(|(l, w)| l * w).collect();
        let at = |what: &str| format!("update {number}: {what}");
        close(&losses, &expected.losses, &at("losses"))?;
        if let Some(gram) = step.gram() {
            close(gram, &expected.gram, &at("Gram matrix"))?;
        }
        close(&step.loss_weights().shared, &expected.shared, &at("shared weights"))?;
        close(&step.loss_weights().own, &expected.own, &at("own weights"))?;
        weighting.end_epoch(); // an epoch of the reference is one step
    }
    for (path, rows) in &case.end {
        let found: Vec<f64> = params.get(path)?.iter().copied().collect();
        close(&found, &rows.concat(), path)?;
    }
    assert_eq!(case.end.len(), graph.layout().params().len() + graph.layout().tables().len());
    Ok(())
}

/// The reference's model: two tables, two experts [3, 2], gates [3, 2], towers [2], no
/// dropout.
fn graph() -> Result<Graph<f64>, Anything> {
    let mut b = GraphBuilder::new();
    let mut parts = Vec::new();
    for (name, n) in TABLES {
        let slot = b.ids(name);
        let table = b.table(format!("embedding.{name}.table"), n, 2, Init::Constant(0.0))?;
        parts.push(Part::Lookup { slot, table, dim: 2 });
    }
    let x = b.push("x", Embed::new(parts))?;
    let config = ArchitectureConfig {
        experts: Some(2),
        expert_units: Some(vec![3, 2]),
        gate_units: Some(vec![3, 2]),
        tower_units: Some(vec![2]),
        dropout: Some(0.0),
        ..ArchitectureConfig::default()
    };
    let mmoe = architecture("mmoe", &config, &TASKS)?;
    for (task, z) in mmoe.build(&mut b, &Inputs::Shared(x))?.logits {
        let label = b.values(&task, 1)?;
        let name = format!("loss.{task}");
        let loss = match task.as_str() {
            "buy" => b.push(&name, RowLoss::new(SquaredError, z, label, None))?,
            _ => b.push(&name, RowLoss::new(Bce, z, label, None))?,
        };
        b.loss(&task, loss)?;
    }
    Ok(b.finish())
}

fn batch(graph: &Graph<f64>, golden: &GoldenBatch, copies: usize) -> Batch<f64> {
    let mut batch = Batch::for_graph(graph);
    for (slot, ids) in graph.id_slots().iter().zip(&mut batch.ids) {
        *ids = golden.ids[&slot.name].repeat(copies);
        batch.rows = ids.len();
    }
    for (slot, labels) in graph.value_slots().iter().zip(&mut batch.values) {
        let column = golden.labels[&slot.name].iter().map(|y| y.unwrap_or(f64::NAN));
        *labels = column.collect::<Vec<_>>().repeat(copies);
    }
    batch
}

fn close(found: &[f64], expected: &[f64], what: &str) -> Result<(), Anything> {
    let error = |(f, e): (&f64, &f64)| (f - e).abs() / (1.0 + e.abs());
    let worst = found.iter().zip(expected).map(error).fold(0.0, f64::max);
    if found.len() == expected.len() && worst <= TOLERANCE {
        return Ok(());
    }
    Err(format!("{what}: {found:?}, expected {expected:?} (error {worst:e})").into())
}
