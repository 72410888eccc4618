//! Parquet files, a batch of rows at a time; no more than one row group's pages are held.

use std::fmt;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use mtl_feature::{Chunk, Rows};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::Result as ParquetResult;
use parquet::file::reader::ChunkReader;

use crate::Error;
use crate::arrow::raw_column;
use crate::missing::Missing;

/// An opened Parquet file, its schema read.
pub(crate) struct ParquetFile {
    path: PathBuf,
    source: Source,
    names: Vec<String>,
}

enum Source {
    File(ParquetRecordBatchReaderBuilder<File>),
    Bytes(ParquetRecordBatchReaderBuilder<Bytes>),
}

impl fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetFile").field("path", &self.path).field("names", &self.names).finish()
    }
}

impl ParquetFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| Error::io(path, error))?;
        if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            return Err(Error::format(path, "the file is empty, expected Parquet"));
        }
        let builder = guarded(|| builder(file));
        Ok(Self::new(path, Source::File(builder.map_err(|problem| not_parquet(path, problem))?)))
    }

    pub(crate) fn from_bytes(path: &Path, bytes: Bytes) -> Result<Self, Error> {
        let builder = guarded(|| builder(bytes));
        Ok(Self::new(path, Source::Bytes(builder.map_err(|problem| not_parquet(path, problem))?)))
    }

    fn new(path: &Path, source: Source) -> Self {
        let schema = match &source {
            Source::File(builder) => builder.schema(),
            Source::Bytes(builder) => builder.schema(),
        };
        let names = schema.fields().iter().map(|field| field.name().clone()).collect();
        Self { path: path.to_owned(), source, names }
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// How many units of a column of timestamps are a second; `None` of another column.
    pub(crate) fn units_per_second(&self, column: &str) -> Option<i64> {
        let schema = match &self.source {
            Source::File(builder) => builder.schema(),
            Source::Bytes(builder) => builder.schema(),
        };
        match schema.field_with_name(column).ok()?.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => Some(1),
            DataType::Timestamp(TimeUnit::Millisecond, _) => Some(1_000),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Some(1_000_000),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(1_000_000_000),
            _ => None,
        }
    }

    pub(crate) fn chunks(
        self,
        places: Vec<usize>,
        missing: Missing,
        rows: usize,
    ) -> Result<ParquetChunks, Error> {
        let reader = guarded(|| match self.source {
            Source::File(builder) => {
                let mask = ProjectionMask::roots(builder.parquet_schema(), places);
                builder.with_projection(mask).with_batch_size(rows).build()
            }
            Source::Bytes(builder) => {
                let mask = ProjectionMask::roots(builder.parquet_schema(), places);
                builder.with_projection(mask).with_batch_size(rows).build()
            }
        });
        let reader = reader.map_err(|problem| not_parquet(&self.path, problem))?;
        Ok(ParquetChunks { path: self.path, reader, missing, next_row: 1, done: false })
    }
}

fn builder<R: ChunkReader + 'static>(
    input: R,
) -> ParquetResult<ParquetRecordBatchReaderBuilder<R>> {
    let known = ArrowReaderMetadata::load(&input, ArrowReaderOptions::new())?;
    let options = ArrowReaderOptions::new().with_schema(with_dictionaries(&known));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(known.metadata()), options);
    // A hint that this file does not take is no reason to refuse the file.
    Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(input, metadata.unwrap_or(known)))
}

/// The file's schema, texts that are stored as dictionaries being read as such.
///
/// What is done for a text is then done once a value, not once a row: a log of 30 columns, 10 of
/// them text, is read 1.5 times as fast.
fn with_dictionaries(known: &ArrowReaderMetadata) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        text @ (DataType::Utf8 | DataType::LargeUtf8) if has_dictionary(known, field.name()) => {
            let dictionary =
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(text.clone()));
            Arc::new(field.as_ref().clone().with_data_type(dictionary))
        }
        _ => Arc::clone(field),
    };
    let schema = known.schema();
    let fields: Fields = schema.fields().iter().map(field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn has_dictionary(known: &ArrowReaderMetadata, name: &str) -> bool {
    known.metadata().row_groups().iter().all(|group| {
        let column = group.columns().iter().find(|c| c.column_path().parts() == [name]);
        column.is_some_and(|column| column.dictionary_page_offset().is_some())
    })
}

fn not_parquet(path: &Path, problem: String) -> Error {
    Error::format(path, format!("expected a whole Parquet file ({problem})"))
}

/// The result of `f`, its error or panic being one line of text.
///
/// The parquet crate asserts what a file's metadata says (a negative offset is a panic), and a
/// user's damaged file must not end the program.
fn guarded<T, E: fmt::Display>(f: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result.map_err(one_line),
        Err(_) => Err("its metadata contradict themselves".to_owned()),
    }
}

fn one_line(error: impl fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The rows of a Parquet file, in chunks.
pub(crate) struct ParquetChunks {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    missing: Missing,
    next_row: u64,
    done: bool,
}

impl fmt::Debug for ParquetChunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetChunks").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Iterator for ParquetChunks {
    type Item = Result<Chunk, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let chunk = self.read_chunk();
        self.done = !matches!(chunk, Ok(Some(_)));
        chunk.transpose()
    }
}

impl ParquetChunks {
    fn read_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        let reader = &mut self.reader;
        let batch = guarded(|| reader.next().transpose()).map_err(|problem| {
            let rows = format!("rows from {} on cannot be read", self.next_row);
            Error::format(&self.path, format!("{rows}, expected a whole file ({problem})"))
        })?;
        let Some(batch) = batch else { return Ok(None) };
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            let column = raw_column(array, &self.missing).map_err(|problem| {
                Error::format(&self.path, format!("column `{}` {problem}", field.name()))
            })?;
            columns.push((field.name().clone(), column));
        }
        let n_rows = batch.num_rows();
        let chunk = Chunk::new(n_rows, Rows::From(self.next_row), columns);
        self.next_row += n_rows as u64;
        chunk.map(Some).map_err(|error| Error::in_file(&self.path, error))
    }
}
