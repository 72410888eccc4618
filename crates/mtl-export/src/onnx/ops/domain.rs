//! `domain_dense` and `domain_normalise`: what a row's domain selects is worked out here, once a
//! domain, and gathered by the row's id.

use std::any::Any;

use mtl_nn::Op;
use mtl_nn::ops::{DomainDense, DomainNormalise};

use super::{activate, of};
use crate::Result;
use crate::onnx::walk::{Pieces, Walk};

/// y = act(x·(W ⊙ W_p) + b + b_p).
///
/// Every row has its own matrix, as a product of matrices for each row. With a product a domain and
/// a choice between them, the work would grow with the number of domains.
pub(super) fn domain_dense(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let dense = of::<DomainDense>(op, "domain_dense", node)?;
    let (domains, op): (_, &dyn Op<f32>) = (dense.domains(), dense);
    let x = walk.value(op.inputs()[0])?;
    let (n_in, n_out, n) = (op.inputs()[0].n_cols(), op.n_cols(), domains.n);
    let [weight, bias, own, own_bias] = [0, 1, 2, 3].map(|i| walk.params.param(op.params()[i]));
    let (mut weights, mut biases) = (Vec::with_capacity(n * n_in * n_out), Vec::new());
    for domain in 0..n {
        let own_row = |k: usize| domain.checked_sub(1).map(|p| own.row(p * n_in + k));
        for k in 0..n_in {
            let factor = |j: usize| own_row(k).map_or(1.0, |own| own[j]);
            weights.extend(weight.row(k).iter().enumerate().map(|(j, w)| w * factor(j)));
        }
        let shift = |j: usize| domain.checked_sub(1).map_or(0.0, |p| own_bias.row(p)[j]);
        biases.extend(bias.row(0).iter().enumerate().map(|(j, b)| b + shift(j)));
    }
    let weights = walk.to.floats(&format!("{node}.weight.by_domain"), &[n, n_in, n_out], &weights);
    let biases = walk.to.floats(&format!("{node}.bias.by_domain"), &[n, n_out], &biases);
    let id = walk.ids(domains.slot)?;
    let to = &mut walk.to;
    let [weights, biases] =
        [weights, biases].map(|of| to.node_with(node, "Gather", &[&of, &id], &[("axis", 0)]));
    let axes = to.integers(&[1]);
    let x = to.node(node, "Unsqueeze", &[&x, &axes]);
    let product = to.node(node, "MatMul", &[&x, &weights]);
    let z = to.node(node, "Squeeze", &[&product, &axes]);
    let z = to.node(node, "Add", &[&z, &biases]);
    Ok(Pieces::one(activate(to, node, z, dense.activation())?, n_out))
}

/// y = γγ_p·(x − μ_p)/√(v_p + ε) + β + β_p by running statistics; those of all rows for a domain
/// that never had one.
pub(super) fn domain_normalise(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let normalise = of::<DomainNormalise>(op, "domain_normalise", node)?;
    let (domains, op): (_, &dyn Op<f32>) = (normalise.domains(), normalise);
    let x = walk.value(op.inputs()[0])?;
    let (d, n) = (op.n_cols(), domains.n);
    let [gamma, beta, own_gamma, own_beta, mean, variance, seen] =
        [0, 1, 2, 3, 4, 5, 6].map(|i| walk.params.param(op.params()[i]));
    let [mut means, mut scales, mut shifts] = [const { Vec::new() }; 3];
    for domain in 0..n {
        let row = if seen.row(domain)[0] > 0.0 { domain } else { 0 };
        let own = domain.checked_sub(1).map(|p| (own_gamma.row(p), own_beta.row(p)));
        for c in 0..d {
            let deviation = (f64::from(variance.row(row)[c]) + normalise.epsilon()).sqrt();
            let (factor, shift) = own.map_or((1.0, 0.0), |(gamma, beta)| (gamma[c], beta[c]));
            means.push(mean.row(row)[c]);
            scales.push((f64::from(gamma.row(0)[c] * factor) / deviation) as f32);
            shifts.push(beta.row(0)[c] + shift);
        }
    }
    let id = walk.ids(domains.slot)?;
    let to = &mut walk.to;
    let mut by_domain = |what: &str, values: &[f32]| {
        let table = to.floats(&format!("{node}.{what}.by_domain"), &[n, d], values);
        to.node_with(node, "Gather", &[&table, &id], &[("axis", 0)])
    };
    let (mean, scale) = (by_domain("mean", &means), by_domain("scale", &scales));
    let shift = by_domain("shift", &shifts);
    let centred = to.node(node, "Sub", &[&x, &mean]);
    let scaled = to.node(node, "Mul", &[&centred, &scale]);
    Ok(Pieces::one(to.node(node, "Add", &[&scaled, &shift]), d))
}
