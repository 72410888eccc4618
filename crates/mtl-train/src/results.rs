//! The table of a comparison.

use std::collections::BTreeMap;

use mtl_eval::{CalibrationBin, ConfidenceLevel, Measured, Summary, paired_t};
use serde::Serialize;

use crate::{Comparison, Evaluation, Gate, History, MissingRuns, NamedMetrics, Part, TruthMetrics};

/// The model that others are measured against.
const REFERENCE: &str = "single_task";

/// Name of a mean over tasks, beside the tasks' own.
const MACRO: &str = "macro";

/// Mean and standard deviation over seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The mean; undefined if the metric is, for any seed.
    pub mean: Option<f64>,
    /// The sample's standard deviation; undefined for one seed.
    pub sd: Option<f64>,
    /// Why the mean is undefined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A difference from Single-Task, paired by seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Delta {
    /// Mean difference.
    pub mean: f64,
    /// Lower end of the 95 % interval (Student's t over the seeds).
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Two-sided p-value of no difference.
    pub p_value: f64,
}

/// A metric by task, and `macro` for the mean over tasks.
type ByTask<T> = BTreeMap<String, T>;

/// Metrics by name, then by task.
type ByMetric = BTreeMap<&'static str, ByTask<Spread>>;

/// The name of the true probabilities in a table.
const TRUTH: &str = "(truth)";

/// One model's row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelResults {
    /// Its name.
    pub model: String,
    /// Trainable values, those of tables included.
    pub parameters: usize,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Wall time of training, without validation.
    pub train_seconds: Spread,
    /// The epoch whose weights were kept.
    pub best_epoch: Spread,
    /// Metrics on the reported rows.
    pub test: ByMetric,
    /// Differences of AUC from Single-Task, if it took part with at least two seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta_auc: Option<ByTask<Delta>>,
    /// Tasks whose AUC lies significantly below 0.5, with the seed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What figures are drawn from, one a seed.
    pub runs: Vec<RunResults>,
    /// Its settings, as TOML.
    pub configuration: String,
}

/// One seed's run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunResults {
    /// The seed.
    pub seed: u64,
    /// How training went.
    pub history: History,
    /// The reliability diagram of each probability, in bins of equal mass.
    pub reliability: ByTask<Vec<CalibrationBin>>,
    /// How its gates use their experts.
    pub gates: Vec<Gate>,
}

impl RunResults {
    fn of(run: &Comparison) -> Self {
        let bins = |named: &NamedMetrics| {
            let bins = named.metrics.binary()?.reliability.as_result().ok()?.clone();
            Some((named.task.clone(), bins))
        };
        Self {
            seed: run.seed,
            history: run.history.clone(),
            reliability: run.evaluation.tasks.iter().filter_map(bins).collect(),
            gates: run.gates.clone(),
        }
    }
}

/// A comparison's results, as `results.json` holds them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Results {
    /// The data's name.
    pub data: String,
    /// Which rows are reported on: `test` or `validation`.
    pub reported: &'static str,
    /// Their number.
    pub rows: usize,
    /// Tasks, events and conditional probabilities, in the order of the configuration.
    pub tasks: Vec<String>,
    /// The version of these crates.
    pub version: &'static str,
    /// The data's parts, if they were summarised.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// One for each model.
    pub models: Vec<ModelResults>,
    /// The metrics of the true probabilities on the same rows, where the data has them: no model
    /// can be expected to do better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<ByMetric>,
    /// The runs that are missing, if the comparison was interrupted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interrupted: Vec<MissingRuns>,
}

/// A cell of the printed table.
pub type Cell = String;

type Metric = fn(&Evaluation, &str) -> Option<Measured>;

