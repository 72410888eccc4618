//! The report of one trained model.

use mtl_eval::{BinaryReport, Measured};
use mtl_train::{Evaluation, NamedMetrics, Trained};

use crate::html::{Cell, count, escape, number, table};
use crate::page::{Chapter, Section};
use crate::{Report, Result, curves, gates, shared};

/// The report of one training.
///
/// # Errors
/// [`crate::Error::Draw`] if a figure cannot be drawn.
pub fn trained(trained: &Trained) -> Result<Report> {
    let history = &trained.history;
    let run = [(trained.model.as_str(), 0, history)];
    let reported = trained.reported();
    let part = reported.map_or("training", |(part, _)| part);
    // Gates are measured on the rows that were chosen by.
    let gate_part = if trained.validation.is_some() { "validation" } else { "training" };
    let names: Vec<String> = reported
        .map(|(_, found)| found.tasks.iter().map(|named| named.task.clone()).collect())
        .unwrap_or_default();
    let sections = vec![
        metrics(trained),
        curves::learning(&run, &names)?,
        shared::reliability(bins(reported.map(|(_, found)| found)), &format!("{part} rows"))?,
        gates::section(&[(&trained.model, &trained.gates)], &format!("{gate_part} rows"))?,
        curves::conflict(&run)?.html(&curves::weights(history)),
        shared::data(&trained.parts),
        shared::configurations(&[("as it was read", &trained.configuration)]),
    ];
    let facts = facts(trained);
    let title = format!("{}, trained", trained.model);
    Ok(Report::new(&title, facts, vec![Chapter::new(&trained.model, sections)]))
}

fn facts(trained: &Trained) -> String {
    let history = &trained.history;
    let epochs = history.epochs.len();
    let best = match (history.best_epoch, history.best) {
        (Some(epoch), Some(best)) => {
            let monitor = escape(&history.monitor);
            format!("best {monitor} {} in epoch {}", number(best, 4), count(epoch))
        }
        _ => "the last epoch kept".to_owned(),
    };
    let stopped = if history.stopped_early { ", stopped early" } else { "" };
    let last = history.epochs.last().map_or(epochs, |epoch| epoch.epoch);
    format!(
        "{} parameters, {} epochs{stopped}, {best}<br>seed {}, mtl {}",
        count(trained.parameters),
        count(last),
        count(trained.seed as usize),
        escape(trained.version)
    )
}

/// The metrics of test and validation rows.
fn metrics(trained: &Trained) -> Section {
    let mut section = Section::new("Results");
    let parts = [("Test rows", &trained.test), ("Validation rows", &trained.validation)];
    for (title, found) in parts {
        if let Some(found) = found {
            section = section
                .html(&binary(title, found))
                .html(&classes(title, found))
                .html(&regression(title, found));
            for warning in found.warnings() {
                let text = escape(&warning);
                section = section.html(&format!("<p class=\"warning\">{text}</p>\n"));
            }
        }
    }
    match trained.reported() {
        Some(_) => section,
        None => section
            .note("No rows to report on: expected `test` or `validation` in [data], or a `split`."),
    }
}

fn binary(title: &str, found: &Evaluation) -> String {
    let measured = |value: &Measured, digits| match value.as_result() {
        Ok(&value) => Cell::number(Some(value), digits),
        Err(reason) => Cell::none(Some(&reason.to_string())),
    };
    let row = |(name, report): (&str, &BinaryReport)| {
        let interval = match report.auc_interval.as_result() {
            Ok(i) => Cell::html(format!("{} – {}", number(i.low, 4), number(i.high, 4)), i.low),
            Err(reason) => Cell::none(Some(&reason.to_string())),
        };
        vec![
            Cell::text(name),
            Cell::count(report.rows),
            Cell::count(report.positives),
            measured(&report.auc, 4),
            interval,
            measured(&report.gauc.value, 4),
            Cell::count(report.gauc.groups_used),
            measured(&report.log_loss, 4),
            measured(&report.normalised_entropy, 4),
            measured(&report.brier, 4),
            measured(&report.pcoc, 3),
            measured(&report.ece, 4),
        ]
    };
    let reports = found.tasks.iter().filter_map(|t| Some((t.task.as_str(), t.metrics.binary()?)));
    let rows: Vec<_> = reports.map(row).collect();
    let header = [
        "task",
        "rows",
        "positives",
        "AUC",
        "95 % interval",
        "GAUC",
        "groups",
        "log loss",
        "norm. entropy",
        "Brier",
        "PCOC",
        "ECE",
    ]
    .map(str::to_owned);
    if rows.is_empty() { String::new() } else { table(title, &header, &rows) }
}

fn classes(title: &str, found: &Evaluation) -> String {
    let row = |named: &NamedMetrics| {
        let report = named.metrics.multiclass()?;
        Some(vec![
            Cell::text(&named.task),
            Cell::count(report.rows),
            Cell::number(report.accuracy.value(), 4),
            Cell::number(report.auc_macro.value(), 4),
            Cell::number(report.log_loss.value(), 4),
        ])
    };
    let rows: Vec<_> = found.tasks.iter().filter_map(row).collect();
    let header = ["task", "rows", "accuracy", "AUC, mean", "log loss"].map(str::to_owned);
    if rows.is_empty() { String::new() } else { table(title, &header, &rows) }
}

fn regression(title: &str, found: &Evaluation) -> String {
    let row = |named: &NamedMetrics| {
        let report = named.metrics.regression()?;
        Some(vec![
            Cell::text(&named.task),
            Cell::count(report.rows),
            Cell::number(report.rmse.value(), 4),
            Cell::number(report.mae.value(), 4),
        ])
    };
    let rows: Vec<_> = found.tasks.iter().filter_map(row).collect();
    let header = ["task", "rows", "RMSE", "MAE"].map(str::to_owned);
    if rows.is_empty() { String::new() } else { table(title, &header, &rows) }
}

/// Reliability by task, of one model.
fn bins(found: Option<&Evaluation>) -> Vec<shared::TaskBins> {
    let of = |named: &NamedMetrics| {
        let bins = named.metrics.binary()?.reliability.as_result().ok()?.clone();
        Some((named.task.clone(), vec![("predicted".to_owned(), 0, bins)]))
    };
    found.into_iter().flat_map(|found| &found.tasks).filter_map(of).collect()
}
