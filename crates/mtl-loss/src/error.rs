//! What can go wrong, with the names and numbers to find it by.

/// An error of loss weighting.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration names no method of this crate.
    #[error("unknown weighting method {name:?}; known are: {known}")]
    UnknownMethod {
        /// The name found.
        name: String,
        /// Every known name, comma-separated.
        known: String,
    },
    /// A hyper-parameter is out of its range.
    #[error("{method}: {key} is {value}, expected {expected}")]
    Setting {
        /// The method.
        method: &'static str,
        /// The key in the configuration, with the task where there is one.
        key: String,
        /// The value found.
        value: f64,
        /// The range that is allowed.
        expected: &'static str,
    },
    /// A per-task setting names a task that does not exist.
    #[error("{method}: {key} names the task {task:?}; the tasks are: {known}")]
    UnknownTask {
        /// The method.
        method: &'static str,
        /// The key in the configuration.
        key: &'static str,
        /// The name found.
        task: String,
        /// Every task's name, comma-separated.
        known: String,
    },
    /// There is no task, or two have one name.
    #[error("task names must be distinct and at least one: found {found}")]
    Tasks {
        /// The names found, comma-separated.
        found: String,
    },
    /// A slice has the wrong length.
    #[error("{what} has {found} values, expected {expected}")]
    Length {
        /// Which slice.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length expected.
        expected: usize,
    },
    /// The method needs something that the caller did not give.
    #[error("{method} needs {what}, which was not given")]
    Missing {
        /// The method.
        method: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// A loss is NaN or infinite.
    #[error("loss of task {task:?} is {value} at step {step}, expected a finite number")]
    Loss {
        /// The task.
        task: String,
        /// The loss.
        value: f64,
        /// The step, from 1.
        step: u64,
    },
    /// A loss is negative and the method takes its logarithm or a power of it.
    #[error("{method}: loss of task {task:?} is {value} at step {step}, expected at least 0")]
    NegativeLoss {
        /// The method.
        method: &'static str,
        /// The task.
        task: String,
        /// The loss.
        value: f64,
        /// The step, from 1.
        step: u64,
    },
    /// A dot product of two tasks' gradients is NaN or infinite, or a squared norm is negative.
    #[error(
        "dot product of the gradients of tasks {task:?} and {other:?} is {value} at step {step}, \
         expected a finite number (at least 0 on the diagonal)"
    )]
    Gradient {
        /// The task whose gradient is at fault (the row).
        task: String,
        /// The other task (the column).
        other: String,
        /// The dot product.
        value: f64,
        /// The step, from 1.
        step: u64,
    },
    /// The method made a weight that is not finite: its learned state has run away.
    #[error("{method}: weight of task {task:?} is {value} at step {step}")]
    Weight {
        /// The method.
        method: &'static str,
        /// The task.
        task: String,
        /// The weight.
        value: f64,
        /// The step, from 1.
        step: u64,
    },
    /// An inner solve did not reach its optimality conditions.
    #[error("{method}: optimality residual is {residual:e}, expected at most {tolerance:e}")]
    NotConverged {
        /// The method.
        method: &'static str,
        /// The residual reached.
        residual: f64,
        /// The residual allowed.
        tolerance: f64,
    },
    /// A saved state belongs to another method, other tasks or another version.
    #[error("saved state has {what} {found}, expected {expected}")]
    State {
        /// What differs.
        what: &'static str,
        /// What the state says.
        found: String,
        /// What this weighting is.
        expected: String,
    },
}