/// The metrics of `results.json`; the first three make the printed table.
const METRICS: [(&str, Metric); 13] = [
    ("auc", |e, task| match task {
        MACRO => Some(e.auc_macro.clone()),
        _ => Some(e.task(task)?.binary()?.auc.clone()),
    }),
    ("gauc", |e, task| match task {
        MACRO => Some(e.gauc_macro.clone()),
        _ => Some(e.task(task)?.binary()?.gauc.value.clone()),
    }),
    ("val_users", |e, task| Some(Measured::Value(e.task(task)?.binary()?.gauc.groups_used as f64))),
    ("log_loss", |e, task| {
        let metrics = e.task(task)?;
        let of_classes = metrics.multiclass().map(|report| report.log_loss.clone());
        of_classes.or_else(|| Some(metrics.binary()?.log_loss.clone()))
    }),
    ("normalised_entropy", |e, task| Some(e.task(task)?.binary()?.normalised_entropy.clone())),
    ("pcoc", |e, task| Some(e.task(task)?.binary()?.pcoc.clone())),
    ("auc_entire", |e, task| truth(e, task)?.auc_entire.clone()),
    ("log_odds_rmse", |e, task| Some(Measured::Value(truth(e, task)?.log_odds_rmse?))),
    ("log_odds_rmse_if_clicked", |e, task| {
        Some(Measured::Value(truth(e, task)?.log_odds_rmse_if_clicked?))
    }),
    ("rmse", |e, task| Some(e.task(task)?.regression()?.rmse.clone())),
    ("mae", |e, task| Some(e.task(task)?.regression()?.mae.clone())),
    ("accuracy", |e, task| Some(e.task(task)?.multiclass()?.accuracy.clone())),
    ("auc_classes", |e, task| Some(e.task(task)?.multiclass()?.auc_macro.clone())),
];

/// A measure's errors against the truth. It is named by its output, or by what `p_` stands before.
fn truth<'e>(evaluation: &'e Evaluation, measure: &str) -> Option<&'e TruthMetrics> {
    let is_of = |output: &str| output == measure || output.strip_prefix("p_") == Some(measure);
    evaluation.truth.iter().find(|truth| is_of(&truth.output))
}

impl Results {
    /// Summarises runs over their seeds.
    pub fn new(
        data: &str,
        reported: &'static str,
        rows: usize,
        tasks: Vec<String>,
        runs: &[Comparison],
    ) -> Self {
        let mut names: Vec<&str> = runs.iter().map(|run| run.model.as_str()).collect();
        names.dedup();
        let of = |name: &str| runs.iter().filter(|run| run.model == name).collect::<Vec<_>>();
        let reference = of(REFERENCE);
        let models = names.iter().map(|name| summarise(&of(name), &reference, &tasks)).collect();
        Self {
            data: data.to_owned(),
            reported,
            rows,
            tasks,
            version: env!("CARGO_PKG_VERSION"),
            parts: Vec::new(),
            models,
            truth: None,
            interrupted: Vec::new(),
        }
    }

    /// With a summary of the data.
    #[must_use]
    pub fn with_parts(self, parts: Vec<Part>) -> Self {
        Self { parts, ..self }
    }

    /// With the runs that were not done, since the comparison was interrupted.
    #[must_use]
    pub fn with_missing(self, interrupted: Vec<MissingRuns>) -> Self {
        Self { interrupted, ..self }
    }

    /// Adds the figures of the true probabilities.
    pub(crate) fn with_truth(self, truth: &Evaluation) -> Self {
        Self { truth: Some(summarise_metrics(&[truth], &self.tasks)), ..self }
    }

    /// The tables to print, one row a model: AUC, GAUC and users by task, then what only some data
    /// has (errors against the truth, of regressions), each mean ± sd. What does not fit side by
    /// side in `max_columns` goes into a table of its own, metric by metric. Columns that are
    /// undefined for every model because the data has no groups are left out.
    pub fn tables(&self, max_columns: usize) -> Vec<(Vec<Cell>, Vec<Vec<Cell>>)> {
        // Calibration is of interest where probabilities are multiplied.
        let chained: &[&str] = if self.has_truth() {
            &["auc_entire", "log_odds_rmse", "log_odds_rmse_if_clicked", "pcoc"]
        } else {
            &[]
        };
        let ranked = ["auc", "gauc", "val_users"].iter();
        let mut blocks: Vec<Vec<(&str, &str)>> = vec![Vec::new()];
        for &metric in ranked.chain(chained).chain(&["rmse", "mae", "accuracy", "auc_classes"]) {
            let columns = self.columns(metric);
            let last = blocks.len() - 1;
            if !blocks[last].is_empty() && blocks[last].len() + columns.len() > max_columns {
                blocks.push(columns);
            } else {
                blocks[last].extend(columns);
            }
        }
        blocks.retain(|block| !block.is_empty());
        let n = blocks.len();
        let tables = blocks.into_iter().enumerate();
        tables.map(|(i, columns)| self.table(&columns, i == 0, i + 1 == n)).collect()
    }

