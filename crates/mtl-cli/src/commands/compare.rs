//! `mtl compare`: every model on the same rows.

use std::path::Path;
use std::rc::Rc;

use mtl_train::{
    Compared, Contender, Finished, MissingRuns, Observer, Results, TrainConfig, compare_and,
};

use crate::args::CompareArgs;
use crate::commands::methods::Method;
use crate::commands::nesting::located;
use crate::commands::{notes, outputs, predictions};
use crate::interrupt::{Interrupt, Interrupted};
use crate::progress::{Bar, Notes};
use crate::sources::{self, Models, Source};
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
    let models = Models::read(args.models.as_deref())?;
    let weightings = args.weightings.as_deref();
    let weightings = weightings.map(|lists| Method::read(WEIGHTINGS, lists)).transpose()?;
    let seeds = match (args.quick, args.seeds) {
        (_, Some(0)) => anyhow::bail!("--seeds is 0, expected at least 1"),
        (_, Some(n)) => n,
        (true, None) => 1,
        (false, None) => DEFAULT_SEEDS,
    };
    outputs::check_results(args.out.as_deref())?;
    for folder in [&args.out, &args.figures.folder] {
        commands::prepare_folder(folder.as_deref())?;
    }
    let names = match &args.data {
        Some(name) => vec![name.as_str()],
        None => DEFAULT_DATA.to_vec(),
    };
    let mut all: Vec<Results> = Vec::with_capacity(names.len());
    let interrupt = Interrupt::listen()?;
    for (i, &name) in names.iter().enumerate() {
        if interrupt.is_asked() {
            break;
        }
        let source = sources::open(name, args, &models)?;
        let weightings = weightings.as_deref();
        let results = compare_on((name, source), args, weightings, seeds, &interrupt)?;
        if !json {
            if i > 0 {
                say!();
            }
            print(&results);
        }
        let file = if i == 0 { "results.json".to_owned() } else { format!("results-{name}.json") };
        if let Some(folder) = &args.out {
            let text = serde_json::to_string_pretty(&results)?;
            commands::write(&folder.join(&file), text.as_bytes())?;
        }
        all.push(results);
        report(args, &all)?;
        if let Some(folder) = args.out.as_ref().filter(|_| !json) {
            let predictions = args.write_predictions.then_some(predictions::FOLDER);
            let files = [file.as_str(), commands::REPORT].into_iter().chain(predictions);
            outputs::say_wrote(folder, files);
        }
    }
    match (json, &all[..]) {
        (true, [one]) if names.len() == 1 => render::json(one)?,
        (true, _) => render::json(&all)?,
        (false, _) => {}
    }
    match interrupted(&all, &names[all.len()..], args.out.as_deref()) {
        Some(interrupted) => Err(interrupted.into()),
        None => Ok(()),
    }
}

/// What to say of a comparison that was interrupted before it came to the data `not_begun`.
fn interrupted(all: &[Results], not_begun: &[&str], out: Option<&Path>) -> Option<Interrupted> {
    let partly = all.iter().filter(|results| !results.interrupted.is_empty());
    let partly = partly.map(|results| {
        let done: usize = results.models.iter().map(|model| model.seeds.len()).sum();
        let missing: usize = results.interrupted.iter().map(|missing| missing.seeds.len()).sum();
        format!("{done} of {} runs on {} are done", done + missing, results.data)
    });
    let said: Vec<String> =
        partly.chain(not_begun.iter().map(|name| format!("{name} was not begun"))).collect();
    let wrote = out.map_or(String::new(), |folder| format!("; {} has them", folder.display()));
    (!said.is_empty()).then(|| Interrupted(format!("interrupted: {}{wrote}", said.join(", "))))
}

fn compare_on(
    (name, source): (&str, Source),
    args: &CompareArgs,
    weightings: Option<&[Method]>,
    seeds: u64,
    interrupt: &Interrupt,
) -> anyhow::Result<Results> {
    let Source { dataset, mut contenders, truths, files } = source;
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
    // The folder of temporary files may lie in memory.
    contenders.iter_mut().for_each(|c| c.train.kept.folder.clone_from(&args.out));
    let seeds: Vec<u64> = (1..=seeds).collect();
    let n_runs = contenders.len() * seeds.len();
    let mut run = 0;
    let said = Notes::default();
    let data = Compared { name, dataset: &dataset, truths: &truths };
    let watch = |name: &str, _| {
        run += 1;
        let title = format!("{run}/{n_runs} {name}");
        Box::new(Bar::among(title, Rc::clone(&said), interrupt.clone())) as Box<dyn Observer>
    };
    let keep = |trained: Finished<'_>| match &args.out {
        Some(folder) if args.write_predictions => predictions::write(folder, name, trained),
        _ => Ok(()),
    };
    let results =
        compare_and(data, &contenders, &seeds, watch, keep).map_err(|error| match &files {
            Some(files) => located(error, files),
            None => error,
        })?;
    notes::groups_of_parts(&dataset.schema, &results.parts);
    Ok(results)
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
    let seeds = match results.models.iter().map(|model| model.seeds.len()).max() {
        None => "no run".to_owned(),
        Some(1) => "1 seed".to_owned(),
        Some(n) => format!("mean ± sd of {n} seeds"),
    };
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
    for MissingRuns { model, seeds } in &results.interrupted {
        let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
        say!("missing: seed {} of {model}", seeds.join(", "));
    }
    for model in &results.models {
        for warning in &model.warnings {
            tell!("warning: {}: {warning}", model.model);
        }
    }
}
