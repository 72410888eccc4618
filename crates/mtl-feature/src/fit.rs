//! Fitting: one pass over the training rows, chunk by chunk, into a [`Schema`].

use rayon::prelude::*;

use crate::count::KeyMap;
use crate::cross::joined;
use crate::datetime::age;
use crate::extend::check_same;
use crate::key::key_of;
use crate::numeric::ScalingFitter;
use crate::plan::Plan;
use crate::quantile::QuantileFitter;
use crate::{
    Chunk, DatePart, Encoding, Error, FeatureKind, FeatureSpec, FittedFeature, LabelSpec,
    RawColumn, Result, Schema, SchemaSpec, Vocabulary,
};

/// Learns a [`Schema`] from training rows that come in chunks.
///
/// What it holds grows with the number of distinct values, not of rows, and what comes out does not
/// depend on the order of the rows, on how they are cut into chunks, or on the number of threads.
#[derive(Debug)]
pub struct SchemaFitter {
    features: Vec<FeatureFitter>,
    labels: Vec<LabelFitter>,
    group: Option<String>,
    weight: Option<String>,
    n_rows: u64,
    /// What was learnt before, and is kept.
    base: Option<Schema>,
}

impl SchemaFitter {
    /// Begins with checked settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that do not go together, [`Error::Twice`] for two features
    /// or two labels of one name.
    pub fn new(spec: SchemaSpec) -> Result<Self> {
        Self::of_parts(parts_apart(spec)?)
    }

    /// Begins with settings of which each feature is one of the schema.
    fn of_parts(spec: SchemaSpec) -> Result<Self> {
        let mut features: Vec<FeatureFitter> =
            spec.features.into_iter().map(FeatureFitter::new).collect::<Result<_>>()?;
        features.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        let mut labels = spec.labels;
        labels.iter().try_for_each(LabelSpec::check)?;
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        features.iter().try_for_each(|feature| feature.check_others(&features))?;
        let indicators = features.iter().filter_map(|feature| feature.spec.indicator_name());
        let names = features.iter().map(|feature| feature.spec.name.clone()).chain(indicators);
        check_distinct("features", names)?;
        check_distinct("labels", labels.iter().map(|label| label.name.clone()))?;
        let labels = labels.into_iter().map(LabelFitter::new).collect();
        Ok(Self { features, labels, group: spec.group, weight: spec.weight, n_rows: 0, base: None })
    }

    /// Begins with what `base` knows, to add to it: values keep their ids, new ones get ids after
    /// them. Means, quantiles and classes stay as they are, since a model's weights go by them.
    ///
    /// # Errors
    /// As [`SchemaFitter::new`]; [`Error::Differs`] if features or labels are not those of `base`, but
    /// for `min_count`, which goes by the new rows alone.
    pub fn extending(spec: SchemaSpec, base: &Schema) -> Result<Self> {
        let mut spec = parts_apart(spec)?;
        check_same(base, &spec.features, &spec.labels)?;
        for label in &mut spec.labels {
            let known = base.labels().iter().find(|known| known.name == label.name);
            label.classes = known.map(|known| known.classes.clone()).unwrap_or_default();
        }
        Ok(Self { base: Some(base.clone()), ..Self::of_parts(spec)? })
    }

    /// The columns that fitting reads, without doubles, in order of name.
    pub fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<_> =
            self.features.iter().flat_map(|f| f.spec.column_names()).collect();
        let labels = self.labels.iter().filter(|label| label.counts.is_some());
        columns.extend(labels.map(|label| label.spec.column_name()));
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Learns from some more rows.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] or [`Error::Value`]; what was learnt is then of no use.
    pub fn observe(&mut self, chunk: &Chunk) -> Result<()> {
        let results: Vec<Result<()>> =
            self.features.par_iter_mut().map(|feature| feature.observe(chunk)).collect();
        self.labels.iter_mut().try_for_each(|label| label.observe(chunk))?;
        self.n_rows += chunk.n_rows() as u64;
        results.into_iter().collect()
    }

    /// The schema of the rows seen.
    ///
    /// # Errors
    /// [`Error::NoRows`] if there were none.
    pub fn finish(self) -> Result<Schema> {
        if self.n_rows == 0 {
            return Err(Error::NoRows);
        }
        let mut features = self.features;
        share_counts(&mut features);
        let base = |name: &str| Some(self.base.as_ref()?.feature(name)?.encoding());
        let finish = |feature: FeatureFitter| match base(&feature.spec.name) {
            None => feature.finish(),
            Some(base) => feature.extended(base),
        };
        let features = features.into_par_iter().map(finish).collect();
        let labels = self.labels.into_iter().map(LabelFitter::finish).collect::<Result<_>>()?;
        Ok(Schema::from_parts(features, labels, self.group, self.weight))
    }
}

