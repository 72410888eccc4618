//! Looking at the gradients of single losses, where the weighting does not.

use std::sync::Arc;

use mtl_model::Model;
use mtl_nn::kernel::Kernels;
use mtl_nn::{Batch, Params, Step};

use crate::weighting::Weighting;
use crate::{LossConfig, Result};

/// A step of its own that takes a Gram matrix now and then and updates nothing: what is trained is what
/// would be without it, to the last bit.
#[derive(Debug)]
pub(crate) struct Watch {
    step: Step<f32>,
    every: usize,
}

impl Watch {
    /// What `config` says; `None` if nothing is to be watched, or `weighting` looks at every step.
    pub(crate) fn of_model(
        config: &LossConfig,
        model: &Model,
        weighting: Option<&Weighting>,
        kernels: Kernels,
    ) -> Result<Option<Self>> {
        let looks = weighting.is_some_and(Weighting::compares_gradients);
        let Some(every) = config.watch.filter(|_| !looks) else { return Ok(None) };
        let step = Step::weighed(Arc::clone(model.graph()), Some(config.shared.into()))?;
        Ok(Some(Self { step: step.with_kernels(kernels), every: every.get() }))
    }

    /// The step that looked, if it is its turn: before step `number` of the run, after `done` steps of
    /// the epoch. Counting within the epoch, every epoch has a look.
    pub(crate) fn look(
        &mut self,
        params: &Params<f32>,
        batch: &Batch<f32>,
        weights: &[f64],
        (seed, number, done): (u64, u64, usize),
    ) -> Result<Option<&Step<f32>>> {
        if !done.is_multiple_of(self.every) {
            return Ok(None);
        }
        self.step.look(params, batch, weights, (seed, number))?;
        Ok(Some(&self.step))
    }
}
