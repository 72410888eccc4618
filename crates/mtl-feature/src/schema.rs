//! The fitted schema: all that is needed to turn rows into ids and numbers, now and years later.

use serde::{Deserialize, Serialize};

use crate::key::key_of;
use crate::{
    Cell, Chunk, DatePart, Encoder, FIRST_KNOWN, FeatureKind, FeatureSpec, FeatureTable, LabelSpec,
    MISSING, Quantiles, Result, Scaling, Targets, Vocabulary,
};

/// How the values of one feature are encoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Encoding {
    /// Ids from a vocabulary.
    Vocabulary(Vocabulary),
    /// Ids from a hash: [`FIRST_KNOWN`] + [`Key::hash64`](crate::Key::hash64) modulo `buckets`.
    Hashed {
        /// Number of ids that values share.
        buckets: u32,
    },
    /// Numbers.
    Scaling(Scaling),
    /// Ids of quantile buckets.
    Quantiles(Quantiles),
    /// Ids of a part of a date or a time.
    Part(DatePart),
    /// Days before 1970, standardised: [`DatePart::AgeDays`].
    Age(Scaling),
    /// The ids, and the table, of another feature: see [`Schema::ids_of`].
    Shared {
        /// That feature's name.
        with: String,
    },
}

impl Encoding {
    /// Rows of an embedding table for it, the reserved ids included; `None` for numbers, and for
    /// what is shared with another feature.
    pub fn n_rows(&self) -> Option<usize> {
        match self {
            Encoding::Vocabulary(vocabulary) => Some(vocabulary.n_rows()),
            Encoding::Hashed { buckets } => Some(*buckets as usize + FIRST_KNOWN as usize),
            Encoding::Quantiles(quantiles) => Some(quantiles.n_rows()),
            Encoding::Part(part) => part.n_values().map(|n| n + FIRST_KNOWN as usize),
            Encoding::Scaling(_) | Encoding::Age(_) | Encoding::Shared { .. } => None,
        }
    }

    /// Whether it gives numbers, not ids.
    pub(crate) const fn is_number(&self) -> bool {
        matches!(self, Encoding::Scaling(_) | Encoding::Age(_))
    }
}

/// The id of a value among `buckets` hashed ones.
pub(crate) fn hashed_id(cell: Cell<'_>, buckets: u32) -> std::result::Result<u32, &'static str> {
    let bucket = |hash: u64| FIRST_KNOWN + (hash % u64::from(buckets)) as u32;
    Ok(key_of(cell)?.map_or(MISSING, |key| bucket(key.hash64())))
}

/// A feature with what was learnt about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedFeature {
    spec: FeatureSpec,
    encoding: Encoding,
}

impl FittedFeature {
    pub(crate) fn from_parts(spec: FeatureSpec, encoding: Encoding) -> Self {
        Self { spec, encoding }
    }

    /// The feature's name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The column it reads; of a cross, the first.
    pub fn column(&self) -> &str {
        self.spec.column_names()[0]
    }

    /// The columns it reads: one, but for a cross.
    pub fn columns(&self) -> Vec<&str> {
        self.spec.column_names()
    }

    /// The columns of a [`FeatureTable`] that it fills: its own, and that of its missing indicator.
    pub fn slots(&self) -> Vec<String> {
        [Some(self.spec.name.clone()), self.spec.indicator_name()].into_iter().flatten().collect()
    }

    /// What the user wrote.
    pub fn spec(&self) -> &FeatureSpec {
        &self.spec
    }

    /// Whether it has a list of ids a row.
    pub fn is_sequence(&self) -> bool {
        self.spec.kind == FeatureKind::Sequence
    }

    /// What was learnt.
    pub fn encoding(&self) -> &Encoding {
        &self.encoding
    }
}

/// What a model must know of a feature that has ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CategoricalShape<'a> {
    /// The feature's name.
    pub name: &'a str,
    /// Rows of its embedding table, the two reserved ids included.
    pub n_rows: usize,
    /// Its embedding dimension, if it is not the model's.
    pub dim: Option<usize>,
    /// The groups that it belongs to.
    pub groups: &'a [String],
}

