//! CSV files, plain or compressed by gzip.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder, Trim};
use flate2::read::MultiGzDecoder;
use mtl_feature::{Chunk, RawColumn, Rows, TextColumn, Values};

use crate::missing::Missing;
use crate::{Error, ReadOptions, Result};

/// A chunk ends early when its text reaches this size, so that long texts cost bounded memory.
const CHUNK_BYTES: usize = 64 << 20;

/// An opened CSV file, its header read.
pub(crate) struct CsvFile {
    path: PathBuf,
    lines: Lines,
    names: Vec<String>,
}

impl fmt::Debug for CsvFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvFile").field("path", &self.path).field("names", &self.names).finish()
    }
}

impl CsvFile {
    pub(crate) fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io(path, error))?;
        let name = path.to_string_lossy().to_lowercase();
        let input: Box<dyn Read + Send> = match name.ends_with(".gz") {
            true => Box::new(MultiGzDecoder::new(gzip(path, file)?)),
            false => Box::new(file),
        };
        let tab = name.trim_end_matches(".gz").ends_with(".tsv");
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(1 << 18)
            .delimiter(options.delimiter.unwrap_or(if tab { b'\t' } else { b',' }))
            .trim(if options.trim { Trim::All } else { Trim::None })
            .from_reader(Input { bytes: input, ended: false, last: 0 });
        let lines = Lines { reader, feed_ends_line: None };
        let mut file = Self { path: path.to_owned(), lines, names: Vec::new() };
        file.names = match &options.columns {
            Some(names) => names.clone(),
            None => file.read_header()?,
        };
        Ok(file)
    }

    fn read_header(&mut self) -> Result<Vec<String>> {
        let mut header = ByteRecord::new();
        if self.lines.read(&self.path, &mut header)?.is_none() {
            return Err(Error::format(&self.path, "the file is empty, expected a header row"));
        }
        let name = |(i, field)| match std::str::from_utf8(field) {
            // Spreadsheets begin a file with a byte order mark, which is no part of a name.
            Ok(name) if i == 0 => Ok(name.trim_start_matches('\u{feff}').to_owned()),
            Ok(name) => Ok(name.to_owned()),
            Err(_) => Err(not_utf8(&self.path, 1, &format!("number {}", i + 1), field)),
        };
        header.iter().enumerate().map(name).collect()
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn chunks(self, places: Vec<usize>, missing: Missing, rows: usize) -> CsvChunks {
        CsvChunks { file: self, places, missing, chunk_rows: rows, done: false }
    }
}

/// The file, if it begins as a gzip stream does; an empty one is cut short, as far as one can tell.
fn gzip(path: &Path, file: File) -> Result<BufReader<File>> {
    const MAGIC: [u8; 2] = [0x1f, 0x8b];
    let mut input = BufReader::with_capacity(1 << 18, file);
    let start = input.fill_buf().map_err(|error| Error::io(path, error))?;
    if MAGIC.starts_with(&start[..start.len().min(MAGIC.len())]) {
        return Ok(input);
    }
    let problem = "expected a gzip stream, or a name that does not end in .gz";
    Err(Error::format(path, problem))
}

/// The rows of a CSV file, in chunks.
#[derive(Debug)]
pub(crate) struct CsvChunks {
    file: CsvFile,
    places: Vec<usize>,
    missing: Missing,
    chunk_rows: usize,
    done: bool,
}

impl Iterator for CsvChunks {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let chunk = self.read_chunk();
        self.done |= chunk.is_err();
        chunk.transpose()
    }
}

