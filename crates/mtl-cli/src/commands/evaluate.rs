//! `mtl evaluate`: every metric of a trained model on a file.

mod by_segment;

use mtl_eval::{BinaryReport, ClassReport, RegressionReport};
use mtl_feature::Targets;
use mtl_train::{
    Evaluation, SegmentConfig, SegmentEvaluation, evaluate, evaluate_by, read_segments,
};
use serde::Serialize;

use crate::args::EvaluateArgs;
use crate::commands::calibrate::print_changes;
use crate::{commands, render};

pub(crate) fn run(args: &EvaluateArgs, json: bool) -> anyhow::Result<()> {
    let (model, options) = commands::open(&args.model)?;
    let table = commands::encode(&model, &options, &args.data, Targets::Required)?;
    let evaluation = evaluate(&model, &table)?;
    let Some(column) = &args.by else {
        return if json { render::json(&evaluation) } else { print(&evaluation, args) };
    };
    let config = SegmentConfig { most: args.most, bins: args.bins };
    let segments = read_segments(&args.data, column, &options, &config)?;
    let segments = evaluate_by(&model, &table, &segments)?;
    if json {
        return render::json(&Segmented { evaluation, by: column, segments });
    }
    print(&evaluation, args)?;
    by_segment::print(&evaluation, column, &segments);
    Ok(())
}

fn print(evaluation: &Evaluation, args: &EvaluateArgs) -> anyhow::Result<()> {
    say!("{}: {} rows", args.data.display(), evaluation.rows);
    print_metrics(evaluation);
    Ok(())
}

/// All rows, then those of each segment.
#[derive(Serialize)]
struct Segmented<'a> {
    #[serde(flatten)]
    evaluation: Evaluation,
    by: &'a str,
    segments: Vec<SegmentEvaluation>,
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

/// The metrics by task, and why some are undefined.
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
    for warning in evaluation.warnings() {
        eprintln!("warning: {warning}");
    }
}
