//! A look at data before anything is trained: what the schema learnt, how often labels are 1, which
//! label implies which, what contradicts the chain, and which column tells a label alone.

use mtl_data::{Dataset, Loader, Part, place_of};
use mtl_esm::{ChainConfig, Nesting, NestingCheck, Violation};
use mtl_eval::{BinaryRows, auc};
use mtl_feature::{DatePart, FeatureKind, FeatureSpec, FeatureTable, LabelKind, MISSING, UNSEEN};
use mtl_model::add_to_nesting;
use serde::Serialize;

use crate::readiness::Readiness;
use crate::{Result, RunConfig};

/// A column that alone tells a label with an AUC above this is likely a leak: something that is
/// known only once the label is.
const LEAK: f64 = 0.95;

/// What [`audit`] found.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Audit {
    /// Training, validation and test rows that were looked at.
    pub rows: [usize; 3],
    /// Those among them that are in no group, since the column of groups is missing there.
    pub without_group: [usize; 3],
    /// The features, in order of name.
    pub features: Vec<FeatureAudit>,
    /// The labels, in order of name.
    pub labels: Vec<LabelAudit>,
    /// Pairs of labels of which one implies the other, or nearly so.
    pub nesting: Vec<Implication>,
    /// The labels along `[chain]`, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainAudit>,
    /// Features that alone tell a label, the clearest first.
    pub leaks: Vec<Leak>,
    /// What a run is not ended by, and is of little use with.
    pub warnings: Vec<String>,
    /// What `train` would end with an error before its first step.
    pub refusals: Vec<String>,
}

/// A feature in training rows.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FeatureAudit {
    /// Its name.
    pub name: String,
    /// The column it reads; of a cross, all of them with ` × ` between.
    pub column: String,
    /// Its kind.
    pub kind: FeatureKind,
    /// Known ids, or buckets; `None` for numbers.
    pub ids: Option<usize>,
    /// Share of the training rows whose value is missing, or whose sequence is empty.
    pub missing: f64,
    /// Share of the validation and test rows (items of a sequence) whose value training did not
    /// know; `None` for numbers, or without such rows.
    pub unseen: Option<f64>,
    /// Items of a sequence, on average.
    pub mean_length: Option<f64>,
}

/// A label.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LabelAudit {
    /// Its name.
    pub name: String,
    /// Binary or regression.
    pub kind: LabelKind,
    /// Training rows that carry it.
    pub labelled: usize,
    /// Mean over the training, validation and test rows that carry it: the rate of a binary label.
    pub means: [Option<f64>; 3],
}

/// Of the training rows with `label` = 1 that carry `implies`, the share where that is 1 too.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Implication {
    /// The rarer label.
    pub label: String,
    /// What it implies.
    pub implies: String,
    /// Rows with `label` = 1 that carry both.
    pub rows: usize,
    /// The share of those where `implies` is 1.
    pub share: f64,
}

/// How labels nest along the chain.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ChainAudit {
    /// What happens to rows whose labels contradict it: `error` stops a run, `multiply` takes them for
    /// rows without the event.
    pub policy: Nesting,
    /// Such rows by event and part, in the order of parts.
    pub violations: Vec<Contradiction>,
}

/// Rows of a part that have an event without another that lies on every path to it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Contradiction {
    /// Which rows were looked at: `training`, `validation` or `test`.
    pub part: &'static str,
    /// The event that happened.
    pub event: String,
    /// The event that did not.
    pub without: String,
    /// Number of such rows.
    pub rows: u64,
    /// The file of the first of them.
    pub file: String,
    /// Its number there, as messages about values count.
    pub row: u64,
}

/// A feature that tells a label.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Leak {
    /// The feature.
    pub feature: String,
    /// The label.
    pub label: String,
    /// The AUC by the feature alone, at least ½.
    pub auc: f64,
}