    /// The measures for which a metric has something to show.
    fn columns<'r>(&'r self, metric: &'static str) -> Vec<(&'static str, &'r str)> {
        let of = |model: &'r ModelResults, task: &str| model.test.get(metric)?.get(task);
        let shown = |task: &&str| {
            let defined = |s: &Spread| s.mean.is_some_and(|m| metric != "val_users" || m > 0.0);
            let mut found = self.models.iter().filter_map(|model| of(model, task));
            found.any(|spread| metric == "auc" || defined(spread))
        };
        let tasks = self.tasks.iter().map(String::as_str).chain([MACRO]);
        tasks.filter(shown).map(|task| (metric, task)).collect()
    }

    fn table(
        &self,
        columns: &[(&str, &str)],
        with_size: bool,
        with_time: bool,
    ) -> (Vec<Cell>, Vec<Vec<Cell>>) {
        let title = |&(metric, task): &(&str, &str)| match metric {
            "val_users" => format!("val_user_{task}"),
            _ => format!("{metric}_{task}"),
        };
        let mut header = vec!["model".to_owned()];
        header.extend(with_size.then(|| "parameters".to_owned()));
        header.extend(columns.iter().map(title));
        header.extend(with_time.then(|| "train s".to_owned()));
        let row = |model: &ModelResults| {
            let mut row = vec![model.model.clone()];
            row.extend(with_size.then(|| thousands(model.parameters)));
            row.extend(cells(&model.test, columns));
            row.extend(with_time.then(|| model.train_seconds.text(1)));
            row
        };
        let mut rows: Vec<_> = self.models.iter().map(row).collect();
        if let Some(truth) = &self.truth {
            let mut row = vec![TRUTH.to_owned()];
            row.extend(with_size.then(nothing));
            row.extend(cells(truth, columns));
            row.extend(with_time.then(nothing));
            rows.push(row);
        }
        (header, rows)
    }

    fn has_truth(&self) -> bool {
        self.models.iter().any(|model| model.test.contains_key("log_odds_rmse"))
    }

    /// Δ AUC against Single-Task with its 95 % interval, a header and a row for each other model;
    /// `None` where there is nothing to compare with.
    pub fn delta_table(&self) -> Option<(Vec<Cell>, Vec<Vec<Cell>>)> {
        let tasks: Vec<&str> = self.tasks.iter().map(String::as_str).chain([MACRO]).collect();
        let mut header = vec![format!("Δ auc against {REFERENCE}")];
        header.extend(tasks.iter().map(|task| (*task).to_owned()));
        let row = |model: &ModelResults| {
            let deltas = model.delta_auc.as_ref()?;
            let mut row = vec![model.model.clone()];
            row.extend(tasks.iter().map(|task| match deltas.get(*task) {
                Some(d) => format!("{:+.4} [{:+.4}, {:+.4}]", d.mean, d.low, d.high),
                None => "–".to_owned(),
            }));
            Some(row)
        };
        let rows: Vec<_> = self.models.iter().filter_map(row).collect();
        (!rows.is_empty()).then_some((header, rows))
    }
}

fn cells(metrics: &ByMetric, columns: &[(&str, &str)]) -> impl Iterator<Item = Cell> {
    columns.iter().map(|&(metric, task)| {
        let spread = metrics.get(metric).and_then(|by_task| by_task.get(task));
        spread.map_or_else(nothing, |s| s.text(digits(metric)))
    })
}

/// What stands in a cell without a value.
fn nothing() -> Cell {
    "–".to_owned()
}

