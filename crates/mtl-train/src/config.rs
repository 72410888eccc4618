//! A run's configuration: one TOML file.

use std::path::Path;

use mtl_data::DataConfig;
use mtl_esm::ChainConfig;
use mtl_feature::{FeatureSpec, LabelSpec, SchemaFitter, SchemaSpec};
use mtl_model::{Measure, ModelSpec, ModelTable, TaskConfig, TaskLoss, parse_table};
use mtl_nn::kernel::Precision;
use mtl_nn::{OptimiserConfig, Rule};
use serde::{Deserialize, Serialize};

use crate::{CalibrationConfig, Error, LossConfig, Monitor, Result, TruthOf, WeightStore};

/// The `[train]` table.
///
/// | key | default | purpose | range |
/// |---|---|---|---|
/// | `epochs` | 10 | passes over the training rows | ≥ 1 |
/// | `batch_size` | 1024 | rows a step | ≥ 1 |
/// | `shuffle_rows` | all; of a stream 1,048,576 | rows that are shuffled among themselves, block after block | ≥ 1 |
/// | `learning_rate` | 0.001 | of the default optimiser (Adam); not beside `optimiser` | > 0 |
/// | `optimiser` | Adam | see [`OptimiserConfig`] | |
/// | `precision` | `"f32"` | inputs of the products of dense layers; everything else is `f32` | see [`Precision`] |
/// | `seed` | 1 | initial values, order of rows, dropout | |
/// | `monitor` | `"auc_macro"` | the validation metric whose best epoch is kept | see [`Monitor`] |
/// | `patience` | none | epochs without improvement before training stops | ≥ 1 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Rows a step.
    pub batch_size: usize,
    /// Rows that are shuffled among themselves: a block. A batch is of one block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shuffle_rows: Option<usize>,
    /// Learning rate of the default optimiser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// The optimiser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimiser: Option<OptimiserConfig>,
    /// What the inputs of products are rounded to.
    pub precision: Precision,
    /// Keys initial values, order of rows and dropout.
    pub seed: u64,
    /// The metric whose best epoch is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// Epochs without improvement before training stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// How losses are weighted; a table of its own, `[loss]`.
    #[serde(skip)]
    pub loss: LossConfig,
    /// Where the weights of the best epoch are kept: no key of a configuration, whose results do not
    /// depend on it.
    #[serde(skip)]
    pub kept: WeightStore,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 1024,
            shuffle_rows: None,
            learning_rate: None,
            optimiser: None,
            precision: Precision::F32,
            seed: 1,
            monitor: None,
            patience: None,
            loss: LossConfig::default(),
            kept: WeightStore::default(),
        }
    }
}

impl TrainConfig {
    /// The optimiser's settings.
    pub fn optimiser(&self) -> OptimiserConfig {
        let adam = OptimiserConfig {
            dense: Rule::adam(self.default_rate()),
            ..OptimiserConfig::default()
        };
        self.optimiser.unwrap_or(adam)
    }

    /// The learning rate of the default optimiser.
    pub(crate) fn default_rate(&self) -> f64 {
        self.learning_rate.unwrap_or(1e-3)
    }

    /// How many times training holds a model's values beside the model itself: what the optimiser keeps of
    /// each value of a table (which outweighs all else). A model that is saved is held twice more, when
    /// the moments are gone. The best epoch's weights lie in a file ([`WeightStore`]), or are few; a state
    /// is written and read through a buffer.
    pub fn copies(&self, saves_model: bool) -> usize {
        let optimiser = self.optimiser();
        let moments = match optimiser.tables.unwrap_or(optimiser.dense) {
            Rule::Sgd { momentum: 0.0, .. } | Rule::RowAdagrad { .. } => 0,
            Rule::Sgd { .. } | Rule::Adagrad { .. } => 1,
            // Adam.
            _ => 2,
        };
        if saves_model { moments.max(2) } else { moments }
    }

    /// Checks the settings for what the model is measured by.
    ///
    /// # Errors
    /// [`Error::Config`], naming the key.
    pub fn check(&self, measures: &[Measure]) -> Result<()> {
        let wrong = |message: String| {
            let file = "configuration".to_owned();
            Err(Error::Config { file, message: format!("[train] {message}") })
        };
        for (key, n) in [
            ("epochs", self.epochs),
            ("batch_size", self.batch_size),
            ("shuffle_rows", self.shuffle_rows.unwrap_or(1)),
            ("patience", self.patience.unwrap_or(1)),
        ] {
            if n == 0 {
                return wrong(format!("`{key}` is 0, expected at least 1"));
            }
        }
        if self.learning_rate.is_some() && self.optimiser.is_some() {
            return wrong("`learning_rate` beside `optimiser`, expected `lr` inside it".to_owned());
        }
        if let Some(rate) = self.learning_rate.filter(|rate| !(rate.is_finite() && *rate > 0.0)) {
            return wrong(format!("`learning_rate` is {rate}, expected a number > 0"));
        }
        if let Err(error) = self.optimiser().check() {
            return wrong(error.to_string());
        }
        match &self.monitor {
            Some(name) => match Monitor::parse(name, measures) {
                Ok(_) => Ok(()),
                Err(message) => wrong(format!("`monitor` is `{name}`, expected {message}")),
            },
            None => Ok(()),
        }
    }
}

