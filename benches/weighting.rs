//! What does a loss weighting cost, all in?
//!
//! The step of W1's MMoE under every method of `mtl-loss`, over the last shared layer: `equal` is the plain
//! step, some read losses alone, some norms of gradients, most the Gram matrix. On a busy machine the
//! program `weighting`, which takes turns, is the one to believe.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mtl_benches::w1::{ROWS, W1};
use mtl_loss::WeightingConfig;
use mtl_train::SharedParameters;

fn weighting(c: &mut Criterion) {
    let mut group = c.benchmark_group("weighting");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    group.warm_up_time(Duration::from_millis(500)).throughput(Throughput::Elements(ROWS as u64));
    for method in WeightingConfig::NAMES {
        let model = W1::new("mmoe").expect("a model of W1");
        let mut model =
            model.weighed(method, SharedParameters::LastLayer).expect("a method of the shelf");
        group.bench_function(*method, |b| b.iter(|| model.step().expect("a finite loss")));
    }
    group.finish();
}

criterion_group!(benches, weighting);
criterion_main!(benches);
