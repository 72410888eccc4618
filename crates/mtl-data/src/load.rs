//! From files to a fitted schema and encoded tables.
//!
//! A file is read once, on a thread of its own, while the chunks before it are made compact and
//! fitted to. What is held between fitting and encoding is the compact form: about 4 bytes a value.
//! Rows that are streamed are not held: they are read again in each pass.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use mtl_feature::{
    Chunk, Error as FeatureError, FeatureSpec, FeatureTable, LabelSpec, Schema, SchemaFitter,
    SchemaSpec, Targets, nearest_names,
};

use crate::held::{Held, Most};
use crate::split::{Part, of_file};
use crate::stream::{SCORED_BLOCK_ROWS, Source};
use crate::{
    DataConfig, Dataset, Error, Files, ReadOptions, Reader, Result, RowSource, STREAM_BLOCK_ROWS,
    Split, Stream,
};

/// Reads, splits, fits and encodes what a configuration describes; `stream` in it changes nothing.
///
/// # Errors
/// Anything that is wrong with the configuration or a file; see [`Error`]. Training files without a
/// row are an error, validation or test files without one are empty tables.
pub fn load(
    config: &DataConfig,
    features: Vec<FeatureSpec>,
    labels: Vec<LabelSpec>,
) -> Result<Dataset> {
    Loader::new(config, features, labels).load()
}

/// Reads what a configuration describes, in one of several forms.
#[derive(Clone, Debug)]
pub struct Loader<'a> {
    config: &'a DataConfig,
    spec: SchemaSpec,
    base: Option<&'a Schema>,
    beside: Vec<String>,
}

impl<'a> Loader<'a> {
    /// Fits a schema of its own.
    pub fn new(config: &'a DataConfig, features: Vec<FeatureSpec>, labels: Vec<LabelSpec>) -> Self {
        let mut spec = SchemaSpec::new(features, labels);
        (spec.group, spec.weight) = (config.group.clone(), config.weight.clone());
        Self { config, spec, base: None, beside: Vec::new() }
    }

    /// Adds what is new in the training rows to a schema: see [`SchemaFitter::extending`].
    pub fn extending(self, schema: &'a Schema) -> Self {
        Self { base: Some(schema), ..self }
    }

    /// Keeps columns of the validation and test rows beside the tables: see [`crate::Beside`]. They need
    /// not be features.
    pub fn beside(self, columns: &[String]) -> Self {
        Self { beside: columns.to_vec(), ..self }
    }

