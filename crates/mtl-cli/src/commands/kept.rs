//! Columns of a file that `mtl predict` copies to the front of its predictions.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use mtl_data::{Chunks, ReadOptions, Reader};
use mtl_feature::{Cell, Chunk, RawColumn, TextColumn, Values, nearest_names};

/// The columns, read a second time and by themselves: encoding takes marks of missing values for
/// nothing, and whoever joins rows by a column wants it as it is.
pub(crate) struct Kept {
    file: PathBuf,
    names: Vec<String>,
    /// `None` if no column is kept: the file is not read then.
    chunks: Option<Chunks>,
    chunk: Option<Chunk>,
    /// The first row of `chunk` that is still to come.
    at: usize,
}

impl Kept {
    /// Columns of these names, which must be there and not be called like an output.
    pub(crate) fn open(
        file: &Path,
        options: &ReadOptions,
        names: &[String],
        outputs: &[String],
    ) -> anyhow::Result<Self> {
        let mut kept =
            Self { file: file.to_owned(), names: names.to_vec(), chunks: None, chunk: None, at: 0 };
        if names.is_empty() {
            return Ok(kept);
        }
        let mut options = options.clone();
        options.missing.clear();
        let reader = Reader::open(file, &options)?;
        for (i, name) in names.iter().enumerate() {
            if !reader.names().contains(name) {
                let near = nearest_names(name, reader.names());
                let hint = near.first().map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                bail!("--keep has `{name}`, expected a column of {}{hint}", file.display());
            }
            if names[..i].contains(name) {
                bail!("--keep has `{name}` twice, expected each column once");
            }
            if outputs.contains(name) {
                bail!("--keep has `{name}`, expected a column that is not named like an output");
            }
        }
        kept.chunks = Some(reader.chunks(names)?);
        Ok(kept)
    }

    /// The next `n` rows.
    pub(crate) fn next(&mut self, n: usize) -> anyhow::Result<Vec<(String, RawColumn)>> {
        let mut gathered: Vec<Gathered> = self.names.iter().map(|_| Gathered::default()).collect();
        let Some(chunks) = &mut self.chunks else { return Ok(Vec::new()) };
        let mut left = n;
        while left > 0 {
            let Some(chunk) = self.chunk.as_ref().filter(|chunk| chunk.n_rows() > self.at) else {
                let next = chunks.next().with_context(|| {
                    format!("{}: has fewer rows than a moment ago", self.file.display())
                })?;
                (self.chunk, self.at) = (Some(next?), 0);
                continue;
            };
            let rows = self.at..chunk.n_rows().min(self.at + left);
            for (name, gathered) in self.names.iter().zip(&mut gathered) {
                let column = chunk.column(name).context("a column that was asked for")?;
                gathered.extend(column, rows.clone());
            }
            left -= rows.len();
            self.at = rows.end;
        }
        let columns = gathered.into_iter().map(Gathered::finish);
        Ok(self.names.iter().cloned().zip(columns).collect())
    }
}

/// Rows of a column from several chunks, of the type that they have in the file.
#[derive(Default)]
struct Gathered {
    values: Option<Values>,
    missing: Vec<bool>,
}

impl Gathered {
    fn extend(&mut self, column: &RawColumn, rows: Range<usize>) {
        let values = self.values.get_or_insert_with(|| empty(column.values()));
        for row in rows {
            let cell = column.cell(row);
            self.missing.push(cell == Cell::Missing);
            match (&mut *values, cell) {
                (Values::Integer(values), Cell::Integer(value)) => values.push(value),
                (Values::Unsigned(values), Cell::Unsigned(value)) => values.push(value),
                (Values::Float(values), Cell::Float(value)) => values.push(value),
                (Values::Boolean(values), Cell::Boolean(value)) => values.push(value),
                (Values::Text(texts), cell) => texts.push(&cell.to_string()),
                // What stands where a value is missing has no meaning.
                (Values::Integer(values), _) => values.push(0),
                (Values::Unsigned(values), _) => values.push(0),
                (Values::Float(values), _) => values.push(0.0),
                (Values::Boolean(values), _) => values.push(false),
                _ => unreachable!("`empty` makes no other"),
            }
        }
    }

    /// A file without rows says nothing about types: texts.
    fn finish(self) -> RawColumn {
        let values = self.values.unwrap_or_else(|| Values::Text(TextColumn::new()));
        RawColumn::with_missing(values, Some(self.missing))
    }
}

/// No values, of the type of these; of a dictionary the type of its values; lists become texts.
fn empty(values: &Values) -> Values {
    match values {
        Values::Integer(_) => Values::Integer(Vec::new()),
        Values::Unsigned(_) => Values::Unsigned(Vec::new()),
        Values::Float(_) => Values::Float(Vec::new()),
        Values::Boolean(_) => Values::Boolean(Vec::new()),
        Values::Dictionary { values, .. } => empty(values.values()),
        _ => Values::Text(TextColumn::new()),
    }
}
