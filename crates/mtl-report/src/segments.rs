//! The section of metrics by segment.

use mtl_eval::BinaryReport;
use mtl_train::{BySegment, Evaluation, NamedMetrics, SegmentEvaluation, TaskMetrics};

use crate::html::{Cell, table};
use crate::metrics::{interval, measured};
use crate::page::Section;
use crate::{Figure, Interval, IntervalPlot, Result};

/// A figure for each column and task, beside the metric of all rows, and tables.
pub(crate) fn section(columns: &[BySegment], whole: Option<&Evaluation>) -> Result<Section> {
    let mut section = Section::new("By segment");
    let Some(whole) = whole.filter(|_| !columns.is_empty()) else { return Ok(section) };
    section = section.note("The rows of each value of a column, measured apart: AUC with its 95 % interval (RMSE, or mean AUC of classes, without one); the line is the metric of all rows. A segment whose labels are all alike has no AUC and no disc. The AUC of all rows also counts pairs of rows of different segments, so that it may lie above or below all of them.");
    for column in columns {
        let figures = whole.tasks.iter().filter_map(|named| figure(column, named).transpose());
        section = section.figures(figures.collect::<Result<Vec<Figure>>>()?);
        let tables: String = whole.tasks.iter().map(|named| numbers(column, named)).collect();
        section = section.details(&format!("Numbers by {}", column.by), &tables);
    }
    Ok(section)
}

/// One task's metric by segment; none where no segment has it.
fn figure(column: &BySegment, whole: &NamedMetrics) -> Result<Option<Figure>> {
    let task = &whole.task;
    let row = |segment: &SegmentEvaluation| {
        let (mean, low, high) = shown(segment.evaluation.task(task)?)?;
        Some(Interval { name: segment.segment.clone(), colour: 0, mean, low, high })
    };
    let intervals: Vec<Interval> = column.segments.iter().filter_map(row).collect();
    let (Some((reference, ..)), false) = (shown(&whole.metrics), intervals.is_empty()) else {
        return Ok(None);
    };
    let (short, x) = match &whole.metrics {
        TaskMetrics::Regression(_) => ("RMSE", "RMSE, in the label's unit"),
        TaskMetrics::Multiclass(_) => ("AUC", "mean AUC of a class against the rest"),
        _ => ("AUC", "AUC, 95 % interval"),
    };
    let title = format!("{short} of {task} by {}", column.by);
    IntervalPlot { title, x: x.to_owned(), reference, intervals }.draw().map(Some)
}

/// A task's metric, and the ends of its interval.
fn shown(metrics: &TaskMetrics) -> Option<(f64, f64, f64)> {
    let alone = |value: f64| (value, value, value);
    match metrics {
        TaskMetrics::Binary(report) => {
            let auc = report.auc.value()?;
            let interval = report.auc_interval.as_result().ok();
            Some(interval.map_or(alone(auc), |interval| (auc, interval.low, interval.high)))
        }
        TaskMetrics::Regression(report) => report.rmse.value().map(alone),
        TaskMetrics::Multiclass(report) => report.auc_macro.value().map(alone),
        _ => None,
    }
}

/// A task's numbers by segment.
fn numbers(column: &BySegment, whole: &NamedMetrics) -> String {
    let header: &[&str] = match &whole.metrics {
        TaskMetrics::Binary(_) => {
            &["segment", "rows", "positives", "AUC", "95 % interval", "GAUC", "log loss", "PCOC"]
        }
        TaskMetrics::Regression(_) => &["segment", "rows", "RMSE", "MAE"],
        _ => &["segment", "rows", "accuracy", "AUC, mean", "log loss"],
    };
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let row = |segment: &SegmentEvaluation| {
        let cells = match segment.evaluation.task(&whole.task)? {
            TaskMetrics::Binary(report) => binary(report),
            TaskMetrics::Regression(report) => {
                vec![Cell::count(report.rows), measured(&report.rmse, 4), measured(&report.mae, 4)]
            }
            TaskMetrics::Multiclass(report) => vec![
                Cell::count(report.rows),
                measured(&report.accuracy, 4),
                measured(&report.auc_macro, 4),
                measured(&report.log_loss, 4),
            ],
            _ => return None,
        };
        Some(std::iter::once(Cell::text(&segment.segment)).chain(cells).collect())
    };
    let rows: Vec<_> = column.segments.iter().filter_map(row).collect();
    table(&format!("{} by {}", whole.task, column.by), &header, &rows)
}

fn binary(report: &BinaryReport) -> Vec<Cell> {
    vec![
        Cell::count(report.rows),
        Cell::count(report.positives),
        measured(&report.auc, 4),
        interval(report),
        measured(&report.gauc.value, 4),
        measured(&report.log_loss, 4),
        measured(&report.pcoc, 3),
    ]
}
