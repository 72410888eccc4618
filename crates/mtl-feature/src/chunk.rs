//! Rows as they come from a file: named columns and the rows' numbers in it.

use crate::{Error, RawColumn, Result, nearest_names};

/// The numbers of a chunk's rows in their file, for messages.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// Rows that follow one another, from this number on.
    From(u64),
    /// One number a row.
    Listed(Vec<u64>),
}

impl Rows {
    /// The number of the chunk's row `i`.
    ///
    /// # Panics
    /// If numbers are listed and there are no more than `i` of them.
    pub fn number(&self, i: usize) -> u64 {
        match self {
            Rows::From(first) => first + i as u64,
            Rows::Listed(numbers) => numbers[i],
        }
    }
}

/// Some rows: columns of equal length, found by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    columns: Vec<(String, RawColumn)>,
    n_rows: usize,
    rows: Rows,
}

impl Chunk {
    /// A chunk of `n_rows` rows.
    ///
    /// # Errors
    /// [`Error::Length`] for a column of another length, [`Error::Twice`] for two of one name.
    ///
    /// # Panics
    /// If row numbers are listed and there are not `n_rows` of them.
    pub fn new(n_rows: usize, rows: Rows, columns: Vec<(String, RawColumn)>) -> Result<Self> {
        if let Rows::Listed(numbers) = &rows {
            assert_eq!(numbers.len(), n_rows, "length of the row numbers");
        }
        for (i, (name, column)) in columns.iter().enumerate() {
            if column.len() != n_rows {
                let (column, found) = (name.clone(), column.len());
                return Err(Error::Length { column, found, expected: n_rows });
            }
            if columns[..i].iter().any(|(other, _)| other == name) {
                return Err(Error::Twice { what: "columns", name: name.clone() });
            }
        }
        Ok(Self { columns, n_rows, rows })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The numbers of the rows in their file.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The columns, in the file's order.
    pub fn columns(&self) -> &[(String, RawColumn)] {
        &self.columns
    }

    /// The columns' names, in the file's order.
    pub fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&RawColumn> {
        self.columns.iter().find(|(other, _)| other == name).map(|(_, column)| column)
    }

    /// A column by name, or the error that says who needs it.
    pub(crate) fn need(&self, column: &str, needed_by: impl Fn() -> String) -> Result<&RawColumn> {
        self.column(column).ok_or_else(|| Error::MissingColumn {
            column: column.to_owned(),
            needed_by: needed_by(),
            nearest: nearest_names(column, &self.names()),
        })
    }

    /// The rows where `keep` is true, in order, with their numbers.
    ///
    /// # Panics
    /// If `keep` has not one mark a row.
    pub fn filter(&self, keep: &[bool]) -> Self {
        assert_eq!(keep.len(), self.n_rows, "length of the filter");
        let kept = |(i, keep): (usize, &bool)| keep.then(|| self.rows.number(i));
        let numbers: Vec<u64> = keep.iter().enumerate().filter_map(kept).collect();
        let columns = self.columns.iter().map(|(name, c)| (name.clone(), c.filter(keep))).collect();
        Self { columns, n_rows: numbers.len(), rows: Rows::Listed(numbers) }
    }

    /// The same rows with every column in its smallest form (see [`RawColumn::compact`]).
    pub fn compact(self) -> Self {
        use rayon::prelude::*;
        let compact = |(name, column): (String, RawColumn)| (name, column.compact());
        Self { columns: self.columns.into_par_iter().map(compact).collect(), ..self }
    }
}
