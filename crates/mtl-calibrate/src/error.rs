//! What can be wrong with rows to calibrate on, or with a saved calibration.

/// The error of this crate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Labels, predictions or weights that cannot be.
    #[error(transparent)]
    Rows(#[from] mtl_eval::Error),
    /// A prediction that is no probability. Rows are counted from 0.
    #[error("prediction of row {row} is {prediction}, expected a probability of 0 to 1")]
    NotAProbability {
        /// The first such row.
        row: usize,
        /// The prediction found.
        prediction: f64,
    },
    /// Nothing to learn from: every label is the same, or there is none.
    #[error("{positives} positive and {negatives} negative rows, expected at least 1 of each")]
    OneClass {
        /// Rows of label 1.
        positives: usize,
        /// Rows of label 0.
        negatives: usize,
    },
    /// Rows that are likelier positive the lower they were predicted: a scaling would reverse the
    /// ranking.
    #[error(
        "the slope would be {slope}, expected above 0: higher predictions have fewer positives"
    )]
    Reversed {
        /// The slope found.
        slope: f64,
    },
    /// A share of kept negatives that cannot be.
    #[error("negative sampling is {share}, expected the share of negatives kept, above 0 to 1")]
    Share {
        /// The share found.
        share: f64,
    },
    /// A saved calibration that no fit would have made.
    #[error("{what}")]
    Saved {
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
