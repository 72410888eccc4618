//! What a user writes about features.

use serde::{Deserialize, Serialize};

use crate::sequence::{Cutter, SEPARATOR};
use crate::{AttentionConfig, DatePart, Keep, LabelSpec, Pooling, TimeZone};

/// Whether a feature's values are names or sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FeatureKind {
    /// Values are names: an id each, and a row of an embedding table for each id.
    Categorical,
    /// Values are sizes: a number, or the id of a bucket of numbers.
    Numeric,
    /// Values are lists of names, such as a history: an id for each item, pooled into one vector.
    Sequence,
    /// Values are dates or times, read in parts: a feature `<name>.<part>` for each.
    Datetime,
    /// Values are those of several columns together: a name of their own for each combination.
    Cross,
}

/// What is done to a numeric feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Transform {
    /// Nothing.
    #[default]
    None,
    /// sign(x)·ln(1 + |x|).
    Log1p,
    /// (x − mean) / standard deviation, of the training rows.
    Standardise,
    /// `Log1p`, then `Standardise`.
    Log1pStandardise,
    /// Cut at quantiles of the training rows into `buckets` ids, which are embedded.
    Quantiles,
}

/// One `[[feature]]` of a configuration.
///
/// | key | default | purpose | range |
/// |---|---|---|---|
/// | `name` | – | the feature's name | not empty |
/// | `kind` | – | `"categorical"`, `"numeric"`, `"sequence"`, `"datetime"` or `"cross"` | |
/// | `column` | `name` | the column it reads | |
/// | `groups` | none | groups by which a model may read features | |
/// | `dim` | the model's | embedding dimension (ids only) | ≥ 1 |
/// | `min_count` | 1 | training rows (items of a sequence) a value needs to be known (vocabulary) | ≥ 1 |
/// | `hash_buckets` | – | hash values into so many ids in place of a vocabulary | 1 to 2³¹ |
/// | `shares` | – | reads the ids and the table of another feature (categorical, sequence) | a feature with ids |
/// | `separator` | `"|"` | what stands between the items of a text (sequence) | not empty |
/// | `max_length` | 50 | items read, at most (sequence) | 1 to 10,000 |
/// | `keep` | `"last"` | which items of a longer one: `"last"` or `"first"` (sequence) | |
/// | `pooling` | `"mean"` | see [`Pooling`] (sequence) | |
/// | `target` | – | what `"din"` compares items with (sequence) | a categorical feature |
/// | `attention` | see there | an [`AttentionConfig`] (`"din"`) | |
/// | `parts` | hour, weekday | the [`DatePart`]s that are read (datetime) | one or more, each once |
/// | `time_zone` | – | what instants are brought to: a [`TimeZone`] (datetime) | `"Europe/Berlin"`, `"+08:00"`, `"Z"` |
/// | `of` | – | the columns whose values are taken together (cross) | two or more, each once |
/// | `transform` | `"none"` | see [`Transform`] (numeric) | |
/// | `buckets` | – | number of buckets (`"quantiles"`) | ≥ 2 |
/// | `missing_indicator` | false | a second value `<name>.missing`, 1 where missing, else 0 (numeric, `"age_days"`) | |
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FeatureSpec {
    /// The feature's name.
    pub name: String,
    /// Names or sizes.
    pub kind: FeatureKind,
    /// The column it reads, if it is not called like the feature.
    #[serde(default)]
    pub column: Option<String>,
    /// The groups that it belongs to.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Embedding dimension, if it is not the model's.
    #[serde(default)]
    pub dim: Option<usize>,
    /// Training rows that a value needs to be known.
    #[serde(default)]
    pub min_count: Option<u64>,
    /// Hashing in place of a vocabulary.
    #[serde(default, deserialize_with = "crate::buckets::read")]
    pub hash_buckets: Option<u32>,
    /// The feature whose ids and table it reads.
    #[serde(default)]
    pub shares: Option<String>,
    /// What stands between the items of a sequence.
    #[serde(default)]
    pub separator: Option<String>,
    /// Items of a sequence that are read, at most.
    #[serde(default)]
    pub max_length: Option<usize>,
    /// Which items of a longer sequence are read.
    #[serde(default)]
    pub keep: Option<Keep>,
    /// How a sequence becomes one vector.
    #[serde(default)]
    pub pooling: Option<Pooling>,
    /// The feature that the items of a sequence are compared with.
    #[serde(default)]
    pub target: Option<String>,
    /// How they are compared.
    #[serde(default)]
    pub attention: Option<AttentionConfig>,
    /// The parts of a date or a time that are read.
    #[serde(default)]
    pub parts: Option<Vec<DatePart>>,
    /// What instants are brought to.
    #[serde(default, alias = "utc_offset")]
    pub time_zone: Option<TimeZone>,
    /// The columns of a cross, in any order.
    #[serde(default)]
    pub of: Option<Vec<String>>,
    /// What is done to a numeric feature.
    #[serde(default)]
    pub transform: Option<Transform>,
    /// Number of quantile buckets.
    #[serde(default)]
    pub buckets: Option<usize>,
    /// Whether being missing is a value of its own.
    #[serde(default)]
    pub missing_indicator: bool,
}

