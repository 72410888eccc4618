//! `DomainDense`: a dense layer whose weights depend on the row's domain.

use super::Mask;
use super::domain::{Domains, Run};
use crate::kernel::{Transpose, add, product, vectorise};
use crate::layers::{Activation, Dropout};
use crate::{Backprop, Forward, Mat, MatMut, Op, ParamId, Scalar, Var};

/// The parameters of a [`DomainDense`] over `n` domains.
#[derive(Clone, Debug)]
pub struct DomainDenseParams {
    /// W, n_in × n_out, of all domains.
    pub weight: ParamId,
    /// b, 1 × n_out, of all domains.
    pub bias: ParamId,
    /// W_p below one another, (n − 1)·n_in × n_out; the unseen domain has none.
    pub domain_weight: ParamId,
    /// b_p, (n − 1) × n_out.
    pub domain_bias: ParamId,
    /// The activation.
    pub activation: Activation,
    /// Inverted dropout of the activation.
    pub dropout: Option<Dropout>,
}

/// y = dropout(act(x·(W ⊙ W_p) + b + b_p)) with p the row's domain, rows × n_out; W_p = 1 and
/// b_p = 0 for the unseen domain.
///
/// Sheng et al., CIKM 2021 (STAR), eq. 5–7. The rows of a shard are brought together by domain,
/// and W ⊙ W_p is formed a tile at a time on the stack: one product a tile and domain.
#[derive(Debug)]
pub struct DomainDense {
    input: [Var; 1],
    params: [ParamId; 4],
    domains: Domains,
    n_out: usize,
    activation: Activation,
    dropout: Option<Dropout>,
}

/// Rows and columns of a tile of weights: 16 KiB in f32, half a first-level cache.
const TILE: usize = 64;

/// A tile of weights, or of their gradient.
type Tile<S> = [S; TILE * TILE];

/// A tile's place: rows `k .. k + n_k`, columns `j .. j + n_j` of W.
#[derive(Clone, Copy, Debug)]
struct Place {
    k: usize,
    n_k: usize,
    j: usize,
    n_j: usize,
}

impl DomainDense {
    /// The layer over `x` (rows × n_in).
    ///
    /// # Panics
    /// With fewer than 2 domains: one is the unseen.
    pub fn new(x: Var, domains: Domains, params: DomainDenseParams, n_out: usize) -> Self {
        assert!(domains.n >= 2, "the unseen domain and another");
        let DomainDenseParams { weight, bias, domain_weight, domain_bias, .. } = params;
        Self {
            input: [x],
            params: [weight, bias, domain_weight, domain_bias],
            domains,
            n_out,
            activation: params.activation,
            dropout: params.dropout,
        }
    }

    /// Where a row's domain is read.
    pub const fn domains(&self) -> Domains {
        self.domains
    }

    /// The activation.
    pub const fn activation(&self) -> Activation {
        self.activation
    }

    fn n_in(&self) -> usize {
        self.input[0].n_cols()
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        let (n_in, n_out) = (self.n_in(), self.n_out);
        (0..n_in).step_by(TILE).flat_map(move |k| {
            let place = move |j| Place { k, n_k: TILE.min(n_in - k), j, n_j: TILE.min(n_out - j) };
            (0..n_out).step_by(TILE).map(place)
        })
    }

    /// The row of `domain_weight` that stands beside row `k` of `weight`; the unseen has none.
    fn own_row(&self, domain: usize, k: usize) -> Option<usize> {
        Some(domain.checked_sub(1)? * self.n_in() + k)
    }