/// A label, with its classes where they are to be found.
#[derive(Debug)]
struct LabelFitter {
    spec: LabelSpec,
    counts: Option<KeyMap<u64>>,
}

impl LabelFitter {
    fn new(spec: LabelSpec) -> Self {
        Self { counts: spec.wants_classes().then(KeyMap::default), spec }
    }

    fn observe(&mut self, chunk: &Chunk) -> Result<()> {
        let Some(counts) = &mut self.counts else { return Ok(()) };
        let name = self.spec.column_name();
        let column = chunk.need(name, || format!("label `{}`", self.spec.name))?;
        count_keys(column, counts)
            .map_err(|(i, why)| Error::value(chunk.rows().number(i), name, column.cell(i), why))
    }

    fn finish(self) -> Result<LabelSpec> {
        match self.counts {
            Some(counts) => self.spec.fitted(counts),
            None => Ok(self.spec),
        }
    }
}

/// A feature for each part of a date or a time, the others as they are.
fn parts_apart(spec: SchemaSpec) -> Result<SchemaSpec> {
    let mut apart = Vec::with_capacity(spec.features.len());
    for feature in spec.features {
        feature.check()?;
        match feature.kind {
            FeatureKind::Datetime => apart.extend(feature.parts_apart()),
            _ => apart.push(feature),
        }
    }
    Ok(SchemaSpec { features: apart, ..spec })
}

fn names(features: &[FeatureFitter]) -> Vec<&str> {
    features.iter().map(|feature| feature.spec.name.as_str()).collect()
}

/// Adds what was counted for others' vocabularies to theirs.
fn share_counts(features: &mut [FeatureFitter]) {
    for i in 0..features.len() {
        let State::Shared { counts, with } = &mut features[i].state else { continue };
        let (counts, with) = (std::mem::take(counts), with.clone());
        let owner = features.iter_mut().find(|feature| feature.spec.name == with);
        if let Some(State::Vocabulary { counts: to, .. }) = owner.map(|owner| &mut owner.state) {
            to.merge(counts);
        }
    }
}

fn count_keys(
    column: &RawColumn,
    counts: &mut KeyMap<u64>,
) -> std::result::Result<(), (usize, &'static str)> {
    column.count_cells(|cell, count| {
        if let Some(key) = key_of(cell)? {
            counts.add(&key, count);
        }
        Ok(())
    })
}

fn check_distinct(what: &'static str, names: impl Iterator<Item = String>) -> Result<()> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => Err(Error::Twice { what, name: pair[0].clone() }),
    }
}

#[derive(Debug)]
struct FeatureFitter {
    spec: FeatureSpec,
    state: State,
}

#[derive(Debug)]
enum State {
    Vocabulary {
        counts: KeyMap<u64>,
        min_count: u64,
    },
    /// Values counted for another feature's vocabulary.
    Shared {
        counts: KeyMap<u64>,
        with: String,
    },
    Hashed {
        buckets: u32,
    },
    Scaling(ScalingFitter),
    Part(DatePart),
    Age(ScalingFitter),
    Quantiles(QuantileFitter),
}

