//! Where the entire-space chains beat a conversion model of clicked rows: worlds of the simulated
//! funnel over a grid of selection strength × click rate, differences paired by world.
//! `docs/funnel.md` derives what should happen and has the tables that this prints. `--chains` takes
//! any preset, and `naive_likelihood`.
//!
//! `cargo run --release -p mtl-examples --example funnel_study -- --selection 0,1,2 --click-rate
//! 0.03,0.1 --chains naive_cvr,esmm --rows 1000000 --worlds 5`

use std::str::FromStr;

use mtl_arch::ArchitectureConfig;
use mtl_data::{Dataset, funnel};
use mtl_esm::{ChainConfig, LabelConfig, Preset};
use mtl_eval::Summary;
use mtl_examples::Anything;
use mtl_model::{Model, ModelConfig, ModelSpec};
use mtl_nn::{OptimiserConfig, Rule, Schedule};
use mtl_train::{Contender, Evaluation, Scored, Silent, TrainConfig, TruthOf};
use mtl_train::{evaluate, fit, measure, measure_truth};

/// The model that the others are compared with.
const REFERENCE: &str = "naive_cvr";

/// The same with the conversion's loss weighted by the share of clicked rows: then a clicked row
/// counts for it as much as any row counts for the click, which is the likelihood of the log.
const LIKELIHOOD: &str = "naive_likelihood";

/// Numbers of epochs, each a run of its own to a learning rate of 0; validation chooses. A model of
/// clicked rows has a tenth of the rows and overfits sooner: one number for all would be unfair.
const EPOCHS: [usize; 2] = [1, 2];

const BATCH: usize = 1024;

/// What is measured on the last day of a world, all impressions.
const MEASURES: [&str; 4] = ["CVR auc", "log-odds rmse", "rmse if clicked", "PCOC of pCTCVR"];

type Measured = [f64; MEASURES.len()];

fn main() -> Result<(), Anything> {
    let grid = Grid::parse(std::env::args().skip(1))?;
    for &click_rate in &grid.click_rates {
        for &selection_strength in &grid.selections {
            let config = funnel::Config {
                rows: grid.rows,
                click_rate,
                selection_strength,
                unobserved_share: grid.unobserved,
                ..funnel::Config::default()
            };
            println!("\nselection {selection_strength}, click rate {click_rate}");
            let mut truth = Vec::new();
            let mut models = vec![Vec::new(); grid.chains.len()];
            for seed in 1..=grid.worlds {
                let data = funnel::load(&funnel::Config { seed, ..config.clone() })?;
                truth.push(pcoc_of_truth(&data).ok_or("the funnel knows its truth")?);
                for (chain, runs) in grid.chains.iter().zip(&mut models) {
                    let measured = train(chain, &data, seed)?;
                    println!("  world {seed} {chain:10} {measured:.4?}");
                    runs.push(measured);
                }
            }
            print_cell(&grid.chains, &models, &truth)?;
        }
    }
    Ok(())
}

/// A row a chain: mean of each measure over worlds, and its difference from the reference, each ±
/// its standard error.
fn print_cell(chains: &[String], models: &[Vec<Measured>], truth: &[f64]) -> Result<(), Anything> {
    println!("| chain | {} |", MEASURES.map(|name| format!("{name} | Δ")).join(" | "));
    let reference = chains.iter().position(|chain| chain == REFERENCE);
    for (chain, runs) in chains.iter().zip(models) {
        let mut row = format!("| {chain} |");
        for i in 0..MEASURES.len() {
            row += &format!(" {} |", with_error(runs.iter().map(|run| run[i]))?);
            row += &match reference {
                Some(r) if chain != REFERENCE => {
                    let pairs = runs.iter().zip(&models[r]);
                    format!(" {} |", with_error(pairs.map(|(own, other)| own[i] - other[i]))?)
                }
                _ => " – |".to_owned(),
            };
        }
        println!("{row}");
    }
    println!("PCOC of the true pCTCVR: {}", with_error(truth.iter().copied())?);
    Ok(())
}

/// Mean ± its standard error.
fn with_error(values: impl Iterator<Item = f64>) -> Result<String, Anything> {
    let summary = Summary::new(&values.collect::<Vec<_>>())?;
    let mean = summary.mean.value().unwrap_or(f64::NAN);
    let error = summary.sd.value().map(|sd| sd / (summary.n as f64).sqrt());
    Ok(error.map_or_else(|| format!("{mean:.4}"), |error| format!("{mean:.4} ± {error:.4}")))
}

