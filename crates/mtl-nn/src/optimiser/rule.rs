//! Update rules.

use serde::{Deserialize, Serialize};

use crate::kernel::{filled, vectorise};
use crate::{Error, Result, Scalar, SparseGradient};

/// Where Adam adds ε.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Epsilon {
    /// p −= lr·m̂ / (√v̂ + ε): Kingma & Ba, 2015, algorithm 1.
    Outside,
    /// p −= lr·√(1−β₂ᵗ)/(1−β₁ᵗ)·m / (√v + ε̂): the form of the same paper's end of section 2.
    #[default]
    Hat,
}

/// An update rule and its settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Rule {
    /// u ← μ·u + g; p ← p − lr·u.
    Sgd {
        /// Learning rate.
        lr: f64,
        /// μ in [0, 1).
        #[serde(default)]
        momentum: f64,
    },
    /// Adam (Kingma & Ba, 2015); with `weight_decay` AdamW (Loshchilov & Hutter, 2019): before
    /// the step, p ← p − lr·decay·p.
    Adam {
        /// Learning rate.
        lr: f64,
        /// β₁ in [0, 1).
        #[serde(default = "beta1")]
        beta1: f64,
        /// β₂ in [0, 1).
        #[serde(default = "beta2")]
        beta2: f64,
        /// ε > 0.
        #[serde(default = "epsilon")]
        epsilon: f64,
        /// Where ε is added.
        #[serde(default)]
        form: Epsilon,
        /// Decoupled weight decay.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adagrad (Duchi et al., 2011): a ← a + g²; p ← p − lr·g/(√a + ε).
    Adagrad {
        /// Learning rate.
        lr: f64,
        /// a at the start.
        #[serde(default)]
        initial: f64,
        /// ε > 0.
        #[serde(default = "epsilon_adagrad")]
        epsilon: f64,
    },
    /// Adagrad with one accumulator a table row: a ← a + mean(g²) over the row.
    RowAdagrad {
        /// Learning rate.
        lr: f64,
        /// a at the start.
        #[serde(default)]
        initial: f64,
        /// ε > 0.
        #[serde(default = "epsilon_adagrad")]
        epsilon: f64,
    },
}

const fn beta1() -> f64 {
    0.9
}

const fn beta2() -> f64 {
    0.999
}

const fn epsilon() -> f64 {
    1e-7
}

const fn epsilon_adagrad() -> f64 {
    1e-10
}

impl Default for Rule {
    fn default() -> Self {
        Self::adam(1e-3)
    }
}

impl Rule {
    /// Adam(lr, 0.9, 0.999, ε̂ 1e-7).
    pub const fn adam(lr: f64) -> Self {
        Self::Adam {
            lr,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-7,
            form: Epsilon::Hat,
            weight_decay: 0.0,
        }
    }

    /// Adagrad(lr), accumulators from 0, ε 1e-10.
    pub const fn adagrad(lr: f64) -> Self {
        Self::Adagrad { lr, initial: 0.0, epsilon: 1e-10 }
    }

