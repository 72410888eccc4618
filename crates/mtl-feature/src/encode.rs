//! Encoding: rows in, ids and numbers out.

use mtl_nn::Lists;
use rayon::prelude::*;

use crate::cross::joined;
use crate::datetime::age;
use crate::key::key_of;
use crate::number::{number_of, to_f32};
use crate::schema::hashed_id;
use crate::unseen::{Example, FEW, vocabulary_of};
use crate::{
    Cell, Chunk, Encoding, Error, FeatureTable, FittedFeature, LabelSpec, NO_GROUP, RawColumn,
    Result, Schema, nearest_names,
};

/// What is done about the columns that are not features: labels, group and weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Targets {
    /// Every one must be there: training and evaluation.
    Required,
    /// Those that are there are read.
    IfPresent,
    /// They are not read: prediction.
    Ignored,
}

/// Encodes chunks of data that has the same columns throughout.
#[derive(Clone, Debug)]
pub struct Encoder<'a> {
    schema: &'a Schema,
    labels: Vec<&'a LabelSpec>,
    group: Option<&'a str>,
    weight: Option<&'a str>,
}

/// Below so many rows starting threads costs more than it saves; scoring requests are such.
const ROWS_FOR_THREADS: usize = 1024;

impl<'a> Encoder<'a> {
    pub(crate) fn new<S: AsRef<str>>(
        schema: &'a Schema,
        available: &[S],
        targets: Targets,
    ) -> Result<Self> {
        let has = |column: &str| available.iter().any(|name| name.as_ref() == column);
        let wanted = |column: &str, needed_by: String| match targets {
            Targets::Ignored => Ok(false),
            Targets::IfPresent => Ok(has(column)),
            Targets::Required if has(column) => Ok(true),
            Targets::Required => Err(missing(column, needed_by, available)),
        };
        for feature in schema.features() {
            if let Some(column) = feature.columns().into_iter().find(|column| !has(column)) {
                let needed_by = format!("feature `{}`", feature.name());
                return Err(missing(column, needed_by, available));
            }
        }
        let mut labels = Vec::new();
        for label in schema.labels() {
            if wanted(label.column_name(), format!("label `{}`", label.name))? {
                labels.push(label);
            }
        }
        let keep = |column: Option<&'a str>, needed_by: &str| match column {
            Some(name) => Ok(wanted(name, needed_by.to_owned())?.then_some(name)),
            None => Ok::<_, Error>(None),
        };
        let (group, weight) =
            (keep(schema.group(), "the group")?, keep(schema.weight(), "the weight")?);
        Ok(Self { schema, labels, group, weight })
    }

    /// The columns that it reads, without doubles, in order of name.
    pub fn columns(&self) -> Vec<&'a str> {
        let features = self.schema.features().iter().flat_map(FittedFeature::columns);
        let labels = self.labels.iter().map(|label| label.column_name());
        let mut columns: Vec<&str> =
            features.chain(labels).chain(self.group).chain(self.weight).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// A table without rows, with the columns that [`encode`](Self::encode) fills.
    pub fn table(&self) -> FeatureTable {
        let mut table = FeatureTable::new(0);
        for feature in self.schema.features() {
            let name = feature.name().to_owned();
            match feature.encoding() {
                encoding if encoding.is_number() => table.values.push((name, Vec::new())),
                _ if feature.is_sequence() => table.lists.push((name, Lists::new())),
                _ => table.ids.push((name, Vec::new())),
            }
            let indicator = feature.spec().indicator_name();
            table.values.extend(indicator.map(|name| (name, Vec::new())));
        }
        table.values.sort_by(|a, b| a.0.cmp(&b.0));
        table.labels = self.labels.iter().map(|label| (label.name.clone(), Vec::new())).collect();
        table.groups = self.group.map(|_| Vec::new());
        table.weights = self.weight.map(|_| Vec::new());
        table
    }

    /// Adds a chunk's rows to a table that [`table`](Self::table) made.
    ///
    /// # Errors
    /// [`Error::Value`] or [`Error::MissingColumn`]; the table is then as it was.
    ///
    /// # Panics
    /// If the table has other columns.
    pub fn encode(&self, chunk: &Chunk, table: &mut FeatureTable) -> Result<()> {
        let features = self.schema.features().iter();
        let features = features.map(|f| Job::Feature(f, self.schema.ids_of(f).encoding()));
        let labels = self.labels.iter().map(|label| Job::Label(label));
        let group = self.group.iter().map(|column| Job::Group(column));
        let weight = self.weight.iter().map(|column| Job::Weight(column));
        let jobs: Vec<Job<'_>> = features.chain(labels).chain(group).chain(weight).collect();
        let encoded: Vec<Result<Encoded>> = if chunk.n_rows() < ROWS_FOR_THREADS {
            jobs.iter().map(|job| job.run(chunk)).collect()
        } else {
            jobs.par_iter().map(|job| job.run(chunk)).collect()
        };
        // All before any: an error leaves the table whole. The first job's error is reported,
        // whichever thread was faster.
        let encoded: Vec<Encoded> = encoded.into_iter().collect::<Result<_>>()?;
        for (job, encoded) in jobs.iter().zip(encoded) {
            self.keep_example((job, &encoded), chunk, table);
            job.append(encoded, table);
        }
        table.n_rows += chunk.n_rows();
        Ok(())
    }

    /// Keeps a value that training did not know, of a feature of which the table has none yet.
    fn keep_example(
        &self,
        (job, encoded): (&Job<'_>, &Encoded),
        chunk: &Chunk,
        table: &mut FeatureTable,
    ) {
        let (Job::Feature(feature, _), Encoded::Ids(ids)) = (job, encoded) else { return };
        if ids.len() < FEW || table.example(feature.name()).is_some() {
            return;
        }
        let vocabulary = vocabulary_of(feature, self.schema);
        let example = vocabulary
            .zip(chunk.column(feature.column()))
            .and_then(|(vocabulary, column)| Example::of(column, ids, vocabulary));
        table.examples.extend(example.map(|example| (feature.name().to_owned(), example)));
    }
}