/// Trains with each number of epochs and measures the model that validates best.
fn train(chain: &str, data: &Dataset, seed: u64) -> Result<Measured, Anything> {
    let truth = data.truth.as_ref().ok_or("the funnel knows its truth")?;
    let mut best: Option<(f64, Model)> = None;
    for epochs in EPOCHS {
        let Contender { spec, train, .. } = contender(chain, data, epochs, seed)?;
        let mut model = Model::new(spec, data.schema.clone(), seed)?;
        // Without rows to choose an epoch by the last one stays: it is the calibrated one.
        let none = data.validation.select(&[]);
        fit(&mut model, (&data.train, &none), &train, None, &mut Silent)?;
        let loss = evaluate(&model, &data.validation)?.loss;
        let loss = loss.ok_or("the validation loss is defined")?;
        if best.as_ref().is_none_or(|(least, _)| loss < *least) {
            best = Some((loss, model));
        }
    }
    let (_, model) = best.ok_or("there is a number of epochs")?;
    let asked = TruthOf::new("pCVR", &["p_purchase_given_click"])
        .if_clicked("p_purchase_if_clicked", "purchase_if_clicked");
    let scored = Scored::of(&model, &data.test)?;
    let evaluation = measure(&model, &scored)?;
    let errors = measure_truth(&model, &scored, &truth.test, &[asked])?;
    let errors = errors.first().ok_or("every chain here has pCVR")?;
    Ok([
        errors.auc_entire.as_ref().and_then(|auc| auc.value()).unwrap_or(f64::NAN),
        errors.log_odds_rmse.unwrap_or(f64::NAN),
        errors.log_odds_rmse_if_clicked.unwrap_or(f64::NAN),
        pcoc(&evaluation).unwrap_or(f64::NAN),
    ])
}

/// The chain over `towers`, with the settings of `mtl compare funnel`.
fn contender(chain: &str, data: &Dataset, epochs: usize, seed: u64) -> Result<Contender, Anything> {
    let name = if chain == LIKELIHOOD { REFERENCE } else { chain };
    let preset: Preset = toml::Value::from(name).try_into()?;
    let mut graph = ChainConfig { preset: Some(preset), ..ChainConfig::default() };
    if chain == LIKELIHOOD {
        let clicks = data.train.label_of("click").unwrap_or_default();
        let rate = clicks.iter().sum::<f32>() / clicks.len().max(1) as f32;
        graph.weights.insert("pCVR".to_owned(), rate.into());
    }
    if preset != Preset::Esm2 {
        graph.labels.insert("conversion".to_owned(), LabelConfig::One("purchase".to_owned()));
    }
    let architecture = ArchitectureConfig {
        tower_units: Some(vec![64, 32]),
        dropout: Some(0.0),
        ..ArchitectureConfig::default()
    };
    let config = ModelConfig { architecture, ..ModelConfig::new("towers") };
    let steps = epochs * data.train.n_rows().div_ceil(BATCH);
    let optimiser = OptimiserConfig {
        dense: Rule::adam(5e-3),
        l2_tables: 1e-4,
        schedule: Schedule::Cosine { warmup: 0, steps: steps as u64, floor: 0.0 },
        ..OptimiserConfig::default()
    };
    let train = TrainConfig {
        epochs,
        batch_size: BATCH,
        optimiser: Some(optimiser),
        seed,
        ..TrainConfig::default()
    };
    let spec = ModelSpec::new(config, Vec::new(), Some(graph))?;
    Ok(Contender { name: chain.to_owned(), spec, train })
}

fn pcoc(evaluation: &Evaluation) -> Option<f64> {
    evaluation.task("pCTCVR")?.binary()?.pcoc.value()
}

/// Mean true pCTCVR over mean purchase: what a sample of this size makes of a perfect model.
fn pcoc_of_truth(data: &Dataset) -> Option<f64> {
    let truth = &data.truth.as_ref()?.test;
    let (click, conversion) =
        (truth.label_of("p_click")?, truth.label_of("p_purchase_given_click")?);
    let expected: f64 = click.iter().zip(conversion).map(|(a, b)| f64::from(a * b)).sum();
    let found: f64 = data.test.label_of("purchase")?.iter().map(|&y| f64::from(y)).sum();
    Some(expected / found)
}

/// What to run.
struct Grid {
    rows: u64,
    worlds: u64,
    selections: Vec<f64>,
    click_rates: Vec<f64>,
    unobserved: f64,
    chains: Vec<String>,
}

impl Grid {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Anything> {
        let mut grid = Self {
            rows: 1_000_000,
            worlds: 5,
            selections: vec![0.0, 1.0, 2.0],
            click_rates: vec![0.03, 0.1],
            unobserved: 0.0,
            chains: vec![REFERENCE.to_owned(), "esmm".to_owned()],
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--rows" => grid.rows = value.parse()?,
                "--worlds" => grid.worlds = value.parse()?,
                "--selection" => grid.selections = list(&value)?,
                "--click-rate" => grid.click_rates = list(&value)?,
                "--unobserved" => grid.unobserved = value.parse()?,
                "--chains" => grid.chains = list(&value)?,
                _ => return Err(format!("{name} is unknown, expected --rows, --worlds, --selection, --click-rate, --unobserved or --chains").into()),
            }
        }
        Ok(grid)
    }
}

fn list<T: FromStr>(text: &str) -> Result<Vec<T>, T::Err> {
    text.split(',').map(str::parse).collect()
}
