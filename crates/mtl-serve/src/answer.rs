//! The answer to `POST /score`: rows in their order or ranked, as JSON.

use mtl_model::{Fusion, Predictions};
use ndarray::ArrayView2;
use serde::Serialize;

/// The rows `start .. start + n` of some predictions, for one request.
pub(crate) struct Answer<'a> {
    names: &'a [String],
    values: ArrayView2<'a, f32>,
    scores: Option<Vec<f64>>,
    order: Vec<usize>,
}

/// What a number takes at most of an answer, as far as it is worth to have room for.
const BYTES_OF_A_NUMBER: usize = 16;

impl<'a> Answer<'a> {
    pub(crate) fn new(
        predictions: &'a Predictions,
        rows: std::ops::Range<usize>,
        fusion: Option<&Fusion>,
        ranked: bool,
        top_k: Option<usize>,
    ) -> Self {
        let scores = fusion.map(|fusion| fusion.scores_of(predictions, rows.clone()));
        let mut order: Vec<usize> = (0..rows.len()).collect();
        if let (true, Some(scores)) = (ranked, &scores) {
            // Stable: equal scores stay in the order of the request.
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        }
        order.truncate(top_k.unwrap_or(usize::MAX));
        let values = predictions.values().slice(ndarray::s![rows, ..]);
        Self { names: predictions.names(), values, scores, order }
    }

    /// `{"scores":[{"row":0,"score":…,"p_click":…},…]}`. A row's keys are those of every other, so they
    /// are made once: of an answer by way of maps most of the time went into keys.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let keys: Vec<Vec<u8>> = self.names.iter().map(|name| key(name)).collect();
        let of_keys: usize = keys.iter().map(|key| key.len() + BYTES_OF_A_NUMBER).sum();
        let of_row = of_keys + "{\"row\":,\"score\":},".len() + 2 * BYTES_OF_A_NUMBER;
        let mut json = Vec::with_capacity("{\"scores\":[]}".len() + of_row * self.order.len());
        json.extend_from_slice(b"{\"scores\":[");
        for (i, &row) in self.order.iter().enumerate() {
            if i > 0 {
                json.push(b',');
            }
            json.extend_from_slice(b"{\"row\":");
            write(&mut json, &row);
            if let Some(scores) = &self.scores {
                json.extend_from_slice(b",\"score\":");
                write(&mut json, &scores[row]);
            }
            for (key, value) in keys.iter().zip(self.values.row(row)) {
                json.extend_from_slice(key);
                write(&mut json, value);
            }
            json.push(b'}');
        }
        json.extend_from_slice(b"]}");
        json
    }
}

/// `,"name":`, with whatever a name may have in it escaped.
fn key(name: &str) -> Vec<u8> {
    let mut key = vec![b','];
    write(&mut key, name);
    key.push(b':');
    key
}

/// Adds a text or a number, which is `null` if it is not finite.
fn write(json: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(json, value).expect("texts and numbers, into memory");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scores: Option<Vec<f64>>, order: &[usize], expected: &str) {
        let names = ["p_buy".to_owned(), "a \"b\"\\".to_owned()];
        let values = ndarray::array![[0.1_f32, 0.5], [f32::NAN, 1.0], [0.25, -0.75]];
        let answer = Answer { names: &names, values: values.view(), scores, order: order.to_vec() };
        let json = String::from_utf8(answer.to_json()).unwrap();
        assert_eq!(json, expected);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["scores"].as_array().unwrap().len(), order.len());
    }

    #[test]
    fn rows_are_json_whatever_names_and_numbers_are() {
        check(None, &[], r#"{"scores":[]}"#);
        check(None, &[1], r#"{"scores":[{"row":1,"p_buy":null,"a \"b\"\\":1.0}]}"#);
        check(
            Some(vec![0.5, 0.125, 12.5]),
            &[2, 0],
            r#"{"scores":[{"row":2,"score":12.5,"p_buy":0.25,"a \"b\"\\":-0.75},{"row":0,"score":0.5,"p_buy":0.1,"a \"b\"\\":0.5}]}"#,
        );
    }
}
