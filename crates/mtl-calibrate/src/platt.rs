//! Platt scaling: a straight line over the logit.
//!
//! q = σ(a·logit p + b), with a and b of greatest likelihood over the targets t₊ = (W₊ + 1)/(W₊ + 2)
//! of positive and t₋ = 1/(W₋ + 2) of negative rows, W the weight of each class (Platt,
//! "Probabilistic outputs for support vector machines", 1999, section 2.2). The targets keep a and b
//! finite where the classes can be told apart without an error. Newton's method with halved steps
//! (Lin, Lin and Weng, "A note on Platt's probabilistic outputs", 2007).

use serde::{Deserialize, Serialize};

use crate::{Error, FitRows, Result};

/// Probabilities are held at or above this before their logit is taken.
pub const LOWEST: f64 = 1e-30;
/// Probabilities are held at or below this before their logit is taken: the largest f32 below 1.
pub const HIGHEST: f64 = 1.0 - 5.960_464_477_539_063e-8;

/// More than enough: Newton's method takes about ten.
const MAX_STEPS: usize = 100;

/// q = σ(slope·logit p + offset).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platt {
    /// The factor on the logit, above 0: the order of rows stays.
    pub slope: f64,
    /// What is added to it.
    pub offset: f64,
}

impl Platt {
    /// The line of greatest likelihood.
    ///
    /// # Errors
    /// [`Error::Reversed`] if its slope is not above 0.
    pub fn fit(rows: &FitRows) -> Result<Self> {
        let (targets, points) = targets(rows);
        // From the identity: predictions of a trained model are nearly right.
        let mut line = Self { slope: 1.0, offset: 0.0 };
        for _ in 0..MAX_STEPS {
            let next = Newton::at(line, &points, targets).step(line, &points, targets);
            if next == line {
                break;
            }
            line = next;
        }
        if line.slope > 0.0 { Ok(line) } else { Err(Error::Reversed { slope: line.slope }) }
    }

    /// The calibrated probability.
    pub fn apply(&self, p: f64) -> f64 {
        1.0 / (1.0 + (-(self.slope * logit(p) + self.offset)).exp())
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.slope > 0.0 && self.slope.is_finite() && self.offset.is_finite()
    }
}

fn logit(p: f64) -> f64 {
    let p = p.clamp(LOWEST, HIGHEST);
    p.ln() - (-p).ln_1p()
}

/// One row on the logit scale.
#[derive(Clone, Copy, Debug)]
struct Point {
    z: f64,
    positive: bool,
    weight: f64,
}

/// The targets of positive and negative rows, and the rows.
fn targets(rows: &FitRows) -> ((f64, f64), Vec<Point>) {
    let (mut positive, mut negative) = (0.0, 0.0);
    let mut points = Vec::with_capacity(rows.rows().len());
    for row in rows.rows() {
        *(if row.positive { &mut positive } else { &mut negative }) += row.weight;
        points.push(Point { z: logit(row.p), positive: row.positive, weight: row.weight });
    }
    (((positive + 1.0) / (positive + 2.0), 1.0 / (negative + 2.0)), points)
}

/// Loss, gradient and Hessian of a line.
struct Newton {
    loss: f64,
    weight: f64,
    gradient: (f64, f64),
    hessian: (f64, f64, f64),
}

impl Newton {
    fn at(line: Platt, points: &[Point], targets: (f64, f64)) -> Self {
        let mut new =
            Self { loss: 0.0, weight: 0.0, gradient: (0.0, 0.0), hessian: (0.0, 0.0, 0.0) };
        for point in points {
            let target = if point.positive { targets.0 } else { targets.1 };
            let x = line.slope * point.z + line.offset;
            let q = 1.0 / (1.0 + (-x).exp());
            let (slope, curve) = (point.weight * (q - target), point.weight * q * (1.0 - q));
            new.loss += point.weight * cross_entropy(x, target);
            new.weight += point.weight;
            new.gradient.0 += slope * point.z;
            new.gradient.1 += slope;
            new.hessian.0 += curve * point.z * point.z;
            new.hessian.1 += curve * point.z;
            new.hessian.2 += curve;
        }
        new
    }

