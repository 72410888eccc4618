//! Every metric of one model on some rows, as tables.

use mtl_eval::{BinaryReport, Measured};
use mtl_train::{Evaluation, NamedMetrics, TruthMetrics};

use crate::html::{Cell, escape, number, table};
use crate::shared;

/// The tables of the kinds of tasks that there are, errors against the truth, and warnings.
pub(crate) fn tables(title: &str, found: &Evaluation) -> String {
    let warning = |text: String| format!("<p class=\"warning\">{}</p>\n", escape(&text));
    let warnings: String = found.warnings().into_iter().map(warning).collect();
    let tables = [binary, classes, regression, truth].map(|table| table(title, found));
    tables.concat() + &warnings
}

/// A metric, or a dash with the reason why there is none.
pub(crate) fn measured(value: &Measured, digits: usize) -> Cell {
    match value.as_result() {
        Ok(&value) => Cell::number(Some(value), digits),
        Err(reason) => Cell::none(Some(&reason.to_string())),
    }
}

/// An AUC's interval.
pub(crate) fn interval(report: &BinaryReport) -> Cell {
    match report.auc_interval.as_result() {
        Ok(i) => Cell::html(format!("{} – {}", number(i.low, 4), number(i.high, 4)), i.low),
        Err(reason) => Cell::none(Some(&reason.to_string())),
    }
}

fn binary(title: &str, found: &Evaluation) -> String {
    let row = |(name, report): (&str, &BinaryReport)| {
        vec![
            Cell::text(name),
            Cell::count(report.rows),
            Cell::count(report.positives),
            measured(&report.auc, 4),
            interval(report),
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

/// Errors against what no log shows; nothing where the data has no truth.
fn truth(title: &str, found: &Evaluation) -> String {
    let row = |found: &TruthMetrics| {
        let auc = found.auc_entire.as_ref();
        vec![
            Cell::text(&found.output),
            auc.map_or_else(|| Cell::none(None), |auc| measured(auc, 4)),
            Cell::number(found.log_odds_rmse, 4),
            Cell::number(found.log_odds_rmse_if_clicked, 4),
            Cell::number(found.ratio, 3),
        ]
    };
    let rows: Vec<_> = found.truth.iter().map(row).collect();
    let header = [
        "output",
        "AUC, entire space",
        "RMSE of the log-odds",
        "RMSE, if clicked",
        "mean / true mean",
    ]
    .map(str::to_owned);
    if rows.is_empty() {
        return String::new();
    }
    table(&format!("{title}, against the truth"), &header, &rows)
}

/// Reliability by task, of one model.
pub(crate) fn bins(found: Option<&Evaluation>) -> Vec<shared::TaskBins> {
    let of = |named: &NamedMetrics| {
        let bins = named.metrics.binary()?.reliability.as_result().ok()?.clone();
        Some((named.task.clone(), vec![("predicted".to_owned(), 0, bins)]))
    };
    found.into_iter().flat_map(|found| &found.tasks).filter_map(of).collect()
}
