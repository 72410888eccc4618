//! The answer to `POST /score`: rows in their order or ranked, as JSON.

use mtl_model::{Fusion, Predictions};
use ndarray::ArrayView2;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The rows `start .. start + n` of some predictions, for one request.
pub(crate) struct Answer<'a> {
    names: &'a [String],
    values: ArrayView2<'a, f32>,
    scores: Option<Vec<f64>>,
    order: Vec<usize>,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(
        predictions: &'a Predictions,
        rows: std::ops::Range<usize>,
        fusion: Option<&Fusion>,
        ranked: bool,
        top_k: Option<usize>,
    ) -> Self {
        let scores = fusion.map(|fusion| fusion.scores(predictions)[rows.clone()].to_vec());
        let mut order: Vec<usize> = (0..rows.len()).collect();
        if let (true, Some(scores)) = (ranked, &scores) {
            // Stable: equal scores stay in the order of the request.
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        }
        order.truncate(top_k.unwrap_or(usize::MAX));
        let values = predictions.values().slice(ndarray::s![rows, ..]);
        Self { names: predictions.names(), values, scores, order }
    }

    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Rows<'r, 'a>(&'r Answer<'a>);
        impl Serialize for Rows<'_, '_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.order.iter().map(|&row| Row(self.0, row)))
            }
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("scores", &Rows(self))?;
        map.end()
    }
}

/// One row: where it was in the request, its score if there is a formula, and every output.
struct Row<'r, 'a>(&'r Answer<'a>, usize);

impl Serialize for Row<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(answer, row) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("row", row)?;
        if let Some(scores) = &answer.scores {
            map.serialize_entry("score", &scores[*row])?;
        }
        for (name, value) in answer.names.iter().zip(answer.values.row(*row)) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
