//! Chunks of rows out to a file, one after the other.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    UInt64Array,
};
use arrow_schema::{DataType, Field, Schema};
use flate2::Compression;
use flate2::write::GzEncoder;
use mtl_feature::{Cell, Chunk, RawColumn, Values};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression as Codec;
use parquet::file::properties::WriterProperties;

use crate::{Error, Result};

/// The endings of file names that can be written.
pub(crate) const WRITABLE: [&str; 3] = [".csv", ".csv.gz", ".parquet"];

/// A file beside its place, which moves there when it is whole.
pub(crate) struct PartFile {
    path: PathBuf,
    part: PathBuf,
    is_whole: bool,
}

impl PartFile {
    /// The file, if its name ends as one of [`WRITABLE`].
    pub(crate) fn create(path: &Path) -> Result<(Self, File)> {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let lower = name.to_lowercase();
        if !WRITABLE.iter().any(|ending| lower.ends_with(ending)) {
            return Err(Error::format(path, format!("expected one of {}", WRITABLE.join(", "))));
        }
        let part = path.with_file_name(format!(".{name}.part"));
        let file = File::create(&part).map_err(|error| Error::io(path, error))?;
        Ok((Self { path: path.to_owned(), part, is_whole: false }, file))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the file to its place.
    pub(crate) fn finish(mut self) -> Result<()> {
        std::fs::rename(&self.part, &self.path).map_err(|error| Error::io(&self.path, error))?;
        self.is_whole = true;
        Ok(())
    }
}

impl Drop for PartFile {
    /// What is left of a failed write is of no use; the first error is the one to tell.
    fn drop(&mut self) {
        if !self.is_whole {
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

/// Writes chunks of the same columns; each call makes a row group of a Parquet file, so memory is
/// that of one call.
///
/// Numbers with a point are written as 32-bit floats, which is what a table holds of them; those of the
/// first `exact` columns as they are.
pub(crate) struct ChunkWriter {
    file: PartFile,
    format: Format,
    exact: usize,
}

impl fmt::Debug for ChunkWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkWriter").field("path", &self.file.path).finish_non_exhaustive()
    }
}

enum Format {
    Csv(Box<csv::Writer<Text>>),
    Parquet(Box<ArrowWriter<File>>),
}

/// Where text goes. Ended by name: dropping an encoder ends its stream but swallows the error.
enum Text {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

impl Text {
    fn finish(self) -> io::Result<()> {
        match self {
            Text::Plain(mut out) => out.flush(),
            Text::Gzip(out) => out.finish()?.flush(),
        }
    }
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Text::Plain(out) => out.write(bytes),
            Text::Gzip(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Text::Plain(out) => out.flush(),
            Text::Gzip(out) => out.flush(),
        }
    }
}

impl ChunkWriter {
    /// Begins a file with the columns of `like`, whose rows are not written.
    pub(crate) fn create(path: &Path, like: &Chunk, exact: usize) -> Result<Self> {
        let (part, file) = PartFile::create(path)?;
        let name = path.to_string_lossy().to_lowercase();
        let format = if name.ends_with(".parquet") {
            let settings = WriterProperties::builder().set_compression(Codec::SNAPPY).build();
            let writer = ArrowWriter::try_new(file, schema(like, exact), Some(settings));
            Format::Parquet(Box::new(writer.map_err(|error| unwritten(path, error))?))
        } else {
            let file = BufWriter::new(file);
            let mut writer = csv::Writer::from_writer(match name.ends_with(".gz") {
                true => Text::Gzip(Box::new(GzEncoder::new(file, Compression::fast()))),
                false => Text::Plain(file),
            });
            writer.write_record(like.names()).map_err(|error| unwritten(path, error))?;
            Format::Csv(Box::new(writer))
        };
        Ok(Self { file: part, format, exact })
    }

    /// Adds rows.
    pub(crate) fn write(&mut self, chunks: &[Chunk]) -> Result<()> {
        let (path, exact) = (self.file.path(), self.exact);
        match &mut self.format {
            Format::Csv(writer) => chunks
                .iter()
                .try_for_each(|chunk| csv_rows(writer, chunk, exact))
                .map_err(|error| unwritten(path, error)),
            Format::Parquet(writer) => chunks
                .iter()
                .try_for_each(|chunk| writer.write(&batch(chunk, exact)?))
                .and_then(|()| writer.flush())
                .map_err(|error| unwritten(path, error)),
        }
    }

