//! `Normalise`: batch normalisation, then activation and dropout.

use std::ops::Range;

use super::Mask;
use crate::kernel::vectorise;
use crate::layers::{Activation, Dropout};
use crate::{Backprop, Forward, Mat, Op, OpPart, ParamId, Params, Scalar, Sink, Var};

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

    /// The layers with their columns of the output, in order.
    pub fn units(&self) -> impl Iterator<Item = (Range<usize>, NormaliseParams)> {
        self.units.iter().zip(self.params.as_chunks::<EACH>().0).map(|(unit, ids)| {
            let &[gamma, beta, mean, variance] = ids;
            let (activation, dropout) = (unit.activation, unit.dropout);
            let params = NormaliseParams { gamma, beta, mean, variance, activation, dropout };
            (unit.start..unit.start + unit.n, params)
        })
    }

    /// ε, which is added to the variance.
    pub const fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// The runs of at most [`BLOCK`] columns that the loops work on, unit by unit.
    fn blocks(&self) -> impl Iterator<Item = Block> {
        self.units.iter().enumerate().flat_map(|(u, unit)| {
            (0..unit.n).step_by(BLOCK).map(move |from| {
                let n = BLOCK.min(unit.n - from);
                Block { u, from, columns: unit.start + from..unit.start + from + n }
            })
        })
    }

    /// Mean and 1/√(v + ε) of a block's columns over the whole batch.
    #[inline(always)]
    fn batch<S: Scalar>(&self, block: &Block, sums: &[f64], rows: usize) -> [[S; BLOCK]; 2] {
        let (mut means, mut inverses) = ([S::zero(); BLOCK], [S::zero(); BLOCK]);
        for (i, column) in block.columns.clone().enumerate() {
            let (mean, variance) = batch_moments(sums, self.input[0].n_cols(), rows, column);
            means[i] = S::of(mean);
            inverses[i] = S::of(1.0 / (variance + self.epsilon).sqrt());
        }
        [means, inverses]
    }

    /// As [`Normalise::batch`], from the running statistics.
    fn running<S: Scalar>(&self, block: &Block, pass: &Forward<'_, S>) -> [[S; BLOCK]; 2] {
        let (mut means, mut inverses) = ([S::zero(); BLOCK], [S::zero(); BLOCK]);
        let [mean, variance] = [2, 3].map(|i| pass.param(self.params[block.u * EACH + i]).row(0));
        for (i, c) in (block.from..block.from + block.columns.len()).enumerate() {
            means[i] = mean[c];
            inverses[i] = S::of(1.0 / (variance[c].f64() + self.epsilon).sqrt());
        }
        [means, inverses]
    }
}

/// Columns that a loop works on at a time. Their moments lie on the stack, so a step allocates
/// nothing, and the rows are walked in order.
const BLOCK: usize = 64;

/// Some columns of one unit.
struct Block {
    /// Position of the unit.
    u: usize,
    /// The first column, counted within the unit.
    from: usize,
    /// The columns, counted within the op.
    columns: Range<usize>,
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

    fn parts(&self) -> Vec<OpPart> {
        let part = |(u, unit): (usize, &Piece)| {
            let columns = unit.start..unit.start + unit.n;
            let inputs = vec![(0, columns.clone())];
            OpPart {
                columns,
                inputs,
                params: (u * EACH..(u + 1) * EACH).collect(),
                lookups: vec![],
            }
        };
        self.units.iter().enumerate().map(part).collect()
    }

    fn n_statistics(&self) -> usize {
        2 * self.input[0].n_cols()
    }

    fn gather(&self, pass: &Forward<'_, S>, sums: &mut [f64]) {
        let x = pass.input(0);
        let (first, second) = sums.split_at_mut(x.cols());
        first.fill(0.0);
        second.fill(0.0);
        vectorise(
            #[inline(always)]
            || {
                for r in 0..x.rows() {
                    for ((&x, first), second) in x.row(r).iter().zip(&mut *first).zip(&mut *second)
                    {
                        *first += x.f64();
                        *second += x.f64() * x.f64();
                    }
                }
            },
        );
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (x, sums, mode) = (pass.input(0), pass.statistics(), pass.mode());
        let (rows, first_row) = (pass.batch_rows(), pass.first_row());
        for block in self.blocks() {
            let [mean, inverse] = match sums {
                [] => self.running(&block, pass),
                _ => self.batch(&block, sums, rows),
            };
            let ids = &self.params[block.u * EACH..];
            let [gamma, beta] = [0, 1].map(|i| &pass.param(ids[i]).row(0)[block.from..]);
            let (mut y, _) = pass.output();
            vectorise(
                #[inline(always)]
                || {
                    for r in 0..x.rows() {
                        let x = x.row(r)[block.columns.clone()].iter();
                        let moments = mean.iter().zip(&inverse).zip(gamma.iter().zip(beta));
                        let y = y.row(r)[block.columns.clone()].iter_mut();
                        for ((y, &x), ((&mean, &inverse), (&gamma, &beta))) in y.zip(x).zip(moments)
                        {
                            *y = gamma * ((x - mean) * inverse) + beta;
                        }
                    }
                },
            );
        }
        for unit in &self.units {
            let mask = Mask::new(unit.dropout, mode);
            let (mut y, _) = pass.output();
            let mut y = y.columns(unit.start, unit.n);
            vectorise(
                #[inline(always)]
                || {
                    for r in 0..x.rows() {
                        unit.activation.forward(y.row(r), None, mask.row(first_row + r));
                    }
                },
            );
        }
    }

