//! `Normalise`: batch normalisation, then activation and dropout.

use super::Mask;
use crate::kernel::vectorise;
use crate::layers::{Activation, Dropout};
use crate::{Backprop, Forward, Mat, Op, ParamId, Params, Scalar, Var};

/// The parameters of one normalised layer.
#[derive(Clone, Debug)]
pub struct NormaliseParams {
    /// γ, 1 × n.
    pub gamma: ParamId,
    /// β, 1 × n.
    pub beta: ParamId,
    /// Running mean, 1 × n.
    pub mean: ParamId,
    /// Running variance, 1 × n.
    pub variance: ParamId,
    /// The activation that follows.
    pub activation: Activation,
    /// The dropout that follows it.
    pub dropout: Option<Dropout>,
}

/// y = dropout(act(γ·(x − μ)/√(v + ε) + β)), for layers side by side; rows × the input's columns.
///
/// In training μ and v are the mean and the biased variance over the *whole batch*, not the
/// shard: the op is a barrier. In prediction they are running means, r ← m·r + (1 − m)·batch.
/// Ioffe & Szegedy, 2015, algorithms 1 and 2.
#[derive(Debug)]
pub struct Normalise {
    input: [Var; 1],
    params: Vec<ParamId>,
    units: Vec<Piece>,
    momentum: f64,
    epsilon: f64,
}

#[derive(Debug)]
struct Piece {
    start: usize,
    n: usize,
    activation: Activation,
    dropout: Option<Dropout>,
}

/// Parameters a unit: γ, β, mean, variance.
const EACH: usize = 4;

impl Normalise {
    /// Normalises the columns of `x`, unit after unit; `widths` are the units' columns.
    ///
    /// # Panics
    /// If the widths do not add up to the input's.
    pub fn new(
        x: Var,
        widths: &[usize],
        units: Vec<NormaliseParams>,
        momentum: f64,
        epsilon: f64,
    ) -> Self {
        assert_eq!(widths.iter().sum::<usize>(), x.n_cols(), "units cover the columns");
        let mut op = Self { input: [x], params: Vec::new(), units: Vec::new(), momentum, epsilon };
        let mut start = 0;
        for (unit, &n) in units.into_iter().zip(widths) {
            op.params.extend([unit.gamma, unit.beta, unit.mean, unit.variance]);
            op.units.push(Piece { start, n, activation: unit.activation, dropout: unit.dropout });
            start += n;
        }
        op
    }

    /// Mean and 1/√(variance + ε) of a column, from the batch's sums or the running ones.
    fn moments<S: Scalar>(
        &self,
        sums: &[f64],
        n_cols: usize,
        rows: usize,
        column: usize,
        running: (S, S),
    ) -> (S, S) {
        let (mean, variance) = if sums.is_empty() {
            (running.0.f64(), running.1.f64())
        } else {
            batch_moments(sums, n_cols, rows, column)
        };
        (S::of(mean), S::of(1.0 / (variance + self.epsilon).sqrt()))
    }
}

/// Mean and biased variance of a column. The sums are in f64, where Σx² loses no digit that f32
/// inputs have.
fn batch_moments(sums: &[f64], n_cols: usize, rows: usize, column: usize) -> (f64, f64) {
    let mean = sums[column] / rows as f64;
    let variance = sums[n_cols + column] / rows as f64 - mean * mean;
    (mean, variance.max(0.0))
}

