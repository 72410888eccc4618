//! `dense`: y = act(x·W + b), one `Gemm` a layer; dropout is the identity.

use std::any::Any;

use mtl_nn::ops::Dense;
use mtl_nn::{ParamId, Params};

use super::{activate, of};
use crate::Result;
use crate::onnx::walk::{Pieces, Walk};
use crate::onnx::writer::Writer;

pub(super) fn dense(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let mut pieces = Vec::new();
    for unit in of::<Dense>(op, "dense", node)?.units() {
        let x = walk.value(unit.input)?;
        let (weight, n_out) = parameter(walk.params, unit.weight, &mut walk.to);
        let z = match unit.bias {
            Some(bias) => {
                let (bias, _) = parameter(walk.params, bias, &mut walk.to);
                walk.to.node(node, "Gemm", &[&x, &weight, &bias])
            }
            None => walk.to.node(node, "MatMul", &[&x, &weight]),
        };
        pieces.push((activate(&mut walk.to, node, z, unit.activation)?, n_out));
    }
    Ok(Pieces(pieces))
}

/// A parameter as a constant of its path, and its columns.
fn parameter(params: &Params<f32>, id: ParamId, to: &mut Writer) -> (String, usize) {
    let spec = params.layout().param(id);
    let values: Vec<f32> = params.param(id).as_array().iter().copied().collect();
    (to.floats(&spec.path, &[spec.rows, spec.cols], &values), spec.cols)
}