    /// A Newton step, halved until the loss falls; the line itself if no step makes it fall.
    fn step(&self, line: Platt, points: &[Point], targets: (f64, f64)) -> Platt {
        // Equal predictions leave the slope undetermined; a ridge keeps the step finite.
        let ridge = 1e-12 * self.weight;
        let (a, b, c) = (self.hessian.0 + ridge, self.hessian.1, self.hessian.2 + ridge);
        let determinant = a * c - b * b;
        let (g, h) = self.gradient;
        let (slope, offset) = ((c * g - b * h) / determinant, (a * h - b * g) / determinant);
        let mut length = 1.0;
        while length > 1e-10 {
            let (slope, offset) = (line.slope - length * slope, line.offset - length * offset);
            let next = Platt { slope, offset };
            if loss(next, points, targets) < self.loss {
                return next;
            }
            length *= 0.5;
        }
        line
    }
}

fn loss(line: Platt, points: &[Point], targets: (f64, f64)) -> f64 {
    let of = |point: &Point| {
        let target = if point.positive { targets.0 } else { targets.1 };
        point.weight * cross_entropy(line.slope * point.z + line.offset, target)
    };
    points.iter().map(of).sum()
}

/// −t·ln σ(x) − (1 − t)·ln(1 − σ(x)), without overflow.
fn cross_entropy(x: f64, target: f64) -> f64 {
    x.max(0.0) - x * target + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(pairs: &[(f64, f64)]) -> FitRows {
        let (labels, predictions): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        FitRows::new(&labels, &predictions, None).unwrap()
    }

    #[test]
    fn classes_without_an_overlap_have_a_finite_line() {
        let line = Platt::fit(&rows(&[(0.0, 0.1), (0.0, 0.2), (1.0, 0.8), (1.0, 0.9)])).unwrap();
        assert!(line.is_whole(), "{line:?}");
    }

    #[test]
    fn equal_predictions_become_the_mean_target() {
        let line = Platt::fit(&rows(&[(1.0, 0.5), (0.0, 0.5), (0.0, 0.5), (0.0, 0.5)])).unwrap();
        let mean = (2.0 / 3.0 + 3.0 * 0.2) / 4.0;
        assert!((line.apply(0.5) - mean).abs() < 1e-7); // the loss is flat there
    }

    #[test]
    fn a_ranking_is_not_reversed() {
        let error = Platt::fit(&rows(&[(1.0, 0.1), (1.0, 0.2), (0.0, 0.8), (0.0, 0.9)]));
        assert!(matches!(error, Err(Error::Reversed { .. })), "{error:?}");
    }

    #[test]
    fn certain_predictions_stay_finite() {
        let line = Platt { slope: 2.0, offset: -1.0 };
        assert!(line.apply(0.0) >= 0.0 && line.apply(1.0) <= 1.0);
        assert!((Platt { slope: 1.0, offset: 0.0 }.apply(0.3) - 0.3).abs() < 1e-15);
    }

    proptest! {
        /// At the best line the gradient over the targets is 0: that is its definition.
        #[test]
        fn the_fit_is_stationary(
            pairs in prop::collection::vec((0.01..0.99f64, 0..2u8, 0.1..3.0f64), 8..60),
        ) {
            let labels: Vec<f64> = pairs.iter().map(|p| f64::from(p.1)).collect();
            let predictions: Vec<f64> = pairs.iter().map(|p| p.0).collect();
            let weights: Vec<f64> = pairs.iter().map(|p| p.2).collect();
            let rows = FitRows::new(&labels, &predictions, Some((&weights).into()));
            prop_assume!(rows.is_ok());
            let rows = rows.unwrap();
            if let Ok(line) = Platt::fit(&rows) {
                let (targets, points) = targets(&rows);
                let at = Newton::at(line, &points, targets);
                let slack = 1e-5 * at.weight;
                prop_assert!(at.gradient.0.abs() < slack && at.gradient.1.abs() < slack);
            }
        }
    }
}
