//! How long do 10 million rows take? Times each metric on a made-up click log of 100,000 users.
//!
//! `cargo run --release -p mtl-eval --example ten_million_rows [ROWS]`

use std::hint::black_box;
use std::time::Instant;

use mtl_eval::{
    BinaryReport, BinaryRows, Bootstrap, ConfidenceLevel, GaucMode, ReportSettings, auc, delong,
    gauc, group_aucs, log_loss, paired_delong, top_k,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let n_rows: u64 = std::env::args().nth(1).map_or(Ok(10_000_000), |rows| rows.parse())?;
    let uniform = |row: u64, stream: u64| mix(row ^ (stream << 48)) as f64 / u64::MAX as f64;
    // Squares make low predictions common, as clicks are rare; labels follow their predictions.
    let predictions: Vec<f32> = (0..n_rows).map(|row| uniform(row, 1).powi(2) as f32).collect();
    let labels: Vec<f32> = (0..n_rows)
        .map(|row| f32::from(uniform(row, 2) < predictions[row as usize].into()))
        .collect();
    let weights: Vec<f32> = (0..n_rows).map(|row| 0.5 + uniform(row, 3) as f32).collect();
    let users: Vec<u64> = (0..n_rows).map(|row| mix(mix(row ^ 77) % 100_000)).collect();
    let predictions_f64: Vec<f64> = predictions.iter().map(|&p| f64::from(p)).collect();
    let level = ConfidenceLevel::default();

    let rows = time("check labels and predictions", || BinaryRows::new(&labels, &predictions))?;
    let weighted = rows.with_weights(&weights)?;
    let grouped = rows.with_groups(&users)?;
    let grouped_weighted = grouped.with_weights(&weights)?;
    let rows_f64 = BinaryRows::new(&labels, &predictions_f64)?.with_groups(&users)?;
    let groups = group_aucs(&grouped).into_result()?;

    time("auc", || auc(&rows));
    time("auc, weighted", || auc(&weighted));
    time("auc, f64", || auc(&rows_f64));
    time("gauc", || gauc(&grouped, GaucMode::Uniform));
    time("gauc, weighted", || gauc(&grouped_weighted, GaucMode::Uniform));
    time("gauc, f64", || gauc(&rows_f64, GaucMode::Uniform));
    time("gauc interval, 1000 resamples", || {
        groups.bootstrap(GaucMode::Uniform, &Bootstrap::default())
    });
    time("precision, recall, ndcg at 10", || {
        top_k(&grouped, std::num::NonZeroUsize::MIN.saturating_add(9))
    });
    time("auc interval", || delong(&rows, level));
    time("paired test", || paired_delong(&labels, &predictions, &weights, level))?;
    time("log loss", || log_loss(&rows));
    time("report of everything", || BinaryReport::new(&grouped, &ReportSettings::default()));
    Ok(())
}

fn time<T>(what: &str, f: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = black_box(f());
    println!("{what:32} {:7.3} s", start.elapsed().as_secs_f64());
    result
}

/// SplitMix64's finaliser: a cheap hash, good enough to make up data.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
