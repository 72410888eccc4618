//! What does each layer cost in a training step?
//!
//! The gradients of one step, forward and back, of 1,024 rows: each layer stands between its input and a
//! squared error of the sum of its columns. Most read x of 480 columns, whose gradient is wanted as that of
//! embeddings is; `x` is the row without a layer. Every row of the batch has a row of x of its own, so that
//! nothing can be computed once for several. Layers of features have their own tables of ids, with Zipf
//! popularity. Architectures have W1's widths and three tasks. On as many threads as
//! `RAYON_NUM_THREADS` says.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mtl_arch::{Architecture, ArchitectureConfig, InputKind, Inputs, NAMES, architecture};
use mtl_benches::w1::{DIM, LARGE, cardinalities};
use mtl_benches::{Zipf, uniform};
use mtl_moe::{Cgc, CgcInputs, ExpertOrder, Gate, mixture};
use mtl_nn::layers::{Activation, Mlp, Norm, Stack, build_stacks};
use mtl_nn::ops::{
    AddSum, Bce, Domains, Embed, EmbedList, MaxPool, Part, RowLoss, SquaredError, TargetAttention,
    TargetAttentionParams,
};
use mtl_nn::{
    Batch, Graph, GraphBuilder, Ids, Init, ListSlot, Optimiser, OptimiserConfig, Params, Role,
    Step, TableId, Var,
};

const ROWS: usize = 1_024;
const N_IN: usize = 480;
const UNITS: [usize; 2] = [128, 64];
const TASKS: [&str; 3] = ["buy", "click", "like"];
/// Ids of the longest list.
const LONGEST: usize = 20;
/// Rows of the table that lists and their target are read from.
const ITEMS: usize = 7_500;
/// Domains of STAR, that of the unseen included.
const DOMAINS: usize = 6;

type Builder = GraphBuilder<f32>;
type Result<T> = std::result::Result<T, Box<dyn Error>>;
/// Adds a layer with what it reads; its outputs.
type Layer = fn(&mut Builder) -> Result<Vec<Var>>;

const LAYERS: [(&str, Layer); 13] = [
    ("x", |b| Ok(vec![x(b, "x")?])),
    ("dense", |b| mlp(b, &Mlp::new(&UNITS[..1], Activation::Relu).last(Activation::Relu))),
    ("mlp", |b| mlp(b, &Mlp::new(&UNITS, Activation::Relu))),
    ("mlp_dropout", |b| mlp(b, &Mlp::new(&UNITS, Activation::Relu).dropout(0.1))),
    ("mlp_batch_norm", |b| {
        let norm = Norm { momentum: 0.99, epsilon: 1e-3 };
        mlp(b, &Mlp::new(&UNITS, Activation::Relu).norm(norm))
    }),
    ("towers", towers),
    ("experts_and_gates", experts_and_gates),
    ("cgc", cgc),
    ("embed", embed),
    ("list_mean", list_mean),
    ("list_max", |b| {
        let (slot, table) = items(b)?;
        let h = b.push("h", EmbedList::new(slot, LONGEST, table, DIM))?;
        Ok(vec![b.push("pooled", MaxPool::new(h, slot, DIM))?])
    }),
    ("list_din", |b| target_attention(b, false)),
    ("list_din_softmax", |b| target_attention(b, true)),
];

/// x, rows × 480: a row of a table for each row of the batch.
fn x(b: &mut Builder, name: &str) -> Result<Var> {
    let slot = b.ids(&format!("row.{name}"));
    let table = b.table(format!("{name}.table"), ROWS, N_IN, Init::Uniform(0.5))?;
    Ok(b.push(name, Embed::new(vec![Part::Lookup { slot, table, dim: N_IN }]))?)
}

fn mlp(b: &mut Builder, mlp: &Mlp) -> Result<Vec<Var>> {
    let x = x(b, "x")?;
    Ok(vec![mlp.build(b, "mlp", x)?])
}

/// Three towers, each over 64 columns of its own.
fn towers(b: &mut Builder) -> Result<Vec<Var>> {
    let x = x(b, "x")?;
    let tower = |(t, task): (usize, &&str)| Stack {
        path: format!("task.{task}.tower"),
        input: x.columns(64 * t, 64),
        layers: Mlp::new(&[UNITS[0], UNITS[1], 1], Activation::Relu).dropout(0.1).layers(),
    };
    Ok(build_stacks(b, "towers", TASKS.iter().enumerate().map(tower).collect())?)
}

