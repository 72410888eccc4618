//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Multi-task ranking models: trained, compared, measured and applied.
#[derive(Debug, Parser)]
#[command(name = "mtl", version, about)]
pub(crate) struct Args {
    /// Prints JSON in place of tables
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Worker threads; all cores by default. No result depends on it
    #[arg(long, global = true, value_name = "N")]
    pub(crate) threads: Option<usize>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Trains every model on the same data and prints the results table
    Compare(CompareArgs),
    /// Trains one model and writes it as a folder
    Train(TrainArgs),
    /// Measures a trained model on a file
    Evaluate(EvaluateArgs),
    /// Writes every named probability for each row of a file
    Predict(PredictArgs),
    /// Shows a trained model: layers, parameters, how gates use experts
    Inspect(InspectArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// `census` (embedded, the default) or a configuration file
    #[arg(default_value = "census")]
    pub(crate) data: String,
    /// Which two tasks of the census: 1 (income, never married) or 2 (college, never married)
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) group: u8,
    /// The models, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub(crate) models: Option<Vec<String>>,
    /// Loss weightings to cross the models with, separated by commas (see docs/weighting.md)
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub(crate) weightings: Option<Vec<String>>,
    /// Number of seeds: 1 to N
    #[arg(long, value_name = "N")]
    pub(crate) seeds: Option<u64>,
    /// One seed and one epoch: to see that everything works
    #[arg(long)]
    pub(crate) quick: bool,
    /// Folder to write `results.json` to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// The configuration file
    pub(crate) config: PathBuf,
    /// Folder to write the model to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Goes on from the training state in the folder, if there is one
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EvaluateArgs {
    /// The model's folder
    pub(crate) model: PathBuf,
    /// The file to measure on (CSV, CSV.gz or Parquet), with features and labels
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PredictArgs {
    /// The model's folder
    pub(crate) model: PathBuf,
    /// The file to predict (CSV, CSV.gz or Parquet); labels are not read
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// The file to write (.csv or .parquet): a row for each row, in order
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    /// The model's folder
    pub(crate) model: PathBuf,
    /// Rows on which gate utilisation is measured, in place of what training noted
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
}
