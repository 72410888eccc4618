//! Files of rows, by the name's ending.

use std::path::{Path, PathBuf};

use mtl_feature::{Chunk, Error as FeatureError, nearest_names};

use crate::csv::{CsvChunks, CsvFile};
use crate::missing::Missing;
use crate::parquet::{ParquetChunks, ParquetFile};
use crate::{Error, Result};

/// How files are read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// What separates the fields of a CSV file; by default a comma, or a tab in a `.tsv` file.
    pub delimiter: Option<u8>,
    /// Whether blanks around the fields of a CSV file are no part of them.
    pub trim: bool,
    /// The names of the columns of a CSV file that has no header.
    pub columns: Option<Vec<String>>,
    /// Values that stand for a missing one, beside the nulls of a Parquet file.
    pub missing: Vec<String>,
    /// Rows of a chunk, at most.
    pub chunk_rows: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        let missing = vec![String::new()];
        Self { delimiter: None, trim: false, columns: None, missing, chunk_rows: 65_536 }
    }
}

/// An opened file whose columns are known and whose rows are not read yet.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    kind: Kind,
    missing: Missing,
    chunk_rows: usize,
}

#[derive(Debug)]
enum Kind {
    Csv(CsvFile),
    Parquet(ParquetFile),
}

impl Reader {
    /// Opens a file: `.csv`, `.tsv`, `.txt`, each also with `.gz`, or `.parquet`, `.pq`.
    ///
    /// # Errors
    /// If the name ends otherwise, or the file cannot be read, is empty or of another format.
    pub fn open(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self> {
        let path = path.as_ref();
        let name = path.to_string_lossy().to_lowercase();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        let ends = |endings: &[&str], name: &str| endings.iter().any(|end| name.ends_with(end));
        let kind = if ends(&[".parquet", ".pq"], &name) {
            Kind::Parquet(ParquetFile::open(path)?)
        } else if ends(&[".csv", ".tsv", ".txt"], plain) {
            Kind::Csv(CsvFile::open(path, options)?)
        } else {
            let expected = "a name that ends in .csv, .tsv, .txt (also with .gz), .parquet or .pq";
            return Err(Error::format(path, format!("unknown format, expected {expected}")));
        };
        Ok(Self::new(path, kind, options))
    }

    /// Reads a Parquet file that is in memory; `path` is its name in messages.
    pub(crate) fn parquet_bytes(path: &Path, bytes: bytes::Bytes) -> Result<Self> {
        let kind = Kind::Parquet(ParquetFile::from_bytes(path, bytes)?);
        Ok(Self::new(path, kind, &ReadOptions::default()))
    }

    fn new(path: &Path, kind: Kind, options: &ReadOptions) -> Self {
        let missing = Missing::new(&options.missing);
        Self { path: path.to_owned(), kind, missing, chunk_rows: options.chunk_rows.max(1) }
    }

    /// The names of the columns, in the file's order.
    pub fn names(&self) -> &[String] {
        match &self.kind {
            Kind::Csv(file) => file.names(),
            Kind::Parquet(file) => file.names(),
        }
    }

    /// How many units of a column of timestamps are a second; `None` of another column.
    pub(crate) fn units_per_second(&self, column: &str) -> Option<i64> {
        match &self.kind {
            Kind::Csv(_) => None,
            Kind::Parquet(file) => file.units_per_second(column),
        }
    }

    /// Reads these columns, chunk by chunk; the others are not materialised.
    ///
    /// # Errors
    /// If a column is not there, or is there twice.
    pub fn chunks<S: AsRef<str>>(self, columns: &[S]) -> Result<Chunks> {
        let mut places = Vec::new();
        for column in columns {
            let column = column.as_ref();
            let mut found = (0..self.names().len()).filter(|&i| self.names()[i] == column);
            let place = found.next().ok_or_else(|| self.missing_column(column))?;
            if found.next().is_some() {
                let problem = format!("two columns are named `{column}`, expected one");
                return Err(Error::format(&self.path, problem));
            }
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places.sort_unstable();
        let (rows, missing) = (self.chunk_rows, self.missing);
        Ok(Chunks(match self.kind {
            Kind::Csv(file) => Inner::Csv(Box::new(file.chunks(places, missing, rows))),
            Kind::Parquet(file) => Inner::Parquet(Box::new(file.chunks(places, missing, rows)?)),
        }))
    }

    fn missing_column(&self, column: &str) -> Error {
        let nearest = nearest_names(column, self.names());
        let needed_by = "the reader".to_owned();
        let source = FeatureError::MissingColumn { column: column.to_owned(), needed_by, nearest };
        Error::in_file(&self.path, source)
    }
}

/// The rows of a file, chunk by chunk. After an error there is nothing more.
#[derive(Debug)]
pub struct Chunks(Inner);

#[derive(Debug)]
enum Inner {
    Csv(Box<CsvChunks>),
    Parquet(Box<ParquetChunks>),
}

impl Iterator for Chunks {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Inner::Csv(chunks) => chunks.next(),
            Inner::Parquet(chunks) => chunks.next(),
        }
    }
}
