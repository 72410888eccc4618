//! `dense`: y = act(x·W + b), one `Gemm` a layer; dropout is the identity.

use std::any::Any;

use mtl_nn::ops::Dense;

use super::{activate, of};
use crate::Result;
use crate::onnx::walk::{Pieces, Walk};

pub(super) fn dense(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let mut pieces = Vec::new();
    for unit in of::<Dense>(op, "dense", node)?.units() {
        let x = walk.value(unit.input)?;
        let (weight, n_out) = walk.parameter(unit.weight);
        let z = match unit.bias {
            Some(bias) => {
                let (bias, _) = walk.parameter(bias);
                walk.to.node(node, "Gemm", &[&x, &weight, &bias])
            }
            None => walk.to.node(node, "MatMul", &[&x, &weight]),
        };
        pieces.push((activate(&mut walk.to, node, z, unit.activation)?, n_out));
    }
    Ok(Pieces(pieces))
}
