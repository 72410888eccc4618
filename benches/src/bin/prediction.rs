//! Measures predictions of workload W1's MMoE: one line of JSON a case, microseconds a call.
//!
//! `RAYON_NUM_THREADS=1 cargo run --release -p mtl-benches --bin prediction -- --calls 200`

use std::process::ExitCode;
use std::time::Instant;

use mtl_benches::w1::W1;
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
    let mut calls = 200;
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--calls" => calls = value.parse().map_err(|e| format!("--calls {value}: {e}"))?,
            _ => return Err(format!("{argument} is not --calls").into()),
        }
    }
    let model = W1::new("mmoe")?;
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
            predictor.predict_into(model.params(), &batch, &mut out)?;
            times.push(1e6 * start.elapsed().as_secs_f64());
        }
        let mut times = times.split_off(calls / 4); // the first warm it
        times.sort_by(f64::total_cmp);
        let (median, min) = (times.get(calls / 2), times.first());
        println!("{}", json!({ "case": case, "us": { "median": median, "min": min } }));
    }
    Ok(())
}
