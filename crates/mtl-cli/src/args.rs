//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use mtl_nn::kernel::Precision;
use mtl_report::FigureFormat;

/// Multi-task ranking models: trained, compared, measured and applied.
#[derive(Debug, Parser)]
#[command(name = "mtl", version)]
pub(crate) struct Args {
    /// Prints JSON in place of tables
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Worker threads, at most 256 or all cores; all cores by default. No result depends on it
    #[arg(long, global = true, value_name = "N")]
    pub(crate) threads: Option<usize>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Writes a first configuration by looking at a data file
    Init(InitArgs),
    /// Looks at a configuration's data: rates, nesting, missing values, likely leaks
    Check(CheckArgs),
    /// Trains several models on the same data and prints the results table
    Compare(CompareArgs),
    /// Trains one model and writes it as a folder
    Train(TrainArgs),
    /// Measures a trained model on a file
    Evaluate(EvaluateArgs),
    /// Tells how much each feature of a trained model does for its metrics, by permutation
    Importance(ImportanceArgs),
    /// Writes every named probability for each row of a file
    Predict(PredictArgs),
    /// Fits a calibration of a trained model's probabilities to a file's rows
    Calibrate(CalibrateArgs),
    /// Searches for the product of powers that ranks a file's rows best, for `serve`
    TuneFusion(TuneFusionArgs),
    /// Answers scoring requests over HTTP with a trained model
    Serve(ServeArgs),
    /// Shows a trained model: layers, parameters, how gates use experts
    Inspect(InspectArgs),
    /// Writes a trained model in a form that other programs read
    Export(ExportArgs),
    /// Writes generated rows to a file
    Generate(GenerateArgs),
    /// Trains one model under many loss weightings and shows the Pareto front of two metrics
    Sweep(SweepArgs),
}

/// The features of KuaiRand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KuaiRandFeatures {
    /// The 16 of the tutorials
    Tutorial,
    /// Context, counts and the one-hot columns too
    Rich,
}