impl CsvChunks {
    fn read_chunk(&mut self) -> Result<Option<Chunk>> {
        let mut columns = vec![Column::default(); self.places.len()];
        let (mut record, mut rows, mut n_bytes) = (ByteRecord::new(), Vec::new(), 0);
        while rows.len() < self.chunk_rows && n_bytes < CHUNK_BYTES {
            let Some(row) = self.file.lines.read(&self.file.path, &mut record)? else {
                self.done = true;
                break;
            };
            self.check_fields(&record, row)?;
            for (column, &place) in columns.iter_mut().zip(&self.places) {
                column.push(&record[place], &self.missing);
            }
            n_bytes += record.as_slice().len();
            rows.push(row);
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let finish = |(column, &place): (Column, &usize)| {
            let name = &self.file.names[place];
            Ok((name.clone(), column.finish(&self.file.path, name, &rows)?))
        };
        let columns = columns.into_iter().zip(&self.places).map(finish).collect::<Result<_>>()?;
        let in_file = |error| Error::in_file(&self.file.path, error);
        Chunk::new(rows.len(), numbered(rows), columns).map(Some).map_err(in_file)
    }

    fn check_fields(&self, record: &ByteRecord, row: u64) -> Result<()> {
        let (found, expected) = (record.len(), self.file.names.len());
        if found == expected {
            return Ok(());
        }
        Err(Error::Fields { file: self.file.path.display().to_string(), row, found, expected })
    }
}

/// Lines follow one another unless a field holds a line break or a line is blank.
fn numbered(rows: Vec<u64>) -> Rows {
    match (rows.first(), rows.last()) {
        (Some(first), Some(last)) if last - first + 1 == rows.len() as u64 => Rows::From(*first),
        _ => Rows::Listed(rows),
    }
}

#[derive(Clone, Default)]
struct Column {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    missing: Vec<bool>,
}

impl Column {
    fn push(&mut self, field: &[u8], missing: &Missing) {
        self.bytes.extend_from_slice(field);
        self.ends.push(self.bytes.len() as u32);
        self.missing.push(missing.bytes(field));
    }

    fn finish(self, path: &Path, name: &str, rows: &[u64]) -> Result<RawColumn> {
        let ends = self.ends.clone();
        let texts = TextColumn::from_parts(self.bytes, self.ends).map_err(|(i, bytes)| {
            let start = if i == 0 { 0 } else { ends[i - 1] };
            not_utf8(path, rows[i], &format!("`{name}`"), &bytes[start as usize..ends[i] as usize])
        })?;
        Ok(RawColumn::with_missing(Values::Text(texts), Some(self.missing)))
    }
}

fn not_utf8(path: &Path, row: u64, column: &str, field: &[u8]) -> Error {
    let shown: String = String::from_utf8_lossy(field).chars().take(60).collect();
    let problem = format!("row {row}, column {column}: found `{shown}`, expected UTF-8 text");
    Error::format(path, problem)
}

/// The bytes of a file, whether they have come to an end, and the last of them.
struct Input {
    bytes: Box<dyn Read + Send>,
    ended: bool,
    last: u8,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n_bytes = self.bytes.read(buffer)?;
        self.ended |= n_bytes == 0;
        self.last = buffer[..n_bytes].last().copied().unwrap_or(self.last);
        Ok(n_bytes)
    }
}

/// Records with the lines that they begin on.
struct Lines {
    reader: csv::Reader<Input>,
    /// Whether a record ends with a line feed, or with a carriage return whose line feed the reader
    /// takes for the beginning of the next record; known from the first record on.
    feed_ends_line: Option<bool>,
}

impl Lines {
    /// Reads the next record and returns its line; `None` at the end.
    ///
    /// The reader's own position is where the record before ended, so blank lines, and the second
    /// half of a line's end on Windows, would make it the wrong line.
    fn read(&mut self, path: &Path, record: &mut ByteRecord) -> Result<Option<u64>> {
        let before = self.reader.position().line();
        if !self.reader.read_byte_record(record).map_err(|error| reading(path, error))? {
            return Ok(None);
        }
        let after = self.reader.position().line();
        // The last record of a file need not end: then the reader saw the file end instead.
        let is_ended = !self.reader.get_ref().ended;
        if self.feed_ends_line == Some(true) && is_ended && after == before + 1 {
            return Ok(Some(before));
        }
        let inside = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        let outside = (after - before).saturating_sub(inside);
        let feed = *self.feed_ends_line.get_or_insert(outside > 0);
        let row = (before + outside).saturating_sub(u64::from(feed && is_ended)).max(before);
        match is_ended || !b"\r\n".contains(&self.reader.get_ref().last) {
            true => Ok(Some(row)),
            // The file's last line did end, so its end was taken for a part of a field.
            false => {
                let problem = format!("row {row} opens a quote, expected another that closes it");
                Err(Error::format(path, problem))
            }
        }
    }
}

fn reading(path: &Path, error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Error::format(path, "the gzip stream is cut short, expected more of it")
        }
        csv::ErrorKind::Io(error) if error.kind() == ErrorKind::InvalidInput => {
            Error::format(path, format!("expected a gzip stream ({error})"))
        }
        csv::ErrorKind::Io(error) => Error::io(path, error),
        other => Error::format(path, format!("expected comma-separated values ({other:?})")),
    }
}
