//! What do AUC and GAUC of a large evaluation set cost?
//!
//! 1,000,000 rows, 5 % positive, of 27,000 users with Zipf popularity. Predictions as a model makes
//! them (all different) and rounded to three digits (nearly all tied).

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mtl_benches::{Zipf, uniform};
use mtl_eval::{BinaryRows, GaucMode, auc, gauc};

const ROWS: usize = 1_000_000;

fn ranking(c: &mut Criterion) {
    let labels: Vec<f32> = (0..ROWS).map(|r| f32::from(uniform(1, r) < 0.05)).collect();
    let smooth: Vec<f32> =
        (0..ROWS).map(|r| (0.8 * uniform(2, r) + 0.2 * f64::from(labels[r])) as f32).collect();
    let rounded: Vec<f32> = smooth.iter().map(|p| (p * 1e3).round() / 1e3).collect();
    let zipf = Zipf::new(27_000, 1.05, 3);
    let users: Vec<u64> = (0..ROWS).map(|r| u64::from(zipf.draw(r))).collect();

    let mut group = c.benchmark_group("auc");
    group.sample_size(10).measurement_time(Duration::from_secs(2));
    group.warm_up_time(Duration::from_millis(300)).throughput(Throughput::Elements(ROWS as u64));
    for (name, predictions) in [("distinct", &smooth), ("tied", &rounded)] {
        let rows = BinaryRows::new(&labels, predictions)
            .and_then(|rows| rows.with_groups(&users))
            .expect("columns of one length");
        group.bench_function(BenchmarkId::new("auc", name), |b| b.iter(|| auc(black_box(&rows))));
        group.bench_function(BenchmarkId::new("gauc", name), |b| {
            b.iter(|| gauc(black_box(&rows), GaucMode::Uniform));
        });
    }
    group.finish();
}

criterion_group!(benches, ranking);
criterion_main!(benches);