    /// W ⊙ W_p at a place.
    fn tile<S: Scalar>(
        &self,
        [weight, own]: [Mat<'_, S>; 2],
        domain: usize,
        at: Place,
        tile: &mut Tile<S>,
    ) {
        for k in 0..at.n_k {
            let to = &mut tile[k * TILE..k * TILE + at.n_j];
            to.copy_from_slice(&weight.row(at.k + k)[at.j..at.j + at.n_j]);
            if let Some(row) = self.own_row(domain, at.k + k) {
                let own = &own.row(row)[at.j..at.j + at.n_j];
                to.iter_mut().zip(own).for_each(|(to, &own)| *to *= own);
            }
        }
    }

    /// dy → dz in place, and the gradients of both biases.
    fn through_activation<S: Scalar>(&self, pass: &mut Backprop<'_, S>, d: &mut MatMut<'_, S>) {
        let (y, ids) = (pass.output(), pass.ids(self.domains.slot));
        let (mask, first_row) = (Mask::new(self.dropout, pass.mode()), pass.first_row());
        vectorise(
            #[inline(always)]
            || {
                for r in 0..y.rows() {
                    self.activation.backward(y.row(r), d.row(r), mask.row(first_row + r));
                }
            },
        );
        if let Some(mut shared) = pass.param_gradient(1) {
            (0..y.rows()).for_each(|r| add(shared.to.row(0), d.row(r)));
        }
        if let Some(mut own) = pass.param_gradient(3) {
            for (r, &id) in ids.iter().enumerate() {
                if let Some(p) = self.domains.of(id).checked_sub(1) {
                    add(own.to.row(p), d.row(r));
                }
            }
        }
    }

    /// dW = W_p ⊙ (xᵀ·dz) and dW_p = W ⊙ (xᵀ·dz), with x and dz by domain.
    fn weights<S: Scalar>(&self, pass: &mut Backprop<'_, S>, d: Mat<'_, S>, run: Run) {
        let [weight, own] = [pass.param(self.params[0]), pass.param(self.params[2])];
        let mut tile: Tile<S> = [S::zero(); TILE * TILE];
        for at in self.places() {
            let x = pass.saved();
            let (x, d) = (run.of(x.as_mat(), at.k, at.n_k), run.of(d, at.j, at.n_j));
            let to = MatMut::new(&mut tile, at.n_k, at.n_j, TILE);
            product(to, false, x, d, Transpose::First);
            let columns = at.j..at.j + at.n_j;
            for (i, factor) in [(0, own), (2, weight)] {
                let Some(mut sink) = pass.param_gradient(i) else { continue };
                for k in 0..at.n_k {
                    let own_row = self.own_row(run.domain, at.k + k);
                    let shared_row = Some(at.k + k);
                    let (to, by) =
                        if i == 0 { (shared_row, own_row) } else { (own_row, shared_row) };
                    let Some(to) = to else { continue };
                    let to = &mut sink.to.row(to)[columns.clone()];
                    let tile = &tile[k * TILE..k * TILE + at.n_j];
                    match by {
                        Some(by) => {
                            let by = &factor.row(by)[columns.clone()];
                            let pairs = tile.iter().zip(by);
                            to.iter_mut().zip(pairs).for_each(|(to, (&g, &by))| *to += g * by);
                        }
                        None => add(to, tile), // the unseen domain's W_p is 1
                    }
                }
            }
        }
    }

    /// dx = dz·(W ⊙ W_p)ᵀ.
    fn input<S: Scalar>(&self, pass: &mut Backprop<'_, S>, d: Mat<'_, S>) {
        let ids = pass.ids(self.domains.slot);
        let weights = [pass.param(self.params[0]), pass.param(self.params[2])];
        let mut tile: Tile<S> = [S::zero(); TILE * TILE];
        let mut dx = pass.saved();
        for run in self.domains.runs(ids) {
            for at in self.places() {
                self.tile(weights, run.domain, at, &mut tile);
                let to = run.of_mut(&mut dx, at.k, at.n_k);
                let tile = Mat::new(&tile, at.n_k, at.n_j, TILE);
                product(to, at.j > 0, run.of(d, at.j, at.n_j), tile, Transpose::Second);
            }
        }
        // Row by row back to their places: the buffer and the sink are both the pass's.
        let n_in = self.n_in();
        for (r, i) in self.domains.places(ids) {
            for start in (0..n_in).step_by(TILE) {
                let n = TILE.min(n_in - start);
                tile[..n].copy_from_slice(&pass.saved().row(i)[start..start + n]);
                let Some(mut sink) = pass.input_gradient(0) else { return };
                let to = &mut sink.to.row(r)[start..start + n];
                match sink.add {
                    true => add(to, &tile[..n]),
                    false => to.copy_from_slice(&tile[..n]),
                }
            }
        }
    }
}

impl<S: Scalar> Op<S> for DomainDense {
    fn kind(&self) -> &'static str {
        "domain_dense"
    }