impl FeatureSpec {
    /// A categorical feature with a vocabulary of every training value.
    pub fn categorical(name: impl Into<String>) -> Self {
        Self::of_kind(name.into(), FeatureKind::Categorical)
    }

    /// A numeric feature, used as it is.
    pub fn numeric(name: impl Into<String>) -> Self {
        Self::of_kind(name.into(), FeatureKind::Numeric)
    }

    /// A list of names a row, with a vocabulary of every training item, pooled by its mean.
    pub fn sequence(name: impl Into<String>) -> Self {
        Self::of_kind(name.into(), FeatureKind::Sequence)
    }

    /// A date or a time, read in parts: `<name>.hour` and so on.
    pub fn datetime(name: impl Into<String>, parts: impl IntoIterator<Item = DatePart>) -> Self {
        let parts = Some(parts.into_iter().collect());
        Self { parts, ..Self::of_kind(name.into(), FeatureKind::Datetime) }
    }

    /// The values of several columns together, with a vocabulary of every training combination.
    pub fn cross<S: Into<String>>(
        name: impl Into<String>,
        of: impl IntoIterator<Item = S>,
    ) -> Self {
        let of = Some(of.into_iter().map(Into::into).collect());
        Self { of, ..Self::of_kind(name.into(), FeatureKind::Cross) }
    }

    fn of_kind(name: String, kind: FeatureKind) -> Self {
        Self {
            name,
            kind,
            column: None,
            groups: Vec::new(),
            dim: None,
            min_count: None,
            hash_buckets: None,
            shares: None,
            separator: None,
            max_length: None,
            keep: None,
            pooling: None,
            target: None,
            attention: None,
            parts: None,
            time_zone: None,
            of: None,
            transform: None,
            buckets: None,
            missing_indicator: false,
        }
    }