    /// Ends the file and moves it to its place.
    pub(crate) fn finish(self) -> Result<()> {
        let path = self.file.path();
        match self.format {
            Format::Csv(writer) => {
                let out =
                    writer.into_inner().map_err(|error| Error::io(path, error.into_error()))?;
                out.finish().map_err(|error| Error::io(path, error))?;
            }
            Format::Parquet(writer) => {
                writer.close().map_err(|error| unwritten(path, error))?;
            }
        }
        self.file.finish()
    }
}

fn unwritten(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::io(path, io::Error::other(error))
}

fn csv_rows(writer: &mut csv::Writer<Text>, chunk: &Chunk, exact: usize) -> csv::Result<()> {
    // One that is a 32-bit float has that one's digits, which are fewer.
    let is_narrow = |value: f64| f64::from(value as f32) == value;
    for row in 0..chunk.n_rows() {
        for (i, (_, column)) in chunk.columns().iter().enumerate() {
            match column.cell(row) {
                Cell::Float(value) if i >= exact || is_narrow(value) => {
                    writer.write_field((value as f32).to_string())?
                }
                cell => writer.write_field(cell.to_string())?,
            }
        }
        writer.write_record(None::<&[u8]>)?;
    }
    Ok(())
}

fn schema(chunk: &Chunk, exact: usize) -> Arc<Schema> {
    let kind = |i: usize, column: &RawColumn| match column.values() {
        Values::Integer(_) => DataType::Int64,
        Values::Unsigned(_) => DataType::UInt64,
        Values::Float(_) if i < exact => DataType::Float64,
        Values::Float(_) => DataType::Float32,
        Values::Boolean(_) => DataType::Boolean,
        _ => DataType::Utf8,
    };
    let columns = chunk.columns().iter().enumerate();
    let fields = columns.map(|(i, (name, column))| Field::new(name, kind(i, column), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn batch(chunk: &Chunk, exact: usize) -> parquet::errors::Result<RecordBatch> {
    let columns = chunk.columns().iter().enumerate();
    let arrays = columns.map(|(i, (_, column))| array(column, i < exact)).collect();
    Ok(RecordBatch::try_new(schema(chunk, exact), arrays)?)
}

fn array(column: &RawColumn, exact: bool) -> ArrayRef {
    let there = |i: usize| !column.is_missing(i);
    match column.values() {
        Values::Integer(values) => {
            let value = |(i, value): (usize, &i64)| there(i).then_some(*value);
            Arc::new(values.iter().enumerate().map(value).collect::<Int64Array>())
        }
        Values::Unsigned(values) => {
            let value = |(i, value): (usize, &u64)| there(i).then_some(*value);
            Arc::new(values.iter().enumerate().map(value).collect::<UInt64Array>())
        }
        Values::Float(values) if exact => {
            let value = |(i, value): (usize, &f64)| there(i).then_some(*value);
            Arc::new(values.iter().enumerate().map(value).collect::<Float64Array>())
        }
        Values::Float(values) => {
            let value = |(i, value): (usize, &f64)| there(i).then_some(*value as f32);
            Arc::new(values.iter().enumerate().map(value).collect::<Float32Array>())
        }
        Values::Boolean(values) => {
            let value = |(i, value): (usize, &bool)| there(i).then_some(*value);
            Arc::new(values.iter().enumerate().map(value).collect::<BooleanArray>())
        }
        _ => {
            let text = |i| there(i).then(|| column.cell(i).to_string());
            Arc::new((0..column.len()).map(text).collect::<StringArray>())
        }
    }
}

#[cfg(test)]
mod tests {
    use mtl_feature::Rows;

    use super::*;
    use crate::{ReadOptions, Reader};

    fn chunk() -> Chunk {
        let missing = Some(vec![false, true, false]);
        let columns = [
            ("n", RawColumn::with_missing(Values::Integer(vec![1, 2, -3]), missing.clone())),
            ("x", RawColumn::with_missing(Values::Float(vec![0.1, 0.0, 1e-9]), missing)),
            ("t", RawColumn::text(["a,b", "c", "d"])),
            ("b", RawColumn::new(Values::Boolean(vec![true, false, true]))),
        ];
        let columns = columns.map(|(name, column)| (name.to_owned(), column));
        Chunk::new(3, Rows::From(1), columns.into()).unwrap()
    }

    #[test]
    fn what_is_written_reads_back_whatever_the_format() {
        let folder = tempfile::tempdir().unwrap();
        for ending in WRITABLE {
            let path = folder.path().join(format!("out{ending}"));
            let mut writer = ChunkWriter::create(&path, &chunk(), 0).unwrap();
            writer.write(&[chunk(), chunk()]).unwrap();
            writer.write(&[chunk()]).unwrap();
            writer.finish().unwrap();
            let reader = Reader::open(&path, &ReadOptions::default()).unwrap();
            assert_eq!(reader.names(), ["n", "x", "t", "b"]);
            let names = reader.names().to_vec();
            let chunks: Vec<Chunk> = reader.chunks(&names).unwrap().map(Result::unwrap).collect();
            assert_eq!(chunks.iter().map(Chunk::n_rows).sum::<usize>(), 9, "{ending}");
            for (name, column) in chunk().columns() {
                let read = chunks[0].column(name).unwrap();
                for i in 0..3 {
                    // As text: a CSV file does not know that 0.1 is a number.
                    let written = match column.cell(i) {
                        Cell::Float(value) => (value as f32).to_string(),
                        cell => cell.to_string(),
                    };
                    assert_eq!(read.cell(i).to_string(), written, "{ending}, {name}, row {i}");
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer =
            ChunkWriter::create(&folder.path().join("a.parquet"), &chunk(), 0).unwrap();
        writer.write(&[chunk()]).unwrap();
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