/// A whole configuration: `[data] [[feature]] [[task]] [model] [chain] [loss] [train]
/// [calibration] [[truth]]`.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// Where rows come from.
    pub data: DataConfig,
    /// The features.
    pub features: Vec<FeatureSpec>,
    /// The tasks.
    pub tasks: Vec<TaskConfig>,
    /// The model.
    pub model: ModelTable,
    /// The behaviour graph, if there is one.
    pub chain: Option<ChainConfig>,
    /// The training.
    pub train: TrainConfig,
    /// What is done to the outputs after training.
    pub calibration: CalibrationConfig,
    /// What outputs are measured against, where files have columns that no log has.
    pub truths: Vec<TruthOf>,
    /// Its name in messages.
    file: String,
}

/// The tables of a configuration, as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    data: Option<toml::Table>,
    #[serde(default)]
    feature: Vec<toml::Table>,
    #[serde(default)]
    task: Vec<toml::Table>,
    #[serde(default)]
    model: toml::Table,
    chain: Option<toml::Table>,
    #[serde(default)]
    loss: toml::Table,
    #[serde(default)]
    train: toml::Table,
    #[serde(default)]
    calibration: toml::Table,
    #[serde(default)]
    truth: Vec<toml::Table>,
}

impl RunConfig {
    /// Reads a file; paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`Error::Config`], naming the file, the table and the key.
    pub fn read(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        let wrong = |message: String| Error::Config { file: file.clone(), message };
        if path.is_dir() {
            return Err(wrong("is a folder, expected a TOML file".to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let mut config = Self::parse(&text).map_err(|error| match error {
            Error::Config { message, .. } => wrong(message),
            other => wrong(other.to_string()),
        })?;
        config.file = file;
        if let Some(folder) = path.parent() {
            config.data = config.data.relative_to(folder);
        }
        Ok(config)
    }

    /// Reads a text; paths stay as they are.
    ///
    /// # Errors
    /// [`Error::Config`], naming the table and the key.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |message: String| Error::Config { file: "configuration".to_owned(), message };
        let whole = text.parse::<toml::Table>().map_err(|error| {
            let at = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            let message = error.message().replace('\n', " ");
            wrong(too_large(&message, text).unwrap_or_else(|| format!("line {at}: {message}")))
        })?;
        let tables: Tables = parse_table(whole, "configuration")?;
        let Some(data) = tables.data else {
            return Err(wrong("there is no [data] table, expected one with `train`".to_owned()));
        };
        let features = each::<FeatureSpec>(tables.feature, "feature")?;
        if features.is_empty() {
            return Err(wrong("there is no [[feature]], expected at least one".to_owned()));
        }
        let config = Self {
            data: parse_table(data, "data")?,
            features,
            tasks: each::<TaskConfig>(tables.task, "task")?,
            model: ModelTable::parse(tables.model)?,
            chain: tables.chain.map(|table| parse_table(table, "chain")).transpose()?,
            train: TrainConfig {
                loss: LossConfig::parse(tables.loss)?,
                ..parse_table(tables.train, "train")?
            },
            calibration: parse_table(tables.calibration, "calibration")?,
            truths: each::<TruthOf>(tables.truth, "truth")?,
            file: "configuration".to_owned(),
        };
        // Tasks and chain are the same for every model.
        let measures = config.model_spec("towers")?.measures()?;
        config.train.check(&measures)?;
        config.calibration.check(&measures)?;
        config.check_truths(&measures)?;
        config.check_leaks()?;
        config.check_pairs()?;
        config.check_columns()?;
        config.train.loss.check(&config.model_spec("towers")?.loss_names()?)?;
        Ok(config)
    }

    /// The model that `[model]` names.
    ///
    /// # Errors
    /// [`Error::Config`] if it names none.
    pub fn named_model(&self) -> Result<ModelSpec> {
        let Some(name) = self.model.name() else {
            let names = mtl_arch::NAMES.join(", ");
            let message = format!("[model] has no `name`, expected one of {names}");
            return Err(Error::Config { file: self.file.clone(), message });
        };
        self.model_spec(name).map_err(|error| self.in_file(error))
    }

    /// Its name in messages.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// An error about what the configuration says, with its file.
    pub fn in_file(&self, error: Error) -> Error {
        let message = match error {
            Error::Config { message, .. } => message,
            other => other.to_string(),
        };
        Error::Config { file: self.file.clone(), message }
    }

    /// The error of a calibration that has no rows to be fitted to.
    pub fn no_rows_to_calibrate(&self) -> Error {
        let message = "[calibration] needs validation rows and there are none, expected `split` or \
                       `validation` in [data]";
        Error::Config { file: self.file.clone(), message: message.to_owned() }
    }

    /// What files and features say must go together before a file is read.
    fn check_columns(&self) -> Result<()> {
        self.data.check()?;
        SchemaFitter::new(SchemaSpec::new(self.features.clone(), self.labels()?))?;
        Ok(())
    }

    /// A truth is of an output that there is, once.
    fn check_truths(&self, measures: &[Measure]) -> Result<()> {
        for (i, truth) in self.truths.iter().enumerate() {
            truth.check(measures)?;
            if self.truths[..i].iter().any(|other| other.output == truth.output) {
                let message = format!("[[truth]] names `{}` twice, expected once", truth.output);
                return Err(Error::Config { file: self.file.clone(), message });
            }
        }
        Ok(())
    }

    /// A feature that reads a label's column would know the answer, and so would one that reads a
    /// column of the truth.
    fn check_leaks(&self) -> Result<()> {
        let labels = self.labels()?;
        for feature in &self.features {
            let columns = feature.column_names();
            let mut truths = self.truths.iter().flat_map(TruthOf::columns);
            if let Some(column) = truths.find(|column| columns.contains(column)) {
                let message = format!(
                    "[feature `{}`] reads the column `{column}`, which holds the truth, expected \
                     another column",
                    feature.name
                );
                return Err(Error::Config { file: self.file.clone(), message });
            }
            let reads = |label: &&LabelSpec| columns.contains(&label.column_name());
            if let Some(label) = labels.iter().find(reads) {
                let column = label.column_name();
                let message = format!(
                    "[feature `{}`] reads the column `{column}`, which holds the label `{}`, \
                     expected another column",
                    feature.name, label.name
                );
                return Err(Error::Config { file: self.file.clone(), message });
            }
        }
        Ok(())
    }

    /// A loss of pairs needs groups, and has no mean over single rows to choose an epoch by.
    fn check_pairs(&self) -> Result<()> {
        let pairwise = |task: &&TaskConfig| task.task_loss() == TaskLoss::Bpr;
        let Some(task) = self.tasks.iter().find(pairwise) else { return Ok(()) };
        let name = &task.name;
        let wrong = |message: String| Err(Error::Config { file: self.file.clone(), message });
        if self.data.group.is_none() {
            return wrong(format!(
                "[task `{name}`] `loss = \"bpr\"` ranks rows within groups, expected `group` in [data]"
            ));
        }
        match self.train.monitor.as_deref() {
            Some("loss") => wrong(format!(
                "[train] `monitor` is `loss`, which `loss = \"bpr\"` of `{name}` leaves undefined, \
                 expected another, such as `gauc_{name}`"
            )),
            _ => Ok(()),
        }
    }

    /// The model of that name, with the settings of `[model]` and its own.
    ///
    /// # Errors
    /// Those of the tasks and the settings.
    pub fn model_spec(&self, name: &str) -> Result<ModelSpec> {
        Ok(ModelSpec::new(self.model.for_model(name)?, self.tasks.clone(), self.chain.clone())?)
    }

    /// The labels of tasks and chain.
    ///
    /// # Errors
    /// Those of the chain.
    pub fn labels(&self) -> Result<Vec<LabelSpec>> {
        Ok(self.model_spec("towers")?.labels()?)
    }
}

/// Of a number that no type holds, the message names a type of the program: what a user is told.
fn too_large(message: &str, text: &str) -> Option<String> {
    let (_, rest) = message.split_once("integer `")?;
    let (number, rest) = rest.split_once('`')?;
    if !(rest.starts_with(" as i128") || rest.starts_with(" as u128")) {
        return None;
    }
    let at = text.lines().position(|line| line.replace('_', "").contains(number));
    let line = at.and_then(|at| text.lines().nth(at)).unwrap_or_default();
    let (key, at) = (line.split('=').next().unwrap_or_default().trim(), at.map_or(0, |at| at + 1));
    let expected = format!("expected a whole number of at most {}", i64::MAX);
    Some(format!("line {at}: `{key}` is {number}, {expected}"))
}

fn each<T: serde::de::DeserializeOwned>(tables: Vec<toml::Table>, section: &str) -> Result<Vec<T>> {
    let parse = |table: toml::Table| {
        let name = table.get("name").and_then(toml::Value::as_str);
        let section = name.map_or(section.to_owned(), |name| format!("{section} `{name}`"));
        Ok(parse_table(table, &section)?)
    };
    tables.into_iter().map(parse).collect()
}
