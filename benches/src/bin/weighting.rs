//! Measures what loss weightings cost: the step of a W1 model under each of them in turn, burst by
//! burst, relative to the first. One line of JSON a method; `--methods all` is every method there is.
//!
//! `RAYON_NUM_THREADS=1 cargo run --release -p mtl-benches --bin weighting -- --rounds 20`

use std::process::ExitCode;

use mtl_benches::cpu_ms;
use mtl_benches::w1::W1;
use mtl_loss::WeightingConfig;
use mtl_train::SharedParameters;
use serde_json::json;

const WARM_STEPS: usize = 4;
const BURST: usize = 5;
/// One of each kind; `--methods all` is every one there is.
const METHODS: &str = "equal,uncertainty,gradnorm,pareto,mgda,pcgrad";

type Anything = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weighting: {error}");
            ExitCode::from(2)
        }
    }
}

struct Settings {
    model: String,
    methods: Vec<String>,
    rounds: usize,
    shared: SharedParameters,
}

fn run(arguments: impl Iterator<Item = String>) -> Result<(), Anything> {
    let settings = settings(arguments)?;
    let mut models = Vec::new();
    for method in &settings.methods {
        let mut model = W1::new(&settings.model)?.weighed(method, settings.shared)?;
        for _ in 0..WARM_STEPS {
            model.step()?;
        }
        models.push(model);
    }
    // Ratios are taken within a round, whose bursts lie a fraction of a second apart.
    let (mut times, mut ratios) = (vec![Vec::new(); models.len()], vec![Vec::new(); models.len()]);
    for _ in 0..settings.rounds {
        let mut round = Vec::new();
        for model in &mut models {
            let mut steps = Vec::new();
            for _ in 0..BURST {
                let start = cpu_ms().ok_or("this system does not tell processor time")?;
                model.step()?;
                steps.push(cpu_ms().unwrap_or(start) - start);
            }
            round.push(median(&mut steps));
        }
        for (i, time) in round.iter().enumerate() {
            times[i].push(*time);
            ratios[i].push(time / round[0]);
        }
    }
    for (i, method) in settings.methods.iter().enumerate() {
        let line = json!({
            "model": settings.model,
            "method": method,
            "shared": settings.shared,
            "threads": rayon::current_num_threads(),
            "cpu_ms_per_step": rounded(median(&mut times[i])),
            "times_first": rounded(median(&mut ratios[i])),
        });
        println!("{line}");
    }
    Ok(())
}

fn settings(mut arguments: impl Iterator<Item = String>) -> Result<Settings, Anything> {
    let mut settings = Settings {
        model: "mmoe".to_owned(),
        methods: METHODS.split(',').map(str::to_owned).collect(),
        rounds: 20,
        shared: SharedParameters::LastLayer,
    };
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--model" => settings.model = value,
            "--methods" if value == "all" => settings.methods = all(),
            "--methods" => settings.methods = value.split(',').map(str::to_owned).collect(),
            "--rounds" => settings.rounds = value.parse::<usize>()?.max(1),
            "--shared" => settings.shared = serde_json::from_value(json!(value))?,
            _ => {
                let expected = "--model, --methods, --rounds or --shared";
                return Err(format!("{argument}: expected {expected}").into());
            }
        }
    }
    Ok(settings)
}

/// Every method, `equal` first: ratios are to the first.
fn all() -> Vec<String> {
    let others = WeightingConfig::NAMES.iter().filter(|&&name| name != "equal");
    std::iter::once(&"equal").chain(others).map(|&name| name.to_owned()).collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
