//! `mtl compare`: every model on the same rows.

use std::rc::Rc;

use anyhow::Context;
use mtl_arch::NAMES;
use mtl_train::{Compared, Contender, Finished, Observer, Results, TrainConfig, compare_and};

use crate::args::CompareArgs;
use crate::commands::methods::Method;
use crate::commands::nesting::located;
use crate::commands::predictions;
use crate::progress::{Bar, Notes};
use crate::sources::{self, Source};
use crate::{commands, render};

/// What is compared if nothing is named: the embedded data, then the simulated funnel.
const DEFAULT_DATA: [&str; 2] = ["census", "funnel"];

/// The option that names weightings.
const WEIGHTINGS: &str = "--weightings";

/// Columns of metrics in one printed table.
const MAX_COLUMNS: usize = 11;

/// Seeds if no number is given.
const DEFAULT_SEEDS: u64 = 3;

pub(crate) fn run(args: &CompareArgs, json: bool) -> anyhow::Result<()> {
    check_models(args)?;
    let weightings = args.weightings.as_deref();
    let weightings = weightings.map(|lists| Method::read(WEIGHTINGS, lists)).transpose()?;
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
    commands::prepare_folder(args.figures.folder.as_deref())?;
    let names = match &args.data {
        Some(name) => vec![name.as_str()],
        None => DEFAULT_DATA.to_vec(),
    };
    let mut all = Vec::with_capacity(names.len());
    for (i, name) in names.into_iter().enumerate() {
        let results = compare_on(name, args, weightings.as_deref(), seeds)?;
        if !json {
            if i > 0 {
                say!();
            }
            print(&results);
        }
        if let Some(folder) = &args.out {
            let file =
                if i == 0 { "results.json".to_owned() } else { format!("results-{name}.json") };
            let text = serde_json::to_string_pretty(&results)?;
            commands::write(&folder.join(&file), text.as_bytes())?;
            if !json {
                say!("\nwrote {}", folder.join(file).display());
            }
        }
        all.push(results);
        report(args, &all)?;
    }
    match (json, &all[..]) {
        (true, [one]) => render::json(one),
        (true, _) => render::json(&all),
        (false, _) => Ok(()),
    }
}

fn compare_on(
    name: &str,
    args: &CompareArgs,
    weightings: Option<&[Method]>,
    seeds: u64,
) -> anyhow::Result<Results> {
    let Source { dataset, mut contenders, truths, files } = sources::open(name, args)?;
    if let Some(weightings) = weightings {
        contenders = cross(&contenders, weightings)?;
    }
    if args.quick {
        for contender in &mut contenders {
            contender.train = TrainConfig { epochs: 1, ..contender.train.clone() };
        }
    }
    if let Some(products) = args.precision {
        contenders.iter_mut().for_each(|c| c.train.precision = products.precision());
    }
    let seeds: Vec<u64> = (1..=seeds).collect();
    let n_runs = contenders.len() * seeds.len();
    let mut run = 0;
    let said = Notes::default();
    let data = Compared { name, dataset: &dataset, truths: &truths };
    let watch = |name: &str, _| {
        run += 1;
        Box::new(Bar::among(format!("{run}/{n_runs} {name}"), Rc::clone(&said)))
            as Box<dyn Observer>
    };
    let keep = |trained: Finished<'_>| match &args.out {
        Some(folder) if args.write_predictions => predictions::write(folder, name, trained),
        _ => Ok(()),
    };
    compare_and(data, &contenders, &seeds, watch, keep).map_err(|error| match &files {
        Some(files) => located(error, files),
        None => error,
    })
}

fn check_models(args: &CompareArgs) -> anyhow::Result<()> {
    let names = args.models.as_deref().unwrap_or(&[]);
    for (i, name) in names.iter().enumerate() {
        anyhow::ensure!(!names[..i].contains(name), "--models names `{name}` twice, expected once");
        if !NAMES.contains(&name.as_str()) {
            let nearest = mtl_feature::nearest_names(name, &NAMES);
            let hint = nearest.first().map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            anyhow::bail!("--models: unknown model `{name}`, expected {}{hint}", NAMES.join(", "));
        }
    }
    Ok(())
}

/// Every model under every weighting; `equal` keeps the model's name, so that differences from
/// Single-Task can still be taken.
fn cross(contenders: &[Contender], weightings: &[Method]) -> anyhow::Result<Vec<Contender>> {
    let mut crossed = Vec::with_capacity(contenders.len() * weightings.len());
    for contender in contenders {
        for weighting in weightings {
            let loss = weighting.checked(WEIGHTINGS, &contender.train.loss, &contender.spec)?;
            let name = match weighting.label.as_str() {
                "equal" => contender.name.clone(),
                label => format!("{} {label}", contender.name),
            };
            let train = TrainConfig { loss, ..contender.train.clone() };
            crossed.push(Contender { name, train, spec: contender.spec.clone() });
        }
    }
    Ok(crossed)
}

/// The report of what has been compared so far: there is one even if the next data fail.
fn report(args: &CompareArgs, all: &[Results]) -> anyhow::Result<()> {
    if args.out.is_none() && args.figures.folder.is_none() {
        return Ok(());
    }
    let report = mtl_report::compared(all)?;
    if let Some(folder) = &args.out {
        commands::write(&folder.join(commands::REPORT), report.html().as_bytes())?;
    }
    commands::write_figures(&report, &args.figures)
}

fn print(results: &Results) {
    let n = results.models.first().map_or(0, |model| model.seeds.len());
    let seeds = if n == 1 { "1 seed".to_owned() } else { format!("mean ± sd of {n} seeds") };
    say!("{}: {} {} rows, {seeds}", results.data, results.rows, results.reported);
    for (i, (header, rows)) in results.tables(MAX_COLUMNS).iter().enumerate() {
        if i > 0 {
            say!();
        }
        render::table(header, rows);
    }
    if let Some((header, rows)) = results.delta_table() {
        say!("\nDifference paired by seed, with its 95 % interval");
        render::table(&header, &rows);
    }
    for model in &results.models {
        for warning in &model.warnings {
            eprintln!("warning: {}: {warning}", model.model);
        }
    }
}