impl FeatureFitter {
    fn new(spec: FeatureSpec) -> Result<Self> {
        let state = match spec.check()? {
            Plan::Vocabulary { min_count } => {
                State::Vocabulary { counts: KeyMap::default(), min_count }
            }
            Plan::Shared => {
                let with = spec.shares.clone().unwrap_or_default();
                State::Shared { counts: KeyMap::default(), with }
            }
            Plan::Hashed { buckets } => State::Hashed { buckets },
            Plan::Scaling { log1p, standardise } => {
                State::Scaling(ScalingFitter::new(log1p, standardise))
            }
            Plan::Part(DatePart::AgeDays) => State::Age(ScalingFitter::new(false, true)),
            Plan::Part(part) => State::Part(part),
            Plan::Quantiles { n_buckets } => State::Quantiles(QuantileFitter::new(n_buckets)),
        };
        Ok(Self { spec, state })
    }

    /// Whether the features that this one names are there and fit.
    fn check_others(&self, all: &[Self]) -> Result<()> {
        let find = |name: &String| all.iter().find(|other| other.spec.name == *name);
        if let Some(name) = &self.spec.shares {
            let expected = "another categorical or sequence feature that itself shares with none";
            match find(name).map(|owner| (&owner.state, owner.spec.name == self.spec.name)) {
                Some((State::Vocabulary { .. } | State::Hashed { .. }, false)) => {}
                _ => return Err(self.spec.wrong_name("shares", name, expected, &names(all))),
            }
        }
        if let Some(name) = &self.spec.target {
            let fits =
                find(name).is_some_and(|target| target.spec.kind == FeatureKind::Categorical);
            if !fits {
                let expected = "the categorical feature whose value the sequence is compared with";
                return Err(self.spec.wrong_name("target", name, expected, &names(all)));
            }
        }
        Ok(())
    }

    fn observe(&mut self, chunk: &Chunk) -> Result<()> {
        let (name, zone) = (self.spec.column_names()[0], self.spec.time_zone.as_ref());
        let crossed;
        let column = match &self.spec.of {
            Some(of) => {
                crossed = joined(chunk, of, &self.spec.name)?;
                &crossed
            }
            None => chunk.need(name, || format!("feature `{}`", self.spec.name))?,
        };
        let counted = match &mut self.state {
            State::Vocabulary { counts, .. } | State::Shared { counts, .. } => match self.spec.kind
            {
                FeatureKind::Sequence => self.spec.cutter().each_of(column, |item| {
                    if let Some(key) = key_of(item)? {
                        counts.add(&key, 1);
                    }
                    Ok(())
                }),
                _ => count_keys(column, counts),
            },
            State::Hashed { .. } | State::Part(_) => Ok(()),
            State::Age(fitter) => column.count_cells(|cell, n| fitter.observe(age(cell, zone)?, n)),
            State::Scaling(fitter) => column.count_cells(|cell, n| fitter.observe(cell, n)),
            State::Quantiles(fitter) => column.count_cells(|cell, n| fitter.observe(cell, n)),
        };
        let error = |(i, why)| Error::value(chunk.rows().number(i), name, column.cell(i), why);
        counted.map_err(error)
    }

    fn finish(self) -> FittedFeature {
        let encoding = match self.state {
            State::Vocabulary { counts, min_count } => {
                Encoding::Vocabulary(Vocabulary::from_counts(counts, min_count))
            }
            State::Shared { with, .. } => Encoding::Shared { with },
            State::Hashed { buckets } => Encoding::Hashed { buckets },
            State::Scaling(fitter) => Encoding::Scaling(fitter.finish()),
            State::Part(part) => Encoding::Part(part),
            State::Age(fitter) => Encoding::Age(fitter.finish()),
            State::Quantiles(fitter) => Encoding::Quantiles(fitter.finish()),
        };
        FittedFeature::from_parts(self.spec, encoding)
    }

    fn extended(self, base: &Encoding) -> FittedFeature {
        let encoding = match (self.state, base) {
            (State::Vocabulary { counts, min_count }, Encoding::Vocabulary(known)) => {
                Encoding::Vocabulary(known.extended(counts, min_count))
            }
            (_, base) => base.clone(),
        };
        FittedFeature::from_parts(self.spec, encoding)
    }
}
