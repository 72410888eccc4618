//! `dot_scores` and `stitch`: what tasks hand to one another (AITM, Cross-Stitch).

use std::any::Any;

use mtl_arch::ops::{DotScores, Stitch};
use mtl_nn::Op;

use super::of;
use crate::Result;
use crate::onnx::walk::{Pieces, Walk};

/// ⟨key_u, query_u⟩/√k, one piece a candidate.
pub(super) fn dot_scores(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let scores: &dyn Op<f32> = of::<DotScores>(op, "dot_scores", node)?;
    let mut pieces = Vec::new();
    for pair in scores.inputs().chunks_exact(2) {
        let [key, query] = [0, 1].map(|i| walk.value(pair[i]));
        let (key, query) = (key?, query?);
        let product = walk.to.node(node, "Mul", &[&key, &query]);
        let sum = walk.to.sum_columns(node, &product);
        let scale = walk.to.float((1.0 / (pair[0].n_cols() as f64).sqrt()) as f32);
        pieces.push((walk.to.node(node, "Mul", &[&sum, &scale]), 1));
    }
    Ok(Pieces(pieces))
}

/// h'_t = Σ_s A_ts·h_s: the product of A with each row's layers below one another.
pub(super) fn stitch(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let stitch: &dyn Op<f32> = of::<Stitch>(op, "stitch", node)?;
    let layers = stitch.inputs().iter().map(|&h| walk.value(h)).collect::<Result<Vec<_>>>()?;
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let (n, d) = (layers.len(), stitch.inputs()[0].n_cols());
    let (a, _) = walk.parameter(stitch.params()[0]);
    let to = &mut walk.to;
    let side_by_side = to.concat(node, &layers);
    let shape = to.integers(&[0, n as i64, d as i64]); // 0: the batch
    let below = to.node(node, "Reshape", &[&side_by_side, &shape]);
    let mixed = to.node(node, "MatMul", &[&a, &below]);
    let shape = to.integers(&[0, (n * d) as i64]);
    Ok(Pieces::one(to.node(node, "Reshape", &[&mixed, &shape]), n * d))
}
