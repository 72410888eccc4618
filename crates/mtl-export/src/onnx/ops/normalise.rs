//! `normalise`: batch normalisation by running statistics is a scale and a shift, folded here.

use std::any::Any;

use mtl_nn::Op;
use mtl_nn::ops::Normalise;

use super::{activate, of};
use crate::Result;
use crate::onnx::walk::{Pieces, Walk};

pub(super) fn normalise(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let normalise = of::<Normalise>(op, "normalise", node)?;
    let input = Op::<f32>::inputs(normalise)[0];
    let mut pieces = Vec::new();
    for (columns, unit) in normalise.units() {
        let n = columns.len();
        let x = walk.value(input.columns(columns.start, n))?;
        let row = |id| walk.params.param(id).row(0);
        let [gamma, beta, mean, variance] =
            [unit.gamma, unit.beta, unit.mean, unit.variance].map(row);
        let (mut scales, mut shifts) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for c in 0..n {
            let deviation = (f64::from(variance[c]) + normalise.epsilon()).sqrt();
            let scale = f64::from(gamma[c]) / deviation;
            scales.push(scale as f32);
            shifts.push((f64::from(beta[c]) - f64::from(mean[c]) * scale) as f32);
        }
        let gamma = &walk.params.layout().param(unit.gamma).path;
        let scale = walk.to.floats(&format!("{gamma}.folded_scale"), &[1, n], &scales);
        let shift = walk.to.floats(&format!("{gamma}.folded_shift"), &[1, n], &shifts);
        let product = walk.to.node(node, "Mul", &[&x, &scale]);
        let y = walk.to.node(node, "Add", &[&product, &shift]);
        pieces.push((activate(&mut walk.to, node, y, unit.activation)?, n));
    }
    Ok(Pieces(pieces))
}
