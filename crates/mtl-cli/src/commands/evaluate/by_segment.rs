//! A table for each task, a row for each segment.

use mtl_train::{Evaluation, SegmentEvaluation, TaskMetrics};

use super::{BINARY, CLASSES, REGRESSION, binary_row, class_row, header, regression_row};
use crate::render;

pub(super) fn print(whole: &Evaluation, column: &str, segments: &[SegmentEvaluation]) {
    for named in &whole.tasks {
        say!("\n{} by {column}", named.task);
        let names = match &named.metrics {
            TaskMetrics::Binary(_) => &BINARY[..],
            TaskMetrics::Regression(_) => &REGRESSION,
            _ => &CLASSES,
        };
        let row = |segment: &SegmentEvaluation| {
            let metrics = segment.evaluation.task(&named.task)?;
            let name = &segment.segment;
            let binary = metrics.binary().map(|report| binary_row(name, report));
            let regression = || metrics.regression().map(|report| regression_row(name, report));
            let classes = || metrics.multiclass().map(|report| class_row(name, report));
            binary.or_else(regression).or_else(classes)
        };
        let rows: Vec<_> = segments.iter().filter_map(row).collect();
        render::table(&header("segment", names), &rows);
    }
}