impl Spread {
    fn of(values: &[Measured]) -> Self {
        match Summary::of_measured(values) {
            Ok(summary) => Self {
                mean: summary.mean.value(),
                sd: summary.sd.value(),
                reason: summary.mean.reason().map(ToString::to_string),
            },
            Err(error) => Self { mean: None, sd: None, reason: Some(error.to_string()) },
        }
    }

    fn text(&self, digits: usize) -> String {
        match (self.mean, self.sd) {
            (Some(mean), Some(sd)) if digits > 0 => format!("{mean:.digits$} ± {sd:.digits$}"),
            (Some(mean), _) => format!("{mean:.digits$}"),
            (None, _) => nothing(),
        }
    }
}

fn digits(metric: &str) -> usize {
    if metric == "val_users" { 0 } else { 4 }
}

fn summarise(runs: &[&Comparison], reference: &[&Comparison], tasks: &[String]) -> ModelResults {
    let spread = |value: &dyn Fn(&Comparison) -> Measured| {
        Spread::of(&runs.iter().map(|run| value(run)).collect::<Vec<_>>())
    };
    let evaluations: Vec<_> = runs.iter().map(|run| &run.evaluation).collect();
    let warning = |run: &&Comparison| {
        let seed = run.seed;
        run.evaluation.warnings().into_iter().map(move |w| format!("seed {seed}: {w}"))
    };
    ModelResults {
        model: runs[0].model.clone(),
        parameters: runs[0].parameters,
        seeds: runs.iter().map(|run| run.seed).collect(),
        train_seconds: spread(&|run| Measured::Value(run.history.seconds())),
        best_epoch: spread(&|run| {
            let last = run.history.epochs.len();
            Measured::Value(run.history.best_epoch.unwrap_or(last) as f64)
        }),
        test: summarise_metrics(&evaluations, tasks),
        delta_auc: deltas(runs, reference, tasks),
        warnings: runs.iter().flat_map(warning).collect(),
        runs: runs.iter().map(|run| RunResults::of(run)).collect(),
        configuration: runs[0].configuration.clone(),
    }
}

fn summarise_metrics(evaluations: &[&Evaluation], tasks: &[String]) -> ByMetric {
    let mut metrics = ByMetric::new();
    for (name, metric) in METRICS {
        let mut by_task = ByTask::new();
        for task in tasks.iter().map(String::as_str).chain([MACRO]) {
            let values: Vec<_> = evaluations.iter().filter_map(|e| metric(e, task)).collect();
            if values.len() == evaluations.len() {
                by_task.insert(task.to_owned(), Spread::of(&values));
            }
        }
        // A macro of no task at all is no metric.
        if by_task.keys().any(|task| task != MACRO) {
            metrics.insert(name, by_task);
        }
    }
    metrics
}

fn deltas(
    runs: &[&Comparison],
    reference: &[&Comparison],
    tasks: &[String],
) -> Option<ByTask<Delta>> {
    if reference.len() != runs.len() || reference.is_empty() || runs[0].model == REFERENCE {
        return None;
    }
    let auc = METRICS[0].1;
    // The means over different tasks are not comparable.
    let measured = |run: &Comparison| -> Vec<String> {
        run.evaluation.tasks.iter().map(|named| named.task.clone()).collect()
    };
    let whole = (measured(runs[0]) == measured(reference[0])).then_some(MACRO);
    let mut deltas = ByTask::new();
    for task in tasks.iter().map(String::as_str).chain(whole) {
        let values = |runs: &[&Comparison]| -> Option<Vec<f64>> {
            runs.iter().map(|run| auc(&run.evaluation, task)?.value()).collect()
        };
        let Some((own, other)) = values(runs).zip(values(reference)) else { continue };
        let test = paired_t(&own, &other, ConfidenceLevel::default());
        let Some(test) = test.ok().and_then(|test| test.into_result().ok()) else { continue };
        let (mean, low, high) =
            (test.difference.estimate, test.difference.low, test.difference.high);
        deltas.insert(task.to_owned(), Delta { mean, low, high, p_value: test.p_value });
    }
    (!deltas.is_empty()).then_some(deltas)
}

fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