/// A fitted schema. It is plain data and travels inside the model.
///
/// Features and labels are held in order of name, whatever the order in the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    features: Vec<FittedFeature>,
    labels: Vec<LabelSpec>,
    group: Option<String>,
    weight: Option<String>,
}

impl Schema {
    pub(crate) fn from_parts(
        features: Vec<FittedFeature>,
        labels: Vec<LabelSpec>,
        group: Option<String>,
        weight: Option<String>,
    ) -> Self {
        Self { features, labels, group, weight }
    }

    /// The features, in order of name.
    pub fn features(&self) -> &[FittedFeature] {
        &self.features
    }

    /// A feature by name.
    pub fn feature(&self, name: &str) -> Option<&FittedFeature> {
        self.features.iter().find(|feature| feature.name() == name)
    }

    /// The labels, in order of name.
    pub fn labels(&self) -> &[LabelSpec] {
        &self.labels
    }

    /// The column by which GAUC groups rows.
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// The column of the rows' weights.
    pub fn weight(&self) -> Option<&str> {
        self.weight.as_deref()
    }

    /// The feature whose ids and table a feature uses: itself, unless it shares another's.
    ///
    /// # Panics
    /// If the feature is not of this schema.
    pub fn ids_of<'a>(&'a self, feature: &'a FittedFeature) -> &'a FittedFeature {
        match &feature.encoding {
            Encoding::Shared { with } => self.feature(with).expect("checked when it was fitted"),
            _ => feature,
        }
    }

    /// The features that have one id a row, in order of name: the id columns of a
    /// [`FeatureTable`].
    pub fn categorical(&self) -> impl Iterator<Item = CategoricalShape<'_>> {
        self.features.iter().filter(|f| !f.is_sequence()).filter_map(|f| self.shape(f))
    }

    /// The features that have a list of ids a row, in order of name: the lists of a
    /// [`FeatureTable`].
    pub fn sequences(&self) -> impl Iterator<Item = CategoricalShape<'_>> {
        self.features.iter().filter(|f| f.is_sequence()).filter_map(|f| self.shape(f))
    }

    fn shape<'a>(&'a self, feature: &'a FittedFeature) -> Option<CategoricalShape<'a>> {
        let FeatureSpec { name, groups, .. } = &feature.spec;
        let owner = self.ids_of(feature);
        let n_rows = owner.encoding.n_rows()?;
        Some(CategoricalShape { name, n_rows, dim: owner.spec.dim, groups })
    }

    /// The names of the numeric values, missing indicators included, in order of name: the value
    /// columns of a [`FeatureTable`].
    pub fn numeric(&self) -> Vec<String> {
        let numbers = self.features.iter().filter(|feature| feature.encoding.is_number());
        let mut names: Vec<String> = numbers
            .flat_map(|f| [Some(f.spec.name.clone()), f.spec.indicator_name()])
            .flatten()
            .collect();
        names.sort_unstable();
        names
    }

    /// The features of a group, in order of name.
    pub fn members<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a FittedFeature> {
        self.features.iter().filter(move |f| f.spec.groups.iter().any(|name| name == group))
    }

    /// Every column that features, labels, group and weight read, without doubles, in order of name.
    pub fn columns(&self) -> Vec<&str> {
        let features = self.features.iter().flat_map(FittedFeature::columns);
        let labels = self.labels.iter().map(LabelSpec::column_name);
        let mut columns: Vec<&str> =
            features.chain(labels).chain(self.group()).chain(self.weight()).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// An encoder for data that has these columns.
    ///
    /// # Errors
    /// [`Error::MissingColumn`](crate::Error::MissingColumn), naming who needs it and the nearest
    /// names there are.
    pub fn encoder<S: AsRef<str>>(&self, available: &[S], targets: Targets) -> Result<Encoder<'_>> {
        Encoder::new(self, available, targets)
    }

    /// Encodes one chunk into a table of its own.
    ///
    /// # Errors
    /// As [`Schema::encoder`] and [`Encoder::encode`].
    pub fn encode(&self, chunk: &Chunk, targets: Targets) -> Result<FeatureTable> {
        let encoder = self.encoder(&chunk.names(), targets)?;
        let mut table = encoder.table();
        encoder.encode(chunk, &mut table)?;
        Ok(table)
    }
}