    /// Reads another column than the one of its name.
    pub fn column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }

    /// Sets the embedding dimension.
    pub fn dim(mut self, dim: usize) -> Self {
        self.dim = Some(dim);
        self
    }

    /// Adds the feature to a group.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }

    /// Keeps only values that so many training rows have.
    pub fn min_count(mut self, min_count: u64) -> Self {
        self.min_count = Some(min_count);
        self
    }

    /// Hashes into so many ids in place of a vocabulary.
    pub fn hash_buckets(mut self, buckets: u32) -> Self {
        self.hash_buckets = Some(buckets);
        self
    }

    /// Reads the ids and the table of another feature.
    pub fn shares(mut self, feature: impl Into<String>) -> Self {
        self.shares = Some(feature.into());
        self
    }

    /// Sets what stands between the items of a sequence that is text.
    pub fn separator(mut self, separator: impl Into<String>) -> Self {
        self.separator = Some(separator.into());
        self
    }

    /// Reads so many items of a sequence, at most.
    pub fn max_length(mut self, max_length: usize) -> Self {
        self.max_length = Some(max_length);
        self
    }

    /// Sets which items of a longer sequence are read.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = Some(keep);
        self
    }

    /// Sets how a sequence becomes one vector.
    pub fn pooling(mut self, pooling: Pooling) -> Self {
        self.pooling = Some(pooling);
        self
    }

    /// Pools a sequence by target attention ([`Pooling::Din`]): its items are compared with the
    /// value of another feature.
    pub fn din(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self.pooling(Pooling::Din)
    }

    /// Brings the instants of a date or time column to a time zone, or an offset from UTC.
    pub fn time_zone(mut self, zone: impl Into<TimeZone>) -> Self {
        self.time_zone = Some(zone.into());
        self
    }

    /// Transforms a numeric feature.
    pub fn transform(mut self, transform: Transform) -> Self {
        self.transform = Some(transform);
        self
    }

    /// Cuts a numeric feature at quantiles into so many buckets.
    pub fn quantiles(mut self, buckets: usize) -> Self {
        self.buckets = Some(buckets);
        self.transform(Transform::Quantiles)
    }

    /// Adds the value `<name>.missing`.
    pub fn with_missing_indicator(mut self) -> Self {
        self.missing_indicator = true;
        self
    }

    /// The column it reads.
    pub fn column_name(&self) -> &str {
        self.column.as_deref().unwrap_or(&self.name)
    }

    /// The columns it reads: one, but for a cross.
    pub fn column_names(&self) -> Vec<&str> {
        match &self.of {
            Some(of) => of.iter().map(String::as_str).collect(),
            None => vec![self.column_name()],
        }
    }

    /// A feature for each part of a date or a time, which read the same column.
    pub(crate) fn parts_apart(&self) -> impl Iterator<Item = Self> {
        let default = vec![DatePart::Hour, DatePart::Weekday];
        let parts = self.parts.clone().unwrap_or(default).into_iter();
        parts.map(|part| Self {
            name: format!("{}.{}", self.name, part.name()),
            column: Some(self.column_name().to_owned()),
            parts: Some(vec![part]),
            dim: self.dim.filter(|_| part.n_values().is_some()),
            missing_indicator: self.missing_indicator && part.n_values().is_none(),
            ..self.clone()
        })
    }

    /// How it is cut into items, if it is a sequence.
    pub(crate) fn cutter(&self) -> Cutter<'_> {
        Cutter {
            separator: self.separator.as_deref().unwrap_or(SEPARATOR),
            max_length: self.longest(),
            keep: self.keep.unwrap_or_default(),
        }
    }

    /// Items of a sequence that are read, at most.
    pub fn longest(&self) -> usize {
        self.max_length.unwrap_or(50)
    }

    /// The name of its missing indicator.
    pub(crate) fn indicator_name(&self) -> Option<String> {
        self.missing_indicator.then(|| format!("{}.missing", self.name))
    }
}

/// Everything that is read from a row: features, labels, and the columns that are neither.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SchemaSpec {
    /// The features, in any order.
    pub features: Vec<FeatureSpec>,
    /// The labels, in any order.
    pub labels: Vec<LabelSpec>,
    /// The column by which GAUC groups rows, such as the user.
    pub group: Option<String>,
    /// The column of the rows' weights.
    pub weight: Option<String>,
}

impl SchemaSpec {
    /// A specification without group and weight.
    pub fn new(features: Vec<FeatureSpec>, labels: Vec<LabelSpec>) -> Self {
        Self { features, labels, group: None, weight: None }
    }

    /// Names the column by which GAUC groups rows.
    pub fn group(mut self, column: impl Into<String>) -> Self {
        self.group = Some(column.into());
        self
    }

    /// Every column that is read, with who needs it ("feature `age`"), in the order of the lists.
    pub fn needs(&self) -> Vec<(&str, String)> {
        let feature = |f: &FeatureSpec| format!("feature `{}`", f.name);
        let label = |l: &LabelSpec| format!("label `{}`", l.name);
        let features = self.features.iter();
        let features =
            features.flat_map(|f| f.column_names().into_iter().map(move |c| (c, feature(f))));
        let labels = self.labels.iter().map(|l| (l.column_name(), label(l)));
        let group = self.group.as_deref().map(|column| (column, "the group".to_owned()));
        let weight = self.weight.as_deref().map(|column| (column, "the weight".to_owned()));
        features.chain(labels).chain(group).chain(weight).collect()
    }

    /// Names the column of the rows' weights.
    pub fn weight(mut self, column: impl Into<String>) -> Self {
        self.weight = Some(column.into());
        self
    }
}