    /// The rule's name, as in a configuration.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::Adam { .. } => "adam",
            Self::Adagrad { .. } => "adagrad",
            Self::RowAdagrad { .. } => "row_adagrad",
        }
    }

    /// The same rule with another learning rate.
    #[must_use]
    pub const fn with_learning_rate(mut self, rate: f64) -> Self {
        match &mut self {
            Self::Sgd { lr, .. }
            | Self::Adam { lr, .. }
            | Self::Adagrad { lr, .. }
            | Self::RowAdagrad { lr, .. } => *lr = rate,
        }
        self
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the first one out of range.
    pub fn check(&self) -> Result<()> {
        let positive = |v: f64| v > 0.0 && v.is_finite();
        let share = |v: f64| (0.0..1.0).contains(&v);
        let rows = match *self {
            Self::Sgd { lr, momentum } => vec![
                ("lr", lr, positive(lr), "a number > 0"),
                ("momentum", momentum, share(momentum), "a number in [0, 1)"),
            ],
            Self::Adam { lr, beta1, beta2, epsilon, weight_decay, .. } => vec![
                ("lr", lr, positive(lr), "a number > 0"),
                ("beta1", beta1, share(beta1), "a number in [0, 1)"),
                ("beta2", beta2, share(beta2), "a number in [0, 1)"),
                ("epsilon", epsilon, positive(epsilon), "a number > 0"),
                ("weight_decay", weight_decay, weight_decay >= 0.0, "a number ≥ 0"),
            ],
            Self::Adagrad { lr, initial, epsilon } | Self::RowAdagrad { lr, initial, epsilon } => {
                vec![
                    ("lr", lr, positive(lr), "a number > 0"),
                    ("initial", initial, initial >= 0.0, "a number ≥ 0"),
                    ("epsilon", epsilon, positive(epsilon), "a number > 0"),
                ]
            }
        };
        match rows.into_iter().find(|row| !row.2) {
            None => Ok(()),
            Some((name, value, _, expected)) => {
                Err(Error::Setting { name, value: value.to_string(), expected })
            }
        }
    }

    /// The two state vectors of a `rows × dim` parameter; empty where the rule has no use for one.
    pub(crate) fn state<S: Scalar>(&self, rows: usize, dim: usize) -> [Vec<S>; 2] {
        let n = rows * dim;
        match *self {
            Self::Sgd { momentum: 0.0, .. } => [Vec::new(), Vec::new()],
            Self::Sgd { .. } => [filled(S::zero(), n), Vec::new()],
            Self::Adam { .. } => [filled(S::zero(), n), filled(S::zero(), n)],
            Self::Adagrad { initial, .. } => [filled(S::of(initial), n), Vec::new()],
            Self::RowAdagrad { initial, .. } => [filled(S::of(initial), rows), Vec::new()],
        }
    }

    /// The rule with the numbers of one step put in.
    pub(crate) fn at<S: Scalar>(&self, step: u64, scale: f64, factor: f64) -> Update<S> {
        let t = step.min(i32::MAX as u64) as i32;
        let factor = S::of(factor);
        match *self {
            Self::Sgd { lr, momentum } => {
                Update::Sgd { factor, lr: S::of(lr * scale), momentum: S::of(momentum) }
            }
            Self::Adam { lr, beta1, beta2, epsilon, form, weight_decay } => {
                let lr = lr * scale;
                let (first, second) = (1.0 - beta1.powi(t), 1.0 - beta2.powi(t));
                // Both forms are rate·m / (√v + ε'): outside, ε' = ε·√(1−β₂ᵗ).
                let epsilon = match form {
                    Epsilon::Outside => epsilon * second.sqrt(),
                    Epsilon::Hat => epsilon,
                };
                Update::Adam {
                    factor,
                    rate: S::of(lr * second.sqrt() / first),
                    beta1: S::of(beta1),
                    beta2: S::of(beta2),
                    rest1: S::of(1.0 - beta1),
                    rest2: S::of(1.0 - beta2),
                    epsilon: S::of(epsilon),
                    keep: S::of(1.0 - lr * weight_decay),
                }
            }
            Self::Adagrad { lr, epsilon, .. } => {
                Update::Adagrad { factor, lr: S::of(lr * scale), epsilon: S::of(epsilon) }
            }
            Self::RowAdagrad { lr, epsilon, .. } => {
                Update::RowAdagrad { factor, lr: S::of(lr * scale), epsilon: S::of(epsilon) }
            }
        }
    }
}

/// A rule at one step; `factor` multiplies the gradient (clipping).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Update<S> {
    Sgd { factor: S, lr: S, momentum: S },
    Adam { factor: S, rate: S, beta1: S, beta2: S, rest1: S, rest2: S, epsilon: S, keep: S },
    Adagrad { factor: S, lr: S, epsilon: S },
    RowAdagrad { factor: S, lr: S, epsilon: S },
}

