//! What does a loss weighting cost, all in?
//!
//! The step of W1's MMoE under a method of each kind: `equal` (the plain step), `uncertainty` (losses
//! alone), `gradnorm` (one layer's norms), `mgda` (the Gram matrix), over the last shared layer.
//! On a busy machine the program `weighting`, which takes turns, is the one to believe.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mtl_benches::w1::{ROWS, W1};
use mtl_train::SharedParameters;

fn weighting(c: &mut Criterion) {
    let mut group = c.benchmark_group("weighting");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    group.warm_up_time(Duration::from_millis(500)).throughput(Throughput::Elements(ROWS as u64));
    for method in ["equal", "uncertainty", "gradnorm", "mgda"] {
        let mut model =
            W1::weighed("mmoe", method, SharedParameters::LastLayer).expect("a model of W1");
        group.bench_function(method, |b| b.iter(|| model.step().expect("a finite loss")));
    }
    group.finish();
}

criterion_group!(benches, weighting);
criterion_main!(benches);
