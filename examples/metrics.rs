//! `mtl-eval` alone: how good a ranking is, how sure that is, and whether another one differs.
//!
//! `cargo run --release -p mtl-examples --example metrics`

use mtl_eval::{BinaryReport, BinaryRows, ConfidenceLevel, ReportSettings, paired_delong};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let n = 10_000;
    let labels: Vec<f32> = (0..n).map(|i| f32::from(i % 7 < 2)).collect();
    let noise = |i: usize, k: f32| (i as f32 * k).sin();
    let old: Vec<f32> = (0..n).map(|i| 0.3 + 0.10 * labels[i] + 0.2 * noise(i, 12.9)).collect();
    let new: Vec<f32> = (0..n).map(|i| 0.3 + 0.15 * labels[i] + 0.2 * noise(i, 78.2)).collect();
    let users: Vec<u64> = (0..n as u64).map(|i| i / 20).collect();

    let rows = BinaryRows::new(&labels, &new)?.with_groups(&users)?;
    let report = BinaryReport::new(&rows, &ReportSettings::default());
    println!("auc {:?}, gauc {:?}", report.auc.value(), report.gauc.value.value());
    println!("pcoc {:?}, ece {:?}", report.pcoc.value(), report.ece.value());

    let test = paired_delong(&labels, &new, &old, ConfidenceLevel::default())?.into_result()?;
    let difference = test.difference;
    println!(
        "new − old {:.4} [{:.4}, {:.4}]",
        difference.estimate, difference.low, difference.high
    );
    Ok(())
}
