//! `DomainNormalise`: normalisation with statistics of each domain.

use super::domain::Domains;
use crate::kernel::vectorise;
use crate::{Backprop, Forward, Op, ParamId, Params, Scalar, Var};

/// The parameters of a [`DomainNormalise`] over n domains and d columns.
#[derive(Clone, Debug)]
pub struct DomainNormaliseParams {
    /// γ, 1 × d, of all domains.
    pub gamma: ParamId,
    /// β, 1 × d, of all domains.
    pub beta: ParamId,
    /// γ_p, (n − 1) × d; the unseen domain has none.
    pub domain_gamma: ParamId,
    /// β_p, (n − 1) × d.
    pub domain_beta: ParamId,
    /// Running means, n × d; row 0 is that of all rows.
    pub mean: ParamId,
    /// Running variances, n × d, likewise.
    pub variance: ParamId,
    /// Whether the domain has had a row, n × 1 of 0 and 1.
    pub seen: ParamId,
}

/// y = γγ_p·(x − μ_p)/√(v_p + ε) + β + β_p with p the row's domain; rows × the input's columns.
///
/// Sheng et al., CIKM 2021 (STAR), eq. 3 and 4. In training μ_p and v_p are the mean and the
/// biased variance of the domain's rows in the *whole batch*: the op is a barrier. In prediction
/// they are running ones, r ← m·r + (1 − m)·batch, of the batches in which the domain has a row.
/// The unseen domain has γ_p = 1, β_p = 0 and the statistics of all rows; a domain that has never
/// had a row has those statistics too.
#[derive(Debug)]
pub struct DomainNormalise {
    input: [Var; 1],
    params: [ParamId; 7],
    domains: Domains,
    momentum: f64,
    epsilon: f64,
}

/// Columns that a loop works on at a time; their moments lie on the stack.
const BLOCK: usize = 64;

/// Moments of some columns, and what becomes of x̂: y = scale·x̂ + shift.
struct Block<S> {
    start: usize,
    n: usize,
    mean: [S; BLOCK],
    inverse: [S; BLOCK],
}

impl DomainNormalise {
    /// Normalises `x`.
    ///
    /// # Panics
    /// With fewer than 2 domains: one is the unseen.
    pub fn new(
        x: Var,
        domains: Domains,
        params: DomainNormaliseParams,
        momentum: f64,
        epsilon: f64,
    ) -> Self {
        assert!(domains.n >= 2, "the unseen domain and another");
        let p = params;
        let params = [p.gamma, p.beta, p.domain_gamma, p.domain_beta, p.mean, p.variance, p.seen];
        Self { input: [x], params, domains, momentum, epsilon }
    }

    /// Where a row's domain is read.
    pub const fn domains(&self) -> Domains {
        self.domains
    }

    /// What is added to a variance.
    pub const fn epsilon(&self) -> f64 {
        self.epsilon
    }

    fn d(&self) -> usize {
        self.input[0].n_cols()
    }

