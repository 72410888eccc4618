//! `event_log_probability` and `probability`: a chain's events, from sums of positive terms.

use std::any::Any;

use mtl_esm::ops::{EventLogProbability, Probability};
use mtl_esm::{End, Way};
use mtl_nn::Op;

use super::of;
use crate::Result;
use crate::onnx::walk::{Pieces, Walk};
use crate::onnx::writer::Writer;

/// (ln p, ln(1 − p)); the recursion is that of [`mtl_esm::Program`].
pub(super) fn event_log_probability(
    op: &dyn Any,
    node: &str,
    walk: &mut Walk<'_>,
) -> Result<Pieces> {
    let event = of::<EventLogProbability>(op, "event_log_probability", node)?;
    let inputs = Op::<f32>::inputs(event);
    let logits = inputs.iter().map(|&z| walk.value(z)).collect::<Result<Vec<_>>>()?;
    let mut pairs: Vec<[String; 2]> = Vec::new();
    for branches in event.program().decisions() {
        let logs = log_softmax(node, branches, &logits, &mut walk.to);
        let pair = [0, 1].map(|side| {
            let terms: Vec<String> = (branches.iter().zip(&logs))
                .filter_map(|(way, log)| match (way.end, side) {
                    (End::Never, 0) | (End::Certain, 1) => None,
                    (End::Never | End::Certain, _) => Some(log.clone()),
                    (End::Step(to), side) => {
                        Some(walk.to.node(node, "Add", &[log, &pairs[to][side]]))
                    }
                })
                .collect();
            log_sum_exp(node, &terms, &mut walk.to)
        });
        pairs.push(pair);
    }
    let last = pairs.pop().into_iter().flatten();
    Ok(Pieces(last.map(|name| (name, 1)).collect()))
}

/// e^ℓ.
pub(super) fn probability(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let log = Op::<f32>::inputs(of::<Probability>(op, "probability", node)?)[0];
    let log = walk.value(log)?;
    Ok(Pieces::one(walk.to.node(node, "Exp", &[&log]), 1))
}

/// ln s_k of each branch.
fn log_softmax(node: &str, branches: &[Way], logits: &[String], to: &mut Writer) -> Vec<String> {
    let zero = to.float(0.0);
    let mut columns = Vec::with_capacity(branches.len());
    for way in branches {
        columns.push(match way.tower {
            Some(tower) => logits[tower].clone(),
            // As many rows as the others have.
            None => to.node(node, "Mul", &[&logits[0], &zero]),
        });
    }
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let z = to.concat(node, &columns);
    let logs = to.node_with(node, "LogSoftmax", &[&z], &[("axis", 1)]);
    (0..branches.len()).map(|k| to.slice(node, &logs, k, 1)).collect()
}

/// ln Σ e^{u_k}, at most 0.
fn log_sum_exp(node: &str, terms: &[String], to: &mut Writer) -> String {
    let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
    if let [one] = terms[..] {
        return one.to_owned();
    }
    let all = to.concat(node, &terms);
    let axes = to.integers(&[1]);
    let sum = to.node_with(node, "ReduceLogSumExp", &[&all, &axes], &[("keepdims", 1)]);
    let zero = to.float(0.0);
    to.node(node, "Min", &[&sum, &zero])
}
