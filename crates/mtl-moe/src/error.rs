//! What can go wrong while a mixture is built.

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Experts that one gate mixes differ in width.
    #[error("gate `{gate}` mixes experts of {first} and {other} columns (`{expert}`)")]
    Widths {
        /// The gate's path.
        gate: String,
        /// Columns of its first expert.
        first: usize,
        /// The expert that differs.
        expert: String,
        /// Its columns.
        other: usize,
    },
    /// A gate without experts.
    #[error("gate `{gate}` has no expert to mix")]
    NoExperts {
        /// The gate's path.
        gate: String,
    },
    /// An error of the graph.
    #[error(transparent)]
    Graph(#[from] mtl_nn::Error),
}

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
