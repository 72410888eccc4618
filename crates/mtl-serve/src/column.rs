//! A column of a request, gathered while its rows are read.

use mtl_data::Missing;
use mtl_feature::{RawColumn, Values};

use crate::cell::{Json, column};
use crate::problem::{Part, Problem};

/// The values of a column from row 0 to the first row that has none.
#[derive(Debug)]
pub(crate) struct Column<'a> {
    values: Gathered<'a>,
    missing: Vec<bool>,
    /// The first row that has a value.
    first: Option<usize>,
    /// The row after the last that has one.
    end: usize,
}

/// Ids are integers and most columns are ids: those are never anything else.
#[derive(Debug)]
enum Gathered<'a> {
    Integers(Vec<i64>),
    Any(Vec<Json<'a>>),
}

impl<'a> Column<'a> {
    /// An empty column with room for so many rows.
    pub(crate) fn new(rows: usize) -> Self {
        let (values, missing) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        Self { values: Gathered::Integers(values), missing, first: None, end: 0 }
    }

    /// Whether a row that is being read has a value already.
    pub(crate) const fn has(&self, row: usize) -> bool {
        self.end > row
    }

    /// The first row that has a value.
    pub(crate) const fn first(&self) -> Option<usize> {
        self.first
    }

    /// Adds the value of a row, which is none before the last.
    pub(crate) fn add(&mut self, row: usize, value: Json<'a>, marks: &Missing) {
        self.first = self.first.or(Some(row));
        self.end = row + 1;
        // A row before has none: no value after it will be asked for.
        if self.missing.len() < row {
            return;
        }
        let missing = value.is_missing(marks);
        // A mark of a missing value is no value of its kind.
        let value = if missing { Json::Null } else { value };
        match &mut self.values {
            Gathered::Integers(values) => match value {
                Json::Integer(value) => values.push(value),
                Json::Null => values.push(0),
                other => {
                    let mut cells = integers(values, &self.missing);
                    cells.push(other);
                    self.values = Gathered::Any(cells);
                }
            },
            Gathered::Any(cells) => cells.push(value),
        }
        self.missing.push(missing);
    }

    /// The column of a table of `n_rows` rows, if every row has it and it holds what a column may.
    pub(crate) fn finish(
        self,
        part: Part,
        name: &str,
        n_rows: usize,
        marks: &Missing,
    ) -> Result<RawColumn, Problem> {
        let wrong = |row: usize, value: Option<&str>, expected: &str| {
            Problem::field((part, row as u64), name, value.map(str::to_owned), expected)
        };
        if let Gathered::Any(cells) = &self.values {
            let nested = cells.iter().enumerate().find_map(|(row, cell)| match cell {
                Json::Nested(what) => Some((row, *what)),
                _ => None,
            });
            if let Some((row, what)) = nested {
                let expected = "a text, a number, true, false, null or an array of them";
                return Err(wrong(row, Some(what), expected));
            }
        }
        let gathered = self.missing.len();
        if gathered < n_rows {
            return Err(wrong(gathered, None, "it, or null for a missing value"));
        }
        match self.values {
            Gathered::Integers(values) => {
                Ok(RawColumn::with_missing(Values::Integer(values), Some(self.missing)))
            }
            Gathered::Any(cells) => {
                if let Some(row) = single_among_lists(&cells) {
                    let expected = "an array or null, as in the other rows";
                    return Err(wrong(row, Some("no array"), expected));
                }
                Ok(column(cells, self.missing, marks))
            }
        }
    }
}

/// Integers as cells, with room for as many more.
fn integers<'a>(values: &[i64], missing: &[bool]) -> Vec<Json<'a>> {
    let cell = |(&value, &missing): (&i64, &bool)| match missing {
        true => Json::Null,
        false => Json::Integer(value),
    };
    let mut cells = Vec::with_capacity(2 * values.len().max(32));
    cells.extend(values.iter().zip(missing).map(cell));
    cells
}

/// The first single value of a column that has arrays too: it holds the ones or the others.
fn single_among_lists(cells: &[Json<'_>]) -> Option<usize> {
    let is_list = |cell: &Json<'_>| matches!(cell, Json::List(_));
    let is_single = |cell: &Json<'_>| !matches!(cell, Json::List(_) | Json::Null);
    cells.iter().position(is_single).filter(|_| cells.iter().any(is_list))
}

#[cfg(test)]
mod tests {
    use mtl_feature::Cell;

    use super::*;

    /// Adds values to rows, or `None` to a row that has none.
    fn gathered(values: Vec<Option<Json<'_>>>) -> Result<RawColumn, Problem> {
        let marks = Missing::new(&["".to_owned(), "-1".to_owned()]);
        let (mut column, n_rows) = (Column::new(0), values.len());
        for (row, value) in values.into_iter().enumerate() {
            if let Some(value) = value {
                assert!(!column.has(row));
                column.add(row, value, &marks);
                assert!(column.has(row));
            }
        }
        column.finish(Part::Rows, "a", n_rows, &marks)
    }

    fn check(values: Vec<Json<'_>>, expected: &[Cell<'_>]) {
        let column = gathered(values.into_iter().map(Some).collect()).unwrap();
        let found: Vec<Cell<'_>> = (0..column.len()).map(|row| column.cell(row)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_comes_after_integers_changes_the_column() {
        use Json::{Boolean, Float, Integer, Null, Text};
        let text = |text: &'static str| Text(text.into());
        check(vec![Integer(3), Integer(-1)], &[Cell::Integer(3), Cell::Missing]);
        check(
            vec![Integer(3), Null, text(""), Float(0.5), Integer(-1)],
            &[Cell::Float(3.0), Cell::Missing, Cell::Missing, Cell::Float(0.5), Cell::Missing],
        );
        check(
            vec![Null, Integer(7), text("x"), Boolean(true)],
            &[Cell::Missing, Cell::Text("7"), Cell::Text("x"), Cell::Text("true")],
        );
    }

    /// A missing list is no single value, whichever way it is written.
    #[test]
    fn lists_may_be_missing_before_and_after() {
        let list = || Json::List(vec![Json::Integer(7)]);
        let column = gathered([Json::Integer(-1), list(), Json::Text("".into())].map(Some).into());
        let column = column.unwrap();
        assert_eq!([0, 1, 2].map(|row| column.is_missing(row)), [true, false, true]);
        for values in [[Json::Integer(2), list()], [list(), Json::Integer(2)]] {
            let error = gathered(values.map(Some).into()).unwrap_err();
            assert!(error.message.contains("found no array"), "{}", error.message);
        }
    }

    #[test]
    fn the_first_row_that_is_wrong_is_named() {
        let (one, nested) = (|| Some(Json::Integer(1)), || Some(Json::Nested("an object")));
        for (values, row, expected) in [
            (vec![one(), None, nested()], 1, "it, or null"),
            (vec![one(), nested(), None], 1, "a text, a number"),
            (vec![one(), one(), None], 2, "it, or null"),
            (vec![None, one(), one()], 0, "it, or null"),
        ] {
            let error = gathered(values).unwrap_err();
            assert_eq!(error.row, Some(row), "{}", error.message);
            assert!(error.expected.unwrap().starts_with(expected), "{}", error.message);
        }
    }
}
