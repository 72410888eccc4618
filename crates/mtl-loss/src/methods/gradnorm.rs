//! **GradNorm**: weights that let every task train at the same pace.
//!
//! ```text
//! G_t = w_t ‖g_t‖      Ḡ = mean_t G_t      r_t = (L_t / L_t(0)) / mean_s (L_s / L_s(0))
//! L_grad = Σ_t |G_t − Ḡ r_t^α|  with the target held constant:   ∂/∂w_t = sign(G_t − Ḡ r_t^α) ‖g_t‖
//! ```
//!
//! After one optimiser's step on w: clamp at 0 and renormalise to Σ w_t = T. g_t is the gradient with
//! respect to the last shared layer. The weights of a step are those the step before left.
//!
//! Source: Chen et al., *GradNorm*, ICML 2018, eqs. 1 and 2 and algorithm 1. Cost: the T norms, of one
//! layer. Choose it when tasks train at different speeds and the Gram matrix of all shared
//! parameters is too dear.
//!
//! L(0) is by default the entropy of the label's base rate ([`base_rate_entropy`]): with the first
//! batch's loss, a 1.8 % label looks fast from the start, since an untrained model predicts ½ and the
//! first epoch takes that away; its weight fell to 0.09 and its AUC from 0.80 to 0.71 (measured).
//!
//! w starts in proportion to 1/L(0) ([`Start::BaseRate`]; the paper's 1 with `start = "one"`), so that a
//! loss scaled by 100 is not a hundred times too strong until w has come down: at a rate of 0.001 that
//! takes a thousand steps, and at a rate 25 times as high a weight of 0.02 would be thrown to and fro by more
//! than itself.

use serde::{Deserialize, Serialize};

use crate::config::Setup;
use crate::setting::{Start, check_initial_losses, learning_rate, non_negative};
use crate::weigher::LOSS_FLOOR;
use crate::{Active, Error, LearnedState, Needs, OwnWeight, Weighting};

/// What L(0) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitialLoss {
    /// Given when building ([`Setup::initial_losses`]): the entropy of the label's base rate, times
    /// the user's task weight.
    #[default]
    BaseRate,
    /// The loss of the first batch in which the task is present, as in the paper.
    FirstBatch,
}

/// Settings of GradNorm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GradNormConfig {
    /// The strength α of the pull to equal pace, at least 0.
    pub alpha: f64,
    /// What L(0) is.
    pub initial_loss: InitialLoss,
    /// A learning rate for w of its own; the model's by default.
    pub learning_rate: Option<f64>,
    /// Where w starts: in proportion to 1/L(0), or at 1.
    pub start: Start,
}

impl Default for GradNormConfig {
    fn default() -> Self {
        let (initial_loss, start) = (InitialLoss::default(), Start::default());
        Self { alpha: 1.5, initial_loss, learning_rate: None, start }
    }
}

impl GradNormConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> Result<GradNorm, Error> {
        let n = setup.tasks.len();
        Ok(GradNorm {
            alpha: non_negative("gradnorm", "alpha", self.alpha)?,
            learning_rate: learning_rate("gradnorm", self.learning_rate)?,
            initial: match self.initial_loss {
                InitialLoss::FirstBatch => vec![0.0; n],
                InitialLoss::BaseRate => given_initial_losses(setup)?,
            },
            weights: match self.start.losses("gradnorm", setup)? {
                Some(losses) => {
                    let total: f64 = losses.iter().map(|loss| loss.recip()).sum();
                    losses.iter().map(|loss| n as f64 / (loss * total)).collect()
                }
                None => vec![1.0; n],
            },
            gradient: vec![0.0; n],
        })
    }
}

fn given_initial_losses(setup: &Setup<'_>) -> Result<Vec<f64>, Error> {
    let what = "initial losses (or initial_loss = \"first_batch\")";
    let given = setup.initial_losses.ok_or(Error::Missing { method: "gradnorm", what })?;
    Ok(check_initial_losses("gradnorm", setup.tasks, given)?.to_vec())
}

/// The entropy −p ln p − (1 − p) ln (1 − p) of a binary label of base rate p, in nats: the best log
/// loss of a constant prediction. 0 at p = 0 and p = 1, where GradNorm cannot use it.
pub fn base_rate_entropy(p: f64) -> f64 {
    let term = |q: f64| if q > 0.0 { -q * q.ln() } else { 0.0 };
    term(p) + term(1.0 - p)
}

