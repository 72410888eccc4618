//! What can go wrong while a graph is built, fed, stepped or loaded.

use std::path::PathBuf;

use crate::checkpoint::Damage;

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two parts of a graph do not fit together.
    #[error("node `{node}`: {what} has {found} columns, expected {expected}")]
    Columns {
        /// The node being added.
        node: String,
        /// Which of its inputs or parameters.
        what: String,
        /// Columns it has.
        found: usize,
        /// Columns it should have.
        expected: usize,
    },
    /// A name (of a node, parameter, table, slot, output or loss) was used twice.
    #[error("the {what} `{name}` is declared twice")]
    Twice {
        /// What kind of thing it names.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name that the graph does not have.
    #[error("there is no {what} `{name}`; the graph has {}", list(.known))]
    Unknown {
        /// What kind of thing was looked up.
        what: &'static str,
        /// The name looked up.
        name: String,
        /// Names that exist.
        known: Vec<String>,
    },
    /// A setting outside its range.
    #[error("`{name}` is {value}, expected {expected}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// The value given.
        value: String,
        /// The range.
        expected: &'static str,
    },
    /// A batch does not fit the graph.
    #[error("batch: `{slot}` has {found} values, expected {expected} ({rows} rows)")]
    BatchShape {
        /// The slot's name.
        slot: String,
        /// Values present.
        found: usize,
        /// Values needed.
        expected: usize,
        /// Rows of the batch.
        rows: usize,
    },
    /// A list longer than its slot allows.
    #[error("batch: `{slot}` row {row} has a list of {found} ids, expected at most {expected}")]
    ListLength {
        /// The slot's name.
        slot: String,
        /// Row of the batch, from 0.
        row: usize,
        /// Ids of the list.
        found: usize,
        /// Ids of the longest list allowed.
        expected: usize,
    },
    /// An id beyond the rows of its embedding table.
    #[error("batch: `{slot}` row {row} has id {id}, but table `{table}` has {rows} rows")]
    IdRange {
        /// The slot's name.
        slot: String,
        /// Row of the batch, from 0.
        row: usize,
        /// The id.
        id: u32,
        /// The table's path.
        table: String,
        /// Rows of the table.
        rows: usize,
    },
    /// A loss became NaN or infinite; nothing was updated.
    #[error("step {step}: the loss `{loss}` is {value} in batch rows {first_row}..{end_row}")]
    LossNotFinite {
        /// Training step, from 1.
        step: u64,
        /// Name of the loss.
        loss: String,
        /// Its value in the shard.
        value: f64,
        /// First row of the shard where it happened.
        first_row: usize,
        /// One past the last row of that shard.
        end_row: usize,
    },
    /// The weighting of the losses failed; nothing was updated.
    #[error("weighting: {0}")]
    Weighting(Box<dyn std::error::Error + Send + Sync>),
    /// A gradient became NaN or infinite; nothing was updated.
    #[error("step {step}: the gradient of `{parameter}` is not finite; no parameter was updated")]
    GradientNotFinite {
        /// Training step, from 1.
        step: u64,
        /// Path of the first parameter affected.
        parameter: String,
    },
    /// A checkpoint that cannot be read.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] Damage),
    /// A checkpoint whose parameters are not the model's.
    #[error("checkpoint: {}", differences(.missing, .unexpected))]
    Paths {
        /// Paths of the model that the checkpoint does not have.
        missing: Vec<String>,
        /// Paths of the checkpoint that the model does not have.
        unexpected: Vec<String>,
    },
    /// A checkpoint's parameter does not fit the model's.
    #[error("checkpoint: `{path}` is {found_rows} × {found_cols}, the model's is {rows} × {cols}")]
    ParameterShape {
        /// The parameter's path.
        path: String,
        /// Rows in the file.
        found_rows: usize,
        /// Columns in the file.
        found_cols: usize,
        /// Rows in the model.
        rows: usize,
        /// Columns in the model.
        cols: usize,
    },
    /// A file could not be written.
    #[error("`{}`: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn differences(missing: &[String], unexpected: &[String]) -> String {
    let named = [("missing", missing), ("unexpected", unexpected)];
    let named = named.into_iter().filter(|(_, paths)| !paths.is_empty());
    named.map(|(what, paths)| format!("{what} {}", list(paths))).collect::<Vec<_>>().join("; ")
}

fn list(names: &[String]) -> String {
    match names.len() {
        0 => "none".to_owned(),
        1..=12 => format!("`{}`", names.join("`, `")),
        n => format!("`{}` and {} more", names[..12].join("`, `"), n - 12),
    }
}
