//! Columns out to a file: predictions as CSV or Parquet.

use std::path::{Path, PathBuf};

use mtl_feature::{Chunk, RawColumn, Rows};

use crate::chunk_writer::ChunkWriter;
use crate::{Error, Result};

/// Writes columns of equal length to a `.csv`, `.csv.gz` or `.parquet` file, row order kept.
///
/// Floats are written as 32-bit ones, in CSV in the shortest decimal form that reads back as the
/// same. The file appears when it is whole: it is written beside its place and moved there.
///
/// # Errors
/// [`Error::Io`] if it cannot be written, [`Error::Format`] for another extension,
/// [`Error::File`] for columns of different lengths or of one name.
pub fn write_columns(path: impl AsRef<Path>, columns: Vec<(String, RawColumn)>) -> Result<()> {
    ColumnWriter::create(path, columns)?.finish()
}

/// As [`write_columns`], some rows at a time: memory is that of one call.
#[derive(Debug)]
pub struct ColumnWriter {
    path: PathBuf,
    names: Vec<String>,
    writer: ChunkWriter,
}

impl ColumnWriter {
    /// Begins a file with its first rows.
    ///
    /// # Errors
    /// As of [`write_columns`].
    pub fn create(path: impl AsRef<Path>, first: Vec<(String, RawColumn)>) -> Result<Self> {
        Self::keeping(path, first, 0)
    }

    /// The same, and floats of the first `exact` columns are written as the 64-bit ones that they are.
    ///
    /// # Errors
    /// As of [`write_columns`].
    pub fn keeping(
        path: impl AsRef<Path>,
        first: Vec<(String, RawColumn)>,
        exact: usize,
    ) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let first = chunk(&path, first)?;
        let names = first.names().into_iter().map(str::to_owned).collect();
        let mut writer = ChunkWriter::create(&path, &first, exact)?;
        writer.write(&[first])?;
        Ok(Self { path, names, writer })
    }

    /// Adds rows of the same columns; each call makes a row group of a Parquet file.
    ///
    /// # Errors
    /// As of [`write_columns`]; [`Error::Format`] for columns of other names.
    pub fn write(&mut self, more: Vec<(String, RawColumn)>) -> Result<()> {
        let more = chunk(&self.path, more)?;
        if more.names() != self.names {
            let (found, expected) = (more.names().join(", "), self.names.join(", "));
            let problem = format!("more rows have the columns {found}, expected {expected}");
            return Err(Error::format(&self.path, problem));
        }
        self.writer.write(&[more])
    }

    /// Ends the file and moves it to its place. One that is dropped before leaves nothing.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn finish(self) -> Result<()> {
        self.writer.finish()
    }
}

fn chunk(path: &Path, columns: Vec<(String, RawColumn)>) -> Result<Chunk> {
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    Chunk::new(rows, Rows::From(1), columns).map_err(|error| Error::in_file(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReadOptions, Reader};
    use mtl_feature::{Cell, Values};

    fn floats(values: [f64; 3]) -> RawColumn {
        RawColumn::new(Values::Float(values.into()))
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["out.csv", "out.csv.gz", "out.parquet"] {
            let path = folder.path().join(name);
            let columns = [("p_b", [0.1, 1e-20, 1.0]), ("p_a", [0.5, 0.25, 0.0])];
            let columns = columns.map(|(name, values)| (name.to_owned(), floats(values)));
            write_columns(&path, columns.into()).unwrap();
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
    fn rows_of_several_calls_follow_one_another() {
        let folder = tempfile::tempdir().unwrap();
        let part = |values: [f64; 3]| vec![("p".to_owned(), floats(values))];
        for name in ["out.csv", "out.csv.gz", "out.parquet"] {
            let path = folder.path().join(name);
            let mut writer = ColumnWriter::create(&path, part([0.5, 0.25, 0.0])).unwrap();
            writer.write(part([0.75, 1.0, 0.125])).unwrap();
            assert!(!path.exists(), "{name}: not whole yet");
            writer.finish().unwrap();
            let chunks = Reader::open(&path, &ReadOptions::default()).unwrap();
            let cells: Vec<String> = chunks
                .chunks(&["p"])
                .unwrap()
                .flat_map(|chunk| {
                    let column = chunk.unwrap().column("p").unwrap().clone();
                    (0..column.len()).map(|i| column.cell(i).to_string()).collect::<Vec<_>>()
                })
                .collect();
            assert_eq!(cells, ["0.5", "0.25", "0", "0.75", "1", "0.125"], "{name}");
        }
        let path = folder.path().join("wrong.csv");
        let mut writer = ColumnWriter::create(&path, part([0.5; 3])).unwrap();
        let other = vec![("q".to_owned(), floats([0.5; 3]))];
        let error = writer.write(other).unwrap_err().to_string();
        assert!(error.ends_with("more rows have the columns q, expected p"), "{error}");
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "nothing else is left");
    }

    #[test]
    fn a_column_that_is_kept_keeps_its_digits() {
        let folder = tempfile::tempdir().unwrap();
        let time = 1_700_000_000.25;
        for name in ["out.csv", "out.parquet"] {
            let path = folder.path().join(name);
            let id = RawColumn::new(Values::Unsigned(vec![u64::MAX; 3]));
            let narrow = f64::from(0.1_f32);
            let columns = vec![
                ("id".to_owned(), id),
                ("time".to_owned(), floats([time, 0.1, narrow])),
                ("p".to_owned(), floats([time, 0.1, narrow])),
            ];
            ColumnWriter::keeping(&path, columns, 2).unwrap().finish().unwrap();
            let reader = Reader::open(&path, &ReadOptions::default()).unwrap();
            let chunk = reader.chunks(&["id", "time", "p"]).unwrap().next().unwrap().unwrap();
            let value = |column: &str, row| match chunk.column(column).unwrap().cell(row) {
                Cell::Text(text) => text.parse().unwrap(),
                Cell::Float(value) => value,
                other => panic!("{other:?}"),
            };
            assert_eq!(chunk.column("id").unwrap().cell(2).to_string(), u64::MAX.to_string());
            assert_eq!((value("time", 0), value("time", 1)), (time, 0.1), "{name}");
            assert_eq!(value("time", 2) as f32, 0.1, "{name}");
            assert_eq!(value("p", 0) as f32, 1_700_000_000.0_f32, "{name}");
        }
        let text = std::fs::read_to_string(folder.path().join("out.csv")).unwrap();
        assert!(text.contains("1700000000.25,") && text.contains(",0.1,0.1\n"), "{text}");
    }

    #[test]
    fn another_extension_and_columns_of_other_lengths_are_refused() {
        let error = write_columns("out.txt", Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "out.txt: expected one of .csv, .csv.gz, .parquet");
        let short = RawColumn::new(Values::Float(vec![0.5]));
        let columns = vec![("a".to_owned(), floats([0.0; 3])), ("b".to_owned(), short)];
        let error = write_columns("out.csv", columns).unwrap_err().to_string();
        assert!(error.starts_with("out.csv: ") && error.contains("`b`"), "{error}");
    }
}
