//! What can go wrong while an architecture is configured or built.

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No architecture of that name.
    #[error("unknown model `{name}`, expected one of {}", .known.join(", "))]
    UnknownArchitecture {
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// A setting outside its range.
    #[error("model: `{name}` is {value}, expected {expected}")]
    Setting {
        /// The setting's name.
        name: String,
        /// The value given.
        value: String,
        /// The range.
        expected: String,
    },
    /// The list of tasks is empty, or names one twice.
    #[error("model: {0}")]
    Tasks(String),
    /// Inputs of another kind than the architecture's [`crate::InputKind`].
    #[error("model: `{name}` was given other inputs, expected {expected}")]
    Inputs {
        /// The architecture.
        name: &'static str,
        /// What it reads.
        expected: &'static str,
    },
    /// An error of the experts and gates.
    #[error(transparent)]
    Mixture(#[from] mtl_moe::Error),
    /// An error of the graph.
    #[error(transparent)]
    Graph(#[from] mtl_nn::Error),
}

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
