//! Isotonic regression: the best rising curve.
//!
//! Of all functions that never fall, the one with the least Σ w·(y − f(p))²: rows of equal
//! predictions are one point, and neighbours that fall are pooled until none does (the
//! pool-adjacent-violators algorithm: Ayer et al., 1955; for calibration Zadrozny and Elkan, KDD
//! 2002). Between the points the curve is straight, beyond them flat.

use serde::{Deserialize, Serialize};

use crate::FitRows;

/// A curve through knots: predictions that rise strictly, and values in [0, 1] that never fall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Isotonic {
    x: Vec<f64>,
    y: Vec<f64>,
}

/// Points that share one value.
struct Block {
    first: f64,
    last: f64,
    weight: f64,
    positives: f64,
}

impl Block {
    fn mean(&self) -> f64 {
        self.positives / self.weight
    }
}

impl Isotonic {
    /// The rising curve of least squares.
    pub fn fit(rows: &FitRows) -> Self {
        let mut sorted = rows.rows().to_vec();
        // Weights of equal predictions are added in an order that the order of rows does not change.
        sorted.sort_by(|a, b| {
            let key = |row: &crate::rows::Row| (row.positive, row.weight);
            let (x, y) = (key(a), key(b));
            a.p.total_cmp(&b.p).then(x.0.cmp(&y.0)).then(x.1.total_cmp(&y.1))
        });
        let mut blocks: Vec<Block> = Vec::new();
        let mut rest = sorted.as_slice();
        while let Some(head) = rest.first() {
            let n = rest.iter().take_while(|row| row.p == head.p).count();
            let (tied, others) = rest.split_at(n);
            rest = others;
            let weight = tied.iter().map(|row| row.weight).sum();
            let positives = tied.iter().filter(|r| r.positive).map(|r| r.weight).sum();
            let mut block = Block { first: head.p, last: head.p, weight, positives };
            while blocks.last().is_some_and(|before| before.mean() >= block.mean()) {
                let Some(before) = blocks.pop() else { break };
                block.first = before.first;
                block.weight += before.weight;
                block.positives += before.positives;
            }
            blocks.push(block);
        }
        let mut curve = Self { x: Vec::new(), y: Vec::new() };
        for block in &blocks {
            let mean = block.mean().clamp(0.0, 1.0);
            curve.push(block.first, mean);
            if block.last > block.first {
                curve.push(block.last, mean);
            }
        }
        curve
    }

    fn push(&mut self, x: f64, y: f64) {
        self.x.push(x);
        self.y.push(y);
    }

    /// The calibrated probability: straight between knots, flat beyond them.
    pub fn apply(&self, p: f64) -> f64 {
        let above = self.x.partition_point(|&x| x <= p);
        if above == 0 {
            return self.y[0];
        }
        if above == self.x.len() {
            return self.y[above - 1];
        }
        let (x, y) = (&self.x[above - 1..=above], &self.y[above - 1..=above]);
        (y[0] + (y[1] - y[0]) * ((p - x[0]) / (x[1] - x[0]))).clamp(y[0], y[1])
    }

    /// The knots' predictions, strictly rising.
    pub fn predictions(&self) -> &[f64] {
        &self.x
    }

    /// The knots' values, never falling.
    pub fn values(&self) -> &[f64] {
        &self.y
    }

    pub(crate) fn is_whole(&self) -> bool {
        let within = |v: &[f64]| v.iter().all(|v| (0.0..=1.0).contains(v));
        !self.x.is_empty()
            && self.x.len() == self.y.len()
            && within(&self.x)
            && within(&self.y)
            && self.x.windows(2).all(|x| x[0] < x[1])
            && self.y.windows(2).all(|y| y[0] <= y[1])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fit(rows: &[(f64, f64, f64)]) -> Option<(Isotonic, FitRows)> {
        let labels: Vec<f64> = rows.iter().map(|row| row.1).collect();
        let predictions: Vec<f64> = rows.iter().map(|row| row.0).collect();
        let weights: Vec<f64> = rows.iter().map(|row| row.2).collect();
        let rows = FitRows::new(&labels, &predictions, Some((&weights).into())).ok()?;
        Some((Isotonic::fit(&rows), rows))
    }

    #[test]
    fn neighbours_that_fall_are_pooled() {
        let rows = [(0.1, 0.0, 1.0), (0.2, 1.0, 1.0), (0.3, 0.0, 3.0), (0.4, 1.0, 1.0)];
        let (curve, _) = fit(&rows).unwrap();
        assert_eq!(curve.predictions(), [0.1, 0.2, 0.3, 0.4]);
        assert_eq!(curve.values(), [0.0, 0.25, 0.25, 1.0]);
        assert_eq!((curve.apply(0.0), curve.apply(0.25), curve.apply(0.9)), (0.0, 0.25, 1.0));
        assert!((curve.apply(0.35) - 0.625).abs() < 1e-12);
    }

    /// max over starts ≤ i of min over ends ≥ i of the mean between: the min-max formula.
    fn oracle(points: &[(f64, f64, f64)]) -> Vec<f64> {
        let mean = |from: usize, to: usize| {
            let weight: f64 = points[from..=to].iter().map(|p| p.1).sum();
            points[from..=to].iter().map(|p| p.2).sum::<f64>() / weight
        };
        let n = points.len();
        let value = |i: usize| {
            let starts =
                (0..=i).map(|from| (i..n).map(|to| mean(from, to)).fold(f64::INFINITY, f64::min));
            starts.fold(f64::NEG_INFINITY, f64::max)
        };
        (0..n).map(value).collect()
    }

    proptest! {
        #[test]
        fn it_is_the_min_max_formula(
            rows in prop::collection::vec((0..12u8, 0..2u8, 1..5u8), 2..40),
        ) {
            let rows: Vec<_> = rows
                .iter()
                .map(|r| (f64::from(r.0) / 12.0, f64::from(r.1), f64::from(r.2)))
                .collect();
            if let Some((curve, _)) = fit(&rows) {
                prop_assert!(curve.is_whole());
                let mut points: Vec<(f64, f64, f64)> = Vec::new();
                let mut sorted = rows.clone();
                sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
                for (p, y, w) in sorted {
                    match points.last_mut().filter(|last| last.0 == p) {
                        Some(last) => (last.1, last.2) = (last.1 + w, last.2 + w * y),
                        None => points.push((p, w, w * y)),
                    }
                }
                for (point, expected) in points.iter().zip(oracle(&points)) {
                    prop_assert!((curve.apply(point.0) - expected).abs() < 1e-12);
                }
                let mut reversed = rows.clone();
                reversed.reverse();
                prop_assert_eq!(fit(&reversed).unwrap().0, curve, "the order of rows");
            }
        }

        #[test]
        fn the_mean_prediction_becomes_the_mean_label(
            rows in prop::collection::vec((0.0..1.0f64, 0..2u8), 4..60),
        ) {
            let rows: Vec<_> = rows.iter().map(|r| (r.0, f64::from(r.1), 1.0)).collect();
            if let Some((curve, _)) = fit(&rows) {
                let predicted: f64 = rows.iter().map(|r| curve.apply(r.0)).sum();
                let positives: f64 = rows.iter().map(|r| r.1).sum();
                prop_assert!((predicted - positives).abs() < 1e-9);
            }
        }
    }
}