impl<S: Scalar> Update<S> {
    /// Steps some values; `first` and `second` are their state, empty where the rule has none.
    pub(crate) fn dense(
        &self,
        values: &mut [S],
        gradient: &[S],
        first: &mut [S],
        second: &mut [S],
    ) {
        vectorise(
            #[inline(always)]
            || self.slice(values, gradient, first, second),
        );
    }

    #[inline(always)]
    fn slice(&self, values: &mut [S], gradient: &[S], first: &mut [S], second: &mut [S]) {
        let pairs = values.iter_mut().zip(gradient);
        match *self {
            Self::Sgd { factor, lr, .. } if first.is_empty() => {
                pairs.for_each(|(p, &g)| *p -= lr * (factor * g));
            }
            Self::Sgd { factor, lr, momentum } => {
                for ((p, &g), u) in pairs.zip(first) {
                    *u = momentum * *u + factor * g;
                    *p -= lr * *u;
                }
            }
            Self::Adam { factor, rate, beta1, beta2, rest1, rest2, epsilon, keep } => {
                for (((p, &g), m), v) in pairs.zip(first).zip(second) {
                    let g = factor * g;
                    *m = beta1 * *m + rest1 * g;
                    *v = beta2 * *v + rest2 * (g * g);
                    *p = keep * *p - rate * *m / (v.sqrt() + epsilon);
                }
            }
            Self::Adagrad { factor, lr, epsilon } => {
                for ((p, &g), a) in pairs.zip(first) {
                    let g = factor * g;
                    *a += g * g;
                    *p -= lr * g / (a.sqrt() + epsilon);
                }
            }
            Self::RowAdagrad { factor, lr, epsilon } => {
                let n = S::of(gradient.len() as f64);
                let mean = gradient.iter().map(|&g| factor * g * (factor * g)).sum::<S>() / n;
                first[0] += mean;
                let rate = lr * factor / (first[0].sqrt() + epsilon);
                pairs.for_each(|(p, &g)| *p -= rate * g);
            }
        }
    }

    /// Steps the rows of a table that the gradient touches.
    pub(crate) fn touched_rows(
        &self,
        table: &mut [S],
        state: &mut [Vec<S>; 2],
        gradient: &SparseGradient<S>,
    ) {
        let dim = gradient.dim();
        vectorise(
            #[inline(always)]
            || {
                for (&id, g) in gradient.ids().iter().zip(gradient.rows().chunks_exact(dim)) {
                    self.row(table, state, id as usize, g);
                }
            },
        );
    }

    /// Steps every row of a table; untouched rows have the gradient `zero`.
    pub(crate) fn whole_table(
        &self,
        table: &mut [S],
        state: &mut [Vec<S>; 2],
        gradient: &SparseGradient<S>,
        zero: &[S],
    ) {
        let dim = gradient.dim();
        vectorise(
            #[inline(always)]
            || {
                for id in 0..table.len() / dim.max(1) {
                    let g = match gradient.find(id as u32) {
                        Some(position) => &gradient.rows()[position * dim..(position + 1) * dim],
                        None => zero,
                    };
                    self.row(table, state, id, g);
                }
            },
        );
    }

    #[inline(always)]
    fn row(&self, table: &mut [S], [first, second]: &mut [Vec<S>; 2], id: usize, g: &[S]) {
        let span = id * g.len()..(id + 1) * g.len();
        let place = |state: &Vec<S>| match self {
            _ if state.is_empty() => 0..0,
            Self::RowAdagrad { .. } => id..id + 1,
            _ => span.clone(),
        };
        let (at_first, at_second) = (place(first), place(second));
        self.slice(&mut table[span], g, &mut first[at_first], &mut second[at_second]);
    }
}
