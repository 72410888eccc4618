//! Columns out to a file: predictions as CSV or Parquet.

use std::path::Path;

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
    let path = path.as_ref();
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    let in_file = |error| Error::in_file(path, error);
    let chunk = Chunk::new(rows, Rows::From(1), columns).map_err(in_file)?;
    let mut writer = ChunkWriter::create(path, &chunk)?;
    writer.write(&[chunk])?;
    writer.finish()
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
    fn another_extension_and_columns_of_other_lengths_are_refused() {
        let error = write_columns("out.txt", Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "out.txt: expected one of .csv, .csv.gz, .parquet");
        let short = RawColumn::new(Values::Float(vec![0.5]));
        let columns = vec![("a".to_owned(), floats([0.0; 3])), ("b".to_owned(), short)];
        let error = write_columns("out.csv", columns).unwrap_err().to_string();
        assert!(error.starts_with("out.csv: ") && error.contains("`b`"), "{error}");
    }
}