/// What can be generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Generator {
    /// Impressions → click → action → purchase, with its truth
    Funnel,
    /// Two regressions of a given correlation
    Correlated,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GenerateArgs {
    /// What to generate
    #[arg(value_enum)]
    pub(crate) generator: Generator,
    /// Number of rows
    #[arg(long, value_name = "N")]
    pub(crate) rows: u64,
    /// The file to write, which is not there yet: .parquet, .csv or .csv.gz
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Another seed is another world
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Of `funnel`: how strongly clicks depend on what drives purchases
    #[arg(long, default_value_t = 1.0, value_name = "S", allow_negative_numbers = true)]
    pub(crate) selection: f64,
    /// Of `funnel`: the share of that which no feature shows, 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "U")]
    pub(crate) unobserved: f64,
    /// Of `funnel`: the share of impressions that are clicked
    #[arg(long, default_value_t = 0.1, value_name = "P")]
    pub(crate) click_rate: f64,
    /// Of `correlated`: the tasks' correlation, −1 to 1
    #[arg(long, default_value_t = 0.5, value_name = "R", allow_negative_numbers = true)]
    pub(crate) correlation: f64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InitArgs {
    /// The data file (CSV, CSV.gz or Parquet)
    pub(crate) data: PathBuf,
    /// The configuration to write; the data file's name with `.toml`, in this folder, by default
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The columns to predict, separated by commas; by default those of 0 and 1
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub(crate) labels: Option<Vec<String>>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The configuration file
    pub(crate) config: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// `census`, `funnel`, `correlated`, `kuairand` or a configuration file; without it `census`,
    /// then `funnel`
    pub(crate) data: Option<String>,
    /// The folder of `kuairand`, as published
    #[arg(long, value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
    /// The features of `kuairand`
    #[arg(long, value_enum, default_value_t = KuaiRandFeatures::Tutorial)]
    pub(crate) features: KuaiRandFeatures,
    /// Rows of `funnel` or `correlated`
    #[arg(long, value_name = "N")]
    pub(crate) rows: Option<u64>,
    /// How strongly clicks of `funnel` depend on what drives purchases
    #[arg(long, default_value_t = 1.0, value_name = "S", allow_negative_numbers = true)]
    pub(crate) selection: f64,
    /// The share of that which no feature of `funnel` shows, 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "U")]
    pub(crate) unobserved: f64,
    /// The share of impressions of `funnel` that are clicked
    #[arg(long, default_value_t = 0.1, value_name = "P")]
    pub(crate) click_rate: f64,
    /// Correlation of the tasks of `correlated`, −1 to 1
    #[arg(long, default_value_t = 0.5, value_name = "R", allow_negative_numbers = true)]
    pub(crate) correlation: f64,
    /// Factor on the loss of the second task of `correlated`: one scale that a weighting may undo
    #[arg(long, default_value_t = 1.0, value_name = "S")]
    pub(crate) loss_scale: f64,
    /// Which two tasks of the census: 1 (income, never married) or 2 (college, never married)
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) group: u8,
    /// The models, separated by commas, or `all` that fit the data; by default single_task,
    /// shared_bottom, omoe, mmoe, cgc and ple. With `funnel` the architectures under its chains
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub(crate) models: Option<Vec<String>>,
    /// Loss weightings to cross the models with, separated by commas (see docs/weighting.md): names,
    /// or tables with settings, such as 'equal,{ method = "gradnorm", alpha = 0.5 }'
    #[arg(long, value_name = "A,B")]
    pub(crate) weightings: Option<Vec<String>>,
    /// Number of seeds: 1 to N
    #[arg(long, value_name = "N")]
    pub(crate) seeds: Option<u64>,
    /// Trains every model in this precision, whatever its configuration says
    #[arg(long, value_enum)]
    pub(crate) precision: Option<Products>,
    /// One seed and one epoch: to see that everything works
    #[arg(long)]
    pub(crate) quick: bool,
    /// Folder to write `results.json` (and `results-funnel.json`, if two are compared) and
    /// `report.html` to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) figures: FigureArgs,
    /// Writes what every model says about each reported row, with labels and groups, as CSV files
    /// into `predictions` in the folder of `--out`
    #[arg(long, requires = "out")]
    pub(crate) write_predictions: bool,
}

/// Where every figure of a report goes.
#[derive(Debug, clap::Args)]
pub(crate) struct FigureArgs {
    /// Folder to write every figure of the report to
    #[arg(id = "figures", long = "figures", value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Their files: drawings, or images for what takes none
    #[arg(long = "figure-format", requires = "figures", value_enum, default_value_t = FigureFile::Svg)]
    pub(crate) file: FigureFile,
}

/// The form of a figure's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FigureFile {
    /// Drawings
    Svg,
    /// Images
    Png,
}

impl FigureFile {
    pub(crate) const fn format(self) -> FigureFormat {
        match self {
            Self::Svg => FigureFormat::Svg,
            Self::Png => FigureFormat::Png,
        }
    }
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
    #[command(flatten)]
    pub(crate) figures: FigureArgs,
    /// Starts from the weights of a .safetensors file with a tensor for each parameter, by its path
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(crate) init: Option<PathBuf>,
    /// Starts from a trained model and adds the ids that are new in the training rows
    #[arg(long, value_name = "DIR", conflicts_with = "init")]
    pub(crate) from: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) explain: ExplainArgs,
}

/// What is told of the reported rows beside their metrics.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// Measures the rows of each value of these columns apart; any columns of the file
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    pub(crate) by: Vec<String>,
    /// Values of such a column that are apart, the commonest; of more numbers there are bins
    #[arg(long, requires = "by", default_value = "24", value_name = "N")]
    pub(crate) most: NonZeroUsize,
    /// Bins of numbers, of about as many rows each
    #[arg(long, requires = "by", default_value = "5", value_name = "N")]
    pub(crate) bins: NonZeroUsize,
    /// Tells what each feature is worth, by so many permutations of it (3 if no number is given)
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "3")]
    pub(crate) importance: Option<NonZeroUsize>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EvaluateArgs {
    /// The model's folder
    pub(crate) model: PathBuf,
    /// The file to measure on (CSV, CSV.gz or Parquet), with features and labels
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) explain: ExplainArgs,
    /// Folder to write `metrics.json` and `report.html` to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) figures: FigureArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ImportanceArgs {
    /// The model's folder
    pub(crate) model: PathBuf,
    /// The rows to measure on, with labels; best some that the model was not trained on
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Permutations of each feature
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub(crate) repeats: usize,
    /// Another seed draws other permutations
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Values change places within the rows of a group (a user) only
    #[arg(long)]
    pub(crate) within_groups: bool,
}