    /// A domain's number of rows and two sums of each column, among all; those of domain 0 are of
    /// all rows on the way forward, of its own on the way back.
    fn sums<'a>(&self, all: &'a [f64], domain: usize) -> (f64, &'a [f64], &'a [f64]) {
        let sums = &all[domain * (1 + 2 * self.d())..][..1 + 2 * self.d()];
        let (first, second) = sums[1..].split_at(self.d());
        (sums[0], first, second)
    }

    fn sums_mut<'a>(&self, all: &'a mut [f64], domain: usize) -> (&'a mut f64, [&'a mut [f64]; 2]) {
        let d = self.d();
        let (count, sums) = all[domain * (1 + 2 * d)..][..1 + 2 * d].split_at_mut(1);
        let (first, second) = sums.split_at_mut(d);
        (&mut count[0], [first, second])
    }

    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let d = self.d();
        (0..d).step_by(BLOCK).map(move |start| (start, BLOCK.min(d - start)))
    }

    /// The moments of a domain over the batch.
    fn of_batch<S: Scalar>(
        &self,
        all: &[f64],
        domain: usize,
        (start, n): (usize, usize),
    ) -> Block<S> {
        let (count, first, second) = self.sums(all, domain);
        self.block(start, n, |c| moments(count, first[c], second[c]))
    }

    /// The running moments of a domain.
    fn running<S: Scalar>(
        &self,
        pass: &Forward<'_, S>,
        domain: usize,
        (start, n): (usize, usize),
    ) -> Block<S> {
        let [mean, variance, seen] = [4, 5, 6].map(|i| pass.param(self.params[i]));
        let row = if seen.row(domain)[0] > S::zero() { domain } else { 0 };
        self.block(start, n, |c| (mean.row(row)[c].f64(), variance.row(row)[c].f64()))
    }

    fn block<S: Scalar>(
        &self,
        start: usize,
        n: usize,
        moments: impl Fn(usize) -> (f64, f64),
    ) -> Block<S> {
        let mut block = Block { start, n, mean: [S::zero(); BLOCK], inverse: [S::zero(); BLOCK] };
        for i in 0..n {
            let (mean, variance) = moments(start + i);
            block.mean[i] = S::of(mean);
            block.inverse[i] = S::of(1.0 / (variance + self.epsilon).sqrt());
        }
        block
    }
}

/// Mean and biased variance, from sums in f64.
fn moments(count: f64, first: f64, second: f64) -> (f64, f64) {
    let mean = first / count;
    (mean, (second / count - mean * mean).max(0.0))
}

impl<S: Scalar> Op<S> for DomainNormalise {
    fn kind(&self) -> &'static str {
        "domain_normalise"
    }

    fn n_cols(&self) -> usize {
        self.d()
    }

    fn inputs(&self) -> &[Var] {
        &self.input
    }

    fn params(&self) -> &[ParamId] {
        &self.params
    }

    fn n_statistics(&self) -> usize {
        self.domains.n * (1 + 2 * self.d())
    }

    fn gather(&self, pass: &Forward<'_, S>, all: &mut [f64]) {
        let (x, ids) = (pass.input(0), pass.ids(self.domains.slot));
        all.fill(0.0);
        for (r, &id) in ids.iter().enumerate() {
            let domain = self.domains.of(id);
            for set in std::iter::once(0).chain((domain > 0).then_some(domain)) {
                let (count, [first, second]) = self.sums_mut(all, set);
                *count += 1.0;
                for (&x, (first, second)) in x.row(r).iter().zip(first.iter_mut().zip(second)) {
                    *first += x.f64();
                    *second += x.f64() * x.f64();
                }
            }
        }
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (x, ids, sums) = (pass.input(0), pass.ids(self.domains.slot), pass.statistics());
        let [gamma, beta, own_gamma, own_beta] = [0, 1, 2, 3].map(|i| pass.param(self.params[i]));
        for run in self.domains.runs(ids) {
            for at in self.blocks() {
                let block: Block<S> = match sums {
                    [] => self.running(pass, run.domain, at),
                    _ => self.of_batch(sums, run.domain, at),
                };
                let [mut scale, mut shift] = [[S::zero(); BLOCK]; 2];
                for i in 0..block.n {
                    let c = block.start + i;
                    (scale[i], shift[i]) = match run.domain.checked_sub(1) {
                        Some(p) => (
                            gamma.row(0)[c] * own_gamma.row(p)[c],
                            beta.row(0)[c] + own_beta.row(p)[c],
                        ),
                        None => (gamma.row(0)[c], beta.row(0)[c]),
                    };
                }
                let (mut y, _) = pass.output();
                for r in self.domains.rows_of(ids, run.domain) {
                    let x = &x.row(r)[block.start..block.start + block.n];
                    let y = &mut y.row(r)[block.start..block.start + block.n];
                    for i in 0..block.n {
                        y[i] = scale[i] * ((x[i] - block.mean[i]) * block.inverse[i]) + shift[i];
                    }
                }
            }
        }
    }

    fn gather_backward(&self, pass: &mut Backprop<'_, S>, all: &mut [f64]) {
        let (x, ids) = (pass.input(0), pass.ids(self.domains.slot));
        let forward = pass.forward_statistics();
        let d = pass.gradient();
        all.fill(0.0);
        for run in self.domains.runs(ids) {
            for at in self.blocks() {
                let block: Block<S> = self.of_batch(forward, run.domain, at);
                let (count, [first, second]) = self.sums_mut(all, run.domain);
                *count = run.n as f64;
                for r in self.domains.rows_of(ids, run.domain) {
                    for i in 0..block.n {
                        let c = block.start + i;
                        let normal = (x.row(r)[c] - block.mean[i]) * block.inverse[i];
                        first[c] += d.row(r)[c].f64();
                        second[c] += d.row(r)[c].f64() * normal.f64();
                    }
                }
            }
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        self.own_gradients(pass);
        self.input(pass);
    }

    fn update_state(&self, sums: &[f64], _: usize, params: &mut Params<S>) {
        let [mean, variance, seen] = [4, 5, 6].map(|i| self.params[i]);
        for domain in 0..self.domains.n {
            let (count, first, second) = self.sums(sums, domain);
            if count == 0.0 {
                continue;
            }
            *params.param_value_mut(seen, domain, 0) = S::one();
            for c in 0..self.d() {
                let (now_mean, now_variance) = moments(count, first[c], second[c]);
                for (id, now) in [(mean, now_mean), (variance, now_variance)] {
                    let running = params.param_value_mut(id, domain, c);
                    let mixed = self.momentum * running.f64() + (1.0 - self.momentum) * now;
                    *running = S::of(mixed);
                }
            }
        }
    }
}

