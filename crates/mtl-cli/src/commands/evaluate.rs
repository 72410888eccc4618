//! `mtl evaluate`: every metric of a trained model on a file.

mod by_segment;
mod truth;

use mtl_data::read_beside;
use mtl_eval::{BinaryReport, ClassReport, RegressionReport};
use mtl_train::{
    BySegment, Evaluated, Evaluation, Importance, RunConfig, Scored, gates, measure_with_truth,
};

use crate::args::EvaluateArgs;
use crate::commands::calibrate::print_changes;
use crate::commands::explain::Explained;
use crate::commands::nesting::{self, located_in};
use crate::commands::{notes, outputs};
use crate::{commands, render};

pub(crate) fn run(args: &EvaluateArgs, json: bool) -> anyhow::Result<()> {
    outputs::check_results(args.out.as_deref())?;
    for folder in [&args.out, &args.figures.folder] {
        commands::prepare_folder(folder.as_deref())?;
    }
    let (model, options) = commands::open(&args.model)?;
    let rows = commands::labelled(&model, &options, &args.data)?;
    let columns = match &args.explain.by[..] {
        [] => Vec::new(),
        columns => read_beside(&args.data, columns, &options)?,
    };
    let scored = Scored::of(&model, &rows)
        .map_err(|error| located_in(error.into(), &args.data, &options))?;
    nesting::note(&args.data, &scored);
    notes::of_file(&args.data, model.schema(), &rows)?;
    let config = RunConfig::read(&args.model.join(commands::CONFIG))?;
    // A file of a log has no column of the truth, and is measured as logs are.
    let truth = config.truth_in(&args.data, &options)?;
    let evaluation = measure_with_truth(&model, &scored, truth.as_ref(), &config.truths)?;
    let Explained { segments, importance } =
        Explained::of(&model, (&rows, &scored), &columns, &args.explain)?;
    let evaluated = Evaluated {
        model: model.spec().model.name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        data: args.data.display().to_string(),
        evaluation,
        segments,
        importance,
        gates: gates(&model, &rows)?,
    };
    write(&evaluated, args)?;
    if json { render::json(&evaluated) } else { print(&evaluated, args) }
}

/// The numbers and the page, where they are asked for.
fn write(evaluated: &Evaluated, args: &EvaluateArgs) -> anyhow::Result<()> {
    if args.out.is_none() && args.figures.folder.is_none() {
        return Ok(());
    }
    let report = mtl_report::evaluated(evaluated)?;
    if let Some(folder) = &args.out {
        let metrics = serde_json::to_string_pretty(evaluated)?;
        commands::write(&folder.join(commands::METRICS), metrics.as_bytes())?;
        commands::write(&folder.join(commands::REPORT), report.html().as_bytes())?;
    }
    commands::write_figures(&report, &args.figures)
}

fn print(evaluated: &Evaluated, args: &EvaluateArgs) -> anyhow::Result<()> {
    say!("{}: {} rows", evaluated.data, evaluated.evaluation.rows);
    print_metrics(&evaluated.evaluation);
    print_explained(&evaluated.evaluation, &evaluated.segments, evaluated.importance.as_ref());
    if let Some(folder) = &args.out {
        outputs::say_wrote(folder, [commands::METRICS, commands::REPORT]);
    }
    Ok(())
}

/// Tables of segments and of what features are worth.
pub(crate) fn print_explained(
    whole: &Evaluation,
    segments: &[BySegment],
    importance: Option<&Importance>,
) {
    for BySegment { by, segments } in segments {
        by_segment::print(whole, by, segments);
    }
    if let Some(importance) = importance {
        say!();
        commands::importance::print(importance);
    }
}

/// What is printed of a binary task, after its name.
const BINARY: [&str; 11] = [
    "rows",
    "positives",
    "auc",
    "95 % interval",
    "gauc",
    "users",
    "log loss",
    "norm. entropy",
    "brier",
    "pcoc",
    "ece",
];

/// What is printed of a regression.
const REGRESSION: [&str; 3] = ["rows", "rmse", "mae"];

/// What is printed of a task of several classes.
const CLASSES: [&str; 4] = ["rows", "log loss", "accuracy", "auc of classes"];

/// A header that begins with `first`.
fn header(first: &str, names: &[&str]) -> Vec<String> {
    std::iter::once(&first).chain(names).map(|name| (*name).to_owned()).collect()
}

fn binary_row(name: &str, report: &BinaryReport) -> Vec<String> {
    let interval = report.auc_interval.as_result().ok().map_or_else(
        || "–".to_owned(),
        |interval| format!("{:.4} – {:.4}", interval.low, interval.high),
    );
    vec![
        name.to_owned(),
        report.rows.to_string(),
        report.positives.to_string(),
        render::number(report.auc.value(), 4),
        interval,
        render::number(report.gauc.value.value(), 4),
        report.gauc.groups_used.to_string(),
        render::number(report.log_loss.value(), 4),
        render::number(report.normalised_entropy.value(), 4),
        render::number(report.brier.value(), 4),
        render::number(report.pcoc.value(), 3),
        render::number(report.ece.value(), 4),
    ]
}

fn regression_row(name: &str, report: &RegressionReport) -> Vec<String> {
    let metrics = [&report.rmse, &report.mae].map(|metric| render::number(metric.value(), 4));
    [name.to_owned(), report.rows.to_string()].into_iter().chain(metrics).collect()
}

fn class_row(name: &str, report: &ClassReport) -> Vec<String> {
    let metrics = [&report.log_loss, &report.accuracy, &report.auc_macro];
    let metrics = metrics.map(|metric| render::number(metric.value(), 4));
    [name.to_owned(), report.rows.to_string()].into_iter().chain(metrics).collect()
}

/// The metrics by task, why some are undefined, and the errors against the truth.
pub(crate) fn print_metrics(evaluation: &Evaluation) {
    let binary: Vec<_> = evaluation
        .tasks
        .iter()
        .filter_map(|task| Some((&task.task, task.metrics.binary()?)))
        .collect();
    if !binary.is_empty() {
        let rows: Vec<_> = binary.iter().map(|(name, report)| binary_row(name, report)).collect();
        render::table(&header("task", &BINARY), &rows);
        say!(
            "macro auc {}, macro gauc {}",
            render::number(evaluation.auc_macro.value(), 4),
            render::number(evaluation.gauc_macro.value(), 4)
        );
    }
    let tasks = evaluation.tasks.iter();
    let regression = tasks
        .clone()
        .filter_map(|task| Some(regression_row(&task.task, task.metrics.regression()?)));
    let regression: Vec<_> = regression.collect();
    if !regression.is_empty() {
        render::table(&header("task", &REGRESSION), &regression);
    }
    let classes = tasks.filter_map(|task| Some(class_row(&task.task, task.metrics.multiclass()?)));
    let classes: Vec<_> = classes.collect();
    if !classes.is_empty() {
        render::table(&header("task", &CLASSES), &classes);
    }
    let changes = evaluation.calibration.iter();
    print_changes(changes.map(|change| (change.task.as_str(), &change.before, &change.after)));
    for (name, report) in binary {
        if let Some(reason) = report.auc.reason() {
            say!("{name}: auc is undefined: {reason}");
        }
    }
    truth::print(&evaluation.truth);
    for warning in evaluation.warnings() {
        tell!("warning: {warning}");
    }
}
