//! Measures the training step of workload W1: one line of JSON a model.
//!
//! `cargo run --release -p mtl-benches --bin w1 -- --model mmoe --steps 30`

use std::process::ExitCode;
use std::time::Instant;

use mtl_benches::cpu_ms;
use mtl_benches::w1::{W1, names};
use mtl_nn::kernel::{Kernels, Precision};
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
    let (mut models, mut precisions, mut steps) = (Vec::new(), Vec::new(), 30);
    let mut table_rows = None;
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--model" => models.push(value),
            "--precision" => precisions.push(precision(&value)?),
            "--table-rows" => {
                let rows = value.parse().map_err(|e| format!("--table-rows {value}: {e}"))?;
                table_rows = Some(rows);
            }
            "--steps" => steps = value.parse().map_err(|e| format!("--steps {value}: {e}"))?,
            _ => {
                return Err(format!(
                    "{argument}: expected --model, --precision, --table-rows or --steps"
                )
                .into());
            }
        }
    }
    if steps == 0 || table_rows == Some(0) {
        return Err("--steps and --table-rows: expected at least 1".into());
    }
    if models.is_empty() {
        models = names().map(str::to_owned).collect();
    }
    if precisions.is_empty() {
        precisions.push(Precision::F32);
    }
    for model in models {
        for &precision in &precisions {
            println!("{}", measure(&model, precision, table_rows, steps)?);
        }
    }
    Ok(())
}

fn precision(name: &str) -> Result<Precision, String> {
    match name {
        "f32" => Ok(Precision::F32),
        "bf16" => Ok(Precision::Bf16),
        _ => Err(format!("--precision {name}: expected f32 or bf16")),
    }
}

fn measure(
    name: &str,
    precision: Precision,
    table_rows: Option<usize>,
    steps: usize,
) -> Result<Value, Box<dyn std::error::Error>> {
    let kernels = Kernels::new(precision);
    let mut model = match table_rows {
        None => W1::new(name)?,
        Some(rows) => W1::with_tables(name, [rows; 2])?,
    }
    .with_kernels(kernels);
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
        "variant": if precision == Precision::F32 { "ours" } else { "ours_bf16" },
        "kernels": kernels.to_string(),
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
