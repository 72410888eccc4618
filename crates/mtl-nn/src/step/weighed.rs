//! A step whose loss weights depend on the losses, or on the gradients of each.

use super::running::LOSS_FLOOR;
use super::{Passes, Shared, Step, StepReport};
use crate::{Batch, Error, Mode, Optimiser, Params, Result, Scalar};

/// What a weighting sees of one step. Losses are in the order of [`crate::Graph::losses`].
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The training step, from 1.
    pub step: u64,
    /// Each loss's weighted mean over the batch, times the user's weight.
    pub losses: &'a [f64],
    /// Whether a row carries the loss's label.
    pub present: &'a [bool],
    /// G_ij = ⟨g_i, g_j⟩ over the shared parameters, T × T, row-major; `None` unless asked for.
    pub gram: Option<&'a [f64]>,
}

/// What a weighting answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossWeights {
    /// The update of shared parameters is Σ shared_t·g_t.
    pub shared: Vec<f64>,
    /// A parameter that one loss reaches is updated by own_t·g_t.
    pub own: Vec<f64>,
}

/// Turns losses (and their gradients' Gram matrix) into weights.
pub trait Weigh {
    /// For a step that keeps running gradients ([`Step::keep_running`]): the δ of its next update.
    fn decay(&self, _step: u64) -> f64 {
        0.0
    }

    /// Fills `out`, which has an entry for each loss.
    ///
    /// # Errors
    /// Anything; the step ends with [`Error::Weighting`] and updates nothing.
    fn weigh(
        &mut self,
        seen: &Seen<'_>,
        out: &mut LossWeights,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

impl<S: Scalar> Step<S> {
    /// The step for weights that are known only after the forward pass. With `shared`, each
    /// loss's gradient of those shared parameters is computed too, and their Gram matrix.
    ///
    /// # Errors
    /// [`Error::Unknown`] if the graph has no loss.
    pub fn weighed(graph: std::sync::Arc<crate::Graph<S>>, shared: Option<Shared>) -> Result<Self> {
        let mut step = Self::new(graph)?;
        step.keeps_values = true;
        if let Some(shared) = shared {
            step.weigh_by_gradients(shared);
        }
        Ok(step)
    }

    /// As [`Step::run`] where `weighing` gives the weights; `weights` are the user's, which
    /// multiply the losses first. The step must be one of [`Step::weighed`].
    ///
    /// # Errors
    /// As [`Step::run`], and [`Error::Weighting`].
    ///
    /// # Panics
    /// If `weights` are not one a loss, or the step was made by [`Step::new`].
    pub fn run_weighed(
        &mut self,
        params: &mut Params<S>,
        optimiser: &mut Optimiser<S>,
        batch: &Batch<S>,
        (weights, weighing): (&[f64], &mut dyn Weigh),
        seed: u64,
    ) -> Result<StepReport<'_>> {
        assert!(self.keeps_values, "a step made by `Step::weighed`");
        assert_eq!(weights.len(), self.losses.len(), "one weight a loss");
        batch.check(&self.graph, &self.plan)?;
        let step = optimiser.steps() + 1;
        let mode = Mode::Train { seed, step };
        self.seed(batch, weights);
        let n = self.prepare(params, batch.rows);
        self.run_losses(params, batch, mode, n);
        self.collect_losses(n, step)?;
        self.scale_losses(weights);
        self.reduce_per_loss(batch, n);
        self.fill_gram(weighing.decay(step), n);
        self.ask(weighing, step)?;
        self.apply_weights(batch, weights);
        if !self.backward.is_empty() {
            self.run_shards(params, batch, mode, n, Passes::Weighted);
        }
        self.reduce(params, optimiser, batch, n);
        self.reduce_per_loss_tables(params, optimiser);
        let norm = self.norm(step)?;
        self.update(params, optimiser, batch, norm);
        self.last_norm = norm;
        Ok(self.report(norm))
    }

    /// The losses of the last batch at the present values, times the user's `weights`: a second
    /// look after an update. Dropout is that of training step `step`. The report of the step
    /// itself stays, and is given beside them.
    ///
    /// # Errors
    /// As [`Step::run`]; nothing is updated in any case.
    pub fn second_look(
        &mut self,
        params: &Params<S>,
        batch: &Batch<S>,
        weights: &[f64],
        (seed, step): (u64, u64),
    ) -> Result<(StepReport<'_>, &[f64])> {
        let n = self.prepare(params, batch.rows);
        self.run_shards(params, batch, Mode::Train { seed, step }, n, Passes::Forward);
        // The step may have ended before it scaled any loss.
        self.scaled_losses.resize(self.losses.len(), 0.0);
        std::mem::swap(&mut self.losses, &mut self.scaled_losses);
        let looked = self.collect_losses(n, step);
        std::mem::swap(&mut self.losses, &mut self.scaled_losses);
        looked?;
        for (loss, weight) in self.scaled_losses.iter_mut().zip(weights) {
            *loss *= weight;
        }
        Ok((self.report(self.last_norm), &self.scaled_losses))
    }

    /// The losses and gradients of single losses of a batch, as training step `step` would see them,
    /// and no update: [`Step::gram`] then has their Gram matrix, [`Step::last_report`] the losses.
    /// `weights` are the user's. The step must be one of [`Step::weighed`].
    ///
    /// # Errors
    /// As [`Step::run`].
    ///
    /// # Panics
    /// If `weights` are not one a loss, or the step was made by [`Step::new`].
    pub fn look(
        &mut self,
        params: &Params<S>,
        batch: &Batch<S>,
        weights: &[f64],
        (seed, step): (u64, u64),
    ) -> Result<()> {
        assert!(self.keeps_values, "a step made by `Step::weighed`");
        assert_eq!(weights.len(), self.losses.len(), "one weight a loss");
        batch.check(&self.graph, &self.plan)?;
        self.seed(batch, weights);
        let n = self.prepare(params, batch.rows);
        self.run_losses(params, batch, Mode::Train { seed, step }, n);
        self.collect_losses(n, step)?;
        self.reduce_per_loss(batch, n);
        if let Some(per_loss) = &mut self.per_loss {
            per_loss.fill_gram(&self.shards[..n]);
        }
        Ok(())
    }

    /// The report of the last step.
    pub fn last_report(&self) -> StepReport<'_> {
        self.report(self.last_norm)
    }

