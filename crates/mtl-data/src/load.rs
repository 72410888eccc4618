//! From files to a fitted schema and encoded tables.
//!
//! A file is read once, on a thread of its own, while the chunks before it are made compact and
//! fitted to. What is held between fitting and encoding is the compact form: about 4 bytes a value.
//! Training rows that are streamed are not held: they are read again in each pass.

use std::borrow::{Borrow, Cow};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use mtl_feature::{
    Chunk, Error as FeatureError, FeatureSpec, FeatureTable, LabelSpec, Schema, SchemaFitter,
    SchemaSpec, Targets, nearest_names,
};

use crate::split::{Part, parts};
use crate::{
    Beside, DataConfig, Error, Files, ReadOptions, Reader, Result, Split, Stream, TrainingRows,
};

/// Data to train on, encoded by a schema that was fitted to its training rows alone.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Dataset<R = FeatureTable> {
    /// The schema.
    pub schema: Schema,
    /// Rows to train on: a table, or other [`TrainingRows`].
    pub train: R,
    /// Rows to choose by; none if the configuration names none.
    pub validation: FeatureTable,
    /// Rows to report on; none if the configuration names none.
    pub test: FeatureTable,
    /// What a generator knows about its rows and no model may see; `None` for data from files.
    pub truth: Option<Truth>,
    /// Columns that rows are told apart by, if any were [asked for](Loader::beside).
    pub beside: Beside,
}

/// The truth about generated rows: tables that have labels and nothing else, found by name with
/// [`FeatureTable::label_of`]. Row i of `test` here is row i of the test rows, and so on.
///
/// It is not in the [`Schema`] and not in the tables of the [`Dataset`], so nothing that trains on
/// those can read it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Truth {
    /// Of the training rows.
    pub train: FeatureTable,
    /// Of the validation rows.
    pub validation: FeatureTable,
    /// Of the test rows.
    pub test: FeatureTable,
}

impl<R> Dataset<R> {
    pub(crate) fn new(
        schema: Schema,
        train: R,
        validation: FeatureTable,
        test: FeatureTable,
    ) -> Self {
        Self { schema, train, validation, test, truth: None, beside: Beside::default() }
    }

    /// The same data with other training rows, or the same ones in another form.
    pub fn map_train<Q>(self, f: impl FnOnce(R) -> Q) -> Dataset<Q> {
        let Self { schema, train, validation, test, truth, beside } = self;
        Dataset { schema, train: f(train), validation, test, truth, beside }
    }
}

impl<R: TrainingRows + 'static> Dataset<R> {
    /// The same data with its training rows behind the trait.
    pub fn boxed(self) -> Dataset<Box<dyn TrainingRows>> {
        self.map_train(|train| Box::new(train) as Box<dyn TrainingRows>)
    }
}

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

    /// Keeps columns of the validation and test rows beside the tables: see [`Beside`]. They need
    /// not be features.
    pub fn beside(self, columns: &[String]) -> Self {
        Self { beside: columns.to_vec(), ..self }
    }

    /// Training rows in memory.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(self) -> Result<Dataset> {
        Ok(self.read(Train::Held)?.dataset)
    }

    /// Training rows that stay in their files. Those that validate and test are held in memory.
    ///
    /// # Errors
    /// As [`load`]; a value of a label or a weight that is wrong is found in the first pass over the
    /// rows.
    pub fn stream(self) -> Result<Dataset<Stream>> {
        let Read { dataset, config, columns, n_train } = self.read(Train::LeftInFiles)?;
        let train = Stream::new(config, columns, dataset.schema.clone(), n_train)?;
        Ok(dataset.map_train(|_| train))
    }

    /// As the configuration says: a stream, or rows in memory.
    ///
    /// # Errors
    /// As [`load`].
    pub fn open(self) -> Result<Dataset<Box<dyn TrainingRows>>> {
        match self.config.stream {
            true => self.stream().map(Dataset::boxed),
            false => self.load().map(Dataset::boxed),
        }
    }

    /// Training rows in memory: all of them, or the first block of a stream.
    ///
    /// # Errors
    /// As [`load`], and what is wrong with a row of that block.
    pub fn look(self, block_rows: Option<usize>) -> Result<Dataset> {
        if !self.config.stream {
            return self.load();
        }
        let dataset = self.stream()?;
        let first = dataset.train.blocks(block_rows).next().transpose()?;
        let first = first.map(Cow::into_owned).unwrap_or_default();
        Ok(dataset.map_train(|_| first))
    }

    fn read(self, train: Train) -> Result<Read> {
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

        let mut held = Held { kept: train, ..Held::new(fitter) };
        for path in config.train.paths() {
            for_each_chunk(path, &options, &columns, |chunk| {
                held.take(config.split.as_ref(), path, chunk)
            })?;
        }
        let (first, n_train) = (config.train.paths().first(), held.n_train);
        let mut beside = held.beside(&self.beside)?;
        let mut dataset = held.encode(first.map_or(Path::new(""), PathBuf::as_path))?;
        for (files, table, beside) in [
            (&config.validation, &mut dataset.validation, &mut beside.validation),
            (&config.test, &mut dataset.test, &mut beside.test),
        ] {
            for path in files.iter().flat_map(Files::paths) {
                let encoder = dataset.schema.encoder(&plain.names(), Targets::Required)?;
                for_each_chunk(path, &options, &plain, |chunk| {
                    beside.iter_mut().try_for_each(|column| column.observe(path, &chunk))?;
                    encoder.encode(&chunk, table).map_err(|error| Error::in_file(path, error))
                })?;
            }
        }
        dataset.beside = beside;
        Ok(Read { dataset, config, columns, n_train })
    }
}

