//! What can go wrong while a model is trained or compared.

use mtl_data::Part;
use mtl_esm::Violation;

use crate::LastGood;

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part of the configuration that cannot be.
    #[error("{file}: {message}")]
    Config {
        /// The configuration's file, or "configuration".
        file: String,
        /// The table, the key and what was expected.
        message: String,
    },
    /// The data cannot be trained on.
    #[error("{0}")]
    Data(String),
    /// Labels that do not nest as the chain does, where the chain refuses that.
    #[error(
        "[chain] labels: {} {}rows have `{}` without `{}`, which lies on every path to it; the first \
         is row {} of them, counted from 0 (nesting = \"multiply\" would take them for rows without \
         `{}`)",
        .violation.count, which(*.part), .violation.event, .violation.without, .violation.first_row,
        .violation.event
    )]
    Nesting {
        /// Which rows they are of; `None` for those of a file.
        part: Option<Part>,
        /// What was found; the first row is counted among those of the part.
        violation: Violation,
    },
    /// A state of training that cannot be resumed.
    #[error("{file}: {message}")]
    Resume {
        /// The file of the state.
        file: String,
        /// Why not.
        message: String,
    },
    /// A model that cannot be started from.
    #[error("{file}: {message}")]
    Start {
        /// The model's folder.
        file: String,
        /// Why not.
        message: String,
    },
    /// There is no room for the weights of the best epoch.
    #[error(
        "{folder}: the weights of the best epoch cannot be kept there: {source}; expected a folder that \
         can be written, with room for {mebibytes} MiB"
    )]
    BestWeights {
        /// The folder.
        folder: String,
        /// What they take.
        mebibytes: u64,
        /// What the system says.
        source: std::io::Error,
    },
    /// The weights of the best epoch cannot be read back.
    #[error("{folder}: the weights of the best epoch are lost: {source}")]
    BestWeightsLost {
        /// The folder in which they were kept.
        folder: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Reading data failed.
    #[error(transparent)]
    Read(#[from] mtl_data::Error),
    /// The features do not fit.
    #[error(transparent)]
    Feature(#[from] mtl_feature::Error),
    /// The model does not fit.
    #[error(transparent)]
    Model(#[from] mtl_model::Error),
    /// The weighting of the losses failed.
    #[error("[loss] {0}")]
    Weighting(#[from] mtl_loss::Error),
    /// Training failed, and the model has the last good weights.
    #[error("{cause}")]
    Stopped {
        /// What failed.
        cause: Box<Error>,
        /// Which weights the model has.
        left: LastGood,
    },
    /// A step failed.
    #[error(transparent)]
    Step(#[from] mtl_nn::Error),
    /// A calibration could not be fitted.
    #[error("calibration: {0}")]
    Calibration(#[from] mtl_calibrate::Error),
    /// A metric's input was wrong.
    #[error(transparent)]
    Metric(#[from] mtl_eval::Error),
}

fn which(part: Option<Part>) -> String {
    part.map_or(String::new(), |part| format!("{} ", part.adjective()))
}

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