    /// The weights of the last weighed step.
    pub const fn loss_weights(&self) -> &LossWeights {
        &self.loss_weights
    }

    /// The Gram matrix of the last weighed step or look, T × T, row-major; `None` unless asked for.
    pub fn gram(&self) -> Option<&[f64]> {
        self.per_loss.as_ref().map(|per_loss| per_loss.gram())
    }

    /// The losses times the user's weights.
    fn scale_losses(&mut self, weights: &[f64]) {
        let n = self.losses.len();
        self.scaled_losses.resize(n, 0.0);
        self.present.resize(n, false);
        for t in 0..n {
            self.scaled_losses[t] = weights[t] * self.losses[t];
            self.present[t] = self.total_weights[t] > 0.0;
        }
    }

    fn ask(&mut self, weighing: &mut dyn Weigh, step: u64) -> Result<()> {
        let n = self.losses.len();
        self.loss_weights.shared.resize(n, 0.0);
        self.loss_weights.own.resize(n, 0.0);
        let seen = Seen {
            step,
            losses: &self.scaled_losses,
            present: &self.present,
            gram: self.per_loss.as_ref().map(|per_loss| per_loss.gram()),
        };
        weighing.weigh(&seen, &mut self.loss_weights).map_err(Error::Weighting)?;
        // Weights of running gradients are weights of ∇ ln L_t.
        let is_running = self.per_loss.as_ref().is_some_and(|per_loss| per_loss.is_running());
        let divisor =
            |t: usize| if is_running { self.scaled_losses[t].max(LOSS_FLOOR) } else { 1.0 };
        self.pass_weights.clear();
        let shared = self.loss_weights.shared.iter().enumerate();
        let weight = |(t, weight): (usize, &f64)| match self.present[t] {
            true => weight / divisor(t),
            false => 0.0,
        };
        self.pass_weights.extend(shared.map(weight));
        Ok(())
    }

    /// The weights become the seeds of the weighted pass.
    fn apply_weights(&mut self, batch: &Batch<S>, weights: &[f64]) {
        for (t, seed) in self.seeds.iter_mut().enumerate() {
            let total = self.total_weights[t];
            let weight = weights[t] * self.pass_weights[t];
            *seed = if total > 0.0 { S::of(weight / total) } else { S::zero() };
        }
        debug_assert!(batch.rows > 0 || self.seeds.iter().all(|s| s.is_finite()));
    }
}
