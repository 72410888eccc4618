//! What data a run saw: rows and labels of each part.

use mtl_data::Dataset;
use mtl_feature::FeatureTable;
use serde::Serialize;

/// The rows of one part of the data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// `train`, `validation` or `test`.
    pub part: &'static str,
    /// Its rows.
    pub rows: usize,
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

/// Rows and labels of the parts that have rows.
pub fn summarise(dataset: &Dataset) -> Vec<Part> {
    let parts =
        [("train", &dataset.train), ("validation", &dataset.validation), ("test", &dataset.test)];
    let with_rows = parts.into_iter().filter(|(_, table)| !table.is_empty());
    let part = |(part, table): (&'static str, &FeatureTable)| Part {
        part,
        rows: table.n_rows(),
        labels: table.labels().iter().map(|(name, values)| label(name, values)).collect(),
    };
    with_rows.map(part).collect()
}

fn label(name: &str, values: &[f32]) -> LabelSummary {
    let known = values.iter().filter(|value| !value.is_nan());
    let (labelled, sum) = known.fold((0, 0.0), |(n, sum), &v| (n + 1, sum + f64::from(v)));
    let mean = (labelled > 0).then(|| sum / labelled as f64);
    LabelSummary { label: name.to_owned(), labelled, mean }
}
