//! What does mixing cost, without experts and gates, as both grow in number?
//!
//! [`Mix`] alone over K experts of 64 columns and T gates over all of them, 256 rows, one thread.
//! Throughput is in bytes of the experts' outputs, which a perfect pass reads once.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mtl_benches::uniform;
use mtl_moe::{Blend, Mix};
use mtl_nn::{
    Backward, Batch, Graph, GraphBuilder, Mode, NodeId, Params, Pass, Plan, Wanted, Workspace,
};

const ROWS: usize = 256;
const WIDTH: usize = 64;

/// The graph, the mix, and the nodes whose gradients are wanted.
fn graph(n_experts: usize, n_gates: usize) -> mtl_nn::Result<(Graph<f32>, NodeId, [NodeId; 2])> {
    let mut b = GraphBuilder::new();
    let experts = b.values("experts", n_experts * WIDTH)?;
    let gates = b.values("gates", n_experts * n_gates)?;
    let (experts, gates) = (b.read(experts)?, b.read(gates)?);
    let each: Vec<_> = (0..n_experts).map(|k| experts.columns(k * WIDTH, WIDTH)).collect();
    let blends = vec![Blend { experts: (0..n_experts).collect() }; n_gates];
    let h = b.push("h", Mix::new(&each, gates, &blends))?;
    Ok((b.finish(), h.node(), [experts.node(), gates.node()]))
}

fn gate_mix(c: &mut Criterion) {
    for n_gates in [1, 3, 8] {
        let mut group = c.benchmark_group(format!("gate_mix/{n_gates}_gates"));
        group.sample_size(20).measurement_time(Duration::from_millis(500));
        group.warm_up_time(Duration::from_millis(200));
        for n_experts in [2, 4, 8, 16, 64] {
            let (graph, mix, leaves) = graph(n_experts, n_gates).expect("a fresh graph");
            let mut batch = Batch::for_graph(&graph);
            batch.rows = ROWS;
            for (slot, values) in graph.value_slots().iter().zip(&mut batch.values) {
                values.extend((0..ROWS * slot.n_cols).map(|i| uniform(1, i) as f32));
            }
            let params = Params::init(graph.layout(), 1);
            let mode = Mode::Train { seed: 1, step: 1 };
            let pass = Pass { batch: &batch, first_row: 0, rows: ROWS, mode };
            let plan = Plan::new(&graph, &[mix], true);
            let wanted = leaves.iter().fold(Wanted::none(&graph), |w, &leaf| w.node(leaf));
            let backward = Backward::new(&graph, &[mix], &wanted);
            let mut workspace = Workspace::new(&graph, &plan, Some(&backward), ROWS);
            let bytes = (4 * ROWS * n_experts * WIDTH) as u64;
            group.throughput(Throughput::Bytes(bytes));
            group.bench_function(BenchmarkId::new("forward", n_experts), |b| {
                b.iter(|| workspace.forward(&graph, &plan, black_box(&params), pass));
            });
            group.bench_function(BenchmarkId::new("forward_backward", n_experts), |b| {
                b.iter(|| {
                    workspace.forward(&graph, &plan, black_box(&params), pass);
                    workspace.backward(&graph, &backward, &params, pass, &[1e-3], &mut []);
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, gate_mix);
criterion_main!(benches);