impl DomainNormalise {
    /// The sums gathered are the gradients of γ_p and β_p over the whole batch: the first shard
    /// hands them in, the others nothing.
    fn own_gradients<S: Scalar>(&self, pass: &mut Backprop<'_, S>) {
        let (all, is_first) = (pass.statistics(), pass.first_row() == 0);
        let [gamma, own_gamma] = [pass.param(self.params[0]), pass.param(self.params[2])];
        for i in 0..4 {
            let Some(mut sink) = pass.param_gradient(i) else { continue };
            if !sink.add {
                sink.to.fill(S::zero());
            }
            for domain in (0..self.domains.n).filter(|_| is_first) {
                let (_, sums_d, sums_dx) = self.sums(all, domain);
                let own = domain.checked_sub(1);
                let row = if i < 2 { Some(0) } else { own };
                let Some(row) = row else { continue };
                let to = sink.to.row(row);
                for c in 0..self.d() {
                    let factor = match (i, own) {
                        (0, Some(p)) => own_gamma.row(p)[c].f64(),
                        (2, _) => gamma.row(0)[c].f64(),
                        _ => 1.0,
                    };
                    let sums = if i % 2 == 0 { sums_dx } else { sums_d };
                    to[c] += S::of(factor * sums[c]);
                }
            }
        }
    }