/// Reads the files of a configuration, fits its schema and looks at both; of training rows that are
/// streamed, at the first block. The model is built as for training, but for its values, and what
/// [`fit`](crate::fit) would refuse is told.
///
/// # Errors
/// Anything that is wrong with the configuration or a file.
pub fn audit(config: &RunConfig) -> Result<Audit> {
    let mut features = config.features.clone();
    // Whether a number was missing is not to be seen from what stands for it.
    for feature in &mut features {
        let ages = |feature: &FeatureSpec| {
            feature.parts.as_ref().is_some_and(|parts| parts.contains(&DatePart::AgeDays))
        };
        feature.missing_indicator |= match feature.kind {
            FeatureKind::Numeric => feature.buckets.is_none(),
            _ => ages(feature),
        };
    }
    let loader = Loader::new(&config.data, features, config.labels()?);
    let data = loader.look(config.train.shuffle_rows)?;
    let labels = data.schema.labels();
    let binary: Vec<&str> = labels
        .iter()
        .filter(|label| label.kind == LabelKind::Binary)
        .map(|label| label.name.as_str())
        .collect();
    let parts = [&data.train, &data.validation, &data.test];
    let chain = chain(config, &data)?;
    let Readiness { refusals, warnings } = Readiness::of(config, &data, chain.as_ref())?;
    Ok(Audit {
        rows: [data.train.n_rows(), data.validation.n_rows(), data.test.n_rows()],
        without_group: parts.map(FeatureTable::n_without_group),
        features: features_of(&data),
        labels: labels.iter().map(|label| label_of(&data, &label.name, label.kind)).collect(),
        nesting: nesting(&data.train, &binary),
        chain,
        leaks: leaks(&data, &binary),
        warnings,
        refusals,
    })
}

fn features_of(data: &Dataset) -> Vec<FeatureAudit> {
    let feature = |feature: &mtl_feature::FittedFeature| {
        let (name, train) = (feature.name(), &data.train);
        let later = [&data.validation, &data.test];
        let ids = data.schema.ids_of(feature).encoding().n_rows();
        let (missing, unseen, mean_length) = if let Some(ids) = train.ids_of(name) {
            let later = later.into_iter().filter_map(|table| table.ids_of(name)).flatten();
            (share(ids.iter().map(|&id| id == MISSING)), share(later.map(|&id| id == UNSEEN)), None)
        } else if let Some(lists) = train.lists_of(name) {
            let later = later.into_iter().filter_map(|table| table.lists_of(name));
            let later = later.flat_map(|lists| lists.ids());
            let mean = lists.ids().len() as f64 / lists.rows().max(1) as f64;
            let empty = share(lists.iter().map(<[u32]>::is_empty));
            (empty, share(later.map(|&id| id == UNSEEN)), Some(mean))
        } else {
            let marks = train.values_of(&format!("{name}.missing")).unwrap_or(&[]);
            (share(marks.iter().map(|&mark| mark == 1.0)), None, None)
        };
        FeatureAudit {
            name: name.to_owned(),
            column: feature.columns().join(" × "),
            kind: feature.spec().kind,
            ids: ids.map(|rows| rows.saturating_sub(mtl_feature::FIRST_KNOWN as usize)),
            missing: missing.unwrap_or(0.0),
            unseen,
            mean_length,
        }
    };
    data.schema.features().iter().map(feature).collect()
}

/// The share of marks that are true; `None` of none.
fn share(marks: impl Iterator<Item = bool>) -> Option<f64> {
    let (n, set) = marks.fold((0_u64, 0_u64), |(n, set), mark| (n + 1, set + u64::from(mark)));
    (n > 0).then(|| set as f64 / n as f64)
}

fn label_of(data: &Dataset, name: &str, kind: LabelKind) -> LabelAudit {
    let carried = |table: &FeatureTable| -> Vec<f32> {
        let values = table.label_of(name).unwrap_or(&[]);
        values.iter().copied().filter(|value| !value.is_nan()).collect()
    };
    let mean = |table| {
        let values = carried(table);
        let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
        (!values.is_empty()).then(|| sum / values.len() as f64)
    };
    LabelAudit {
        name: name.to_owned(),
        kind,
        labelled: carried(&data.train).len(),
        means: [&data.train, &data.validation, &data.test].map(mean),
    }
}

