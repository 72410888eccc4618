//! What a user writes about features, and the checked form of it.

use serde::{Deserialize, Serialize};

use crate::sequence::{Cutter, SEPARATOR};
use crate::{
    AttentionConfig, DatePart, Error, Keep, LabelSpec, Pooling, Result, TimeZone, nearest_names,
};

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
    #[serde(default)]
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

    /// The way of encoding that the keys say, if they go together.
    pub(crate) fn check(&self) -> Result<Plan> {
        if self.name.is_empty() {
            return Err(self.wrong("name", "empty", "a name"));
        }
        if self.dim == Some(0) {
            return Err(self.wrong("dim", 0, "at least 1"));
        }
        if let (Some(_), false) = (&self.parts, self.kind == FeatureKind::Datetime) {
            return Err(self.wrong("parts", "given", ONLY_DATETIME));
        }
        if let (Some(zone), false) = (&self.time_zone, self.kind == FeatureKind::Datetime) {
            return Err(self.wrong("time_zone", zone, ONLY_DATETIME));
        }
        if let (Some(_), false) = (&self.of, self.kind == FeatureKind::Cross) {
            return Err(self.wrong("of", "given", "it for a cross only"));
        }
        match self.kind {
            FeatureKind::Categorical => {
                self.check_no_sequence()?;
                self.check_ids()
            }
            FeatureKind::Numeric => {
                self.check_no_sequence()?;
                self.check_numeric()
            }
            FeatureKind::Sequence => {
                self.check_sequence()?;
                self.check_ids()
            }
            FeatureKind::Datetime => {
                self.check_no_sequence()?;
                self.check_datetime()
            }
            FeatureKind::Cross => {
                self.check_no_sequence()?;
                self.check_cross()?;
                self.check_ids()
            }
        }
    }

    /// The keys of sequences that are given.
    fn sequence_keys(&self) -> impl Iterator<Item = (&'static str, String)> {
        let text = |text: &Option<String>| text.as_ref().map(|text| format!("`{text}`"));
        [
            ("separator", text(&self.separator)),
            ("max_length", self.max_length.map(|length| length.to_string())),
            ("keep", self.keep.map(|keep| format!("{keep:?}").to_lowercase())),
            ("pooling", self.pooling.map(|pooling| format!("{pooling:?}").to_lowercase())),
            ("target", text(&self.target)),
            ("attention", self.attention.as_ref().map(|_| "given".to_owned())),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
    }

    fn check_no_sequence(&self) -> Result<()> {
        match self.sequence_keys().next() {
            None => Ok(()),
            Some((key, value)) => {
                Err(self.wrong(key, value, "nothing: it is for sequence features only"))
            }
        }
    }

    fn check_sequence(&self) -> Result<()> {
        if self.separator.as_ref().is_some_and(String::is_empty) {
            return Err(self.wrong("separator", "empty", "a text, such as `|`"));
        }
        if !(1..=10_000).contains(&self.longest()) {
            return Err(self.wrong("max_length", self.longest(), "1 to 10000"));
        }
        let is_din = self.pooling == Some(Pooling::Din);
        match &self.target {
            None if is_din => {
                let expected =
                    "the feature that items are compared with, beside `pooling = \"din\"`";
                return Err(self.wrong("target", "not given", expected));
            }
            Some(target) if !is_din => {
                return Err(self.wrong("target", format!("`{target}`"), ONLY_DIN));
            }
            _ => {}
        }
        match &self.attention {
            Some(_) if !is_din => Err(self.wrong("attention", "given", ONLY_DIN)),
            Some(attention) if attention.units.contains(&0) => {
                Err(self.wrong("attention.units", 0, "at least 1"))
            }
            _ => Ok(()),
        }
    }

    fn check_datetime(&self) -> Result<Plan> {
        const ONLY: &str = "nothing: a datetime feature has `column`, `parts`, `time_zone`, \
                            `groups`, `dim` and `missing_indicator`";
        let given = [
            ("min_count", self.min_count.map(|n| n.to_string())),
            ("hash_buckets", self.hash_buckets.map(|n| n.to_string())),
            ("shares", self.shares.as_ref().map(|name| format!("`{name}`"))),
            ("transform", self.transform.map(|_| "given".to_owned())),
            ("buckets", self.buckets.map(|n| n.to_string())),
        ];
        if let Some((key, Some(value))) = given.into_iter().find(|(_, value)| value.is_some()) {
            return Err(self.wrong(key, value, ONLY));
        }
        let mut parts = self.parts.clone().unwrap_or_else(|| vec![DatePart::Hour]);
        if self.missing_indicator && !parts.contains(&DatePart::AgeDays) {
            let expected = "it with the part \"age_days\": ids have one for missing values";
            return Err(self.wrong("missing_indicator", true, expected));
        }
        let n = parts.len();
        parts.sort_unstable();
        parts.dedup();
        match parts.first() {
            Some(&part) if parts.len() == n => Ok(Plan::Part(part)),
            Some(_) => Err(self.wrong("parts", "given twice", "each part once")),
            None => Err(self.wrong("parts", "empty", "at least one part, such as \"hour\"")),
        }
    }

    fn check_cross(&self) -> Result<()> {
        if let Some(column) = &self.column {
            return Err(self.wrong("column", format!("`{column}`"), "`of`, for a cross"));
        }
        match &self.of {
            Some(of) if of.iter().enumerate().any(|(i, name)| of[..i].contains(name)) => {
                Err(self.wrong("of", format!("{of:?}"), "each column once"))
            }
            Some(of) if of.len() >= 2 => Ok(()),
            Some(of) => Err(self.wrong("of", format!("{of:?}"), "two columns or more")),
            None => Err(self.wrong("of", "not given", "the columns of the cross")),
        }
    }

    /// An error about the name of another feature, with the nearest that there are.
    pub(crate) fn wrong_name(
        &self,
        key: &'static str,
        name: &str,
        expected: &str,
        names: &[&str],
    ) -> Error {
        let nearest = nearest_names(name, names);
        let near = nearest.iter().find(|near| *near != name && **near != self.name);
        let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        self.wrong(key, format!("`{name}`"), &format!("{expected}{hint}"))
    }

    /// The error for a target that cannot be one.
    pub(crate) fn wrong_target(&self, expected: &str) -> Error {
        let target = self.target.as_deref().unwrap_or_default();
        self.wrong("target", format!("`{target}`"), expected)
    }

    fn check_ids(&self) -> Result<Plan> {
        const ONLY: &str = "nothing: it is for numeric features only";
        if let Some(transform) = self.transform {
            return Err(self.wrong("transform", format!("{transform:?}").to_lowercase(), ONLY));
        }
        if let Some(buckets) = self.buckets {
            return Err(self.wrong("buckets", buckets, "`hash_buckets` for a categorical feature"));
        }
        if self.missing_indicator {
            return Err(self.wrong("missing_indicator", true, ONLY));
        }
        if self.shares.is_some() {
            const OWN: &str = "nothing beside `shares`: it is the other feature's";
            return match (self.hash_buckets, self.min_count, self.dim) {
                (Some(buckets), ..) => Err(self.wrong("hash_buckets", buckets, OWN)),
                (_, Some(count), _) => Err(self.wrong("min_count", count, OWN)),
                (.., Some(dim)) => Err(self.wrong("dim", dim, OWN)),
                _ => Ok(Plan::Shared),
            };
        }
        match (self.hash_buckets, self.min_count) {
            (Some(_), Some(count)) => {
                Err(self.wrong("min_count", count, "nothing beside `hash_buckets`"))
            }
            (Some(buckets), None) if buckets == 0 || buckets > 1 << 31 => {
                Err(self.wrong("hash_buckets", buckets, "1 to 2147483648"))
            }
            (Some(buckets), None) => Ok(Plan::Hashed { buckets }),
            (None, Some(0)) => Err(self.wrong("min_count", 0, "at least 1")),
            (None, count) => Ok(Plan::Vocabulary { min_count: count.unwrap_or(1) }),
        }
    }

    fn check_numeric(&self) -> Result<Plan> {
        const ONLY: &str = "nothing: it is for categorical features and sequences only";
        if let Some(count) = self.min_count {
            return Err(self.wrong("min_count", count, ONLY));
        }
        if let Some(buckets) = self.hash_buckets {
            return Err(self.wrong("hash_buckets", buckets, ONLY));
        }
        if let Some(shares) = &self.shares {
            return Err(self.wrong("shares", format!("`{shares}`"), ONLY));
        }
        let transform = self.transform.unwrap_or_default();
        if transform == Transform::Quantiles {
            return match self.buckets {
                _ if self.missing_indicator => {
                    let expected = "nothing beside quantiles, which have an id for missing values";
                    Err(self.wrong("missing_indicator", true, expected))
                }
                Some(n_buckets) if n_buckets >= 2 => Ok(Plan::Quantiles { n_buckets }),
                Some(n_buckets) => Err(self.wrong("buckets", n_buckets, "at least 2")),
                None => Err(self.wrong("buckets", "not given", "the number of quantile buckets")),
            };
        }
        if let Some(buckets) = self.buckets {
            return Err(self.wrong("buckets", buckets, "it with `transform = \"quantiles\"` only"));
        }
        if let Some(dim) = self.dim {
            return Err(self.wrong("dim", dim, "nothing: only ids and quantiles are embedded"));
        }
        let log1p = matches!(transform, Transform::Log1p | Transform::Log1pStandardise);
        let standardise = matches!(transform, Transform::Standardise | Transform::Log1pStandardise);
        Ok(Plan::Scaling { log1p, standardise })
    }

    fn wrong(&self, key: &'static str, value: impl ToString, expected: &str) -> Error {
        let owner = format!("feature `{}`", self.name);
        Error::Setting { owner, key, value: value.to_string(), expected: expected.to_owned() }
    }
}

