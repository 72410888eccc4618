//! `softmax` and `mix`: gates, and experts weighted by them.

use std::any::Any;

use mtl_moe::Mix;
use mtl_nn::Op;
use mtl_nn::ops::Softmax;

use super::of;
use crate::Result;
use crate::onnx::walk::{Pieces, Walk};

/// One `Softmax` a gate.
pub(super) fn softmax(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let softmax = of::<Softmax>(op, "softmax", node)?;
    let z = Op::<f32>::inputs(softmax)[0];
    let (mut start, mut pieces) = (0, Vec::new());
    for &n in softmax.segments() {
        let z = walk.value(z.columns(start, n))?;
        pieces.push((walk.to.node_with(node, "Softmax", &[&z], &[("axis", 1)]), n));
        start += n;
    }
    Ok(Pieces(pieces))
}

/// Σ_k g_k·e_k as a product of matrices for each row: (1 × K)·(K × d).
pub(super) fn mix(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let mut pieces = Vec::new();
    for (experts, gate) in of::<Mix>(op, "mix", node)?.blends() {
        let n_cols = experts[0].n_cols();
        let gate = walk.value(gate)?;
        let values = experts.iter().map(|&e| walk.value(e)).collect::<Result<Vec<_>>>()?;
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let to = &mut walk.to;
        let side_by_side = to.concat(node, &values);
        let shape = to.integers(&[0, experts.len() as i64, n_cols as i64]); // 0: the batch
        let stacked = to.node(node, "Reshape", &[&side_by_side, &shape]);
        let axes = to.integers(&[1]);
        let gate = to.node(node, "Unsqueeze", &[&gate, &axes]);
        let mixed = to.node(node, "MatMul", &[&gate, &stacked]);
        pieces.push((to.node(node, "Squeeze", &[&mixed, &axes]), n_cols));
    }
    Ok(Pieces(pieces))
}
