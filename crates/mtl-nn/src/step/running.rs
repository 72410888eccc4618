//! Running averages of each loss's gradient, for weightings that compare those.

use rayon::prelude::*;

use super::Step;
use crate::{Error, Result, Scalar, kernel};

/// Losses below this count as this where a gradient is divided by them.
pub(super) const LOSS_FLOOR: f64 = 1e-8;

impl<S: Scalar> Step<S> {
    /// Moves the running gradients on, if they are kept, and takes the Gram matrix.
    pub(super) fn fill_gram(&mut self, decay: f64, n: usize) {
        let Some(per_loss) = &mut self.per_loss else { return };
        if let Some(running) = &mut per_loss.running {
            let (shared, present, flat) = (&per_loss.shared, &per_loss.present, &per_loss.flat);
            let losses = &self.scaled_losses;
            let running = running.par_iter_mut().enumerate().filter(|&(t, _)| present[t]);
            running.for_each(|(t, running)| {
                let share = (1.0 - decay) / losses[t].max(LOSS_FLOOR);
                let (decay, share) = (S::of(decay), S::of(share));
                kernel::vectorise(
                    #[inline(always)]
                    || {
                        for run in shared {
                            let out = &mut running[run.clone()];
                            out.iter_mut().for_each(|value| *value *= decay);
                            kernel::axpy(out, share, &flat[t][run.clone()]);
                        }
                    },
                );
            });
        }
        per_loss.fill_gram(&self.shards[..n]);
    }

    /// Keeps a running average of each loss's gradient from now on: r_t ← δ·r_t + (1 − δ)·∇ ln L_t,
    /// with δ by [`Weigh::decay`](super::Weigh::decay). The Gram matrix, and the weights that are given
    /// for it, are then of the r_t.
    ///
    /// # Errors
    /// [`Error::Setting`] unless the step compares gradients of dense parameters.
    pub fn keep_running(&mut self) -> Result<()> {
        let layout = self.graph.layout();
        match &mut self.per_loss {
            Some(per_loss) if per_loss.tables.is_empty() && !per_loss.shared.is_empty() => {
                let n = per_loss.flat.len();
                per_loss.running = Some(vec![vec![S::zero(); layout.n_trainable()]; n]);
                Ok(())
            }
            _ => Err(Error::Setting {
                name: "shared",
                value: "without dense parameters or with tables".to_owned(),
                expected: "shared dense parameters alone, of which running gradients are kept",
            }),
        }
    }

    /// The running gradients, loss after loss: what a resumed run goes on from. `None` unless
    /// [`Step::keep_running`].
    pub fn running(&self) -> Option<Vec<S>> {
        let per_loss = self.per_loss.as_ref()?;
        let of_loss = |flat: &Vec<S>| {
            per_loss.shared.iter().flat_map(|run| flat[run.clone()].to_vec()).collect::<Vec<S>>()
        };
        Some(per_loss.running.as_ref()?.iter().flat_map(of_loss).collect())
    }

    /// Takes up what [`Step::running`] gave.
    ///
    /// # Errors
    /// [`Error::Setting`] if they are those of another model.
    pub fn set_running(&mut self, values: &[S]) -> Result<()> {
        let wrong = |found: usize, expected: &'static str| Error::Setting {
            name: "running gradients",
            value: format!("of {found} values"),
            expected,
        };
        let per_loss = self.per_loss.as_mut();
        let Some((shared, running)) = per_loss.and_then(|p| Some((&p.shared, p.running.as_mut()?)))
        else {
            return Err(wrong(values.len(), "none"));
        };
        let n: usize = shared.iter().map(|run| run.len()).sum();
        if values.len() != n * running.len() {
            return Err(wrong(values.len(), "as many as shared parameters times losses"));
        }
        let mut left = values;
        for flat in running {
            for run in shared {
                let (values, rest) = left.split_at(run.len());
                flat[run.clone()].copy_from_slice(values);
                left = rest;
            }
        }
        Ok(())
    }
}
