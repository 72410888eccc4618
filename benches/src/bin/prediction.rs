//! Measures predictions of workload W1's MMoE: one line of JSON a case, microseconds a call. Weights are
//! packed once, for `--precision` f32 or bf16; `--portable yes` leaves the products to the GEMM crate.
//!
//! `RAYON_NUM_THREADS=1 cargo run --release -p mtl-benches --bin prediction -- --calls 200`

use std::process::ExitCode;
use std::time::Instant;

use mtl_benches::w1::W1;
use mtl_nn::kernel::{Instructions, Kernels, Precision};
use serde_json::json;

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("prediction: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn std::error::Error>> {
    let (mut calls, mut precision, mut most) = (200, Precision::F32, Instructions::AmxBf16);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--calls" => calls = value.parse().map_err(|e| format!("--calls {value}: {e}"))?,
            "--precision" => precision = serde_json::from_value(json!(value))?,
            "--portable" if value == "yes" => most = Instructions::Portable,
            _ => {
                let expected = "--calls N, --precision f32 or bf16, --portable yes";
                return Err(format!("{argument} {value}: expected {expected}").into());
            }
        }
    }
    let model = W1::new("mmoe")?;
    let kernels = Kernels::new(precision).at_most(most);
    let frozen = model.frozen(kernels);
    for (case, batch, sharing) in [
        ("one_row", model.rows(1), false),
        ("200_rows", model.rows(200), false),
        ("200_candidates", model.candidates(200), true),
        ("1024_rows", model.rows(1024), false),
    ] {
        let (mut predictor, mut out) = (model.predictor(sharing), vec![0.0; batch.rows * 3]);
        let mut times = Vec::new();
        for _ in 0..calls + calls / 4 {
            let start = Instant::now();
            predictor.predict_frozen_into(&frozen, &batch, &mut out)?;
            times.push(1e6 * start.elapsed().as_secs_f64());
        }
        let mut times = times.split_off(calls / 4); // the first warm it
        times.sort_by(f64::total_cmp);
        let (median, min) = (times.get(calls / 2), times.first());
        let us = json!({ "median": median, "min": min });
        println!(
            "{}",
            json!({
                "case": case,
                "kernels": kernels.to_string(),
                "us": us,
                "logits_of_first_row": out[..3],
            })
        );
    }
    Ok(())
}
