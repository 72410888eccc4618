//! What does an expert cost, from 2 to 64 of them, in shards of 256 and of 1,024 rows?
//!
//! K experts of two layers over one x of 480 columns and three linear gates, through one
//! [`Workspace`] on one thread. Throughput is in multiplications and additions: "Gelem/s" reads
//! GFLOP/s.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mtl_benches::uniform;
use mtl_moe::{Gate, mixture};
use mtl_nn::layers::{Activation, Mlp, Stack};
use mtl_nn::{
    Backward, Batch, Graph, GraphBuilder, Mode, NodeId, Params, Pass, Plan, Wanted, Workspace,
};

const N_IN: usize = 480;
const N_GATES: usize = 3;

struct FanOut {
    graph: Graph<f32>,
    x: NodeId,
    mixes: Vec<NodeId>,
}

impl FanOut {
    fn new(n_experts: usize, units: [usize; 2]) -> mtl_moe::Result<Self> {
        let mut b = GraphBuilder::new();
        let x = b.values("x", N_IN)?;
        let x = b.read(x)?;
        let layers = Mlp::new(&units, Activation::Relu).layers();
        let expert = |k| Stack { path: format!("expert.{k}"), input: x, layers: layers.clone() };
        let gate = |t| Gate {
            path: format!("gate.{t}"),
            input: x,
            hidden: Vec::new(),
            bias: true,
            experts: (0..n_experts).collect(),
        };
        let experts = (0..n_experts).map(expert).collect();
        let mixed = mixture(&mut b, "moe", experts, (0..N_GATES).map(gate).collect())?;
        let mut mixes: Vec<NodeId> = mixed.outputs.iter().map(|h| h.node()).collect();
        mixes.dedup();
        Ok(Self { graph: b.finish(), x: x.node(), mixes })
    }

    fn batch(&self, rows: usize) -> Batch<f32> {
        let mut batch = Batch::for_graph(&self.graph);
        batch.rows = rows;
        batch.values[0] = (0..rows * N_IN).map(|i| uniform(1, i) as f32 - 0.5).collect();
        batch
    }
}

fn expert_fan_out(c: &mut Criterion) {
    for units in [[64, 32], [128, 64]] {
        for rows in [256, 1_024] {
            let name = format!("expert_fan_out/{}x{}/{rows}_rows", units[0], units[1]);
            let mut group = c.benchmark_group(name);
            group.sample_size(10).measurement_time(Duration::from_millis(600));
            group.warm_up_time(Duration::from_millis(200));
            for n_experts in [2usize, 4, 8, 16, 32, 64] {
                let fan_out = FanOut::new(n_experts, units).expect("experts of one width");
                let (graph, batch) = (&fan_out.graph, fan_out.batch(rows));
                let params = Params::init(graph.layout(), 1);
                let mode = Mode::Train { seed: 1, step: 1 };
                let pass = Pass { batch: &batch, first_row: 0, rows, mode };
                let plan = Plan::new(graph, &fan_out.mixes, true);
                let weights = n_experts * (N_IN * units[0] + units[0] * units[1] + N_IN * N_GATES);
                let flops = 2 * (rows * weights) as u64;

                let mut workspace = Workspace::new(graph, &plan, None, rows);
                group.throughput(Throughput::Elements(flops));
                group.bench_function(BenchmarkId::new("forward", n_experts), |b| {
                    b.iter(|| workspace.forward(graph, &plan, black_box(&params), pass));
                });

                // x's gradient is wanted, as that of embeddings is.
                let wanted = Wanted::all(graph).node(fan_out.x);
                let backward = Backward::new(graph, &fan_out.mixes, &wanted);
                let mut workspace = Workspace::new(graph, &plan, Some(&backward), rows);
                let mut flat = vec![0.0; graph.layout().n_trainable()];
                let seeds = vec![1e-3; fan_out.mixes.len()];
                group.throughput(Throughput::Elements(3 * flops));
                group.bench_function(BenchmarkId::new("forward_backward", n_experts), |b| {
                    b.iter(|| {
                        workspace.forward(graph, &plan, black_box(&params), pass);
                        workspace.backward(graph, &backward, &params, pass, &seeds, &mut flat);
                    });
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, expert_fan_out);
criterion_main!(benches);
