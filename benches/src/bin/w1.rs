//! Measures the training step of workload W1: one line of JSON a model.
//!
//! `cargo run --release -p mtl-benches --bin w1 -- --model mmoe --steps 30`

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;

use mtl_benches::w1::{Setup, W1, names};
use mtl_benches::{cpu_ms, exchange};
use mtl_nn::TableUpdate;
use mtl_nn::kernel::{Kernels, Precision};
use serde_json::{Value, json};

const WARM_STEPS: usize = 8;

const OPTIONS: &str = "\
  --model NAME            a model of W1; again for more; all of them by default
  --precision f32|bf16    of the products; again for both
  --steps N               timed steps, 30
  --batch N               rows of a batch, 1024
  --table-rows N          ids of the two large columns
  --dropout RATE          0.1
  --table-update lazy|dense
  --write FOLDER          writes the initial weights and the batches there; for one model
  --bursts                times as many steps as each line of the standard input says";

fn main() -> ExitCode {
    let done = Options::parse(std::env::args().skip(1)).and_then(|options| options.run());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("w1: {error}");
            ExitCode::from(2)
        }
    }
}

struct Options {
    models: Vec<String>,
    precisions: Vec<Precision>,
    steps: usize,
    setup: Setup,
    folder: Option<PathBuf>,
    bursts: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            models: Vec::new(),
            precisions: Vec::new(),
            steps: 30,
            setup: Setup::default(),
            folder: None,
            bursts: false,
        };
        let setup = &mut options.setup;
        while let Some(option) = arguments.next() {
            if option == "--bursts" {
                options.bursts = true;
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--model" => options.models.push(value),
                "--precision" => options.precisions.push(match value.as_str() {
                    "f32" => Precision::F32,
                    "bf16" => Precision::Bf16,
                    _ => return Err(format!("--precision {value}: expected f32 or bf16").into()),
                }),
                "--steps" => options.steps = at_least_one(&option, &value)?,
                "--batch" => setup.rows = at_least_one(&option, &value)?,
                "--table-rows" => setup.large = [at_least_one(&option, &value)?; 2],
                "--dropout" => setup.dropout = number(&option, &value)?,
                "--table-update" => {
                    setup.table_update = match value.as_str() {
                        "lazy" => TableUpdate::Lazy,
                        "dense" => TableUpdate::Dense,
                        _ => return Err(format!("{option} {value}: lazy or dense").into()),
                    };
                }
                "--write" => options.folder = Some(value.into()),
                _ => return Err(format!("{option}: expected one of\n{OPTIONS}").into()),
            }
        }
        if options.models.is_empty() {
            options.models = names().map(str::to_owned).collect();
        }
        if options.precisions.is_empty() {
            options.precisions.push(Precision::F32);
        }
        let n = options.models.len() * options.precisions.len();
        if n > 1 && (options.bursts || options.folder.is_some()) {
            return Err("--write and --bursts are for one model in one precision".into());
        }
        Ok(options)
    }

    fn run(&self) -> Result<(), Box<dyn Error>> {
        for model in &self.models {
            for &precision in &self.precisions {
                let kernels = Kernels::new(precision);
                let mut w1 = W1::with(model, &self.setup)?.with_kernels(kernels);
                if let Some(folder) = &self.folder {
                    exchange::write(&w1, folder)?;
                }
                let first: Vec<f64> =
                    (0..WARM_STEPS).map(|_| w1.step()).collect::<Result<_, _>>()?;
                let about = json!({
                    "model": model,
                    "variant": if precision == Precision::F32 { "ours" } else { "ours_bf16" },
                    "kernels": kernels.to_string(),
                    "threads": rayon::current_num_threads(),
                    "parameters": w1.n_parameters(),
                    "first_losses": first,
                });
                if self.bursts {
                    bursts(&mut w1, about)?;
                } else {
                    say(about, burst(&mut w1, self.steps)?)?;
                }
            }
        }
        Ok(())
    }
}

fn number<T: FromStr<Err: std::fmt::Display>>(option: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|e| format!("{option} {value}: {e}"))
}

fn at_least_one(option: &str, value: &str) -> Result<usize, String> {
    match number(option, value)? {
        0 => Err(format!("{option} 0: expected at least 1")),
        n => Ok(n),
    }
}

/// Says what there is, then times a burst for each line of the standard input.
fn bursts(w1: &mut W1, about: Value) -> Result<(), Box<dyn Error>> {
    say(about, json!({}))?;
    for line in std::io::stdin().lock().lines() {
        let steps = at_least_one("a line of the standard input:", line?.trim())?;
        say(json!({}), burst(w1, steps)?)?;
    }
    Ok(())
}

/// The times of some steps, in milliseconds, and the last one's loss.
fn burst(w1: &mut W1, steps: usize) -> Result<Value, Box<dyn Error>> {
    let (mut wall, mut cpu, mut loss) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..steps {
        let (start, cpu_start) = (Instant::now(), cpu_ms());
        loss = w1.step()?;
        wall.push(1e3 * start.elapsed().as_secs_f64());
        cpu.extend(cpu_ms().zip(cpu_start).map(|(end, start)| end - start));
    }
    Ok(json!({
        "steps": steps,
        "ms_per_step": summary(wall),
        "cpu_ms_per_step": summary(cpu),
        "loss": loss,
    }))
}

/// Prints two objects as one line, and does not wait for a full buffer: somebody may be reading.
fn say(mut about: Value, more: Value) -> std::io::Result<()> {
    if let (Value::Object(about), Value::Object(more)) = (&mut about, more) {
        about.extend(more);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{about}")?;
    out.flush()
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