/// Four experts under three gates: what MMoE is made of.
fn experts_and_gates(b: &mut Builder) -> Result<Vec<Var>> {
    let x = x(b, "x")?;
    let layers = Mlp::new(&UNITS, Activation::Relu).dropout(0.1).layers();
    let expert = |k| Stack { path: format!("expert.{k}"), input: x, layers: layers.clone() };
    let gate = |task: &&str| Gate {
        path: format!("task.{task}.gate"),
        input: x,
        hidden: layers.clone(),
        bias: false,
        experts: (0..4).collect(),
    };
    let experts = (0..4).map(expert).collect();
    Ok(mixture(b, "moe", experts, TASKS.iter().map(gate).collect())?.outputs)
}

/// One level: four experts a task, two shared ones, and the shared gate.
fn cgc(b: &mut Builder) -> Result<Vec<Var>> {
    let x = x(b, "x")?;
    let stack = Mlp::new(&UNITS, Activation::Relu).layers();
    let level = Cgc {
        path: "level.0".to_owned(),
        tasks: TASKS.map(str::to_owned).to_vec(),
        task_experts: vec![4; TASKS.len()],
        shared_experts: 2,
        task_expert: stack.clone(),
        shared_expert: stack.clone(),
        task_gate: stack.clone(),
        shared_gate: Some(stack),
        gate_bias: false,
        order: ExpertOrder::OwnFirst,
    };
    let built = level.build(b, &CgcInputs { tasks: vec![x; TASKS.len()], shared: x })?;
    Ok(built.tasks.into_iter().chain(built.shared).collect())
}

/// W1's input: 30 columns of ids.
fn embed(b: &mut Builder) -> Result<Vec<Var>> {
    let mut parts = Vec::new();
    for (i, n) in cardinalities(LARGE).into_iter().enumerate() {
        let slot = b.ids(&format!("feature_{i}"));
        let table = b.table(format!("embedding.feature_{i}.table"), n, DIM, Init::Uniform(0.05))?;
        parts.push(Part::Lookup { slot, table, dim: DIM });
    }
    Ok(vec![b.push("x", Embed::new(parts))?])
}

/// Lists of up to 20 ids, and the table that they name rows of.
fn items(b: &mut Builder) -> Result<(ListSlot, TableId)> {
    let slot = b.lists("history", LONGEST)?;
    Ok((slot, b.table("embedding.item.table", ITEMS, DIM, Init::Uniform(0.05))?))
}

fn list_mean(b: &mut Builder) -> Result<Vec<Var>> {
    let (slot, table) = items(b)?;
    let part = Part::Pooled { slot, table, dim: DIM, mean: true };
    Ok(vec![b.push("pooled", Embed::new(vec![part]))?])
}

/// DIN: a perceptron of 36 units over each pair of an item and the target.
fn target_attention(b: &mut Builder, softmax: bool) -> Result<Vec<Var>> {
    let (slot, table) = items(b)?;
    let target = Part::Lookup { slot: b.ids("item"), table, dim: DIM };
    let t = b.push("t", Embed::new(vec![target]))?;
    let h = b.push("h", EmbedList::new(slot, LONGEST, table, DIM))?;
    let units = vec![36, 1];
    let (mut layers, mut n_in) = (Vec::new(), 4 * DIM);
    for (i, &n) in units.iter().enumerate() {
        let path = format!("attention.{i}");
        let shape = (n_in, n);
        let weight = b.param(format!("{path}.weight"), shape, Role::Weight, Init::GlorotUniform)?;
        let bias = b.param(format!("{path}.bias"), (1, n), Role::Bias, Init::Constant(0.0))?;
        layers.push((weight, bias));
        n_in = n;
    }
    let activation = Activation::Relu;
    let settings = TargetAttentionParams { layers, units, activation, softmax };
    Ok(vec![b.push("pooled", TargetAttention::new(h, slot, t, settings))?])
}

/// A layer under its losses.
fn of_layer(layer: Layer) -> Result<Graph<f32>> {
    let mut b = Builder::new();
    for (i, h) in layer(&mut b)?.into_iter().enumerate() {
        let sum = b.push(&format!("sum.{i}"), AddSum::new(h.columns(0, 1), h))?;
        let label = b.values(&format!("label.{i}"), 1)?;
        let loss = RowLoss::new(SquaredError, sum, label, None);
        let loss = b.push(&format!("loss.{i}"), loss)?;
        b.loss(&format!("loss.{i}"), loss)?;
    }
    Ok(b.finish())
}

