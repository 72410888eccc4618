//! Measures the training step of workload W1: one line of JSON a model.
//!
//! `cargo run --release -p mtl-benches --bin w1 -- --model mmoe --steps 30`

use std::process::ExitCode;
use std::time::Instant;

use mtl_benches::cpu_ms;
use mtl_benches::w1::{W1, names};
use serde_json::{Value, json};

const WARM_STEPS: usize = 8;

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("w1: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn std::error::Error>> {
    let (mut models, mut steps) = (Vec::new(), 30);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--model" => models.push(value),
            "--steps" => steps = value.parse().map_err(|e| format!("--steps {value}: {e}"))?,
            _ => return Err(format!("{argument} is neither --model nor --steps").into()),
        }
    }
    if steps == 0 {
        return Err("--steps 0: expected at least 1".into());
    }
    if models.is_empty() {
        models = names().map(str::to_owned).collect();
    }
    for model in models {
        println!("{}", measure(&model, steps)?);
    }
    Ok(())
}

fn measure(name: &str, steps: usize) -> Result<Value, Box<dyn std::error::Error>> {
    let mut model = W1::new(name)?;
    for _ in 0..WARM_STEPS {
        model.step()?;
    }
    let (mut wall, mut cpu, mut loss) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..steps {
        let (start, cpu_start) = (Instant::now(), cpu_ms());
        loss = model.step()?;
        wall.push(1e3 * start.elapsed().as_secs_f64());
        cpu.extend(cpu_ms().zip(cpu_start).map(|(end, start)| end - start));
    }
    Ok(json!({
        "model": name,
        "variant": "ours",
        "threads": rayon::current_num_threads(),
        "steps": steps,
        "parameters": model.n_parameters(),
        "ms_per_step": summary(wall),
        "cpu_ms_per_step": summary(cpu),
        "loss": loss,
    }))
}

/// Median and minimum; null where nothing was measured.
fn summary(mut times: Vec<f64>) -> Value {
    if times.is_empty() {
        return Value::Null;
    }
    times.sort_by(f64::total_cmp);
    let round = |ms: f64| (ms * 1e3).round() / 1e3;
    json!({ "median": round(times[times.len() / 2]), "min": round(times[0]) })
}