/// What becomes of the training rows once the schema is fitted to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Train {
    /// They are encoded.
    Held,
    /// They stay in their files.
    LeftInFiles,
}

/// A data set, and what reading its training rows again takes.
struct Read {
    dataset: Dataset,
    /// Without patterns.
    config: DataConfig,
    columns: Columns,
    n_train: u64,
}

/// Whether every file has the columns: hours before the last of many is read.
fn check_columns(files: &Files, options: &ReadOptions, columns: &Columns) -> Result<()> {
    for path in files.paths() {
        let reader = Reader::open(path, options)?;
        columns.check(reader.names()).map_err(|error| Error::in_file(path, error))?;
    }
    Ok(())
}

/// The training rows of a chunk of a file that begins at row `first` of all rows, if any.
pub(crate) fn training_rows(
    split: Option<&Split>,
    path: &Path,
    chunk: Chunk,
    first: u64,
) -> Result<Option<Chunk>> {
    let parts = parts(split, &chunk, first)
        .map_err(|(row, expected)| split_error(split, path, &chunk, row, expected))?;
    let keep: Vec<bool> = parts.iter().map(|part| *part == Part::Train).collect();
    Ok(match (keep.contains(&true), keep.contains(&false)) {
        (true, false) => Some(chunk),
        (true, true) => Some(chunk.filter(&keep)),
        (false, _) => None,
    })
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
    let path = path.as_ref();
    let reader = Reader::open(path, options)?;
    let in_file = |error| Error::in_file(path, error);
    let encoder = schema.encoder(reader.names(), targets).map_err(in_file)?;
    let mut table = encoder.table();
    let columns = encoder.columns();
    on_a_thread(reader, &columns, |chunk| encoder.encode(&chunk, &mut table).map_err(in_file))?;
    Ok(table)
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
pub(crate) fn on_a_thread(
    reader: Reader,
    columns: &[&str],
    mut f: impl FnMut(Chunk) -> Result<()>,
) -> Result<()> {
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

/// Chunks that wait for the schema.
pub(crate) struct Held {
    fitter: SchemaFitter,
    truth: Vec<LabelSpec>,
    n_rows: u64,
    n_train: u64,
    kept: Train,
    train: Vec<(PathBuf, Chunk)>,
    validation: Vec<(PathBuf, Chunk)>,
    test: Vec<(PathBuf, Chunk)>,
}

impl Held {
    pub(crate) fn new(fitter: SchemaFitter) -> Self {
        let (train, validation, test) = (Vec::new(), Vec::new(), Vec::new());
        let (truth, kept) = (Vec::new(), Train::Held);
        Self { fitter, truth, n_rows: 0, n_train: 0, kept, train, validation, test }
    }

    /// Columns that become a [`Truth`] beside the tables.
    pub(crate) fn with_truth(self, truth: Vec<LabelSpec>) -> Self {
        Self { truth, ..self }
    }

    /// Adds a chunk of a file.
    pub(crate) fn take(&mut self, split: Option<&Split>, path: &Path, chunk: Chunk) -> Result<()> {
        let chunk = chunk.compact();
        let parts = parts(split, &chunk, self.n_rows)
            .map_err(|(row, expected)| split_error(split, path, &chunk, row, expected))?;
        self.n_rows += chunk.n_rows() as u64;
        let train = filtered(chunk, &parts, Part::Train, |chunk, part| {
            let held = if part == Part::Validation { &mut self.validation } else { &mut self.test };
            held.push((path.to_owned(), chunk));
        });
        if let Some(train) = train {
            self.fitter.observe(&train).map_err(|error| Error::in_file(path, error))?;
            self.n_train += train.n_rows() as u64;
            if self.kept == Train::Held {
                self.train.push((path.to_owned(), train));
            }
        }
        Ok(())
    }

    /// Columns beside the validation and test rows that are held.
    fn beside(&self, columns: &[String]) -> Result<Beside> {
        let mut beside = Beside::new(columns);
        for (chunks, columns) in
            [(&self.validation, &mut beside.validation), (&self.test, &mut beside.test)]
        {
            for (path, chunk) in chunks {
                columns.iter_mut().try_for_each(|column| column.observe(path, chunk))?;
            }
        }
        Ok(beside)
    }

    /// Fits and encodes; `first` is the file to name if there is nothing to train on.
    pub(crate) fn encode(self, first: &Path) -> Result<Dataset> {
        let schema = match self.fitter.finish() {
            Err(FeatureError::NoRows) => {
                return Err(Error::format(first, "there are no rows to train on, expected some"));
            }
            schema => schema?,
        };
        let held = [self.train, self.validation, self.test];
        let truth = if self.truth.is_empty() { None } else { Some(truth(self.truth, &held)?) };
        let [train, validation, test] = held.map(|chunks| encode(&schema, chunks));
        Ok(Dataset { truth, ..Dataset::new(schema, train?, validation?, test?) })
    }
}

fn truth(
    labels: Vec<LabelSpec>,
    [train, validation, test]: &[Vec<(PathBuf, Chunk)>; 3],
) -> Result<Truth> {
    let mut fitter = SchemaFitter::new(SchemaSpec::new(Vec::new(), labels))?;
    train.iter().try_for_each(|(_, chunk)| fitter.observe(chunk))?;
    let schema = fitter.finish()?;
    let of = |chunks: &[(PathBuf, Chunk)]| encode(&schema, chunks.iter().map(|(p, c)| (p, c)));
    Ok(Truth { train: of(train)?, validation: of(validation)?, test: of(test)? })
}

/// The training rows of a chunk, if any; the rows of the other parts go to `other`.
fn filtered(
    chunk: Chunk,
    parts: &[Part],
    wanted: Part,
    mut other: impl FnMut(Chunk, Part),
) -> Option<Chunk> {
    if parts.iter().all(|part| *part == wanted) {
        return Some(chunk);
    }
    let of = |part| {
        let keep: Vec<bool> = parts.iter().map(|other| *other == part).collect();
        keep.contains(&true).then(|| chunk.filter(&keep))
    };
    for part in [Part::Validation, Part::Test] {
        if let Some(rows) = of(part) {
            other(rows, part);
        }
    }
    of(wanted)
}

fn encode(
    schema: &Schema,
    chunks: impl IntoIterator<Item = (impl AsRef<Path>, impl Borrow<Chunk>)>,
) -> Result<FeatureTable> {
    let columns = schema.columns();
    let encoder = schema.encoder(&columns, Targets::Required)?;
    let mut table = encoder.table();
    // Each chunk that is owned is dropped once encoded.
    for (path, chunk) in chunks {
        let in_file = |error| Error::in_file(path.as_ref(), error);
        encoder.encode(chunk.borrow(), &mut table).map_err(in_file)?;
    }
    Ok(table)
}

fn split_error(
    split: Option<&Split>,
    path: &Path,
    chunk: &Chunk,
    row: usize,
    expected: String,
) -> Error {
    let Some(Split::Column { column, .. }) = split else {
        return Error::format(path, expected);
    };
    let cell = chunk.column(column).map(|column| column.cell(row).quoted()).unwrap_or_default();
    Error::value(path, chunk.rows().number(row), column, cell, expected)
}