const ONLY_DATETIME: &str = "it for a datetime feature only";
const ONLY_DIN: &str = "it with `pooling = \"din\"` only";

/// How a feature will be encoded: what a [`FeatureSpec`] means once checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Plan {
    Vocabulary {
        min_count: u64,
    },
    Hashed {
        buckets: u32,
    },
    /// The ids of another feature.
    Shared,
    Part(DatePart),
    Scaling {
        log1p: bool,
        standardise: bool,
    },
    Quantiles {
        n_buckets: usize,
    },
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(toml: &str, expected: &str) {
        let spec: std::result::Result<FeatureSpec, _> = toml::from_str(toml);
        let found = match spec {
            Ok(spec) => spec.check().map_or_else(|e| e.to_string(), |plan| format!("{plan:?}")),
            Err(error) => error.message().to_owned(),
        };
        assert!(found.starts_with(expected), "{toml}\nfound    {found}\nexpected {expected}");
    }

    #[test]
    fn keys_that_go_together_are_accepted() {
        check("name = 'a'\nkind = 'categorical'", "Vocabulary { min_count: 1 }");
        check("name = 'a'\nkind = 'categorical'\nhash_buckets = 9\ndim = 4", "Hashed { buckets: 9");
        check("name = 'a'\nkind = 'numeric'", "Scaling { log1p: false, standardise: false }");
        let both = "name = 'a'\nkind = 'numeric'\ntransform = 'log1p_standardise'";
        check(both, "Scaling { log1p: true, standardise: true }");
        let quantiles =
            "name = 'a'\nkind = 'numeric'\ntransform = 'quantiles'\nbuckets = 4\ndim = 2";
        check(quantiles, "Quantiles { n_buckets: 4 }");
    }

    #[test]
    fn keys_that_do_not_are_named() {
        check("name = 'a'\nkind = 'categorical'\nmin_cnt = 2", "unknown field `min_cnt`");
        check("name = 'a'", "missing field `kind`");
        check("name = 'a'\nkind = 'text'", "unknown variant `text`");
        let categorical = "name = 'a'\nkind = 'categorical'\n";
        for (key, expected) in [
            ("min_count = 0", "feature `a`: `min_count` is 0, expected at least 1"),
            ("hash_buckets = 0", "feature `a`: `hash_buckets` is 0, expected 1 to 2147483648"),
            ("dim = 0", "feature `a`: `dim` is 0, expected at least 1"),
            ("transform = 'log1p'", "feature `a`: `transform` is log1p, expected nothing"),
            ("hash_buckets = 2\nmin_count = 2", "feature `a`: `min_count` is 2, expected nothing"),
        ] {
            check(&format!("{categorical}{key}"), expected);
        }
        let numeric = "name = 'a'\nkind = 'numeric'\n";
        for (key, expected) in [
            ("dim = 3", "feature `a`: `dim` is 3, expected nothing"),
            ("transform = 'quantiles'", "feature `a`: `buckets` is not given"),
            ("buckets = 3", "feature `a`: `buckets` is 3, expected it with"),
            ("min_count = 3", "feature `a`: `min_count` is 3, expected nothing"),
        ] {
            check(&format!("{numeric}{key}"), expected);
        }
    }
}