    fn gather_backward(&self, pass: &mut Backprop<'_, S>, sums: &mut [f64]) {
        let (x, y, mode) = (pass.input(0), pass.output(), pass.mode());
        let (rows, first_row) = (pass.batch_rows(), pass.first_row());
        let statistics = pass.forward_statistics();
        let mut d = pass.take_gradient();
        for unit in &self.units {
            let mask = Mask::new(unit.dropout, mode);
            let (y, mut d) = (y.columns(unit.start, unit.n), d.columns(unit.start, unit.n));
            vectorise(
                #[inline(always)]
                || {
                    for r in 0..x.rows() {
                        unit.activation.backward(y.row(r), d.row(r), mask.row(first_row + r));
                    }
                },
            );
        }
        sums.fill(0.0);
        let (sums_d, sums_dx) = sums.split_at_mut(x.cols());
        for block in self.blocks() {
            let [mean, inverse]: [[S; BLOCK]; 2] = self.batch(&block, statistics, rows);
            let columns = &block.columns;
            let (sums_d, sums_dx) = (&mut sums_d[columns.clone()], &mut sums_dx[columns.clone()]);
            vectorise(
                #[inline(always)]
                || {
                    for r in 0..x.rows() {
                        let pairs =
                            x.row(r)[columns.clone()].iter().zip(&d.row(r)[columns.clone()]);
                        let moments = mean.iter().zip(&inverse);
                        let to = sums_d.iter_mut().zip(&mut *sums_dx);
                        for ((to, (&x, &d)), (&mean, &inverse)) in to.zip(pairs).zip(moments) {
                            *to.0 += d.f64();
                            *to.1 += d.f64() * ((x - mean) * inverse).f64();
                        }
                    }
                },
            );
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        self.own_gradients(pass);
        let (x, rows) = (pass.input(0), pass.batch_rows());
        let (forward, backward) = (pass.forward_statistics(), pass.statistics());
        let d = pass.take_gradient(); // already through the activation
        let d = d.as_mat();
        for block in self.blocks() {
            let moments = self.batch(&block, forward, rows);
            let gamma = pass.param(self.params[block.u * EACH]).row(0);
            let Some(sink) = pass.input_gradient(0) else { continue };
            let [mut mean_d, mut mean_dx, mut scale] = [[S::zero(); BLOCK]; 3];
            for (i, column) in block.columns.clone().enumerate() {
                mean_d[i] = S::of(backward[column] / rows as f64);
                mean_dx[i] = S::of(backward[x.cols() + column] / rows as f64);
                scale[i] = gamma[block.from + i] * moments[1][i];
            }
            let [mean, inverse] = &moments;
            vectorise(
                #[inline(always)]
                || input_gradient(sink, &block, (x, d), [mean, inverse, &scale, &mean_d, &mean_dx]),
            );
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

/// dx = γ/√(v + ε)·(dy − mean dy − x̂·mean(dy·x̂)), for the columns of a block.
#[inline(always)]
fn input_gradient<S: Scalar>(
    mut sink: Sink<'_, S>,
    block: &Block,
    (x, d): (Mat<'_, S>, Mat<'_, S>),
    [mean, inverse, scale, mean_d, mean_dx]: [&[S; BLOCK]; 5],
) {
    let n = block.columns.len();
    for r in 0..x.rows() {
        let (x, d) = (&x.row(r)[block.columns.clone()], &d.row(r)[block.columns.clone()]);
        let to = &mut sink.to.row(r)[block.columns.clone()];
        for i in 0..n {
            let normal = (x[i] - mean[i]) * inverse[i];
            let g = scale[i] * (d[i] - mean_d[i] - normal * mean_dx[i]);
            to[i] = if sink.add { to[i] + g } else { g };
        }
    }
}

impl Normalise {
    /// dβ = Σ dy and dγ = Σ dy·x̂ are the sums that were gathered, over the whole batch: the first
    /// shard hands them in, the others nothing.
    fn own_gradients<S: Scalar>(&self, pass: &mut Backprop<'_, S>) {
        let (sums, first) = (pass.statistics(), pass.first_row() == 0);
        let (sums_d, sums_dx) = sums.split_at(self.input[0].n_cols());
        for (u, unit) in self.units.iter().enumerate() {
            for (i, sums) in [sums_dx, sums_d].into_iter().enumerate() {
                let Some(mut sink) = pass.param_gradient(u * EACH + i) else { continue };
                let sums = sums[unit.start..unit.start + unit.n].iter();
                sink.put_row(0, sums.map(|&sum| if first { S::of(sum) } else { S::zero() }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphBuilder, Init, Result, Role, check};

    #[test]
    fn finite_differences_over_several_shards_and_blocks() -> Result<()> {
        let mut b = GraphBuilder::new();
        let x = b.values("x", BLOCK + 5)?;
        let x = b.read(x)?;
        let mut units = Vec::new();
        for (path, n) in [("a", BLOCK + 3), ("b", 2)] {
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
        let y = b.push("norm", Normalise::new(x, &[BLOCK + 3, 2], units, 0.9, 1e-3))?;
        check::gradients(b, &[y])
    }
}
