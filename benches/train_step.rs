//! What does a training step cost, all in?
//!
//! Workload W1 ([`mtl_benches::w1`]), each model, on as many threads as `RAYON_NUM_THREADS` says.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mtl_benches::w1::{ROWS, W1};

fn train_step(c: &mut Criterion) {
    let mut group = c.benchmark_group("train_step");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    group.warm_up_time(Duration::from_millis(500)).throughput(Throughput::Elements(ROWS as u64));
    for name in ["shared_bottom", "mmoe", "mmoe_16", "ple_2"] {
        let mut model = W1::new(name).expect("a model of W1");
        group.bench_function(name, |b| b.iter(|| model.step().expect("a finite loss")));
    }
    group.finish();
}

criterion_group!(benches, train_step);
criterion_main!(benches);
