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
    /// An exponent or a weight of a fusion formula that cannot be.
    #[error("[fusion] {form}.{output}: found {value}, expected {expected}")]
    Fusion {
        /// `product` or `sum`.
        form: &'static str,
        /// The output.
        output: String,
        /// Its exponent or weight.
        value: f64,
        /// What would have been right.
        expected: &'static str,
    },
    /// A file of a model folder that is missing, damaged or of another model.
    #[error("{file}: {message}")]
    Folder {
        /// The file.
        file: String,
        /// What is wrong with it.
        message: String,
    },
    /// The values do not fit into memory.
    #[error(
        "the values need {needed:.1} GiB of memory and {free:.1} are free; the largest part is \
         `{largest}` of {rows} × {columns} ({smaller} make it smaller)"
    )]
    Memory {
        /// GiB that are needed.
        needed: f64,
        /// GiB that are free.
        free: f64,
        /// The path of the largest table or weights.
        largest: String,
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
        /// What would make it smaller.
        smaller: &'static str,
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
