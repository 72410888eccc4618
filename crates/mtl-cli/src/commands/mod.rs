//! The commands, one a file.

pub(crate) mod calibrate;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod importance;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod kept;
pub(crate) mod methods;
pub(crate) mod nesting;
pub(crate) mod notes;
pub(crate) mod outputs;
pub(crate) mod predict;
pub(crate) mod predictions;
pub(crate) mod serve;
pub(crate) mod sweep;
pub(crate) mod train;
pub(crate) mod tune_fusion;

use std::path::Path;

use anyhow::Context;
use mtl_data::{ReadOptions, RowSource, STREAM_BLOCK_ROWS, read_rows};
use mtl_model::Model;
use mtl_report::Report;
use mtl_train::RunConfig;

use crate::args::FigureArgs;

/// The configuration that training copied into a model's folder.
pub(crate) const CONFIG: &str = "config.toml";

/// The page beside the results.
pub(crate) const REPORT: &str = "report.html";

/// The numbers beside a report.
pub(crate) const METRICS: &str = "metrics.json";

/// Makes a folder of results, if one is named: before hours of training, not after.
pub(crate) fn prepare_folder(folder: Option<&Path>) -> anyhow::Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    let made = std::fs::create_dir_all(folder);
    made.with_context(|| format!("{} cannot be made", folder.display()))
}

/// A model and how its files are read.
pub(crate) fn open(folder: &Path) -> anyhow::Result<(Model, ReadOptions)> {
    Ok((Model::load(folder)?, read_options(folder)?))
}

/// How a model's files are read.
pub(crate) fn read_options(folder: &Path) -> anyhow::Result<ReadOptions> {
    let config = RunConfig::read(&folder.join(CONFIG))?;
    Ok(config.data.read_options()?)
}

/// The rows of a file with labels, at least one: of more than a block, a stream.
pub(crate) fn labelled(
    model: &Model,
    options: &ReadOptions,
    file: &Path,
) -> anyhow::Result<Box<dyn RowSource>> {
    let rows = read_rows(file, model.schema(), options, STREAM_BLOCK_ROWS)?;
    anyhow::ensure!(!rows.is_empty(), "{}: there are no rows, expected some", file.display());
    Ok(rows)
}

/// Writes the figures of a report where they are asked for.
pub(crate) fn write_figures(report: &Report, args: &FigureArgs) -> anyhow::Result<()> {
    let Some(folder) = &args.folder else { return Ok(()) };
    Ok(report.write_figures(folder, args.file.format())?)
}

/// Writes a file, naming it in the error.
pub(crate) fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, content).with_context(|| path.display().to_string())
}
