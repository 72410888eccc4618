//! What data a run saw: rows and labels of each part.

use mtl_data::{Dataset, RowSource};
use mtl_feature::FeatureTable;
use serde::Serialize;

use crate::Result;

/// The rows of one part of the data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// `train`, `validation` or `test`.
    pub part: &'static str,
    /// Its rows.
    pub rows: usize,
    /// Its rows that are in no group, since the column of groups is missing there.
    #[serde(skip_serializing_if = "is_zero")]
    pub without_group: usize,
    /// Its labels, in the order of the schema.
    pub labels: Vec<LabelSummary>,
}

/// One label in one part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelSummary {
    /// The label.
    pub label: String,
    /// Rows that carry it.
    pub labelled: usize,
    /// Its mean over those: the share of positives of a binary label. `None` without rows.
    pub mean: Option<f64>,
}

/// Rows and labels of the parts that have rows; `train` is what [`fit`](crate::fit) found of the
/// training rows.
///
/// # Errors
/// What is wrong with a file, of rows that stay in theirs.
pub fn summarise<R: RowSource>(train: &Part, dataset: &Dataset<R>) -> Result<Vec<Part>> {
    let mut parts = vec![train.clone()];
    for (part, rows) in [("validation", &dataset.validation), ("test", &dataset.test)] {
        if !rows.is_empty() {
            let mut counter = PartCounter::default();
            rows.blocks(None).try_for_each(|block| block.map(|block| counter.add(&block)))?;
            parts.push(counter.finish(part));
        }
    }
    Ok(parts)
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What is to be said of rows that are in no group, the column of groups being `column`; `None` if there
/// are none. `rows` are such as "test rows" or "rows of log.csv", with their number in no group.
pub fn group_note(column: &str, rows: &[(usize, String)]) -> Option<String> {
    let counts = rows.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, rows)| format!("{count} {rows}")).collect();
    let counts = counts.join(" and ");
    let said =
        || format!("{counts} have no `{column}`: GAUC leaves them out, all else counts them");
    (!counts.is_empty()).then(said)
}

/// Counts rows and labels that come in blocks.
#[derive(Default)]
pub(crate) struct PartCounter {
    rows: usize,
    without_group: usize,
    /// Name, rows that carry it, sum.
    labels: Vec<(String, usize, f64)>,
}

impl PartCounter {
    pub(crate) fn add(&mut self, table: &FeatureTable) {
        self.rows += table.n_rows();
        self.without_group += table.n_without_group();
        if self.labels.is_empty() {
            self.labels = table.labels().iter().map(|(name, _)| (name.clone(), 0, 0.0)).collect();
        }
        for ((_, n, sum), (_, values)) in self.labels.iter_mut().zip(table.labels()) {
            for &value in values.iter().filter(|value| !value.is_nan()) {
                *n += 1;
                *sum += f64::from(value);
            }
        }
    }

    pub(crate) fn finish(self, part: &'static str) -> Part {
        let label = |(label, labelled, sum): (String, usize, f64)| {
            let mean = (labelled > 0).then(|| sum / labelled as f64);
            LabelSummary { label, labelled, mean }
        };
        let labels = self.labels.into_iter().map(label).collect();
        Part { part, rows: self.rows, without_group: self.without_group, labels }
    }
}
