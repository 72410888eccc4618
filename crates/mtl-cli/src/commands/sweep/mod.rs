//! `mtl sweep`: one model under fixed weights, a simplex or a grid of them, and under every adaptive
//! weighting, and the Pareto front of two metrics among them.

mod candidates;

use std::path::Path;
use std::rc::Rc;

use anyhow::Context;
use mtl_data::{Dataset, Loader, Reported, RowSource};
use mtl_feature::LabelKind;
use mtl_loss::WeightingConfig;
use mtl_model::{Measure, Model, ModelSpec};
use mtl_nn::checkpoint::write_atomic;
use mtl_train::{
    Axis, LossConfig, MissingPoint, Monitor, Observer, Part, RunConfig, Sweep, SweepPoint,
    SweepRun, TrainConfig, check_test_rows, evaluate, fit, summarise,
};

use self::candidates::{Candidate, candidates};
use crate::args::SweepArgs;
use crate::commands::nesting::located;
use crate::commands::{notes, outputs};
use crate::interrupt::{Interrupt, Interrupted};
use crate::progress::{Bar, Notes};
use crate::{commands, one_line, render};

/// More runs than this are a slip of the keyboard.
const MAX_RUNS: usize = 500;

pub(crate) fn run(args: &SweepArgs, json: bool) -> anyhow::Result<()> {
    let config = RunConfig::read(&args.config)?;
    let spec = config.named_model()?;
    let losses = losses(&spec.measures()?);
    anyhow::ensure!(losses.len() > 1, "a sweep needs two losses or more, and there is one");
    let monitors = monitors(args, &spec.measures()?)?;
    let seeds = seeds(args, config.train.seed)?;
    let candidates = candidates(args, &losses, (&config.train.loss, &spec), seeds.len())?;
    outputs::check_results(args.out.as_deref())?;
    for folder in [&args.out, &args.figures.folder] {
        commands::prepare_folder(folder.as_deref())?;
    }
    let interrupt = Interrupt::listen()?;
    let dataset = Loader::new(&config.data, config.features.clone(), config.labels()?).open()?;
    let Reported { part: reported, rows, .. } = dataset.reported().context(
        "[data] there are no rows to report on: expected `test` or `validation` files, or a `split`",
    )?;
    let said = Notes::default();
    let notes = check_test_rows(&spec, &dataset);
    for note in notes.map_err(|error| located(error.into(), &config.data))? {
        Bar::among("", Rc::clone(&said), interrupt.clone()).note(&note);
    }
    let mut sweep = Sweep {
        data: args.config.display().to_string(),
        version: env!("CARGO_PKG_VERSION"),
        model: spec.model.name.clone(),
        reported,
        rows: rows.n_rows(),
        seeds,
        parts: Vec::new(),
        metrics: monitors.each_ref().map(|monitor| Axis {
            name: monitor.name().to_owned(),
            larger_is_better: monitor.larger_is_better(),
        }),
        planned: candidates.len(),
        points: Vec::with_capacity(candidates.len()),
        interrupted: Vec::new(),
        configuration: std::fs::read_to_string(&args.config)?,
    };
    let trainer = Trainer {
        config: &config,
        spec: &spec,
        monitors: &monitors,
        dataset: &dataset,
        interrupt: &interrupt,
    };
    for candidate in &candidates {
        let Tried { point, missing } = trainer.point(candidate, rows, &mut sweep, &said)?;
        sweep.interrupted.extend(missing);
        let Some(point) = point else { continue };
        sweep.points.push(point);
        sweep.mark_front();
        save(&sweep, args)?;
    }
    notes::groups_of_parts(&dataset.schema, &sweep.parts);
    let is_whole = sweep.interrupted.is_empty();
    if !is_whole {
        save(&sweep, args)?;
    }
    if let Some((point, reason)) = sweep.none_succeeded().filter(|_| is_whole) {
        anyhow::bail!("every run failed; the first, weighting `{}`: {reason}", point.weighting);
    }
    write(&sweep, args)?;
    let out = args.out.as_deref();
    match json {
        true => render::json(&sweep)?,
        false => print(&sweep, out),
    }
    if is_whole { Ok(()) } else { Err(interrupted(&sweep, out).into()) }
}

/// What to say of a sweep that was interrupted.
fn interrupted(sweep: &Sweep, out: Option<&Path>) -> Interrupted {
    let all = sweep.planned * sweep.seeds.len();
    let missing: usize = sweep.interrupted.iter().map(|missing| missing.seeds.len()).sum();
    let wrote = out.map_or(String::new(), |folder| format!("; {} has them", folder.display()));
    Interrupted(format!("interrupted: {} of {all} runs are done{wrote}", all - missing))
}