    fn n_cols(&self) -> usize {
        self.n_out
    }

    fn inputs(&self) -> &[Var] {
        &self.input
    }

    fn params(&self) -> &[ParamId] {
        &self.params
    }

    fn n_saved(&self) -> usize {
        self.n_in().max(self.n_out)
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (x, ids) = (pass.input(0), pass.ids(self.domains.slot));
        let [weight, bias, own, own_bias] = self.params.map(|id| pass.param(id));
        let (mode, first_row) = (pass.mode(), pass.first_row());
        let (mut y, mut saved) = pass.output();
        let mut tile: Tile<S> = [S::zero(); TILE * TILE];
        self.domains.group(ids, x, &mut saved);
        for run in self.domains.runs(ids) {
            for at in self.places() {
                self.tile([weight, own], run.domain, at, &mut tile);
                let tile = Mat::new(&tile, at.n_k, at.n_j, TILE);
                let x = run.of(saved.as_mat(), at.k, at.n_k);
                product(run.of_mut(&mut y, at.j, at.n_j), at.k > 0, x, tile, Transpose::Neither);
            }
        }
        // x is done with: its place takes the rows on their way back to their order.
        for i in 0..y.rows() {
            saved.row(i)[..self.n_out].copy_from_slice(y.row(i));
        }
        let mask = Mask::new(self.dropout, mode);
        vectorise(
            #[inline(always)]
            || {
                for (r, i) in self.domains.places(ids) {
                    let y = y.row(r);
                    y.copy_from_slice(&saved.row(i)[..self.n_out]);
                    add(y, bias.row(0));
                    if let Some(p) = self.domains.of(ids[r]).checked_sub(1) {
                        add(y, own_bias.row(p));
                    }
                    self.activation.forward(y, None, mask.row(first_row + r));
                }
            },
        );
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        for i in 0..self.params.len() {
            if let Some(mut sink) = pass.param_gradient(i)
                && !sink.add
            {
                sink.to.fill(S::zero());
            }
        }
        let (x, ids, mut d) = (pass.input(0), pass.ids(self.domains.slot), pass.take_gradient());
        self.through_activation(pass, &mut d);
        let mut saved = pass.saved();
        self.domains.group(ids, d.as_mat(), &mut saved);
        for i in 0..d.rows() {
            d.row(i).copy_from_slice(&saved.row(i)[..self.n_out]);
        }
        self.domains.group(ids, x, &mut saved);
        for run in self.domains.runs(ids) {
            self.weights(pass, d.as_mat(), run);
        }
        if pass.input_gradient(0).is_some() {
            self.input(pass, d.as_mat());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Embed, Part};
    use crate::{GraphBuilder, Init, Result, Role, check};

    /// Over more than a tile each way, with rows of the unseen domain among them.
    fn differences(n_in: usize, n_out: usize, activation: Activation, rate: f64) -> Result<()> {
        let mut b = GraphBuilder::new();
        let x = b.values("x", n_in)?;
        let x = b.read(x)?;
        let slot = b.ids("domain");
        let table = b.table("domain.table", 3, 1, Init::Uniform(0.5))?;
        let e = b.push("e", Embed::new(vec![Part::Lookup { slot, table, dim: 1 }]))?;
        let mut param = |name: &str, shape, role| {
            b.param(format!("layer.{name}"), shape, role, Init::Uniform(0.4))
        };
        let params = DomainDenseParams {
            weight: param("weight", (n_in, n_out), Role::Weight)?,
            bias: param("bias", (1, n_out), Role::Bias)?,
            domain_weight: param("domain.weight", (2 * n_in, n_out), Role::Weight)?,
            domain_bias: param("domain.bias", (2, n_out), Role::Bias)?,
            activation,
            dropout: Dropout::new(rate, "layer")?,
        };
        let y = b.push("y", DomainDense::new(x, Domains { slot, n: 3 }, params, n_out))?;
        check::gradients(b, &[y, e])
    }

    #[test]
    fn finite_differences() -> Result<()> {
        for activation in Activation::ALL {
            for rate in [0.0, 0.4] {
                differences(5, 3, activation, rate)?;
            }
        }
        differences(TILE + 3, 2, Activation::Tanh, 0.0)?;
        differences(2, TILE + 3, Activation::Tanh, 0.0)
    }
}