fn missing<S: AsRef<str>>(column: &str, needed_by: String, available: &[S]) -> Error {
    let nearest = nearest_names(column, available);
    Error::MissingColumn { column: column.to_owned(), needed_by, nearest }
}

enum Job<'a> {
    /// A feature and its encoding, which may be another's.
    Feature(&'a FittedFeature, &'a Encoding),
    Label(&'a LabelSpec),
    Group(&'a str),
    Weight(&'a str),
}

enum Encoded {
    Ids(Vec<u32>),
    Lists(Lists),
    Values(Vec<f32>, Option<Vec<f32>>),
    Groups(Vec<u64>),
}

impl Job<'_> {
    fn run(&self, chunk: &Chunk) -> Result<Encoded> {
        if let Job::Feature(feature, encoding) = self
            && let Some(of) = &feature.spec().of
        {
            let column = joined(chunk, of, feature.name())?;
            return encode_feature(feature, encoding, &column).map_err(|(i, expected)| {
                Error::value(chunk.rows().number(i), feature.column(), column.cell(i), expected)
            });
        }
        let name = match self {
            Job::Feature(feature, _) => feature.column(),
            Job::Label(label) => label.column_name(),
            Job::Group(column) | Job::Weight(column) => column,
        };
        let column = chunk.need(name, || self.needed_by())?;
        self.encode(column).map_err(|(i, expected)| {
            Error::value(chunk.rows().number(i), name, column.cell(i), expected)
        })
    }

    fn needed_by(&self) -> String {
        match self {
            Job::Feature(feature, _) => format!("feature `{}`", feature.name()),
            Job::Label(label) => format!("label `{}`", label.name),
            Job::Group(_) => "the group".to_owned(),
            Job::Weight(_) => "the weight".to_owned(),
        }
    }

    fn encode(&self, column: &RawColumn) -> std::result::Result<Encoded, (usize, &'static str)> {
        match self {
            Job::Feature(feature, encoding) => encode_feature(feature, encoding, column),
            Job::Label(label) => {
                column.map_cells(label.parser()).map(|labels| Encoded::Values(labels, None))
            }
            Job::Group(_) => column.map_cells(group).map(Encoded::Groups),
            Job::Weight(_) => {
                column.map_cells(weight).map(|weights| Encoded::Values(weights, None))
            }
        }
    }

    fn append(&self, encoded: Encoded, table: &mut FeatureTable) {
        match (self, encoded) {
            (Job::Feature(feature, _), Encoded::Ids(ids)) => {
                column_mut(&mut table.ids, feature.name()).extend(ids);
            }
            (Job::Feature(feature, _), Encoded::Lists(lists)) => {
                column_mut(&mut table.lists, feature.name()).extend_rows(&lists, 0, lists.rows());
            }
            (Job::Feature(feature, _), Encoded::Values(values, indicator)) => {
                column_mut(&mut table.values, feature.name()).extend(values);
                if let (Some(marks), Some(name)) = (indicator, feature.spec().indicator_name()) {
                    column_mut(&mut table.values, &name).extend(marks);
                }
            }
            (Job::Label(label), Encoded::Values(labels, _)) => {
                column_mut(&mut table.labels, &label.name).extend(labels);
            }
            (Job::Group(_), Encoded::Groups(groups)) => {
                table.groups.get_or_insert_default().extend(groups);
            }
            (Job::Weight(_), Encoded::Values(weights, _)) => {
                table.weights.get_or_insert_default().extend(weights);
            }
            _ => unreachable!("each job has one kind of result"),
        }
    }
}

fn encode_feature(
    feature: &FittedFeature,
    encoding: &Encoding,
    column: &RawColumn,
) -> std::result::Result<Encoded, (usize, &'static str)> {
    if feature.is_sequence() {
        let cutter = feature.spec().cutter();
        let id = |cell: Cell<'_>| match encoding {
            Encoding::Vocabulary(vocabulary) => vocabulary.id(cell),
            Encoding::Hashed { buckets } => hashed_id(cell, *buckets),
            _ => unreachable!("a sequence has a vocabulary or is hashed"),
        };
        return cutter.encode(column, id).map(Encoded::Lists);
    }
    match encoding {
        Encoding::Vocabulary(vocabulary) => {
            column.map_cells(|cell| vocabulary.id(cell)).map(Encoded::Ids)
        }
        Encoding::Hashed { buckets } => {
            column.map_cells(|cell| hashed_id(cell, *buckets)).map(Encoded::Ids)
        }
        Encoding::Quantiles(quantiles) => {
            column.map_cells(|cell| quantiles.id(cell)).map(Encoded::Ids)
        }
        Encoding::Scaling(scaling) => {
            let values = column.map_cells(|cell| scaling.apply(cell))?;
            let indicator = feature.spec().missing_indicator.then(|| missing_marks(column));
            Ok(Encoded::Values(values, indicator))
        }
        Encoding::Part(part) => {
            let zone = feature.spec().time_zone.as_ref();
            column.map_cells(|cell| part.id(cell, zone)).map(Encoded::Ids)
        }
        Encoding::Age(scaling) => {
            let zone = feature.spec().time_zone.as_ref();
            let ages = column.map_cells(|cell| scaling.apply(age(cell, zone)?))?;
            let indicator = feature.spec().missing_indicator.then(|| missing_marks(column));
            Ok(Encoded::Values(ages, indicator))
        }
        Encoding::Shared { .. } => unreachable!("the encoding is the owner's"),
    }
}

fn missing_marks(column: &RawColumn) -> Vec<f32> {
    (0..column.len()).map(|i| f32::from(u8::from(column.cell(i) == Cell::Missing))).collect()
}

/// A missing value is no group: its rows are of one user each, or of nobody.
fn group(cell: Cell<'_>) -> std::result::Result<u64, &'static str> {
    // A value whose hash is the mark of no group takes the number below.
    Ok(key_of(cell)?.map_or(NO_GROUP, |key| key.hash64().min(NO_GROUP - 1)))
}

fn weight(cell: Cell<'_>) -> std::result::Result<f32, &'static str> {
    const EXPECTED: &str = "a weight: a finite number of at least 0";
    match number_of(cell).map_err(|_| EXPECTED)? {
        Some(weight) if weight >= 0.0 => to_f32(weight),
        _ => Err(EXPECTED),
    }
}

fn column_mut<'t, T>(columns: &'t mut [(String, T)], name: &str) -> &'t mut T {
    let found = columns.binary_search_by(|(other, _)| other.as_str().cmp(name));
    &mut columns[found.expect("the table was made by this encoder")].1
}
