//! What does a prediction cost: one row, the candidates of one user, a thousand rows?
//!
//! Workload W1's MMoE ([`mtl_benches::w1`]), on as many threads as `RAYON_NUM_THREADS` says.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use mtl_benches::w1::W1;
use mtl_nn::kernel::Kernels;

fn prediction(c: &mut Criterion) {
    let mut group = c.benchmark_group("prediction");
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    group.warm_up_time(Duration::from_millis(500));
    let model = W1::new("mmoe").expect("a model of W1");
    for (name, batch, sharing) in [
        ("one_row", model.rows(1), false),
        ("200_rows", model.rows(200), false),
        ("200_candidates_of_a_user", model.candidates(200), true),
        ("1024_rows", model.rows(1024), false),
    ] {
        let (mut predictor, frozen) = (model.predictor(sharing), model.frozen(Kernels::default()));
        let mut out = vec![0.0; batch.rows * 3];
        group.bench_function(name, |b| {
            b.iter(|| predictor.predict_frozen_into(&frozen, &batch, &mut out).expect("it fits"));
        });
    }
    group.finish();
}

criterion_group!(benches, prediction);
criterion_main!(benches);
