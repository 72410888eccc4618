//! How far is a training step from what this machine could do at most? Peaks of one thread, then for each
//! model of W1 the work of a step, how long that takes at the peaks, and how long the step takes.
//!
//! `cargo run --release -p mtl-benches --bin floors -- --model mmoe --steps 30`

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use mtl_benches::cpu_ms;
use mtl_benches::peaks::{READ_BYTES, fused, gemm, ours, reading};
use mtl_benches::w1::{W1, names};
use mtl_benches::work::Work;
use mtl_nn::kernel::Kernels;
use serde_json::{Value, json};

const WARM_STEPS: usize = 8;

const OPTIONS: &str = "\
  --model NAME   a model of W1; again for more; all of them by default
  --steps N      timed steps of each, 20; 0 for none
  --json         prints one object in place of tables";

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| options.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floors: {error}");
            ExitCode::from(2)
        }
    }
}

struct Options {
    models: Vec<String>,
    steps: usize,
    json: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self { models: Vec::new(), steps: 20, json: false };
        while let Some(option) = arguments.next() {
            if option == "--json" {
                options.json = true;
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--model" => options.models.push(value),
                "--steps" => {
                    options.steps = value.parse().map_err(|e| format!("--steps {value}: {e}"))?;
                }
                _ => return Err(format!("{option}: expected one of\n{OPTIONS}").into()),
            }
        }
        if options.models.is_empty() {
            options.models = names().map(str::to_owned).collect();
        }
        Ok(options)
    }

    /// Everything on one thread: a peak of a thread is compared with a step of a thread.
    fn run(&self) -> Result<(), Box<dyn Error>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        let mut peaks = Peaks::measure();
        let floors: Vec<Floor> = self
            .models
            .iter()
            .map(|model| {
                pool.install(|| Floor::of(model, self.steps, &mut peaks)).map_err(Into::into)
            })
            .collect::<Result<_, Box<dyn Error>>>()?;
        if self.json {
            let floors: Vec<Value> = floors.iter().map(|floor| floor.json(&peaks)).collect();
            println!("{}", json!({ "peaks": peaks.json(), "floors": floors }));
        } else {
            peaks.print();
            Floor::print(&floors, &peaks);
        }
        Ok(())
    }
}

/// What the machine does at most.
struct Peaks {
    fused: f64,
    /// GB/s, in the order of [`READ_BYTES`].
    reading: [f64; 3],
    /// GFLOP/s of the GEMM crate and of our kernels, by n_in and n_out.
    products: BTreeMap<(usize, usize), [f64; 2]>,
}

impl Peaks {
    fn measure() -> Self {
        let reading = READ_BYTES.map(|(_, bytes)| reading(bytes));
        Self { fused: fused(), reading, products: BTreeMap::new() }
    }

    /// The rates of a product, measured when it is first asked for.
    fn product(&mut self, shape: (usize, usize)) -> mtl_nn::Result<[f64; 2]> {
        if let Some(&known) = self.products.get(&shape) {
            return Ok(known);
        }
        let found = [gemm(shape.0, shape.1), ours(shape.0, shape.1)?];
        self.products.insert(shape, found);
        Ok(found)
    }

    /// The highest rate of all: the peak that a floor is computed with.
    fn flops(&self) -> f64 {
        self.products.values().flatten().copied().fold(self.fused, f64::max)
    }

    fn json(&self) -> Value {
        let product = |(&(n_in, n_out), &[gemm, ours]): (&(usize, usize), &[f64; 2])| {
            json!({
                "n_in": n_in, "n_out": n_out, "gemm": rounded(gemm), "ours": rounded(ours),
            })
        };
        let reading: Vec<Value> = (READ_BYTES.iter().zip(self.reading))
            .map(|(&(name, bytes), rate)| json!({ "of": name, "bytes": bytes, "rate": rounded(rate) }))
            .collect();
        json!({
            "kernels": Kernels::default().to_string(),
            "fused_gflops": rounded(self.fused),
            "peak_gflops": rounded(self.flops()),
            "reading_gbytes": reading,
            "products_gflops": self.products.iter().map(product).collect::<Vec<_>>(),
        })
    }

    fn print(&self) {
        println!("one thread, {}", Kernels::default());
        println!("{:8.1} GFLOP/s in registers", self.fused);
        for (&(name, bytes), rate) in READ_BYTES.iter().zip(self.reading) {
            println!("{rate:8.1} GB/s read from {name} ({} KiB again and again)", bytes >> 10);
        }
        println!("\n{:>14}{:>14}{:>14}", "n_in x n_out", "GEMM GFLOP/s", "ours GFLOP/s");
        for (&(n_in, n_out), [gemm, ours]) in &self.products {
            println!("{:>14}{gemm:14.1}{ours:14.1}", format!("{n_in} x {n_out}"));
        }
    }
}