/// An architecture under three cross-entropies.
fn of_architecture(name: &str) -> Result<Graph<f32>> {
    let sequence = Some(["click", "like", "buy"].map(str::to_owned).to_vec());
    let config = ArchitectureConfig { sequence, ..ArchitectureConfig::default() };
    let architecture: Box<dyn Architecture<f32>> = architecture(name, &config, &TASKS)?;
    let mut b = Builder::new();
    let inputs = match architecture.input_kind() {
        InputKind::Shared => Inputs::Shared(x(&mut b, "x")?),
        InputKind::PerTask => {
            let each = TASKS.iter().map(|task| x(&mut b, task));
            Inputs::PerTask(each.collect::<Result<_>>()?)
        }
        InputKind::Domain => {
            let slot = b.ids("domain");
            Inputs::Domain { x: x(&mut b, "x")?, domains: Domains { slot, n: DOMAINS } }
        }
    };
    let built = architecture.build(&mut b, &inputs)?;
    for (task, z) in &built.logits {
        let label = b.values(&format!("label.{task}"), 1)?;
        let loss = RowLoss::new(Bce, *z, label, None);
        let loss = match built.penalty(task) {
            Some(penalty) => loss.plus(penalty.rows),
            None => loss,
        };
        let loss = b.push(&format!("loss.{task}"), loss)?;
        b.loss(task, loss)?;
    }
    Ok(b.finish())
}

/// A batch of ids that are in their tables, lists of 1 to 20, and labels, one in ten of them 1.
fn batch(graph: &Graph<f32>, step: &Step<f32>) -> Batch<f32> {
    let mut batch = Batch::for_graph(graph);
    batch.rows = ROWS;
    for (key, lookup) in step.plan().lookups().iter().enumerate() {
        let zipf = Zipf::new(graph.layout().table(lookup.table).rows, 1.05, key as u64);
        match lookup.ids {
            Ids::One(slot) => {
                let is_row = graph.id_slots()[slot.index()].name.starts_with("row.");
                let id = |r: usize| if is_row { r as u32 } else { zipf.draw(r) };
                batch.ids[slot.index()] = (0..ROWS).map(id).collect();
            }
            Ids::List(slot) => {
                let lists = &mut batch.lists[slot.index()];
                lists.clear();
                for r in 0..ROWS {
                    let n = 1 + (uniform(9, r) * LONGEST as f64) as usize;
                    let ids: Vec<u32> = (0..n).map(|j| zipf.draw(r * LONGEST + j)).collect();
                    lists.push(&ids);
                }
            }
        }
    }
    for (key, values) in batch.values.iter_mut().enumerate() {
        *values = (0..ROWS).map(|r| f32::from(uniform(50 + key as u64, r) < 0.1)).collect();
    }
    batch
}

fn measure(c: &mut Criterion, kind: &str, graphs: Vec<(&str, Graph<f32>)>) {
    let mut group = c.benchmark_group(kind);
    group.sample_size(20).measurement_time(Duration::from_secs(1));
    group.warm_up_time(Duration::from_millis(300)).throughput(Throughput::Elements(ROWS as u64));
    for (name, graph) in graphs {
        let graph = Arc::new(graph);
        let params = Params::init(graph.layout(), 1);
        let optimiser =
            Optimiser::new(OptimiserConfig::default(), graph.layout()).expect("the default");
        let mut step = Step::new(Arc::clone(&graph)).expect("a loss");
        let batch = batch(&graph, &step);
        let weights = vec![1.0; graph.losses().len()];
        group.bench_function(name, |b| {
            b.iter(|| {
                let norm = step.gradients(black_box(&params), &optimiser, &batch, &weights, 1);
                norm.expect("finite gradients")
            });
        });
    }
    group.finish();
}

fn layers(c: &mut Criterion) {
    let layers = LAYERS.map(|(name, layer)| (name, of_layer(layer).expect("a small graph")));
    measure(c, "layers", layers.into());
    let architectures = NAMES.map(|name| (name, of_architecture(name).expect("a small graph")));
    measure(c, "architectures", architectures.into());
}

criterion_group!(benches, layers);
criterion_main!(benches);
