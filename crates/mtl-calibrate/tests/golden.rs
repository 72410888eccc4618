//! Against scikit-learn: `golden/generate.py` wrote the values.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use mtl_calibrate::{FitRows, Isotonic, Platt};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    labels: Vec<f64>,
    predictions: Vec<f64>,
    weights: Vec<f64>,
    slope: f64,
    offset: f64,
    at: Vec<f64>,
    isotonic: Vec<f64>,
    knots: usize,
}

fn cases() -> Vec<(Case, FitRows)> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/golden.json")).unwrap();
    let rows = |case: &Case| {
        FitRows::new(&case.labels, &case.predictions, Some((&case.weights).into())).unwrap()
    };
    cases.into_iter().map(|case| (rows(&case), case)).map(|(rows, case)| (case, rows)).collect()
}

/// scikit-learn stops at a gradient of 1e-6 a row or so; our fit goes on to the minimum.
#[test]
fn platt_scaling() {
    for (case, rows) in cases() {
        let line = Platt::fit(&rows).unwrap();
        assert!((line.slope - case.slope).abs() < 2e-4, "{line:?} {}", case.slope);
        assert!((line.offset - case.offset).abs() < 2e-4, "{line:?} {}", case.offset);
    }
}

#[test]
fn isotonic_regression() {
    for (case, rows) in cases() {
        let curve = Isotonic::fit(&rows);
        assert_eq!(curve.predictions().len(), case.knots);
        for (&p, &expected) in case.at.iter().zip(&case.isotonic) {
            assert!((curve.apply(p) - expected).abs() < 1e-12, "at {p}: {}", curve.apply(p));
        }
    }
}
