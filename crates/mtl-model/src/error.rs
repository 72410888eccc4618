//! What can go wrong while a model is configured, built, saved or loaded.

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part of the configuration that cannot be read.
    #[error("[{section}] {message}")]
    Config {
        /// The table of the configuration.
        section: String,
        /// What is wrong, and what was expected.
        message: String,
    },
    /// A file of a model folder that is missing, damaged or of another model.
    #[error("{file}: {message}")]
    Folder {
        /// The file.
        file: String,
        /// What is wrong with it.
        message: String,
    },
    /// The features do not fit.
    #[error(transparent)]
    Feature(#[from] mtl_feature::Error),
    /// The behaviour graph does not fit.
    #[error("[chain] {0}")]
    Chain(#[from] mtl_esm::Error),
    /// The architecture does not fit.
    #[error(transparent)]
    Architecture(#[from] mtl_arch::Error),
    /// The graph does not fit.
    #[error(transparent)]
    Graph(#[from] mtl_nn::Error),
}

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn config(section: &str, message: impl Into<String>) -> Self {
        Self::Config { section: section.to_owned(), message: message.into() }
    }
}