#[derive(Debug)]
pub(crate) struct GradNorm {
    alpha: f64,
    learning_rate: Option<f64>,
    /// L(0); 0 where it is still to come.
    initial: Vec<f64>,
    weights: Vec<f64>,
    gradient: Vec<f64>,
}

impl GradNorm {
    /// L_t / L_t(0) of the i-th active task.
    fn ratio(&self, active: &Active<'_>, i: usize) -> f64 {
        active.losses[i] / self.initial[active.tasks[i]]
    }
}

impl Weighting for GradNorm {
    fn name(&self) -> &'static str {
        "gradnorm"
    }

    fn needs(&self) -> Needs {
        Needs { gram: true, non_negative_losses: true, learned: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::SameAsShared
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        let n = active.n() as f64;
        for (i, &task) in active.tasks.iter().enumerate() {
            weights[i] = self.weights[task];
            if self.initial[task] == 0.0 {
                self.initial[task] = active.losses[i].max(LOSS_FLOOR);
            }
        }
        let norm = |i: usize| active.squared_norm(i).sqrt();
        let mean_norm = (0..active.n()).map(|i| weights[i] * norm(i)).sum::<f64>() / n;
        let mean_ratio = (0..active.n()).map(|i| self.ratio(active, i)).sum::<f64>() / n;
        self.gradient.fill(0.0);
        for (i, &task) in active.tasks.iter().enumerate() {
            // All losses zero: all have arrived, and at the same pace.
            let pace = if mean_ratio > 0.0 { self.ratio(active, i) / mean_ratio } else { 1.0 };
            let gap = weights[i] * norm(i) - mean_norm * pace.powf(self.alpha);
            self.gradient[task] = if gap == 0.0 { 0.0 } else { gap.signum() * norm(i) };
        }
        Ok(())
    }

    /// Σ w = T.
    fn equal_weight(&self, _n_present: usize) -> f64 {
        1.0
    }

    fn resting_weight(&self, task: usize, _n_present: usize) -> f64 {
        self.weights[task]
    }

    fn learned(&mut self) -> Option<LearnedState<'_>> {
        Some(LearnedState {
            values: &mut self.weights,
            gradient: &self.gradient,
            learning_rate: self.learning_rate,
        })
    }

    /// Clamps at 0 and renormalises. Weights of absent tasks stay, so the others share what those
    /// leave of T.
    fn project(&mut self, touched: &[bool]) {
        let count = touched.iter().filter(|&&t| t).count();
        let mut total = 0.0;
        let mut kept = 0.0;
        for (weight, &touched) in self.weights.iter_mut().zip(touched) {
            if touched {
                *weight = weight.max(0.0);
                total += *weight;
            } else {
                kept += *weight;
            }
        }
        let share = touched.len() as f64 - kept;
        for (weight, _) in self.weights.iter_mut().zip(touched).filter(|(_, touched)| **touched) {
            *weight = if total > 0.0 { *weight * share / total } else { share / count as f64 };
        }
    }

    fn state(&self) -> Vec<(&'static str, &[f64])> {
        vec![("weights", &self.weights), ("initial_losses", &self.initial)]
    }

    fn state_mut(&mut self) -> Vec<(&'static str, &mut [f64])> {
        vec![("weights", &mut self.weights), ("initial_losses", &mut self.initial)]
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn entropy_of_a_rare_label() {
        // −0.018 ln 0.018 − 0.982 ln 0.982, by hand.
        assert_abs_diff_eq!(base_rate_entropy(0.018), 0.090_150, epsilon = 1e-6);
        assert_abs_diff_eq!(base_rate_entropy(0.5), 2.0_f64.ln(), epsilon = 1e-15);
        assert_eq!(base_rate_entropy(0.0), 0.0);
    }

    #[test]
    fn projection_leaves_absent_weights_and_keeps_the_sum() {
        let mut method = GradNorm {
            alpha: 1.5,
            learning_rate: None,
            initial: vec![1.0; 3],
            weights: vec![-0.2, 0.5, 1.0],
            gradient: vec![0.0; 3],
        };
        method.project(&[true, true, false]);
        assert_eq!(method.weights, [0.0, 2.0, 1.0]);
    }
}
