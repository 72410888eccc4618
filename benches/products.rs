//! What do the products of dense layers cost, by the GEMM crate, by our kernels in f32, and in bf16?
//!
//! The gradients of one step of two layers on one thread: the first over x of 480 columns, whose
//! own gradient nobody wants, the second wide enough to matter. Throughput is in multiplications
//! and additions of the products alone: "Gelem/s" reads GFLOP/s. What is not a product (activations,
//! packing, the reduction) counts as lost time.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mtl_benches::uniform;
use mtl_nn::kernel::{Instructions, Kernels, Precision};
use mtl_nn::layers::{Activation, Mlp};
use mtl_nn::ops::{RowLoss, SquaredError};
use mtl_nn::{Batch, Graph, GraphBuilder, Optimiser, OptimiserConfig, Params, Step};

const N_IN: usize = 480;
const ROWS: usize = 1_024;

fn graph(units: [usize; 2]) -> mtl_nn::Result<Arc<Graph<f32>>> {
    let mut b = GraphBuilder::new();
    let x = b.values("x", N_IN)?;
    let x = b.read(x)?;
    let z = Mlp::new(&[units[0], units[1], 1], Activation::Relu).build(&mut b, "mlp", x)?;
    let label = b.values("label", 1)?;
    let loss = b.push("loss", RowLoss::new(SquaredError, z, label, None))?;
    b.loss("loss", loss)?;
    Ok(Arc::new(b.finish()))
}

fn products(c: &mut Criterion) {
    let kernels = [
        ("gemm", Kernels::default().at_most(Instructions::Portable)),
        ("f32", Kernels::default()),
        ("bf16", Kernels::new(Precision::Bf16)),
    ];
    for units in [[128, 64], [896, 448]] {
        let graph = graph(units).expect("a small graph");
        let params = Params::init(graph.layout(), 1);
        let optimiser =
            Optimiser::new(OptimiserConfig::default(), graph.layout()).expect("the default");
        let mut batch = Batch::for_graph(&graph);
        batch.rows = ROWS;
        batch.values[0] = (0..ROWS * N_IN).map(|i| uniform(1, i) as f32 - 0.5).collect();
        batch.values[1] = (0..ROWS).map(|i| uniform(2, i) as f32).collect();
        let mut group = c.benchmark_group(format!("products/{N_IN}x{}x{}", units[0], units[1]));
        group.measurement_time(Duration::from_secs(2)).sample_size(20);
        // Forward and the gradient of weights; of the second layer also that of its input.
        let terms = 2 * N_IN * units[0] + 3 * units[0] * units[1];
        group.throughput(Throughput::Elements((2 * ROWS * terms) as u64));
        for (name, kernels) in kernels {
            let mut step = Step::new(Arc::clone(&graph)).expect("a loss").with_kernels(kernels);
            group.bench_function(BenchmarkId::from_parameter(name), |b| {
                b.iter(|| black_box(step.gradients(&params, &optimiser, &batch, &[1.0], 1)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, products);
criterion_main!(benches);
