//! What dropout keeps of a layer's values in one pass.

use crate::kernel::{Draws, hash};
use crate::layers::Dropout;
use crate::{Mode, Scalar};

/// A unit's dropout in one pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mask<S> {
    key: u64,
    threshold: u32,
    scale: S,
}

/// What is kept of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep<S> {
    /// Everything.
    All,
    /// Where the draw is not below the threshold; what is kept is multiplied by the scale.
    Drawn(Draws, u32, S),
}

impl<S: Scalar> Mask<S> {
    pub(crate) fn new(dropout: Option<Dropout>, mode: Mode) -> Self {
        match (dropout, mode) {
            (Some(dropout), Mode::Train { seed, step }) => Self {
                key: hash(hash(seed, step), dropout.key()),
                threshold: Draws::threshold(dropout.rate()),
                scale: S::of(1.0 / (1.0 - dropout.rate())),
            },
            _ => Self { key: 0, threshold: 0, scale: S::one() },
        }
    }

    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> Keep<S> {
        if self.threshold == 0 {
            return Keep::All;
        }
        Keep::Drawn(Draws::new(self.key, row as u64), self.threshold, self.scale)
    }
}
