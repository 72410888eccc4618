//! What can go wrong while a report is made.

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The plotting crate could not draw a figure.
    #[error("figure `{figure}`: {message}")]
    Draw {
        /// The figure's title.
        figure: String,
        /// What it said.
        message: String,
    },
    /// A file could not be written.
    #[error("{file}: {source}")]
    Write {
        /// The file.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