    /// With g = γγ_p: dx = g/√(v + ε)·(dy − mean dy − x̂·mean(dy·x̂)) over the rows of p. The
    /// statistics of the unseen domain are those of all rows, so its rows reach every x.
    fn input<S: Scalar>(&self, pass: &mut Backprop<'_, S>) {
        let (x, ids) = (pass.input(0), pass.ids(self.domains.slot));
        let (forward, backward) = (pass.forward_statistics(), pass.statistics());
        let [gamma, own_gamma] = [pass.param(self.params[0]), pass.param(self.params[2])];
        let unseen = self.sums(backward, 0);
        let d = pass.take_gradient();
        let d = d.as_mat();
        let Some(mut sink) = pass.input_gradient(0) else { return };
        for run in self.domains.runs(ids) {
            for at in self.blocks() {
                let own: Block<S> = self.of_batch(forward, run.domain, at);
                let pooled: Block<S> = self.of_batch(forward, 0, at);
                let (n_all, _, _) = self.sums(forward, 0);
                let (n, sums_d, sums_dx) = self.sums(backward, run.domain);
                // Σ dy and Σ dy·x̂ of the rows normalised by the domain's own statistics.
                let mut factors = [[S::zero(); BLOCK]; 5];
                for i in 0..own.n {
                    let c = own.start + i;
                    let scale = gamma.row(0)[c] * own.inverse[i];
                    factors[0][i] = match run.domain.checked_sub(1) {
                        Some(p) => scale * own_gamma.row(p)[c],
                        None => scale,
                    };
                    if run.domain > 0 {
                        factors[1][i] = S::of(sums_d[c] / n);
                        factors[2][i] = S::of(sums_dx[c] / n);
                    }
                    let pooled = (gamma.row(0)[c] * pooled.inverse[i]).f64() / n_all;
                    factors[3][i] = S::of(pooled * unseen.1[c]);
                    factors[4][i] = S::of(pooled * unseen.2[c]);
                }
                let [scale, mean_d, mean_dx, all_d, all_dx] = &factors;
                vectorise(
                    #[inline(always)]
                    || {
                        for r in self.domains.rows_of(ids, run.domain) {
                            let columns = own.start..own.start + own.n;
                            let (x, d) = (&x.row(r)[columns.clone()], &d.row(r)[columns.clone()]);
                            let to = &mut sink.to.row(r)[columns];
                            for i in 0..own.n {
                                let normal = (x[i] - own.mean[i]) * own.inverse[i];
                                let among_all = (x[i] - pooled.mean[i]) * pooled.inverse[i];
                                let g = scale[i] * (d[i] - mean_d[i] - normal * mean_dx[i])
                                    - (all_d[i] + among_all * all_dx[i]);
                                to[i] = if sink.add { to[i] + g } else { g };
                            }
                        }
                    },
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Embed, Part, Sigmoid};
    use crate::{GraphBuilder, Init, Result, Role, check};

    #[test]
    fn finite_differences_with_rows_of_the_unseen_domain() -> Result<()> {
        let (mut b, d) = (GraphBuilder::new(), BLOCK + 3);
        let x = b.values("x", d)?;
        let x = b.read(x)?;
        let slot = b.ids("domain");
        let table = b.table("domain.table", 3, 1, Init::Uniform(0.5))?;
        let e = b.push("e", Embed::new(vec![Part::Lookup { slot, table, dim: 1 }]))?;
        let mut param = |name: &str, rows, cols, role, init| {
            b.param(format!("normalise.{name}"), (rows, cols), role, init)
        };
        let (some, zero) = (Init::Uniform(1.0), Init::Constant(0.0));
        let params = DomainNormaliseParams {
            gamma: param("gamma", 1, d, Role::Bias, some)?,
            beta: param("beta", 1, d, Role::Bias, some)?,
            domain_gamma: param("domain.gamma", 2, d, Role::Bias, some)?,
            domain_beta: param("domain.beta", 2, d, Role::Bias, some)?,
            mean: param("running_mean", 3, d, Role::State, zero)?,
            variance: param("running_var", 3, d, Role::State, Init::Constant(1.0))?,
            seen: param("seen", 3, 1, Role::State, zero)?,
        };
        let op = DomainNormalise::new(x, Domains { slot, n: 3 }, params, 0.9, 1e-3);
        let y = b.push("y", op)?;
        let y = b.push("sigmoid", Sigmoid::new(y))?;
        check::gradients(b, &[y, e])
    }
}
