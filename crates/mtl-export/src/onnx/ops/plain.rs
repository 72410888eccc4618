//! Ops that are one or two operators.

use std::any::Any;

use mtl_nn::ops::{AddSum, Concat, Read, Sigmoid};
use mtl_nn::{Op, Var};

use super::of;
use crate::Result;
use crate::onnx::walk::{Pieces, Walk};

pub(super) fn concat(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let concat: &dyn Op<f32> = of::<Concat>(op, "concat", node)?;
    let piece = |&x: &Var| Ok((walk.value(x)?, x.n_cols()));
    concat.inputs().iter().map(piece).collect::<Result<_>>().map(Pieces)
}

pub(super) fn read(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let read: &dyn Op<f32> = of::<Read>(op, "read", node)?;
    Ok(Pieces::one(walk.values(read.value_slots()[0])?, read.n_cols()))
}

pub(super) fn sigmoid(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let sigmoid: &dyn Op<f32> = of::<Sigmoid>(op, "sigmoid", node)?;
    let z = walk.value(sigmoid.inputs()[0])?;
    Ok(Pieces::one(walk.to.node(node, "Sigmoid", &[&z]), sigmoid.n_cols()))
}

pub(super) fn add_sum(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let add_sum: &dyn Op<f32> = of::<AddSum>(op, "add_sum", node)?;
    let [z, x] = [0, 1].map(|i| walk.value(add_sum.inputs()[i]));
    let (z, x) = (z?, x?);
    let sum = walk.to.sum_columns(node, &x);
    Ok(Pieces::one(walk.to.node(node, "Add", &[&z, &sum]), 1))
}