    /// All rows in memory.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(self) -> Result<Dataset> {
        Ok(self.read(Most::all())?.dataset)
    }

    /// Training rows that stay in their files, and so do those that validate or test where they are
    /// more than `held_rows` ([`DataConfig::held_rows`]).
    ///
    /// # Errors
    /// As [`load`]; a value of a label or a weight of a training row that is wrong is found in the
    /// first pass over the rows.
    pub fn stream(self) -> Result<Dataset<Box<dyn RowSource>>> {
        let most = Most { train: 0, others: self.config.held_rows as u64 };
        let spec = self.spec.clone();
        let Read { dataset, config, n_rows } = self.read(most)?;
        let (schema, options) = (dataset.schema.clone(), config.read_options()?);
        let rows = |part: Part, held: FeatureTable, n_rows: u64| {
            if part != Part::Train && held.n_rows() as u64 == n_rows {
                return Box::new(held) as Box<dyn RowSource>;
            }
            let own = match part {
                Part::Train => None,
                Part::Validation => config.validation.clone(),
                Part::Test => config.test.clone(),
            };
            // Rows of files of their own are not parted.
            let split = if own.is_some() { None } else { config.split.clone() };
            Box::new(Stream::from(Source {
                columns: Columns::of(&spec, split.as_ref()),
                files: own.unwrap_or_else(|| config.train.clone()),
                split,
                part,
                options: options.clone(),
                schema: schema.clone(),
                n_rows,
                block_rows: match part {
                    Part::Train => STREAM_BLOCK_ROWS,
                    _ => SCORED_BLOCK_ROWS,
                },
            }))
        };
        let Dataset { train, validation, test, beside, .. } = dataset;
        let [n_train, n_validation, n_test] = n_rows;
        let dataset = Dataset::new(
            schema.clone(),
            rows(Part::Train, train, n_train),
            rows(Part::Validation, validation, n_validation),
            rows(Part::Test, test, n_test),
        );
        Ok(Dataset { beside, ..dataset })
    }

    /// As the configuration says: streams, or rows in memory.
    ///
    /// # Errors
    /// As [`load`].
    pub fn open(self) -> Result<Dataset<Box<dyn RowSource>>> {
        match self.config.stream {
            true => self.stream(),
            false => self.load().map(Dataset::boxed),
        }
    }

    /// Rows in memory: all of them, or the first block of each part that is a stream.
    ///
    /// # Errors
    /// As [`load`], and what is wrong with a row of such a block.
    pub fn look(self, block_rows: Option<usize>) -> Result<Dataset> {
        if !self.config.stream {
            return self.load();
        }
        let Dataset { schema, train, validation, test, beside, .. } = self.stream()?;
        let first = |rows: Box<dyn RowSource>, block_rows| -> Result<FeatureTable> {
            match rows.held() {
                Some(table) => Ok(table.clone()),
                None => {
                    let first = rows.blocks(block_rows).next().transpose()?;
                    Ok(first.map(Cow::into_owned).unwrap_or_default())
                }
            }
        };
        let (validation, test) = (first(validation, None)?, first(test, None)?);
        Ok(Dataset { beside, ..Dataset::new(schema, first(train, block_rows)?, validation, test) })
    }

    fn read(self, most: Most) -> Result<Read> {
        self.config.check()?;
        let config = self.config.expanded()?;
        let options = config.read_options()?;
        let fitter = match self.base {
            None => SchemaFitter::new(self.spec.clone())?,
            Some(base) => SchemaFitter::extending(self.spec.clone(), base)?,
        };
        let of = |split| Columns::of(&self.spec, split).and(&self.beside);
        let (plain, columns) = match &config.split {
            Some(split) => (of(None), of(Some(split))),
            // Rows that train are not told apart.
            None => (of(None), Columns::of(&self.spec, None)),
        };
        let others = config.validation.iter().chain(&config.test);
        check_columns(&config.train, &options, &columns)?;
        others.into_iter().try_for_each(|files| check_columns(files, &options, &plain))?;

        let mut held = Held::new(fitter).with_most(most).with_beside(&self.beside);
        for path in config.train.paths() {
            let split = of_file(config.split.as_ref(), path, &options)?;
            for_each_chunk(path, &options, &columns, |chunk| {
                held.take(split.as_ref(), path, chunk)
            })?;
        }
        let first = config.train.paths().first();
        let mut n_rows = held.n_rows();
        let mut dataset = held.encode(first.map_or(Path::new(""), PathBuf::as_path))?;
        let beside = &mut dataset.beside;
        let [_, n_validation, n_test] = &mut n_rows;
        for (files, table, beside, n_rows) in [
            (&config.validation, &mut dataset.validation, &mut beside.validation, n_validation),
            (&config.test, &mut dataset.test, &mut beside.test, n_test),
        ] {
            for path in files.iter().flat_map(Files::paths) {
                let encoder = dataset.schema.encoder(&plain.names(), Targets::Required)?;
                for_each_chunk(path, &options, &plain, |chunk| {
                    beside.iter_mut().try_for_each(|column| column.observe(path, &chunk))?;
                    encoder.encode(&chunk, table).map_err(|error| Error::in_file(path, error))?;
                    *n_rows += chunk.n_rows() as u64;
                    if *n_rows > most.others {
                        *table = encoder.table();
                    }
                    Ok(())
                })?;
            }
        }
        Ok(Read { dataset, config, n_rows })
    }
}

/// A data set, and what reading its rows again takes.
struct Read {
    /// Without the rows that stay in their files.
    dataset: Dataset,
    /// Without patterns.
    config: DataConfig,
    /// Of training, validation and test.
    n_rows: [u64; 3],
}

/// Whether every file has the columns: hours before the last of many is read.
fn check_columns(files: &Files, options: &ReadOptions, columns: &Columns) -> Result<()> {
    for path in files.paths() {
        let reader = Reader::open(path, options)?;
        columns.check(reader.names()).map_err(|error| Error::in_file(path, error))?;
    }
    Ok(())
}

/// Reads a file and encodes it by a schema that was fitted before.
///
/// A file without rows is an empty table.
///
/// # Errors
/// Anything that is wrong with the file; see [`Error`].
pub fn read_table(
    path: impl AsRef<Path>,
    schema: &Schema,
    options: &ReadOptions,
    targets: Targets,
) -> Result<FeatureTable> {
    let mut whole = FeatureTable::default();
    encode_blocks(path, schema, options, targets, usize::MAX, |table| {
        whole = table;
        Ok::<_, Error>(())
    })?;
    Ok(whole)
}