impl<S: Scalar> Op<S> for Normalise {
    fn kind(&self) -> &'static str {
        "normalise"
    }

    fn n_cols(&self) -> usize {
        self.input[0].n_cols()
    }

    fn inputs(&self) -> &[Var] {
        &self.input
    }

    fn params(&self) -> &[ParamId] {
        &self.params
    }

    fn n_statistics(&self) -> usize {
        2 * self.input[0].n_cols()
    }

    fn gather(&self, pass: &Forward<'_, S>, sums: &mut [f64]) {
        let x = pass.input(0);
        let (first, second) = sums.split_at_mut(x.cols());
        first.fill(0.0);
        second.fill(0.0);
        vectorise(|| {
            for r in 0..x.rows() {
                for (c, &x) in x.row(r).iter().enumerate() {
                    first[c] += x.f64();
                    second[c] += x.f64() * x.f64();
                }
            }
        });
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (x, sums, mode) = (pass.input(0), pass.statistics(), pass.mode());
        let (rows, first_row, n_cols) = (pass.batch_rows(), pass.first_row(), x.cols());
        for (unit, ids) in self.units.iter().zip(self.params.chunks_exact(EACH)) {
            let [gamma, beta, mean, variance] = [0, 1, 2, 3].map(|i| pass.param(ids[i]).row(0));
            let mask = Mask::new(unit.dropout, mode);
            let (mut y, _) = pass.output();
            let mut y = y.columns(unit.start, unit.n);
            for c in 0..unit.n {
                let running = (mean[c], variance[c]);
                let (mean, inverse) = self.moments(sums, n_cols, rows, unit.start + c, running);
                for r in 0..x.rows() {
                    let x = x.row(r)[unit.start + c];
                    y.row(r)[c] = gamma[c] * ((x - mean) * inverse) + beta[c];
                }
            }
            vectorise(|| {
                for r in 0..x.rows() {
                    unit.activation.forward(y.row(r), mask.row(first_row + r));
                }
            });
        }
    }

    fn gather_backward(&self, pass: &mut Backprop<'_, S>, sums: &mut [f64]) {
        let (x, y, mode) = (pass.input(0), pass.output(), pass.mode());
        let (rows, first_row, n_cols) = (pass.batch_rows(), pass.first_row(), x.cols());
        let statistics = pass.forward_statistics();
        let mut d = pass.take_gradient();
        sums.fill(0.0);
        for unit in &self.units {
            let mask = Mask::new(unit.dropout, mode);
            for r in 0..x.rows() {
                let columns = unit.start..unit.start + unit.n;
                let d = &mut d.row(r)[columns.clone()];
                unit.activation.backward(&y.row(r)[columns], d, mask.row(first_row + r));
            }
        }
        for c in 0..n_cols {
            let zero = (S::zero(), S::one());
            let (mean, inverse) = self.moments(statistics, n_cols, rows, c, zero);
            for r in 0..x.rows() {
                let d = d.row(r)[c].f64();
                sums[c] += d;
                sums[n_cols + c] += d * ((x.row(r)[c] - mean) * inverse).f64();
            }
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (x, rows) = (pass.input(0), pass.batch_rows());
        let (forward, backward) = (pass.forward_statistics(), pass.statistics());
        let d = pass.take_gradient(); // already through the activation
        let d = d.as_mat();
        for (u, unit) in self.units.iter().enumerate() {
            for c in 0..unit.n {
                let column = unit.start + c;
                let zero = (S::zero(), S::one());
                let (mean, inverse) = self.moments(forward, x.cols(), rows, column, zero);
                self.own_gradients(pass, u, c, (x, d), (mean, inverse));
                let gamma = pass.param(self.params[u * EACH]).row(0)[c];
                let mean_d = S::of(backward[column] / rows as f64);
                let mean_dx = S::of(backward[x.cols() + column] / rows as f64);
                let Some(mut sink) = pass.input_gradient(0) else { continue };
                for r in 0..x.rows() {
                    let normal = (x.row(r)[column] - mean) * inverse;
                    let g = gamma * inverse * (d.row(r)[column] - mean_d - normal * mean_dx);
                    let to = &mut sink.to.row(r)[column];
                    *to = if sink.add { *to + g } else { g };
                }
            }
        }
    }

    fn update_state(&self, sums: &[f64], rows: usize, params: &mut Params<S>) {
        let n_cols = self.input[0].n_cols();
        for (unit, ids) in self.units.iter().zip(self.params.chunks_exact(EACH)) {
            for c in 0..unit.n {
                let (mean, variance) = batch_moments(sums, n_cols, rows, unit.start + c);
                for (id, now) in [(ids[2], mean), (ids[3], variance)] {
                    let running = params.param_value_mut(id, 0, c);
                    let mixed = self.momentum * running.f64() + (1.0 - self.momentum) * now;
                    *running = S::of(mixed);
                }
            }
        }
    }
}

impl Normalise {
    /// This shard's part of dγ and dβ of column `c` of unit `u`.
    fn own_gradients<S: Scalar>(
        &self,
        pass: &mut Backprop<'_, S>,
        u: usize,
        c: usize,
        (x, d): (Mat<'_, S>, Mat<'_, S>),
        (mean, inverse): (S, S),
    ) {
        let column = self.units[u].start + c;
        let (mut d_gamma, mut d_beta) = (S::zero(), S::zero());
        for r in 0..x.rows() {
            let d = d.row(r)[column];
            d_beta += d;
            d_gamma += d * (x.row(r)[column] - mean) * inverse;
        }
        for (i, gradient) in [(0, d_gamma), (1, d_beta)] {
            if let Some(mut sink) = pass.param_gradient(u * EACH + i) {
                let to = &mut sink.to.row(0)[c];
                *to = if sink.add { *to + gradient } else { gradient };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphBuilder, Init, Result, Role, check};

    #[test]
    fn finite_differences_over_several_shards() -> Result<()> {
        let mut b = GraphBuilder::new();
        let x = b.values("x", 5)?;
        let x = b.read(x)?;
        let mut units = Vec::new();
        for (path, n) in [("a", 3), ("b", 2)] {
            let mut param =
                |name: &str, role, init| b.param(format!("{path}.norm.{name}"), (1, n), role, init);
            units.push(NormaliseParams {
                gamma: param("gamma", Role::Bias, Init::Constant(1.2))?,
                beta: param("beta", Role::Bias, Init::Constant(0.1))?,
                mean: param("running_mean", Role::State, Init::Constant(0.0))?,
                variance: param("running_var", Role::State, Init::Constant(1.0))?,
                activation: if path == "a" { Activation::Tanh } else { Activation::Linear },
                dropout: Dropout::new(0.3, path)?,
            });
        }
        let y = b.push("norm", Normalise::new(x, &[3, 2], units, 0.9, 1e-3))?;
        check::gradients(b, &[y])
    }
}
