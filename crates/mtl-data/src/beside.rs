//! Columns that no model reads, kept beside the tables: rows are told apart by them.

use std::collections::HashMap;
use std::path::Path;

use mtl_feature::{Chunk, Key};

use crate::{Error, ReadOptions, Reader, Result};

/// The values of a column, row by row, each distinct one once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnBeside {
    column: String,
    codes: Vec<Option<u32>>,
    names: Vec<String>,
    code_of: HashMap<Key, u32>,
}

impl ColumnBeside {
    /// A column without rows.
    pub fn new(column: impl Into<String>) -> Self {
        Self { column: column.into(), ..Self::default() }
    }

    /// The column's name.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// For each row, which of [`ColumnBeside::names`] it has; `None` where the cell is missing.
    pub fn codes(&self) -> &[Option<u32>] {
        &self.codes
    }

    /// The distinct values, in the order in which they came.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Adds the rows of a file's chunk.
    ///
    /// # Errors
    /// [`Error::Value`] for a cell that is a list, or a number that names nothing exactly.
    pub(crate) fn observe(&mut self, path: &Path, chunk: &Chunk) -> Result<()> {
        let Some(cells) = chunk.column(&self.column) else { return Ok(()) };
        self.codes.reserve(cells.len());
        for i in 0..cells.len() {
            let cell = cells.cell(i);
            let key = cell.key().map_err(|expected| {
                let (row, cell) = (chunk.rows().number(i), cell.quoted());
                Error::value(path, row, &self.column, cell, expected.to_string())
            })?;
            let code = key.map(|key| {
                *self.code_of.entry(key).or_insert_with_key(|key| {
                    self.names.push(key.to_string());
                    self.names.len() as u32 - 1
                })
            });
            self.codes.push(code);
        }
        Ok(())
    }
}

/// Columns beside the rows that validate and those that test, in the order in which they were asked
/// for.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Beside {
    /// Of the validation rows.
    pub validation: Vec<ColumnBeside>,
    /// Of the test rows.
    pub test: Vec<ColumnBeside>,
}

impl Beside {
    pub(crate) fn new(columns: &[String]) -> Self {
        let of = || columns.iter().map(ColumnBeside::new).collect();
        Self { validation: of(), test: of() }
    }
}

/// Reads columns of a file, whether or not a model reads them too.
///
/// # Errors
/// A file that cannot be read or has no such column, or a cell that is a list.
pub fn read_beside(
    file: impl AsRef<Path>,
    columns: &[String],
    options: &ReadOptions,
) -> Result<Vec<ColumnBeside>> {
    let file = file.as_ref();
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut found: Vec<ColumnBeside> = columns.iter().map(ColumnBeside::new).collect();
    for chunk in Reader::open(file, options)?.chunks(&names)? {
        let chunk = chunk?;
        found.iter_mut().try_for_each(|column| column.observe(file, &chunk))?;
    }
    Ok(found)
}