/// Reads a file once and gives `f` its rows encoded, in order and some at a time: no less than
/// `block_rows` but for the last, and not many more. A file without rows gives one table without any.
///
/// # Errors
/// Anything that is wrong with the file (see [`Error`]), after the rows before it; what `f` returns.
pub fn encode_blocks<E: From<Error>>(
    path: impl AsRef<Path>,
    schema: &Schema,
    options: &ReadOptions,
    targets: Targets,
    block_rows: usize,
    mut f: impl FnMut(FeatureTable) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let path = path.as_ref();
    let reader = Reader::open(path, options)?;
    let in_file = |error| Error::in_file(path, error);
    let encoder = schema.encoder(reader.names(), targets).map_err(in_file)?;
    let (mut table, mut given) = (encoder.table(), false);
    on_a_thread(reader, &encoder.columns(), |chunk| -> std::result::Result<(), E> {
        encoder.encode(&chunk, &mut table).map_err(in_file)?;
        if table.n_rows() < block_rows {
            return Ok(());
        }
        given = true;
        f(std::mem::replace(&mut table, encoder.table()))
    })?;
    if given && table.n_rows() == 0 { Ok(()) } else { f(table) }
}

/// Reads a file by a schema that was fitted before: a table, or where it has more than `held_rows`
/// rows a stream, once it has been read to its end. Labels must be there.
///
/// # Errors
/// Anything that is wrong with the file; see [`Error`].
pub fn read_rows(
    path: impl AsRef<Path>,
    schema: &Schema,
    options: &ReadOptions,
    held_rows: usize,
) -> Result<Box<dyn RowSource>> {
    let path = path.as_ref();
    let reader = Reader::open(path, options)?;
    let in_file = |error| Error::in_file(path, error);
    let encoder = schema.encoder(reader.names(), Targets::Required).map_err(in_file)?;
    let (mut table, mut n_rows) = (encoder.table(), 0);
    let columns = encoder.columns();
    on_a_thread(reader, &columns, |chunk| -> Result<()> {
        encoder.encode(&chunk, &mut table).map_err(in_file)?;
        n_rows += chunk.n_rows();
        if n_rows > held_rows {
            table = encoder.table();
        }
        Ok(())
    })?;
    if table.n_rows() == n_rows {
        return Ok(Box::new(table));
    }
    let needs = columns.iter().map(|column| ((*column).to_owned(), "the model".to_owned()));
    Ok(Box::new(Stream::from(Source {
        files: Files::One(path.to_owned()),
        split: None,
        part: Part::Test,
        options: options.clone(),
        columns: Columns::new(needs.collect()),
        schema: schema.clone(),
        n_rows: n_rows as u64,
        block_rows: SCORED_BLOCK_ROWS,
    })))
}

/// The columns to read and who needs each.
#[derive(Clone, Debug)]
pub(crate) struct Columns(Vec<(String, String)>);

impl Columns {
    pub(crate) fn new(needs: Vec<(String, String)>) -> Self {
        Self(needs)
    }

    fn of(spec: &SchemaSpec, split: Option<&Split>) -> Self {
        let split = match split {
            Some(Split::Column { column, .. }) => Some((column.as_str(), "the split".to_owned())),
            _ => None,
        };
        let needs = spec.needs().into_iter().chain(split);
        Self(needs.map(|(column, needed_by)| (column.to_owned(), needed_by)).collect())
    }

    /// With columns beside the tables.
    fn and(self, beside: &[String]) -> Self {
        let beside = beside.iter().map(|column| (column.clone(), "the segments".to_owned()));
        Self(self.0.into_iter().chain(beside).collect())
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(column, _)| column.as_str()).collect()
    }

    /// Whether every column is there.
    pub(crate) fn check(&self, available: &[String]) -> std::result::Result<(), FeatureError> {
        match self.0.iter().find(|(column, _)| !available.contains(column)) {
            None => Ok(()),
            Some((column, needed_by)) => Err(FeatureError::MissingColumn {
                column: column.clone(),
                needed_by: needed_by.clone(),
                nearest: nearest_names(column, available),
            }),
        }
    }
}

pub(crate) fn for_each_chunk(
    path: &Path,
    options: &ReadOptions,
    columns: &Columns,
    f: impl FnMut(Chunk) -> Result<()>,
) -> Result<()> {
    let reader = Reader::open(path, options)?;
    columns.check(reader.names()).map_err(|error| Error::in_file(path, error))?;
    on_a_thread(reader, &columns.names(), f)
}

/// Calls `f` with each chunk while the next one is being read.
pub(crate) fn on_a_thread<E: From<Error>>(
    reader: Reader,
    columns: &[&str],
    mut f: impl FnMut(Chunk) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let chunks = reader.chunks(columns)?;
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(2);
        scope.spawn(move || {
            for chunk in chunks {
                // Nobody listens any more once `f` has failed.
                if sender.send(chunk).is_err() {
                    break;
                }
            }
        });
        receiver.into_iter().try_for_each(|chunk| f(chunk?))
    })
}
