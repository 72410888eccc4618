//! `max_pool` and `target_attention`: lists of items into one vector.

use std::any::Any;

use mtl_nn::Op;
use mtl_nn::ops::{MaxPool, TargetAttention};

use super::{activate, of};
use crate::Result;
use crate::onnx::features::List;
use crate::onnx::walk::{Pieces, Walk};
use crate::onnx::writer::Writer;

/// Below every score and value that a model has: where there is no item.
const LOWEST: f32 = -1e30;

/// max_j h_j, 0 for an empty list.
pub(super) fn max_pool(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let pool: &dyn Op<f32> = of::<MaxPool>(op, "max_pool", node)?;
    let (h, list) = (walk.value(pool.inputs()[0])?, walk.lists(pool.list_slots()[0])?);
    let to = &mut walk.to;
    let is_item = is_item(node, &list, to);
    let lowest = to.float(LOWEST);
    let values = to.node(node, "Where", &[&is_item, &h, &lowest]);
    let axes = to.integers(&[1]);
    let largest = to.node_with(node, "ReduceMax", &[&values, &axes], &[("keepdims", 0)]);
    let filled = to.node_with(node, "ReduceMax", &[&list.mask, &axes], &[("keepdims", 0)]);
    let y = to.node(node, "Mul", &[&largest, &filled]);
    Ok(Pieces::one(y, pool.n_cols()))
}

/// Σ_j a_j·h_j with a_j = MLP([h_j, t, h_j − t, h_j ⊙ t]), or its softmax over the items.
pub(super) fn target_attention(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let attention = of::<TargetAttention>(op, "target_attention", node)?;
    let (settings, op): (_, &dyn Op<f32>) = (attention.settings(), attention);
    let [h, t] = [0, 1].map(|i| walk.value(op.inputs()[i]));
    let (h, t, list) = (h?, t?, walk.lists(op.list_slots()[0])?);
    let mut z = pairs(node, &h, &t, &mut walk.to);
    for (i, &(weight, bias)) in settings.layers.iter().enumerate() {
        let ((weight, _), (bias, _)) = (walk.parameter(weight), walk.parameter(bias));
        let product = walk.to.node(node, "MatMul", &[&z, &weight]);
        z = walk.to.node(node, "Add", &[&product, &bias]);
        if i + 1 < settings.layers.len() {
            z = activate(&mut walk.to, node, z, settings.activation)?;
        }
    }
    let to = &mut walk.to;
    if settings.softmax {
        let (is_item, lowest) = (is_item(node, &list, to), to.float(LOWEST));
        let scores = to.node(node, "Where", &[&is_item, &z, &lowest]);
        z = to.node_with(node, "Softmax", &[&scores], &[("axis", 1)]);
    }
    // The items that are not there are zeros, so their weights say nothing.
    let weighted = to.node(node, "Mul", &[&z, &h]);
    let axes = to.integers(&[1]);
    let y = to.node_with(node, "ReduceSum", &[&weighted, &axes], &[("keepdims", 0)]);
    Ok(Pieces::one(y, op.n_cols()))
}

/// [h_j, t, h_j − t, h_j ⊙ t], batch × length × 4·dim.
fn pairs(node: &str, h: &str, t: &str, to: &mut Writer) -> String {
    let axes = to.integers(&[1]);
    let t = to.node(node, "Unsqueeze", &[t, &axes]);
    let shape = to.node(node, "Shape", &[h]);
    let target = to.node(node, "Expand", &[&t, &shape]);
    let difference = to.node(node, "Sub", &[h, &t]);
    let product = to.node(node, "Mul", &[h, &t]);
    to.node_with(node, "Concat", &[h, &target, &difference, &product], &[("axis", 2)])
}

/// Whether there is an item, batch × length × 1.
fn is_item(node: &str, list: &List, to: &mut Writer) -> String {
    let zero = to.float(0.0);
    to.node(node, "Greater", &[&list.mask, &zero])
}