/// What a calibration fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CalibrationMethod {
    /// A line over the logit: few rows; keeps every order
    Platt,
    /// A rising curve: a thousand positives or more
    Isotonic,
    /// Only the correction for negatives that were left out; without any, no calibration
    None,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CalibrateArgs {
    /// The model's folder; its calibration is replaced
    pub(crate) model: PathBuf,
    /// The rows to fit to, best some that the model was not trained on
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// What is fitted to every probability, in place of what `[calibration]` says
    #[arg(long, value_enum)]
    pub(crate) method: Option<CalibrationMethod>,
    /// Shares of negatives kept in the training rows, such as `click=0.1`, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "TASK=SHARE")]
    pub(crate) negative_sampling: Option<Vec<String>>,
    /// No negative was left out of FILE, though some were of the training rows
    #[arg(long)]
    pub(crate) unsampled: bool,
}

/// By what a formula is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RankBy {
    /// AUC within each group; AUC of all rows without groups
    Gauc,
    /// NDCG of the first `--k` rows of each group
    Ndcg,
}

/// What kind of formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormulaForm {
    /// A product of powers
    Product,
    /// A weighted sum
    Sum,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TuneFusionArgs {
    /// The model's folder; its `fusion.toml` is replaced
    pub(crate) model: PathBuf,
    /// The rows to rank, with labels
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// What each task counts, such as `click=1,buy=5`; below 0 for what is not wanted
    #[arg(long, value_delimiter = ',', value_name = "TASK=WEIGHT")]
    pub(crate) weights: Option<Vec<String>>,
    /// What kind of formula is searched
    #[arg(long, value_enum, default_value_t = FormulaForm::Product)]
    pub(crate) form: FormulaForm,
    /// By what a formula is judged
    #[arg(long, value_enum, default_value_t = RankBy::Gauc)]
    pub(crate) metric: RankBy,
    /// How many first rows of a group `ndcg` looks at
    #[arg(long, default_value = "10", value_name = "K")]
    pub(crate) k: NonZeroUsize,
    /// Formulas tried
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub(crate) steps: usize,
    /// Another seed is another search
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// The model's folder
    pub(crate) model: PathBuf,
    /// The port; 0 lets the system choose
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// The address to listen on; 0.0.0.0 for all
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// Ranks by a product of powers, such as `p_click=1,p_buy=0.5`, where a request names no formula
    #[arg(long, value_delimiter = ',', value_name = "OUTPUT=POWER")]
    pub(crate) product: Option<Vec<String>>,
    /// Ranks by a weighted sum, likewise
    #[arg(long, value_delimiter = ',', value_name = "OUTPUT=WEIGHT", allow_hyphen_values = true)]
    pub(crate) sum: Option<Vec<String>>,
    /// The inputs of the products of dense layers
    #[arg(long, value_enum, default_value_t = Products::F32)]
    pub(crate) precision: Products,
    /// Looks at the folder every so many seconds and loads a model that has changed
    #[arg(long, value_name = "SECONDS")]
    pub(crate) watch: Option<f64>,
    /// Threads that score, at most 256 or all cores; all cores by default
    #[arg(long, value_name = "N")]
    pub(crate) scoring_threads: Option<usize>,
    /// Requests that may wait; more are answered 503
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub(crate) queue: usize,
    /// How long a thread waits for requests to score together, in microseconds
    #[arg(long, default_value_t = 0, value_name = "MICROSECONDS")]
    pub(crate) batch_window: u64,
    /// How long the sockets' thread and one that scores look for work before they sleep, in
    /// microseconds: for the time between two requests, none of them wakes a thread, and two processors
    /// are busy; 0 sleeps at once
    #[arg(long, default_value_t = 200, value_name = "MICROSECONDS")]
    pub(crate) spin: u64,
    /// Bytes of a request; more are answered 413
    #[arg(long, default_value_t = 8 << 20, value_name = "BYTES")]
    pub(crate) max_body: usize,
    /// Seconds for a request's headers, after which the connection is closed, again from there to its
    /// answer, after which it is 504, and again for the client to take it
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    pub(crate) timeout: f64,
    /// Connections that are open at once; more wait until one ends
    #[arg(long, default_value_t = 1024, value_name = "N")]
    pub(crate) connections: u32,
    /// Seconds that `POST /reload` waits for the model; later is answered 504, and loading goes on
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    pub(crate) reload_timeout: f64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PredictArgs {
    /// The model's folder
    pub(crate) model: PathBuf,
    /// The file to predict (CSV, CSV.gz or Parquet); labels are not read
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// The file to write (.csv or .parquet), another than that of `--data`: a row for each row, in order
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Columns of FILE, separated by commas, to copy as they are to the front of the probabilities
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    pub(crate) keep: Vec<String>,
    /// The inputs of the products of dense layers
    #[arg(long, value_enum, default_value_t = Products::F32)]
    pub(crate) precision: Products,
}

/// The precision of a model's products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Products {
    /// As they are
    F32,
    /// Rounded to bfloat16: faster where the processor multiplies it, and the last digits differ
    Bf16,
}

