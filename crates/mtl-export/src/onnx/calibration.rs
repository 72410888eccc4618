//! A calibration as nodes: q = map(correction(p)), in f64 as the model calibrates.

use mtl_calibrate::{Calibrator, HIGHEST, Isotonic, LOWEST, Map, Platt};

use super::proto::DataType;
use super::writer::Writer;
use crate::{Error, Result};

/// The calibrated output, batch × 1.
pub(super) fn write(
    output: &str,
    calibrator: &Calibrator,
    p: String,
    to: &mut Writer,
) -> Result<String> {
    let share = calibrator.negative_sampling().map(|sampling| sampling.share());
    let prefix = format!("{output}/calibration");
    let p = to.cast(&prefix, &p, DataType::Double);
    let q = match calibrator.map() {
        None => corrected(&prefix, share, p, to),
        Some(Map::Platt(line)) => {
            let p = corrected(&prefix, share, p, to);
            platt(&prefix, *line, &p, to)
        }
        Some(Map::Isotonic(curve)) => isotonic(&prefix, share.unwrap_or(1.0), curve, &p, to),
        Some(other) => {
            let reason = format!("unknown map {other:?}");
            return Err(Error::Unwritable { what: "calibration", name: output.to_owned(), reason });
        }
    };
    Ok(to.cast(&prefix, &q, DataType::Float))
}

/// p·w / (p·w + 1 − p).
fn corrected(prefix: &str, share: Option<f64>, p: String, to: &mut Writer) -> String {
    let Some(share) = share else { return p };
    let (share, one) = (to.double(share), to.double(1.0));
    let kept = to.node(prefix, "Mul", &[&p, &share]);
    let rest = to.node(prefix, "Sub", &[&one, &p]);
    let all = to.node(prefix, "Add", &[&kept, &rest]);
    to.node(prefix, "Div", &[&kept, &all])
}

/// σ(slope·logit p + offset).
fn platt(prefix: &str, line: Platt, p: &str, to: &mut Writer) -> String {
    let [lowest, highest, slope, offset, one] =
        [LOWEST, HIGHEST, line.slope, line.offset, 1.0].map(|value| to.double(value));
    let p = to.node(prefix, "Clip", &[p, &lowest, &highest]);
    let rest = to.node(prefix, "Sub", &[&one, &p]);
    let [log, log_rest] = [&p, &rest].map(|value| to.node(prefix, "Log", &[value]));
    let logit = to.node(prefix, "Sub", &[&log, &log_rest]);
    let product = to.node(prefix, "Mul", &[&logit, &slope]);
    let z = to.node(prefix, "Add", &[&product, &offset]);
    to.node(prefix, "Sigmoid", &[&z])
}

/// Straight between knots, flat beyond them, over the corrected p.
///
/// Knots are compared before the correction, where they are the f32 predictions they were fitted to,
/// so a row on a knot is on it here too however steep the curve is. With D(p) = 1 − p(1 − w), the
/// correction c has (c(p) − c(p₀)) / (c(p₁) − c(p₀)) = (p − p₀)/(p₁ − p₀) · D(p₁)/D(p).
fn isotonic(prefix: &str, share: f64, curve: &Isotonic, p: &str, to: &mut Writer) -> String {
    let uncorrected = |q: f64| f64::from((q / (q + (1.0 - q) * share)) as f32);
    let knots: Vec<f64> = curve.predictions().iter().map(|&q| uncorrected(q)).collect();
    let n = knots.len();
    let denominator = |p: f64| 1.0 - p * (1.0 - share);
    // One row of the tables for each number of knots at or below p, from 0 to n.
    let at = |i: usize| curve.values()[i.saturating_sub(1).min(n - 1)];
    let inner = |i: usize| i > 0 && i < n;
    let base: Vec<f64> = (0..=n).map(at).collect();
    let rise = |i: usize| if inner(i) { curve.values()[i] - at(i) } else { 0.0 };
    let rise: Vec<f64> = (0..=n).map(rise).collect();
    let from: Vec<f64> = (0..=n).map(|i| knots[i.saturating_sub(1)]).collect();
    let width = |i: usize| if inner(i) { knots[i] - knots[i - 1] } else { 1.0 };
    // Two knots of one f32 are a step; nothing lies within it.
    let width: Vec<f64> = (0..=n).map(|i| if width(i) > 0.0 { width(i) } else { 1.0 }).collect();
    let end: Vec<f64> = (0..=n).map(|i| denominator(knots[i.min(n - 1)])).collect();

    let row = to.doubles(&format!("{prefix}/knots"), &[1, n], &knots);
    let reached = to.node(prefix, "GreaterOrEqual", &[p, &row]);
    let reached = to.cast(prefix, &reached, DataType::Int64);
    let count = {
        let axes = to.integers(&[1]);
        to.node_with(prefix, "ReduceSum", &[&reached, &axes], &[("keepdims", 1)])
    };
    let [base, rise, from, width, end] =
        [("base", base), ("rise", rise), ("from", from), ("width", width), ("end", end)].map(
            |(what, values)| {
                let table = to.doubles(&format!("{prefix}/{what}"), &[n + 1], &values);
                to.node_with(prefix, "Gather", &[&table, &count], &[("axis", 0)])
            },
        );
    let [zero, one, lost] = [0.0, 1.0, 1.0 - share].map(|value| to.double(value));
    let lost = to.node(prefix, "Mul", &[p, &lost]);
    let here = to.node(prefix, "Sub", &[&one, &lost]);
    let beyond = to.node(prefix, "Sub", &[p, &from]);
    let part = to.node(prefix, "Div", &[&beyond, &width]);
    let ratio = to.node(prefix, "Div", &[&end, &here]);
    let part = to.node(prefix, "Mul", &[&part, &ratio]);
    let part = to.node(prefix, "Clip", &[&part, &zero, &one]);
    let rise = to.node(prefix, "Mul", &[&rise, &part]);
    to.node(prefix, "Add", &[&base, &rise])
}