/// Pairs where 99 % of the one's positives are positives of the other.
fn nesting(train: &FeatureTable, binary: &[&str]) -> Vec<Implication> {
    let mut found = Vec::new();
    for &label in binary {
        for &implies in binary.iter().filter(|&&other| other != label) {
            let (Some(a), Some(b)) = (train.label_of(label), train.label_of(implies)) else {
                continue;
            };
            let both = a.iter().zip(b).filter(|&(&a, b)| a == 1.0 && !b.is_nan());
            let (rows, ones) =
                both.fold((0, 0), |(n, ones), (_, &b)| (n + 1, ones + usize::from(b == 1.0)));
            let share = ones as f64 / rows.max(1) as f64;
            if rows > 0 && share >= 0.99 {
                let (label, implies) = (label.to_owned(), implies.to_owned());
                found.push(Implication { label, implies, rows, share });
            }
        }
    }
    found
}

/// What contradicts the chain, wherever it lies.
fn chain(config: &RunConfig, data: &Dataset) -> Result<Option<ChainAudit>> {
    let graph = config.chain.as_ref().map(ChainConfig::build).transpose();
    let Some(graph) = graph.map_err(mtl_model::Error::from)? else { return Ok(None) };
    let parts = [
        (Part::Train, &data.train),
        (Part::Validation, &data.validation),
        (Part::Test, &data.test),
    ];
    let mut violations = Vec::new();
    for (part, table) in parts.into_iter().filter(|(_, table)| !table.is_empty()) {
        let mut check = NestingCheck::new(&graph);
        add_to_nesting(&mut check, table)?;
        for Violation { event, without, count, first_row } in check.violations() {
            // The rows that were looked at are the first of the part.
            let Some(place) = place_of(&config.data, part, first_row)? else { continue };
            violations.push(Contradiction {
                part: part.adjective(),
                event,
                without,
                rows: count,
                file: place.file.display().to_string(),
                row: place.row,
            });
        }
    }
    Ok(Some(ChainAudit { policy: graph.nesting(), violations }))
}

/// The AUC of each feature alone for each label. A number speaks for itself; the score of an id is
/// the rate among the even rows that have it, measured on the odd ones, so that a rare id cannot
/// tell a label by having had it.
fn leaks(data: &Dataset, binary: &[&str]) -> Vec<Leak> {
    let train = &data.train;
    let mut found = Vec::new();
    for &label in binary {
        let Some(labels) = train.label_of(label) else { continue };
        let mut note = |feature: &str, auc: Option<f64>| {
            if let Some(auc) = auc.map(|auc| auc.max(1.0 - auc)).filter(|&auc| auc > LEAK) {
                found.push(Leak { feature: feature.to_owned(), label: label.to_owned(), auc });
            }
        };
        for (name, values) in train.values() {
            note(name, auc_of(labels, values));
        }
        for (name, lists) in train.lists() {
            let lengths: Vec<f32> = lists.iter().map(|list| list.len() as f32).collect();
            note(&format!("{name} (its length)"), auc_of(labels, &lengths));
        }
        for (name, ids) in train.ids() {
            let (labels, rates) = rates(labels, ids);
            note(name, auc_of(&labels, &rates));
        }
    }
    found.sort_by(|a, b| b.auc.total_cmp(&a.auc));
    found
}

fn auc_of(labels: &[f32], scores: &[f32]) -> Option<f64> {
    let rows = BinaryRows::new(labels, scores).ok()?;
    auc(&rows).value()
}

/// The odd rows' labels, and of each the rate of the even rows with its id (the overall rate, if
/// there are none).
fn rates(labels: &[f32], ids: &[u32]) -> (Vec<f32>, Vec<f32>) {
    let n_ids = ids.iter().max().map_or(0, |&id| id as usize + 1);
    let mut counts = vec![(0_u32, 0_u32); n_ids];
    let (mut n, mut ones) = (0.0, 0.0);
    for (&id, &label) in ids.iter().zip(labels).step_by(2).filter(|(_, label)| !label.is_nan()) {
        counts[id as usize].0 += 1;
        counts[id as usize].1 += u32::from(label == 1.0);
        (n, ones) = (n + 1.0, ones + label);
    }
    let overall = if n > 0.0 { ones / n } else { 0.0 };
    let rate = |&id: &u32| match counts[id as usize] {
        (0, _) => overall,
        (n, ones) => ones as f32 / n as f32,
    };
    let odd = labels.iter().copied().skip(1).step_by(2).collect();
    (odd, ids.iter().skip(1).step_by(2).map(rate).collect())
}
