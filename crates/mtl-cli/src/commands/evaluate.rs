//! `mtl evaluate`: every metric of a trained model on a file.

use mtl_feature::Targets;
use mtl_train::{Evaluation, evaluate};

use crate::args::EvaluateArgs;
use crate::commands::calibrate::print_changes;
use crate::{commands, render};

pub(crate) fn run(args: &EvaluateArgs, json: bool) -> anyhow::Result<()> {
    let (model, options) = commands::open(&args.model)?;
    let table = commands::encode(&model, &options, &args.data, Targets::Required)?;
    let evaluation = evaluate(&model, &table)?;
    if json {
        return render::json(&evaluation);
    }
    say!("{}: {} rows", args.data.display(), evaluation.rows);
    print_metrics(&evaluation);
    Ok(())
}

/// The metrics by task, and why some are undefined.
pub(crate) fn print_metrics(evaluation: &Evaluation) {
    let binary: Vec<_> = evaluation
        .tasks
        .iter()
        .filter_map(|task| Some((&task.task, task.metrics.binary()?)))
        .collect();
    let text = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    if !binary.is_empty() {
        let header = text(&[
            "task",
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
        ]);
        let row = |(name, report): &(&String, &mtl_eval::BinaryReport)| {
            let interval = report.auc_interval.as_result().ok().map_or_else(
                || "–".to_owned(),
                |interval| format!("{:.4} – {:.4}", interval.low, interval.high),
            );
            vec![
                (*name).clone(),
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
        };
        render::table(&header, &binary.iter().map(row).collect::<Vec<_>>());
        say!(
            "macro auc {}, macro gauc {}",
            render::number(evaluation.auc_macro.value(), 4),
            render::number(evaluation.gauc_macro.value(), 4)
        );
    }
    let regression = evaluation.tasks.iter().filter_map(|task| {
        let report = task.metrics.regression()?;
        let (rmse, mae) = (report.rmse.value(), report.mae.value());
        let rows = report.rows.to_string();
        Some(vec![task.task.clone(), rows, render::number(rmse, 4), render::number(mae, 4)])
    });
    let regression: Vec<_> = regression.collect();
    if !regression.is_empty() {
        render::table(&text(&["task", "rows", "rmse", "mae"]), &regression);
    }
    let classes = evaluation.tasks.iter().filter_map(|task| {
        let report = task.metrics.multiclass()?;
        let mut row = vec![task.task.clone(), report.rows.to_string()];
        let metrics = [&report.log_loss, &report.accuracy, &report.auc_macro];
        row.extend(metrics.map(|metric| render::number(metric.value(), 4)));
        Some(row)
    });
    let classes: Vec<_> = classes.collect();
    if !classes.is_empty() {
        let header = text(&["task", "rows", "log loss", "accuracy", "auc of classes"]);
        render::table(&header, &classes);
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