impl Products {
    pub(crate) const fn precision(self) -> Precision {
        match self {
            Self::F32 => Precision::F32,
            Self::Bf16 => Precision::Bf16,
        }
    }
}

/// In what form a model is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Every parameter by its path
    Safetensors,
    /// The whole model: ids and raw numbers in, named probabilities out; with the vocabulary beside it
    Onnx,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// The model's folder
    pub(crate) model: PathBuf,
    /// The form
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,
    /// The file to write: .safetensors or .onnx, as `--format` says
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    /// The model's folder
    pub(crate) model: PathBuf,
    /// Rows on which gate utilisation is measured, in place of what training noted
    #[arg(long, value_name = "FILE", conflicts_with = "tensors")]
    pub(crate) data: Option<PathBuf>,
    /// Prints the behaviour graph of `[chain]` for Graphviz, and nothing else
    #[arg(long, conflicts_with_all = ["data", "tensors"])]
    pub(crate) dot: bool,
    /// Prints every tensor of a safetensors file of the model, its name and its shape, and nothing else
    #[arg(long)]
    pub(crate) tensors: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SweepArgs {
    /// The configuration file; its `[loss] weighting` gives that method its settings, no more
    pub(crate) config: PathBuf,
    /// Fixed weights along an edge of their simplex: N of them for two tasks, N·(N + 1)/2 for three; 5
    /// by default, none beside `--weights`
    #[arg(long, value_name = "N")]
    pub(crate) grid: Option<usize>,
    /// Fixed weights of a task, such as `click=0.1,1,10`; given for several tasks, every combination
    /// is tried. Tasks that are not named weigh 1
    #[arg(long, value_name = "TASK=A,B")]
    pub(crate) weights: Option<Vec<String>>,
    /// Adaptive methods, separated by commas, or `none`; all of them by default. Names, or tables with
    /// settings as `compare --weightings` takes them
    #[arg(long, value_name = "A,B")]
    pub(crate) methods: Option<Vec<String>>,
    /// The two metrics, such as `auc_click,auc_buy`; AUC (RMSE) of the first two tasks by default
    #[arg(long, value_delimiter = ',', value_name = "X,Y")]
    pub(crate) metrics: Option<Vec<String>>,
    /// Seeds for each weighting: 1 to N; by default the configuration's one
    #[arg(long, value_name = "N")]
    pub(crate) seeds: Option<u64>,
    /// Folder to write `sweep.json`, `sweep.svg` and `report.html` to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) figures: FigureArgs,
}
