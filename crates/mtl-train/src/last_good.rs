//! Which weights a run leaves that failed.
//!
//! A step looks at its losses before it updates, so an update that ruins the weights is noticed a step
//! later. The weights of the step before are then no good; those of an epoch are, since after an epoch
//! the losses of its last batch are looked at once more.

use std::fmt;

use mtl_nn::Params;

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
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) params: Params<f32>,
    pub(crate) of: LastGood,
    /// Whether they are what the run is for.
    pub(crate) is_best: bool,
}

impl Kept {
    /// Those with which a run begins.
    pub(crate) fn start(params: &Params<f32>) -> Self {
        Self { params: params.clone(), of: LastGood::Start, is_best: false }
    }

    /// Those of an epoch that is done; the others are forgotten unless they are better.
    pub(crate) fn epoch_done(&mut self, epoch: usize, params: &Params<f32>, is_best: bool) {
        if is_best || !self.is_best {
            *self = Self { params: params.clone(), of: LastGood::Epoch(epoch), is_best };
        }
    }

    /// The best epoch's, if one is.
    pub(crate) fn best(&self) -> Option<&Params<f32>> {
        self.is_best.then_some(&self.params)
    }
}