/// The numbers so far: what hours have found is there, whatever becomes of the next run.
fn save(sweep: &Sweep, args: &SweepArgs) -> anyhow::Result<()> {
    let Some(folder) = &args.out else { return Ok(()) };
    let text = serde_json::to_string_pretty(sweep)?;
    Ok(write_atomic(folder.join("sweep.json"), text.as_bytes())?)
}

fn write(sweep: &Sweep, args: &SweepArgs) -> anyhow::Result<()> {
    let report = mtl_report::swept(sweep)?;
    if let Some(folder) = &args.out {
        if let Some(figure) = report.figures().first() {
            commands::write(&folder.join("sweep.svg"), figure.svg().as_bytes())?;
        }
        commands::write(&folder.join(commands::REPORT), report.html().as_bytes())?;
    }
    commands::write_figures(&report, &args.figures)
}

/// The names of the losses that are trained on.
fn losses(measures: &[Measure]) -> Vec<String> {
    let trained = measures.iter().filter(|measure| measure.weight > 0.0);
    let mut names: Vec<String> = trained.filter_map(|measure| measure.loss.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// The metrics named, or AUC (RMSE of a regression, log loss of classes) of the first two tasks.
fn monitors(args: &SweepArgs, measures: &[Measure]) -> anyhow::Result<[Monitor; 2]> {
    let default = |measure: &Measure| {
        let metric = match measure.kind {
            LabelKind::Regression => "rmse",
            LabelKind::Multiclass => "log_loss",
            _ => "auc",
        };
        format!("{metric}_{}", measure.name)
    };
    let names = match &args.metrics {
        Some(names) => names.clone(),
        None => measures.iter().filter(|m| m.weight > 0.0).take(2).map(default).collect(),
    };
    let [first, second] = <[String; 2]>::try_from(names).map_err(|names| {
        anyhow::anyhow!("--metrics names {}, expected two, separated by a comma", names.len())
    })?;
    anyhow::ensure!(first != second, "--metrics names `{first}` twice, expected two metrics");
    let parse = |name: String| {
        Monitor::parse(&name, measures)
            .map_err(|expected| anyhow::anyhow!("--metrics: `{name}`, expected {expected}"))
    };
    Ok([parse(first)?, parse(second)?])
}

/// 1 to N, or the configuration's own.
fn seeds(args: &SweepArgs, own: u64) -> anyhow::Result<Vec<u64>> {
    match args.seeds {
        Some(0) => anyhow::bail!("--seeds is 0, expected at least 1"),
        Some(n) if n > MAX_RUNS as u64 => {
            anyhow::bail!("--seeds is {n}, expected at most {MAX_RUNS}")
        }
        Some(n) => Ok((1..=n).collect()),
        None => Ok(vec![own]),
    }
}

/// What every training of a sweep shares.
struct Trainer<'a> {
    config: &'a RunConfig,
    spec: &'a ModelSpec,
    monitors: &'a [Monitor; 2],
    dataset: &'a Dataset<Box<dyn RowSource>>,
    interrupt: &'a Interrupt,
}

/// What came of a weighting: a point if a run ended, and what an interrupt left out.
struct Tried {
    point: Option<SweepPoint>,
    missing: Option<MissingPoint>,
}

impl Trainer<'_> {
    /// Trains under one weighting with every seed. A weighting that fails is a point that says why:
    /// the others are worth having. What is wrong with the data is wrong for all, and an error.
    /// Nothing is trained any more once there was an interrupt.
    fn point(
        &self,
        Candidate { label, method }: &Candidate,
        rows: &dyn RowSource,
        sweep: &mut Sweep,
        said: &Notes,
    ) -> anyhow::Result<Tried> {
        let n_seeds = sweep.seeds.len();
        let (before, n_runs) = (sweep.points.len() * n_seeds, sweep.planned * n_seeds);
        let mut runs = Vec::with_capacity(n_seeds);
        for seed in sweep.seeds.clone() {
            let i = before + runs.len() + 1;
            if self.interrupt.is_asked() {
                break;
            }
            let title = format!("{i}/{n_runs} {label}");
            let bar = Bar::among(title, Rc::clone(said), self.interrupt.clone());
            match self.train(method, seed, rows, bar) {
                Ok(None) => break,
                Ok(Some((run, part))) => {
                    runs.push(run);
                    if sweep.parts.is_empty() {
                        sweep.parts = summarise(&part, self.dataset)?;
                    }
                }
                Err(error) if is_of_data(&error) => {
                    let error = located(error, &self.config.data);
                    return Err(error.context(format!("weighting `{label}`, seed {seed}")));
                }
                Err(error) => {
                    let reason = format!("seed {seed}: {}", one_line(&error));
                    let point = SweepPoint::failed(label, method.clone(), runs, reason);
                    return Ok(Tried { point: Some(point), missing: None });
                }
            }
        }
        let seeds = sweep.seeds[runs.len()..].to_vec();
        let missing = (!seeds.is_empty()).then(|| MissingPoint::new(label, method.clone(), seeds));
        let point = match runs.is_empty() {
            true => None,
            false => Some(SweepPoint::new(label, method.clone(), runs)?),
        };
        Ok(Tried { point, missing })
    }

    /// Trains on the data set and measures on `rows` of it; `None` if the training was interrupted.
    fn train(
        &self,
        method: &WeightingConfig,
        seed: u64,
        rows: &dyn RowSource,
        mut bar: Bar,
    ) -> anyhow::Result<Option<(SweepRun, Part)>> {
        let Self { config, spec, monitors, dataset, .. } = self;
        let loss = LossConfig { weighting: Some(method.clone()), ..config.train.loss.clone() };
        let train = TrainConfig { loss, seed, ..config.train.clone() };
        let mut model = Model::new((*spec).clone(), dataset.schema.clone(), train.seed)?;
        let tables = (&dataset.train, &dataset.validation);
        let fitted = fit(&mut model, tables, &train, None, &mut bar)?;
        drop(bar);
        if fitted.steps_partway().is_some() {
            return Ok(None);
        }
        let (history, part) = fitted.into_history();
        let found = evaluate(&model, rows)?;
        let value = |monitor: &Monitor| {
            let undefined = || format!("`{}` is undefined on the rows reported on", monitor.name());
            monitor.value(&found).filter(|value| value.is_finite()).with_context(undefined)
        };
        let told = history.epochs.last().map(|epoch| epoch.weights.clone()).unwrap_or_default();
        let weights = match method {
            WeightingConfig::Fixed(fixed) => fixed.weights.clone(),
            WeightingConfig::Equal(_) => {
                model.graph().losses().iter().map(|(name, _)| (name.clone(), 1.0)).collect()
            }
            _ => told.into_iter().collect(),
        };
        let run = SweepRun {
            seed,
            weights,
            values: [value(&monitors[0])?, value(&monitors[1])?],
            best_epoch: history.best_epoch.unwrap_or(history.epochs.len()),
            seconds: history.seconds(),
        };
        Ok(Some((run, part)))
    }
}

