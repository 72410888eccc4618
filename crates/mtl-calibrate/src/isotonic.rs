//! Isotonic regression: the best rising curve.
//!
//! Of all functions that never fall, the one with the least Σ w·(y − f(p))²: rows of equal
//! predictions are one point, and neighbours that fall are pooled until none does (the
//! pool-adjacent-violators algorithm: Ayer et al., 1955; for calibration Zadrozny and Elkan, KDD
//! 2002). Between the points the curve is straight, beyond them flat.
//!
//! It may be as steep as it likes: from one block to the next it jumps between two predictions that
//! may lie a last digit apart. What is predicted by is the best of the rising curves that do not
//! ([`Isotonic::fit_smooth`]).

use serde::{Deserialize, Serialize};

use crate::FitRows;
use crate::rising::{Point, rising};
use crate::rows::Row;

/// A smooth curve is at most so many times as steep as the straight line through the rows, or as
/// q = p where that is steeper. What is steeper is mostly noise of rows that lie close together; and
/// what tells two programs' predictions apart, a last digit of an `f32`, must stay one.
const STEEPEST: f64 = 3.0;

/// Rows of more predictions than this are so many points of as much weight, cut again where a point
/// has so large a part of the positives: of a rare task those lie among the last few rows.
const MOST_POINTS: f64 = 2048.0;

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
        let sorted = sorted(rows);
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

    /// The curve of least squares among those that rise and are nowhere steeper than three times the
    /// straight line of least squares (than q = p, where that is steeper). As with [`Isotonic::fit`],
    /// the mean of what it predicts for these rows is the mean label.
    pub fn fit_smooth(rows: &FitRows) -> Self {
        let sorted = sorted(rows);
        let points = points(&sorted);
        let steepest = STEEPEST * slope(&sorted).max(1.0);
        let values = rising(&points, steepest);
        let mut curve = Self { x: Vec::new(), y: Vec::new() };
        let mut before = None;
        for (point, value) in points.iter().zip(values) {
            let value = value.clamp(0.0, 1.0);
            let gap = curve.x.last().zip(curve.y.last()).map(|(&x, &y)| {
                let room = steepest * (point.x - x);
                let (rise, last) = (value - y, 1e-12 + 1e-9 * room);
                match () {
                    () if rise <= 0.0 => Gap::Flat,
                    () if rise >= room - last => Gap::Steep,
                    () => Gap::Between,
                }
            });
            // A knot within a straight piece is none.
            if gap.is_some_and(|gap| gap != Gap::Between && Some(gap) == before) {
                curve.x.pop();
                curve.y.pop();
            }
            before = gap;
            let least = curve.y.last().copied().unwrap_or(0.0);
            curve.push(point.x, value.max(least));
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

/// What lies between two knots of a smooth curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    Flat,
    Steep,
    Between,
}

/// Rows in order of prediction. Weights of equal predictions are added in an order that the order of
/// rows does not change.
fn sorted(rows: &FitRows) -> Vec<Row> {
    let mut sorted = rows.rows().to_vec();
    sorted.sort_by(|a, b| {
        let key = |row: &Row| (row.positive, row.weight);
        let (x, y) = (key(a), key(b));
        a.p.total_cmp(&b.p).then(x.0.cmp(&y.0)).then(x.1.total_cmp(&y.1))
    });
    sorted
}

/// Each prediction is a point; so are several, one after the other, until they weigh enough.
fn points(sorted: &[Row]) -> Vec<Point> {
    let sum = |f: &dyn Fn(&Row) -> f64| sorted.iter().map(f).sum::<f64>() / MOST_POINTS;
    let enough = sum(&|row| row.weight);
    let positive = |row: &Row| if row.positive { row.weight } else { 0.0 };
    let enough_positives = sum(&positive);
    let few = sorted.len() as f64 <= MOST_POINTS;
    let mut points: Vec<Point> = Vec::new();
    let (mut weight, mut predicted, mut positives) = (0.0, 0.0, 0.0);
    for (i, row) in sorted.iter().enumerate() {
        weight += row.weight;
        predicted += row.weight * row.p;
        positives += positive(row);
        let is_last = sorted.get(i + 1).is_none_or(|next| next.p > row.p);
        let ends = i + 1 == sorted.len();
        if is_last && (few || weight >= enough || positives >= enough_positives || ends) {
            // Of one prediction the mean is that prediction, rounding aside.
            let x = if few { row.p } else { predicted / weight };
            points.push(Point { x, weight, y: positives / weight });
            (weight, predicted, positives) = (0.0, 0.0, 0.0);
        }
    }
    points
}

/// Of the straight line of least squares through predictions and labels.
fn slope(rows: &[Row]) -> f64 {
    let weight: f64 = rows.iter().map(|row| row.weight).sum();
    let mean =
        |f: &dyn Fn(&Row) -> f64| rows.iter().map(|row| row.weight * f(row)).sum::<f64>() / weight;
    let label = |row: &Row| f64::from(u8::from(row.positive));
    let (p, y) = (mean(&|row| row.p), mean(&label));
    let covariance = mean(&|row| (row.p - p) * (label(row) - y));
    let variance = mean(&|row| (row.p - p).powi(2));
    if variance > 0.0 { covariance / variance } else { 0.0 }
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

    #[test]
    fn rows_a_hair_apart_are_no_step() {
        let rows = [(0.1, 0.0, 1.0), (0.5, 0.0, 1.0), (0.5 + 1e-7, 1.0, 1.0), (0.9, 1.0, 1.0)];
        let (staircase, fitted) = fit(&rows).unwrap();
        assert!(staircase.apply(0.5 + 1e-7) - staircase.apply(0.5) > 0.9);
        let smooth = Isotonic::fit_smooth(&fitted);
        assert!(smooth.apply(0.5 + 1e-7) - smooth.apply(0.5) < 1e-6, "{smooth:?}");
    }

    #[test]
    fn of_many_rows_straight_pieces_are_kept() {
        // q = p², in 100,000 rows: a point has 49 of them, or fewer.
        let n = 100_000;
        let p: Vec<f64> = (0..n).map(|i| (f64::from(i) + 0.5) / f64::from(n)).collect();
        let drawn = |i: usize| (i as f64 * 0.754_877_666).fract();
        let y: Vec<f64> =
            p.iter().enumerate().map(|(i, p)| f64::from(u8::from(drawn(i) < p * p))).collect();
        let rows = FitRows::new(&y, &p, None).unwrap();
        let curve = Isotonic::fit_smooth(&rows);
        assert!(curve.is_whole() && curve.predictions().len() < 1_500, "{}", curve.x.len());
        assert!(p.iter().all(|&p| (curve.apply(p) - p * p).abs() < 0.02));
        let predicted: f64 = p.iter().map(|&p| curve.apply(p)).sum();
        assert!((predicted / y.iter().sum::<f64>() - 1.0).abs() < 1e-4, "{predicted}");
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

        #[test]
        fn a_smooth_curve_is_nowhere_steep_and_keeps_the_mean(
            rows in prop::collection::vec((0..1000u16, 0..2u8, 1..4u8), 4..80),
        ) {
            let rows: Vec<_> = rows
                .iter()
                .map(|r| (f64::from(r.0) / 1000.0, f64::from(r.1), f64::from(r.2)))
                .collect();
            let Some((_, fitted)) = fit(&rows) else { return Ok(()) };
            let curve = Isotonic::fit_smooth(&fitted);
            prop_assert!(curve.is_whole(), "{curve:?}");
            let most = STEEPEST * slope(&sorted(&fitted)).max(1.0);
            for (x, y) in curve.x.windows(2).zip(curve.y.windows(2)) {
                prop_assert!((y[1] - y[0]) / (x[1] - x[0]) <= most * (1.0 + 1e-6), "{curve:?}");
            }
            let sum = |f: &dyn Fn(&(f64, f64, f64)) -> f64| rows.iter().map(f).sum::<f64>();
            let (predicted, positives) = (sum(&|r| r.2 * curve.apply(r.0)), sum(&|r| r.2 * r.1));
            prop_assert!((predicted - positives).abs() < 1e-6, "{predicted} {positives}");
            let mut reversed = rows.clone();
            reversed.reverse();
            prop_assert_eq!(Isotonic::fit_smooth(&fit(&reversed).unwrap().1), curve);
        }
    }
}
