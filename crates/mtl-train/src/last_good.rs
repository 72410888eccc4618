//! Which weights a run leaves that failed.
//!
//! A step looks at its losses before it updates, so an update that ruins the weights is noticed a step
//! later. The weights of the step before are then no good; those of an epoch are, since after an epoch
//! the losses of its last batch are looked at once more.

use std::fmt;

use mtl_nn::Params;

use crate::weight_store::StoredWeights;
use crate::{Result, WeightStore};

/// Which weights are in the model after a run that failed ([`crate::Error::Stopped`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LastGood {
    /// Those before the step that failed: they were not at fault.
    BeforeStep,
    /// Those after that epoch, from 1: the best one so far, or the last one where none is best.
    Epoch(usize),
    /// Those with which the run began, or was resumed.
    Start,
}

impl fmt::Display for LastGood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeStep => write!(f, "the weights before that step"),
            Self::Epoch(epoch) => write!(f, "the weights after epoch {epoch}"),
            Self::Start => write!(f, "the weights that this run began with"),
        }
    }
}

/// The weights that a run keeps beside those that it trains: of the best epoch, or, while none is best,
/// of the last one or the start. They are what a run goes back to that fails.
#[derive(Debug)]
pub(crate) struct Kept {
    store: WeightStore,
    weights: StoredWeights,
    pub(crate) of: LastGood,
    /// Whether they are what the run is for.
    is_best: bool,
}

impl Kept {
    /// Those with which a run begins.
    pub(crate) fn start(store: &WeightStore, params: &Params<f32>) -> Result<Self> {
        let (store, weights) = (store.clone(), store.keep(params)?);
        Ok(Self { store, weights, of: LastGood::Start, is_best: false })
    }

    /// Those of the best epoch of a run that is resumed.
    pub(crate) fn resumed(store: &WeightStore, params: &Params<f32>, of: LastGood) -> Result<Self> {
        Ok(Self { of, is_best: true, ..Self::start(store, params)? })
    }

    /// Those of an epoch that is done; the others are forgotten unless they are better.
    pub(crate) fn epoch_done(
        &mut self,
        epoch: usize,
        params: &Params<f32>,
        is_best: bool,
    ) -> Result<()> {
        if is_best || !self.is_best {
            self.weights.replace(params)?;
            (self.of, self.is_best) = (LastGood::Epoch(epoch), is_best);
        }
        Ok(())
    }

    /// The best epoch's, if one is.
    pub(crate) fn best(&self) -> Option<&StoredWeights> {
        self.is_best.then_some(&self.weights)
    }

    pub(crate) fn into_best(self) -> Option<StoredWeights> {
        self.is_best.then_some(self.weights)
    }

    /// Overwrites a model's weights by them.
    pub(crate) fn restore(&self, params: &mut Params<f32>) -> Result<()> {
        self.weights.restore(params)
    }

    /// Exchanges a model's weights and them.
    pub(crate) fn exchange(&mut self, params: &mut Params<f32>) -> Result<()> {
        let others = self.store.keep(params)?;
        self.weights.restore(params)?;
        self.weights = others;
        Ok(())
    }
}
