//! What does a chain cost, beside plain losses on the same logits?
//!
//! Forward and backward of 1,024 rows in f32 on one thread, from logits to losses: two plain losses,
//! the chain of ESMM over two logits, that of ESM2 over four.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mtl_benches::uniform;
use mtl_esm::Preset;
use mtl_nn::ops::{Bce, RowLoss};
use mtl_nn::{
    Backward, Batch, Graph, GraphBuilder, Mode, NodeId, Params, Pass, Plan, Wanted, Workspace,
};

const ROWS: usize = 1024;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A graph from logits to losses, with the nodes of both.
struct Losses {
    graph: Graph<f32>,
    logits: Vec<NodeId>,
    losses: Vec<NodeId>,
}

fn plain() -> Result<Losses> {
    let mut b = GraphBuilder::new();
    let (mut logits, mut losses) = (Vec::new(), Vec::new());
    for task in ["click", "buy"] {
        let (z, label) = (b.values(&format!("z.{task}"), 1)?, b.values(task, 1)?);
        let z = b.read(z)?;
        let loss = b.push(&format!("loss.{task}"), RowLoss::new(Bce, z, label, None))?;
        b.loss(task, loss)?;
        logits.push(z.node());
        losses.push(loss.node());
    }
    Ok(Losses { graph: b.finish(), logits, losses })
}

fn chain(preset: Preset) -> Result<Losses> {
    let chain = preset.builder().build()?;
    let mut b = GraphBuilder::new();
    let (mut logits, mut labels) = (BTreeMap::new(), BTreeMap::new());
    for tower in chain.towers() {
        let z = b.values(&format!("z.{tower}"), 1)?;
        logits.insert(tower.to_owned(), b.read(z)?);
    }
    for label in chain.labels() {
        labels.insert(label.to_owned(), b.values(label, 1)?);
    }
    let attached = chain.attach(&mut b, &logits, &labels, None)?;
    let losses = attached.losses.iter().map(|loss| loss.node.node()).collect();
    let logits = logits.values().map(|z| z.node()).collect();
    Ok(Losses { graph: b.finish(), logits, losses })
}

fn chains(c: &mut Criterion) {
    let mut group = c.benchmark_group("chain");
    group.sample_size(30).measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(ROWS as u64));
    for (name, found) in
        [("two_losses", plain()), ("esmm", chain(Preset::Esmm)), ("esm2", chain(Preset::Esm2))]
    {
        let Losses { graph, logits, losses } = found.expect("a fresh graph");
        let mut batch = Batch::for_graph(&graph);
        batch.rows = ROWS;
        for (k, (slot, values)) in graph.value_slots().iter().zip(&mut batch.values).enumerate() {
            let draw = |i| uniform(k as u64, i) as f32;
            // Logits around those of one in ten; labels that nest, since none is 1 without the first.
            values.extend((0..ROWS).map(|i| match slot.name.starts_with("z.") {
                true => draw(i) - 2.2,
                false => f32::from(u8::from(i % 10 == 0)),
            }));
        }
        let params = Params::init(graph.layout(), 1);
        let mode = Mode::Train { seed: 1, step: 1 };
        let pass = Pass { batch: &batch, first_row: 0, rows: ROWS, mode };
        let plan = Plan::new(&graph, &losses, true);
        let wanted = logits.iter().fold(Wanted::none(&graph), |w, &node| w.node(node));
        let backward = Backward::new(&graph, &losses, &wanted);
        let mut workspace = Workspace::new(&graph, &plan, Some(&backward), ROWS);
        let seeds = vec![1.0 / ROWS as f32; losses.len()];
        group.bench_function(name, |b| {
            b.iter(|| {
                workspace.forward(&graph, &plan, black_box(&params), pass);
                workspace.backward(&graph, &backward, &params, pass, &seeds, &mut []);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, chains);
criterion_main!(benches);
