//! What makes an input unusable, as opposed to a metric undefined (see [`Undefined`](crate::Undefined)).

/// An input that cannot be evaluated. Rows are counted from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two inputs that run in parallel differ in length.
    #[error("{what} has {found} values, expected {expected}, one for each label")]
    LengthMismatch {
        /// The input that differs from the labels.
        what: &'static str,
        /// Number of labels.
        expected: usize,
        /// Number of values found.
        found: usize,
    },
    /// A prediction is NaN.
    #[error("prediction of row {row} is NaN, expected a number")]
    NanPrediction {
        /// The first such row.
        row: usize,
    },
    /// A prediction of a regression task is NaN or infinite.
    #[error("prediction of row {row} is {prediction}, expected a finite number")]
    NonFinitePrediction {
        /// The first such row.
        row: usize,
        /// The prediction found.
        prediction: f64,
    },
    /// A label of a binary task is none of 0, 1 and NaN.
    #[error("label of row {row} is {label}, expected 0, 1 or NaN (missing)")]
    NotBinary {
        /// The first such row.
        row: usize,
        /// The label found.
        label: f64,
    },
    /// A label of a task of several classes is no number of a class.
    #[error(
        "label of row {row} is {label}, expected a class from 0 to {} or NaN (missing)",
        n_classes - 1
    )]
    NotAClass {
        /// The first such row.
        row: usize,
        /// The label found.
        label: f64,
        /// The number of classes.
        n_classes: usize,
    },
    /// A prediction of a class is not in [0, 1].
    #[error("prediction of row {row} is {prediction}, expected a probability")]
    NotAProbability {
        /// The first such row.
        row: usize,
        /// The prediction found.
        prediction: f64,
    },
    /// Fewer than two classes.
    #[error("{found} classes, expected at least 2")]
    Classes {
        /// Their number.
        found: usize,
    },
    /// A label of a regression task is infinite.
    #[error("label of row {row} is {label}, expected a finite number or NaN (missing)")]
    InfiniteLabel {
        /// The first such row.
        row: usize,
        /// The label found.
        label: f64,
    },
    /// A weight is negative, not finite, or so small or large that products of weights are lost.
    #[error("weight of row {row} is {weight}, expected 0 or a number from 1e-100 to 1e100")]
    BadWeight {
        /// The first such row.
        row: usize,
        /// The weight found.
        weight: f64,
    },
    /// More rows than a row number of the sort can hold.
    #[error("{rows} rows are more than the {limit} that can be ranked at once")]
    TooManyRows {
        /// Number of rows found.
        rows: usize,
        /// The largest number of rows.
        limit: usize,
    },
    /// A confidence level outside of the open interval (0, 1).
    #[error("confidence level is {level}, expected a number between 0 and 1 such as 0.95")]
    BadConfidenceLevel {
        /// The level found.
        level: f64,
    },
    /// A result of a seed is NaN or infinite.
    #[error("{what} holds {value} at position {position}, expected finite numbers")]
    NonFiniteValue {
        /// The input at fault.
        what: &'static str,
        /// Position of the first such value, from 0.
        position: usize,
        /// The value found.
        value: f64,
    },
    /// Two models were run with different numbers of seeds.
    #[error(
        "{first} results of the first model against {second} of the second, expected a pair for each seed"
    )]
    UnpairedSeeds {
        /// Number of results of the first model.
        first: usize,
        /// Number of results of the second model.
        second: usize,
    },
}
