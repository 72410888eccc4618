//! The definitions again, slow and plain, and random cases to try them on.

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::BinaryRows;

/// Rows with ties, missing labels, groups and weights (some of them 0).
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) labels: Vec<f64>,
    pub(crate) predictions: Vec<f64>,
    pub(crate) predictions_f32: Vec<f32>,
    pub(crate) weights: Option<Vec<f64>>,
    pub(crate) groups: Vec<u64>,
}

/// (positive, prediction, weight, group) of a counted row.
pub(crate) type PlainRow = (bool, f64, f64, u64);

impl Case {
    pub(crate) fn rows(&self) -> BinaryRows<'_> {
        self.finish(BinaryRows::new(&self.labels, &self.predictions).unwrap())
    }

    pub(crate) fn rows_f32(&self) -> BinaryRows<'_> {
        self.finish(BinaryRows::new(&self.labels, &self.predictions_f32).unwrap())
    }

    fn finish<'a>(&'a self, rows: BinaryRows<'a>) -> BinaryRows<'a> {
        let rows = rows.with_groups(&self.groups).unwrap();
        self.weights.as_ref().map_or(rows, |weights| rows.with_weights(weights).unwrap())
    }

    pub(crate) fn counted(&self) -> Vec<PlainRow> {
        let weight = |i: usize| self.weights.as_ref().map_or(1.0, |w| w[i]);
        (0..self.labels.len())
            .filter(|&i| !self.labels[i].is_nan() && weight(i) > 0.0)
            .map(|i| (self.labels[i] == 1.0, self.predictions[i], weight(i), self.groups[i]))
            .collect()
    }

    pub(crate) fn shuffled(&self, seed: u64) -> Case {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..self.labels.len()).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, random.next_u64() as usize % (last + 1));
        }
        Case {
            labels: order.iter().map(|&i| self.labels[i]).collect(),
            predictions: order.iter().map(|&i| self.predictions[i]).collect(),
            predictions_f32: order.iter().map(|&i| self.predictions_f32[i]).collect(),
            weights: self.weights.as_ref().map(|w| order.iter().map(|&i| w[i]).collect()),
            groups: order.iter().map(|&i| self.groups[i]).collect(),
        }
    }
}

/// Up to 60 rows. Predictions are multiples of 1/16, so that they tie often and f32 holds them.
pub(crate) fn case() -> impl Strategy<Value = Case> {
    let label = prop_oneof![4 => Just(0.0), 4 => Just(1.0), 1 => Just(f64::NAN)];
    let row = (label, 0_u32..=16, 0_u32..6, 0_u64..6);
    (proptest::collection::vec(row, 0..60), any::<bool>()).prop_map(|(rows, weighted)| {
        let predictions: Vec<f64> = rows.iter().map(|r| f64::from(r.1) / 16.0).collect();
        Case {
            labels: rows.iter().map(|r| r.0).collect(),
            predictions_f32: predictions.iter().map(|&p| p as f32).collect(),
            predictions,
            weights: weighted.then(|| rows.iter().map(|r| f64::from(r.2) * 0.7).collect()),
            groups: rows.iter().map(|r| r.3 * 1_000_003).collect(),
        }
    })
}

/// AUC by its definition over all pairs.
pub(crate) fn auc(rows: &[PlainRow]) -> Option<f64> {
    let (mut won, mut pairs) = (0.0, 0.0);
    for positive in rows.iter().filter(|row| row.0) {
        for negative in rows.iter().filter(|row| !row.0) {
            let weight = positive.2 * negative.2;
            won += weight * beats(positive.1, negative.1);
            pairs += weight;
        }
    }
    (pairs > 0.0).then(|| won / pairs)
}

/// 1 if a positive prediction is above a negative one, ½ if equal.
pub(crate) fn beats(positive: f64, negative: f64) -> f64 {
    f64::from(positive > negative) + 0.5 * f64::from(positive == negative)
}

/// Equal to a tolerance, or both undefined.
pub(crate) fn same(found: Option<f64>, expected: Option<f64>, tolerance: f64) -> bool {
    match (found, expected) {
        (Some(a), Some(b)) => (a - b).abs() <= tolerance * (1.0 + b.abs()),
        (None, None) => true,
        _ => false,
    }
}

#[track_caller]
pub(crate) fn approx_eq(found: f64, expected: f64, tolerance: f64) {
    approx::assert_abs_diff_eq!(found, expected, epsilon = tolerance);
}