/// Whether an error lies in the rows, and so would come under every weighting.
fn is_of_data(error: &anyhow::Error) -> bool {
    use mtl_train::Error::{Data, Nesting, Read};
    error
        .chain()
        .any(|cause| matches!(cause.downcast_ref(), Some(Data(_) | Nesting { .. } | Read(_))))
}

fn print(sweep: &Sweep, out: Option<&Path>) {
    let [x, y] = &sweep.metrics;
    say!(
        "{} under {} weightings, {} {} rows, {}; ● is on the Pareto front of {} and {}",
        sweep.model,
        sweep.points.len(),
        sweep.rows,
        sweep.reported,
        sweep.seeds_said(),
        x.name,
        y.name
    );
    let names = sweep.losses();
    let mut header = vec!["weighting".to_owned()];
    header.extend(names.iter().map(|name| format!("w {name}")));
    header.extend([x.name.clone(), y.name.clone(), "front".to_owned(), "s".to_owned()]);
    let row = |point: &SweepPoint| {
        let mut row = vec![point.weighting.clone()];
        row.extend(names.iter().map(|name| render::number(point.weights.get(*name).copied(), 3)));
        row.extend([0, 1].map(|i| metric(point, i)));
        row.push(match (&point.failed, point.on_front) {
            (Some(_), _) => "failed".to_owned(),
            (None, true) => "●".to_owned(),
            (None, false) => String::new(),
        });
        row.push(render::number(point.seconds, 1));
        row
    };
    let rows: Vec<_> = sweep.points.iter().map(row).collect();
    render::table(&header, &rows);
    for (i, point) in sweep.points.iter().enumerate() {
        if let Some(reason) = &point.failed {
            say!("row {} failed: {}: {reason}", i + 1, point.weighting);
        }
    }
    // An interrupt leaves at most one weighting with some of its seeds: the last.
    let partly = sweep.interrupted.iter().find(|m| m.seeds.len() < sweep.seeds.len());
    if let Some(missing) = partly {
        say!("row {} lacks {} seeds", sweep.points.len(), missing.seeds.len());
    }
    if let Some(folder) = out {
        let svg = sweep.points.iter().any(|point| point.values.is_some()).then_some("sweep.svg");
        let files = ["sweep.json"].into_iter().chain(svg).chain([commands::REPORT]);
        outputs::say_wrote(folder, files);
    }
}

/// The mean, with its standard deviation where there are several seeds.
fn metric(point: &SweepPoint, i: usize) -> String {
    let mean = render::number(point.values.map(|values| values[i]), 4);
    point.sd[i].map_or(mean.clone(), |sd| format!("{mean} ± {sd:.4}"))
}
