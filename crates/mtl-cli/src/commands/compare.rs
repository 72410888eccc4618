//! `mtl compare`: every model on the same rows.

use std::path::Path;

use anyhow::Context;
use mtl_arch::NAMES;
use mtl_data::Dataset;
use mtl_train::{Contender, LossConfig, Observer, Results, RunConfig, TrainConfig, compare};

use crate::args::CompareArgs;
use crate::progress::Bar;
use crate::{census, commands, render};

/// What is compared if nothing is named: from nothing shared to everything controlled.
const DEFAULT_MODELS: [&str; 6] = ["single_task", "shared_bottom", "omoe", "mmoe", "cgc", "ple"];

/// Seeds if no number is given.
const DEFAULT_SEEDS: u64 = 3;

pub(crate) fn run(args: &CompareArgs, json: bool) -> anyhow::Result<()> {
    let names = names(args)?;
    let seeds = match (args.quick, args.seeds) {
        (_, Some(0)) => anyhow::bail!("--seeds is 0, expected at least 1"),
        (_, Some(n)) => n,
        (true, None) => 1,
        (false, None) => DEFAULT_SEEDS,
    };
    if let Some(folder) = &args.out {
        // Before hours of training, not after.
        let made = std::fs::create_dir_all(folder);
        made.with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let (dataset, mut contenders) = contenders(args, &names)?;
    if let Some(weightings) = &args.weightings {
        contenders = cross(&contenders, weightings)?;
    }
    if args.quick {
        for contender in &mut contenders {
            contender.train = TrainConfig { epochs: 1, ..contender.train.clone() };
        }
    }
    let seeds: Vec<u64> = (1..=seeds).collect();
    let n_runs = contenders.len() * seeds.len();
    let mut run = 0;
    let results = compare(&args.data, &dataset, &contenders, &seeds, |name, _| {
        run += 1;
        Box::new(Bar::new(format!("{run}/{n_runs} {name}"))) as Box<dyn Observer>
    })?;
    if let Some(folder) = &args.out {
        write(folder, &results)?;
    }
    if json { render::json(&results) } else { print(&results, args.out.as_deref()) }
}

fn names(args: &CompareArgs) -> anyhow::Result<Vec<String>> {
    let Some(names) = &args.models else {
        return Ok(DEFAULT_MODELS.map(str::to_owned).to_vec());
    };
    for (i, name) in names.iter().enumerate() {
        anyhow::ensure!(!names[..i].contains(name), "--models names `{name}` twice");
        if !NAMES.contains(&name.as_str()) {
            let nearest = mtl_feature::nearest_names(name, &NAMES);
            let hint = nearest.first().map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            anyhow::bail!("--models: unknown model `{name}`, expected {}{hint}", NAMES.join(", "));
        }
    }
    Ok(names.clone())
}

fn contenders(args: &CompareArgs, names: &[String]) -> anyhow::Result<(Dataset, Vec<Contender>)> {
    if args.data == "census" {
        let dataset = census::data(args.group)?;
        let contenders = census::contenders(&dataset, names)?;
        return Ok((dataset, contenders));
    }
    let path = Path::new(&args.data);
    anyhow::ensure!(
        path.exists(),
        "`{}` is neither `census` nor a file, expected one or the other",
        args.data
    );
    let config = RunConfig::read(path)?;
    let contender = |name: &String| {
        let (spec, train) = (config.model_spec(name)?, config.train.clone());
        Ok(Contender { name: name.clone(), spec, train })
    };
    let contenders = names.iter().map(contender).collect::<anyhow::Result<_>>()?;
    Ok((mtl_data::load(&config.data, config.features.clone(), config.labels()?)?, contenders))
}

/// Every model under every weighting; `equal` keeps the model's name, so that differences from
/// Single-Task can still be taken.
fn cross(contenders: &[Contender], weightings: &[String]) -> anyhow::Result<Vec<Contender>> {
    let mut crossed = Vec::with_capacity(contenders.len() * weightings.len());
    for contender in contenders {
        for weighting in weightings {
            let loss = LossConfig {
                shared: contender.train.loss.shared,
                ..LossConfig::named(weighting).context("--weightings")?
            };
            let name = match weighting.as_str() {
                "equal" => contender.name.clone(),
                _ => format!("{} {weighting}", contender.name),
            };
            let train = TrainConfig { loss, ..contender.train.clone() };
            crossed.push(Contender { name, train, spec: contender.spec.clone() });
        }
    }
    Ok(crossed)
}

fn write(folder: &Path, results: &Results) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(results)?;
    commands::write(&folder.join("results.json"), text.as_bytes())
}

fn print(results: &Results, out: Option<&Path>) -> anyhow::Result<()> {
    let n = results.models.first().map_or(0, |model| model.seeds.len());
    let seeds = if n == 1 { "1 seed".to_owned() } else { format!("mean ± sd of {n} seeds") };
    println!("{}: {} {} rows, {seeds}", results.data, results.rows, results.reported);
    let (header, rows) = results.table();
    render::table(&header, &rows);
    if let Some((header, rows)) = results.delta_table() {
        println!("\nDifference paired by seed, with its 95 % interval");
        render::table(&header, &rows);
    }
    for model in &results.models {
        for warning in &model.warnings {
            eprintln!("warning: {}: {warning}", model.model);
        }
    }
    if let Some(folder) = out {
        println!("\nwrote {}", folder.join("results.json").display());
    }
    Ok(())
}
