//! Columns of numbers out: predictions as CSV or Parquet.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;

use crate::chunk_writer::PartFile;
use crate::{Error, Result};

/// Writes columns of equal length to a `.csv`, `.csv.gz` or `.parquet` file, row order kept.
///
/// CSV has the shortest decimal form that reads back as the same `f32`. The file appears when it
/// is whole: it is written beside its place and moved there.
///
/// # Errors
/// [`Error::Io`] if it cannot be written, [`Error::Format`] for another extension or columns of
/// different lengths.
pub fn write_columns(path: impl AsRef<Path>, columns: &[(String, Vec<f32>)]) -> Result<()> {
    let path = path.as_ref();
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    if let Some((name, column)) = columns.iter().find(|(_, column)| column.len() != rows) {
        let problem = format!("column `{name}` has {} rows, expected {rows}", column.len());
        return Err(Error::format(path, problem));
    }
    let (part, file) = PartFile::create(path)?;
    let lower = path.to_string_lossy().to_lowercase();
    let written = if lower.ends_with(".parquet") {
        parquet(file, columns).map_err(std::io::Error::other)
    } else if lower.ends_with(".gz") {
        let mut gz = GzEncoder::new(BufWriter::new(file), Compression::fast());
        csv(&mut gz, columns, rows).and_then(|()| gz.finish()?.flush())
    } else {
        let mut out = BufWriter::new(file);
        csv(&mut out, columns, rows).and_then(|()| out.flush())
    };
    written.map_err(|error| Error::io(path, error))?;
    part.finish()
}

fn csv(out: impl Write, columns: &[(String, Vec<f32>)], rows: usize) -> std::io::Result<()> {
    let mut out = csv::Writer::from_writer(out);
    out.write_record(columns.iter().map(|(name, _)| name))?;
    for row in 0..rows {
        out.write_record(columns.iter().map(|(_, column)| column[row].to_string()))?;
    }
    out.flush()
}

fn parquet(file: File, columns: &[(String, Vec<f32>)]) -> parquet::errors::Result<()> {
    let field = |(name, _): &(String, _)| Field::new(name, DataType::Float32, false);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let array = |(_, column): &(String, Vec<f32>)| -> ArrayRef {
        Arc::new(Float32Array::from(column.clone()))
    };
    let batch =
        RecordBatch::try_new(Arc::clone(&schema), columns.iter().map(array).collect::<Vec<_>>())?;
    let mut writer = ArrowWriter::try_new(file, schema, None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReadOptions, Reader};
    use mtl_feature::Cell;

    fn columns() -> Vec<(String, Vec<f32>)> {
        vec![("p_b".to_owned(), vec![0.1, 1e-20, 1.0]), ("p_a".to_owned(), vec![0.5, 0.25, 0.0])]
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["out.csv", "out.csv.gz", "out.parquet"] {
            let path = folder.path().join(name);
            write_columns(&path, &columns()).unwrap();
            let reader = Reader::open(&path, &ReadOptions::default()).unwrap();
            assert_eq!(reader.names(), ["p_b", "p_a"]);
            let chunk = reader.chunks(&["p_b"]).unwrap().next().unwrap().unwrap();
            let value = |i| match chunk.column("p_b").unwrap().cell(i) {
                Cell::Text(text) => text.parse::<f32>().unwrap(),
                Cell::Float(value) => value as f32,
                other => panic!("{other:?}"),
            };
            assert_eq!([0, 1, 2].map(value), [0.1, 1e-20, 1.0], "{name}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "nothing else is left");
    }

    #[test]
    fn another_extension_is_refused() {
        let error = write_columns("out.txt", &columns()).unwrap_err();
        assert_eq!(error.to_string(), "out.txt: expected one of .csv, .csv.gz, .parquet");
    }
}