/// A model's work, and how long it took.
struct Floor {
    model: String,
    work: Work,
    /// The products alone by our kernels, each at its shape's rate.
    products_ms: f64,
    /// The best step, if steps were timed.
    step_ms: Option<f64>,
}

impl Floor {
    fn of(model: &str, steps: usize, peaks: &mut Peaks) -> Result<Self, String> {
        Self::measure(model, steps, peaks).map_err(|error| error.to_string())
    }

    fn measure(model: &str, steps: usize, peaks: &mut Peaks) -> Result<Self, Box<dyn Error>> {
        let mut w1 = W1::new(model)?;
        let (graph, batches) = w1.batches();
        let work = Work::of(graph, &batches[0]);
        let mut products_ms = 0.0;
        for (&(n_in, n_out), &n) in &work.products {
            let [_, rate] = peaks.product((n_in, n_out))?;
            products_ms += (6 * work.rows * n * n_in * n_out) as f64 / rate / 1e6;
        }
        let step_ms = if steps == 0 { None } else { Some(best_step(&mut w1, steps)?) };
        Ok(Self { model: model.to_owned(), work, products_ms, step_ms })
    }

    /// Milliseconds of: all multiplications and additions at the peak, activations through the second-level
    /// cache, parameters through the third. The longest is the floor: they may overlap.
    fn terms(&self, peaks: &Peaks) -> [f64; 3] {
        let ms = |work: usize, rate: f64| work as f64 / rate / 1e6;
        [
            ms(self.work.flops(), peaks.flops()),
            ms(self.work.activation_bytes(), peaks.reading[0]),
            ms(self.work.parameter_bytes(), peaks.reading[1]),
        ]
    }

    fn json(&self, peaks: &Peaks) -> Value {
        let [flops, activations, parameters] = self.terms(peaks);
        json!({
            "model": self.model,
            "flops_a_row": self.work.flops_a_row(),
            "flops": self.work.flops(),
            "activation_bytes": self.work.activation_bytes(),
            "parameter_bytes": self.work.parameter_bytes(),
            "flops_ms": rounded(flops),
            "activations_ms": rounded(activations),
            "parameters_ms": rounded(parameters),
            "floor_ms": rounded(flops.max(activations).max(parameters)),
            "products_ms": rounded(self.products_ms),
            "step_ms": self.step_ms.map(rounded),
        })
    }

    fn print(floors: &[Self], peaks: &Peaks) {
        println!(
            "\nmilliseconds a step, and the step over its floor; plain products, {:.1} GFLOP/s",
            peaks.flops()
        );
        println!(
            "{:14}{:>12}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>10}{:>8}",
            "",
            "MFLOP/row",
            "MB acts",
            "MB pars",
            "flops",
            "acts",
            "pars",
            "floor",
            "step",
            "products",
            "ratio"
        );
        for floor in floors {
            let [flops, activations, parameters] = floor.terms(peaks);
            let least = flops.max(activations).max(parameters);
            let (step, ratio) = match floor.step_ms {
                Some(step) => (format!("{step:.2}"), format!("{:.2}", step / least)),
                None => ("-".to_owned(), "-".to_owned()),
            };
            let work = &floor.work;
            println!(
                "{:14}{:12.3}{:9.1}{:9.1}{flops:9.2}{activations:9.2}{parameters:9.2}{least:9.2}\
                 {step:>9}{:10.2}{ratio:>8}",
                floor.model,
                work.flops_a_row() as f64 / 1e6,
                work.activation_bytes() as f64 / 1e6,
                work.parameter_bytes() as f64 / 1e6,
                floor.products_ms,
            );
        }
    }
}

/// The best of some steps, in milliseconds: of processor time, where the system tells it.
fn best_step(w1: &mut W1, steps: usize) -> Result<f64, Box<dyn Error>> {
    for _ in 0..WARM_STEPS {
        w1.step()?;
    }
    let mut best = f64::INFINITY;
    for _ in 0..steps {
        let (start, cpu_start) = (Instant::now(), cpu_ms());
        w1.step()?;
        let wall = 1e3 * start.elapsed().as_secs_f64();
        best = best.min(cpu_ms().zip(cpu_start).map_or(wall, |(end, start)| end - start));
    }
    Ok(best)
}

fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
