//! Who watches a training run.

use crate::{Checkpoint, EpochRecord};

/// Called as training goes on; every method has an empty default.
pub trait Observer {
    /// An epoch begins: its number, from 1, of at most `epochs`, with so many steps.
    fn epoch_started(&mut self, epoch: usize, epochs: usize, steps: usize) {
        let _ = (epoch, epochs, steps);
    }

    /// Something to know about the run, in a sentence.
    fn note(&mut self, text: &str) {
        let _ = text;
    }

    /// A step is done; `loss` is the weighted sum of its task losses.
    fn step_done(&mut self, loss: f64) {
        let _ = loss;
    }

    /// An epoch is done and validated.
    fn epoch_done(&mut self, record: &EpochRecord, is_best: bool) {
        let _ = (record, is_best);
    }

    /// Called after each epoch, when interrupted within one, and once where nothing is left to train:
    /// what is written or taken of the last `checkpoint` is where the run ends.
    fn checkpoint(&mut self, checkpoint: &Checkpoint<'_>) {
        let _ = checkpoint;
    }

    /// Asked after every step: whether to stop at once, within the epoch. What [`crate::fit`] then
    /// leaves goes on from the next step. A [comparison](crate::compare()) asks before each run too,
    /// and ends with the runs that it has.
    fn interrupts(&self) -> bool {
        false
    }

    /// Whether to stop after this epoch.
    fn wants_to_stop(&self) -> bool {
        false
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
