//! `normalise`: (x − μ)·γ/√(v + ε) + β by running statistics, the factor folded here.
//!
//! μ is taken away first, as the model does: one shift β − μ·γ/√(v + ε) would lose the digits that
//! a mean far from 0 has before a small deviation.

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
        let [gamma, variance] = [unit.gamma, unit.variance].map(row);
        let scale = |c: usize| {
            let deviation = (f64::from(variance[c]) + normalise.epsilon()).sqrt();
            (f64::from(gamma[c]) / deviation) as f32
        };
        let scales: Vec<f32> = (0..n).map(scale).collect();
        let path = &walk.params.layout().param(unit.gamma).path;
        let scale = walk.to.floats(&format!("{path}.folded_scale"), &[1, n], &scales);
        let ((mean, _), (beta, _)) = (walk.parameter(unit.mean), walk.parameter(unit.beta));
        let centred = walk.to.node(node, "Sub", &[&x, &mean]);
        let scaled = walk.to.node(node, "Mul", &[&centred, &scale]);
        let y = walk.to.node(node, "Add", &[&scaled, &beta]);
        pieces.push((activate(&mut walk.to, node, y, unit.activation)?, n));
    }
    Ok(Pieces(pieces))
}
