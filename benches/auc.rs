//! What do the metrics of a large evaluation set cost: AUC, GAUC, and all of a task at once?
//!
//! 1,000,000 and 10,000,000 rows, 5 % positive, of 27,000 users with Zipf popularity. Predictions as a
//! model makes them (all different) and rounded to three digits (nearly all tied). `report` is every
//! metric that `mtl evaluate` prints of one task, with DeLong's interval and both calibration errors.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mtl_benches::{Zipf, uniform};
use mtl_eval::{BinaryReport, BinaryRows, GaucMode, ReportSettings, auc, gauc};

fn ranking(c: &mut Criterion) {
    for n in [1_000_000, 10_000_000] {
        let labels: Vec<f32> = (0..n).map(|r| f32::from(uniform(1, r) < 0.05)).collect();
        let smooth: Vec<f32> =
            (0..n).map(|r| (0.8 * uniform(2, r) + 0.2 * f64::from(labels[r])) as f32).collect();
        let rounded: Vec<f32> = smooth.iter().map(|p| (p * 1e3).round() / 1e3).collect();
        let zipf = Zipf::new(27_000, 1.05, 3);
        let users: Vec<u64> = (0..n).map(|r| u64::from(zipf.draw(r))).collect();

        let mut group = c.benchmark_group(format!("auc/{n}_rows"));
        group.sample_size(10).measurement_time(Duration::from_secs(2));
        group.warm_up_time(Duration::from_millis(300)).throughput(Throughput::Elements(n as u64));
        for (name, predictions) in [("distinct", &smooth), ("tied", &rounded)] {
            let rows = BinaryRows::new(&labels, predictions)
                .and_then(|rows| rows.with_groups(&users))
                .expect("columns of one length");
            group.bench_function(BenchmarkId::new("auc", name), |b| {
                b.iter(|| auc(black_box(&rows)));
            });
            group.bench_function(BenchmarkId::new("gauc", name), |b| {
                b.iter(|| gauc(black_box(&rows), GaucMode::Uniform));
            });
            group.bench_function(BenchmarkId::new("report", name), |b| {
                b.iter(|| BinaryReport::new(black_box(&rows), &ReportSettings::default()));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, ranking);
criterion_main!(benches);
