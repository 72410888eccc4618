//! The one trait behind every method.

use std::fmt;

use crate::Error;

/// A way of weighing losses. One file of this crate implements it per method; a method of your own
/// implements it and goes into a [`Weigher`](crate::Weigher), which does all checking and leaves out
/// the losses that do not take part.
///
/// State is kept by the *full* number of tasks and addressed through [`Active::tasks`]; the state of
/// a task that is not active must not change. A warm call of [`Weighting::weigh`] does not allocate.
pub trait Weighting: fmt::Debug + Send + Sync {
    /// The name in configurations and messages.
    fn name(&self) -> &'static str;

    /// What the trainer must supply.
    fn needs(&self) -> Needs;

    /// The factor on parameters that one loss alone reaches.
    fn own(&self) -> OwnWeight;

    /// Writes one weight per active task.
    ///
    /// # Errors
    /// When an inner solve does not reach its optimality conditions.
    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error>;

    /// The weight of every task that is present where G = 0.
    fn equal_weight(&self, n_present: usize) -> f64 {
        1.0 / n_present as f64
    }

    /// The weight of a task that is present but has a zero gradient, where others have one.
    fn resting_weight(&self, _task: usize, n_present: usize) -> f64 {
        self.equal_weight(n_present)
    }

    /// Takes the losses of the same batch after the update, where [`Needs::losses_after`] is set.
    fn after_update(&mut self, _active: &Active<'_>) {}

    /// The epoch is over.
    fn end_epoch(&mut self) {}

    /// The state that gradient descent learns, where there is any.
    fn learned(&mut self) -> Option<LearnedState<'_>> {
        None
    }

    /// Brings the learned state back to its domain after an optimiser's step on the entries that
    /// are `touched`.
    fn project(&mut self, _touched: &[bool]) {}

    /// How the last inner solve went, for methods that have one.
    fn solve(&self) -> Option<Solve> {
        None
    }

    /// Everything to save, by name.
    fn state(&self) -> Vec<(&'static str, &[f64])> {
        Vec::new()
    }

    /// The same slices as [`Weighting::state`], to restore into.
    fn state_mut(&mut self) -> Vec<(&'static str, &mut [f64])> {
        Vec::new()
    }
}

/// What a method sees of a step: the n losses that take part and nothing of the others.
///
/// A [`Weigher`](crate::Weigher) has checked that losses are finite (and not negative, where
/// [`Needs::non_negative_losses`] says so), and that with a Gram matrix all its values are finite
/// and every diagonal entry is positive.
#[derive(Debug, Clone, Copy)]
pub struct Active<'a> {
    /// The number of updates made before this one.
    pub step: u64,
    /// The current epoch, from 0.
    pub epoch: u64,
    /// The positions of the n active tasks among all T, ascending.
    pub tasks: &'a [usize],
    /// Their losses, n values.
    pub losses: &'a [f64],
    /// Their Gram matrix, n × n row-major; empty where the method does not need it.
    pub gram: &'a [f64],
}

impl Active<'_> {
    /// The number n of active tasks, at least 1.
    pub fn n(&self) -> usize {
        self.tasks.len()
    }

    /// ‖g_i‖² of the i-th active task.
    pub fn squared_norm(&self, i: usize) -> f64 {
        self.gram[i * self.n() + i]
    }
}

/// What a method needs of the trainer, beyond the losses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Needs {
    /// The Gram matrix of the shared parameters' gradients.
    pub gram: bool,
    /// The losses of the same batch after the update ([`Weigher::after_update`](crate::Weigher::after_update)).
    pub losses_after: bool,
    /// Losses must not be negative (the method takes logarithms or ratios).
    pub non_negative_losses: bool,
    /// The method learns state by gradient descent ([`Weigher::learned`](crate::Weigher::learned)).
    pub learned: bool,
    /// The Gram matrix and the weights refer to running averages of the gradients of the
    /// logarithms of the losses, which the trainer keeps.
    pub running: Option<Running>,
}

/// The running gradients of DB-MTL (eq. 3 of its paper): before step k (from 0),
/// `r_t ← decay·r_t + (1 − decay)·g_t/max(L_t, 1e-8)` with `decay` of [`Running::decay`], r_t = 0 at
/// first; tasks that are absent keep their r_t.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Running {
    /// β.
    pub beta: f64,
    /// The power of the step number that β is divided by.
    pub power: f64,
}

impl Running {
    /// `β / (step + 1)^power`, with the step counted from 0.
    pub fn decay(&self, step: u64) -> f64 {
        self.beta / ((step + 1) as f64).powf(self.power)
    }
}

/// The factor on parameters that one loss alone reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnWeight {
    /// The same w_t as on the shared parameters.
    SameAsShared,
    /// 1/L_t (DB-MTL).
    InverseLoss,
    /// 1.
    One,
}

/// State that gradient descent learns: T values and the gradient of the method's own objective.
#[derive(Debug)]
pub struct LearnedState<'a> {
    /// The values, to be stepped in place.
    pub values: &'a mut [f64],
    /// The gradient, valid after [`Weighting::weigh`] (FAMO: after [`Weighting::after_update`]).
    pub gradient: &'a [f64],
    /// A learning rate of its own, where the method has one; otherwise the model's.
    pub learning_rate: Option<f64>,
}

/// How an inner solve went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Solve {
    /// The residual of the optimality conditions of the weights that were taken, relative as each
    /// method documents: at most 1e-8, since beyond it `weigh` errs. Of a fallback its own, 0 where
    /// that is equal weights.
    pub residual: f64,
    /// Whether the method's documented fallback was taken, since its equations have no solution.
    pub fallback: bool,
}
