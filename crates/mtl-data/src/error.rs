//! What can be wrong with a file or with the configuration of data.

use std::path::Path;

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The error of this crate. Its message is one line that names the file, and the row, column, value
/// and what was expected where there are such.
///
/// Rows of a CSV file are its lines, counted from 1, the header being one of them; rows of a Parquet
/// file are counted from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not of the format that its name says, or is cut short.
    #[error("{file}: {problem}")]
    Format {
        /// The file.
        file: String,
        /// What is wrong with it, and what was expected.
        problem: String,
    },
    /// A row of a CSV file has another number of fields than the first.
    #[error("{file}: row {row} has {found} fields, expected {expected}")]
    Fields {
        /// The file.
        file: String,
        /// The row.
        row: u64,
        /// Its number of fields.
        found: usize,
        /// The header's number of fields.
        expected: usize,
    },
    /// A value that its column may not have.
    #[error("{file}: row {row}, column `{column}`: found {value}, expected {expected}")]
    Value {
        /// The file.
        file: String,
        /// The row.
        row: u64,
        /// The column.
        column: String,
        /// The value, shortened and in back quotes, or "a missing value".
        value: String,
        /// What would have been right.
        expected: String,
    },
    /// The file and the features or labels do not fit together.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: String,
        /// What does not fit.
        source: mtl_feature::Error,
    },
    /// A setting that cannot be.
    #[error("[data] `{key}` is {value}, expected {expected}")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would have been right.
        expected: String,
    },
    /// A setting of a generator that cannot be.
    #[error("{generator}: `{key}` is {value}, expected {expected}")]
    Generator {
        /// The generator.
        generator: &'static str,
        /// The setting's name.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would have been right.
        expected: String,
    },
    /// The features or labels are wrong by themselves.
    #[error(transparent)]
    Feature(#[from] mtl_feature::Error),
}

impl Error {
    pub(crate) fn io(file: &Path, source: std::io::Error) -> Self {
        Self::Io { file: shown(file), source }
    }

    pub(crate) fn format(file: &Path, problem: impl Into<String>) -> Self {
        Self::Format { file: shown(file), problem: problem.into() }
    }

    pub(crate) fn value(
        file: &Path,
        row: u64,
        column: &str,
        value: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let (value, expected) = (value.into(), expected.into());
        Self::Value { file: shown(file), row, column: column.to_owned(), value, expected }
    }

    pub(crate) fn setting(key: &'static str, value: impl ToString, expected: &str) -> Self {
        Self::Setting { key, value: value.to_string(), expected: expected.to_owned() }
    }

    /// An error about rows of a file, which only the reader of the file can name.
    pub(crate) fn in_file(file: &Path, source: mtl_feature::Error) -> Self {
        match source {
            mtl_feature::Error::Value { row, column, value, expected } => {
                Self::value(file, row, &column, value, expected)
            }
            source => Self::File { file: shown(file), source },
        }
    }
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}
