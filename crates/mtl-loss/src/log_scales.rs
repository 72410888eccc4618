//! Log-scales s_t that are learned, as uncertainty weighting and IMTL-L do; a weight is a power of e^(s_t).

use crate::LearnedState;

/// Beyond e^±20 a weight is noise or overflow.
const BOUND: f64 = 20.0;

/// The learning rate by default: the one that FAMO's authors give its ξ, which is a log-scale too. A
/// scale then follows a loss that falls tenfold within a hundred steps of Adam.
pub(crate) const LEARNING_RATE: f64 = 0.025;

/// s of every task, and what it takes to step it.
#[derive(Debug)]
pub(crate) struct LogScales {
    /// s.
    pub(crate) values: Vec<f64>,
    /// Of the method's objective; 0 for tasks that are absent.
    pub(crate) gradient: Vec<f64>,
    learning_rate: Option<f64>,
}

impl LogScales {
    /// One a task, from `start` or else from 0: scales of 1.
    pub(crate) fn new(n: usize, start: Option<Vec<f64>>, learning_rate: Option<f64>) -> Self {
        let values = start.unwrap_or_else(|| vec![0.0; n]);
        Self { values, gradient: vec![0.0; n], learning_rate }
    }

    pub(crate) fn learned(&mut self) -> LearnedState<'_> {
        LearnedState {
            values: &mut self.values,
            gradient: &self.gradient,
            learning_rate: self.learning_rate,
        }
    }

    /// Brings those that are `touched` back within ±20.
    pub(crate) fn clamp(&mut self, touched: &[bool]) {
        for (s, _) in self.values.iter_mut().zip(touched).filter(|(_, touched)| **touched) {
            *s = s.clamp(-BOUND, BOUND);
        }
    }
}
