//! A piece of a column as a file holds it: typed values, some of them missing.
//!
//! Nothing is decided here about what a value means. A categorical feature, a numeric one and a
//! label may all read the same column.

use std::fmt;
use std::sync::Arc;

use crate::Key;
use crate::key::{KeyRef, key_of};

/// One value of a [`RawColumn`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Missing,
    /// Text.
    Text(&'a str),
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// A floating-point number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// A list of values.
    List(ListCell<'a>),
}

/// A list that one row holds: some rows of another column.
#[derive(Clone, Copy, Debug)]
pub struct ListCell<'a> {
    items: &'a RawColumn,
    start: usize,
    end: usize,
}

impl<'a> ListCell<'a> {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The items, in order.
    pub fn iter(&self) -> impl Iterator<Item = Cell<'a>> + use<'a> {
        let items = self.items;
        (self.start..self.end).map(|i| items.cell(i))
    }
}

impl PartialEq for ListCell<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Cell<'_> {
    /// What the value is as a category, `None` if it is missing.
    ///
    /// # Errors
    /// What was expected, for a float that is not finite or too large to be an id.
    pub fn key(&self) -> Result<Option<Key>, &'static str> {
        Ok(key_of(*self)?.map(KeyRef::into_key))
    }

    /// The value for an error message: one line, at most 60 characters, in back quotes.
    pub fn quoted(&self) -> String {
        if *self == Cell::Missing {
            return "a missing value".to_owned();
        }
        let text: String = self.to_string().escape_debug().collect();
        if text.chars().count() <= 60 {
            return format!("`{text}`");
        }
        format!("`{}…`", text.chars().take(60).collect::<String>())
    }
}

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Missing => Ok(()),
            Cell::Text(text) => f.write_str(text),
            Cell::Integer(value) => value.fmt(f),
            Cell::Unsigned(value) => value.fmt(f),
            Cell::Float(value) => value.fmt(f),
            Cell::Boolean(value) => value.fmt(f),
            Cell::List(list) => list.iter().enumerate().try_for_each(|(i, item)| match i {
                0 => item.fmt(f),
                _ => write!(f, "|{item}"),
            }),
        }
    }
}

/// Many short texts in one buffer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextColumn {
    text: String,
    ends: Vec<u32>,
}

impl TextColumn {
    /// An empty column.
    pub fn new() -> Self {
        Self::default()
    }

    /// A column of a buffer in which text i ends where `ends[i]` says and begins where the text
    /// before it ended. `Err` holds the first row that is not UTF-8 by itself, with the buffer.
    ///
    /// # Panics
    /// If `ends` decreases or does not finish at the end of the buffer.
    pub fn from_parts(bytes: Vec<u8>, ends: Vec<u32>) -> Result<Self, (usize, Vec<u8>)> {
        assert_eq!(ends.last().map_or(0, |&end| end as usize), bytes.len(), "ends of texts");
        match String::from_utf8(bytes) {
            // A letter of several bytes must not be shared by two texts.
            Ok(text) => match ends.iter().position(|&end| !text.is_char_boundary(end as usize)) {
                None => Ok(Self { text, ends }),
                Some(row) => Err((row, text.into_bytes())),
            },
            Err(error) => {
                let wrong = error.utf8_error().valid_up_to();
                let row = ends.partition_point(|&end| end as usize <= wrong);
                Err((row, error.into_bytes()))
            }
        }
    }

    /// Adds a text.
    ///
    /// # Panics
    /// If the buffer grows past 4 GiB.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(u32::try_from(self.text.len()).expect("a chunk's texts fit in 4 GiB"));
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Text `i`.
    ///
    /// # Panics
    /// If there is no text `i`.
    pub fn get(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.text[start as usize..self.ends[i] as usize]
    }

    /// Every text in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let text = &self.text[start..end as usize];
            start = end as usize;
            text
        })
    }
}

impl<'a> FromIterator<&'a str> for TextColumn {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        let mut column = Self::new();
        texts.into_iter().for_each(|text| column.push(text));
        column
    }
}

/// The values of a [`RawColumn`]; what stands where a value is missing has no meaning.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Values {
    /// Texts.
    Text(TextColumn),
    /// Signed integers.
    Integer(Vec<i64>),
    /// Unsigned integers.
    Unsigned(Vec<u64>),
    /// Floating-point numbers.
    Float(Vec<f64>),
    /// True or false.
    Boolean(Vec<bool>),
    /// Each row is a list: some consecutive values of another column, which pieces may share.
    List {
        /// For each row, where its items begin in `items` and where they end.
        spans: Vec<(u32, u32)>,
        /// The items of all rows.
        items: Arc<RawColumn>,
    },
    /// Each row points at one of a few values. What is done for a value is done once, not once a
    /// row, and pieces of one column may share their values.
    Dictionary {
        /// For each row, which of `values`.
        codes: Vec<u32>,
        /// The distinct values.
        values: Arc<RawColumn>,
    },
}

/// A piece of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct RawColumn {
    pub(crate) values: Values,
    pub(crate) missing: Option<Vec<bool>>,
}

impl RawColumn {
    /// A column without missing values.
    ///
    /// # Panics
    /// If a dictionary's code points past its values, or a list past its items.
    pub fn new(values: Values) -> Self {
        Self::with_missing(values, None)
    }

    /// A column whose value is missing where `missing` is true.
    ///
    /// # Panics
    /// If `missing` has another length than the values, or a dictionary's code points past its
    /// values where one is not missing.
    pub fn with_missing(values: Values, missing: Option<Vec<bool>>) -> Self {
        let missing = missing.filter(|missing| missing.contains(&true));
        let column = Self { values, missing };
        if let Some(missing) = &column.missing {
            assert_eq!(missing.len(), column.len(), "length of the missing marks");
        }
        if let Values::Dictionary { codes, values } = &column.values {
            let mut codes = codes.iter().enumerate();
            let n_values = values.len();
            let fits = codes.all(|(i, &code)| (code as usize) < n_values || column.is_missing(i));
            assert!(fits, "a dictionary's code points past its {n_values} values");
        }
        if let Values::List { spans, items } = &column.values {
            let fits = |&(start, end): &(u32, u32)| start <= end && end as usize <= items.len();
            assert!(spans.iter().all(fits), "a list points past its {} items", items.len());
        }
        column
    }

    /// A column of texts, none missing.
    pub fn text<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(Values::Text(texts.into_iter().collect()))
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Text(texts) => texts.len(),
            Values::Integer(values) => values.len(),
            Values::Unsigned(values) => values.len(),
            Values::Float(values) => values.len(),
            Values::Boolean(values) => values.len(),
            Values::List { spans, .. } => spans.len(),
            Values::Dictionary { codes, .. } => codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values, whether missing or not.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Whether the value of row `i` is missing.
    pub fn is_missing(&self, i: usize) -> bool {
        self.missing.as_ref().is_some_and(|missing| missing[i])
    }

    /// The value of row `i`.
    ///
    /// # Panics
    /// If there is no row `i`.
    pub fn cell(&self, i: usize) -> Cell<'_> {
        if self.is_missing(i) {
            return Cell::Missing;
        }
        match &self.values {
            Values::Text(texts) => Cell::Text(texts.get(i)),
            Values::Integer(values) => Cell::Integer(values[i]),
            Values::Unsigned(values) => Cell::Unsigned(values[i]),
            Values::Float(values) => Cell::Float(values[i]),
            Values::Boolean(values) => Cell::Boolean(values[i]),
            Values::List { spans, items } => {
                let (start, end) = spans[i];
                Cell::List(ListCell { items, start: start as usize, end: end as usize })
            }
            Values::Dictionary { codes, values } => values.cell(codes[i] as usize),
        }
    }

    /// The rows where `keep` is true, in order.
    ///
    /// # Panics
    /// If `keep` has another length than the column.
    pub fn filter(&self, keep: &[bool]) -> Self {
        assert_eq!(keep.len(), self.len(), "length of the filter");
        let values = match &self.values {
            Values::Text(texts) => {
                let kept = texts.iter().zip(keep).filter(|(_, keep)| **keep);
                Values::Text(kept.map(|(text, _)| text).collect())
            }
            Values::Integer(values) => Values::Integer(kept(values, keep)),
            Values::Unsigned(values) => Values::Unsigned(kept(values, keep)),
            Values::Float(values) => Values::Float(kept(values, keep)),
            Values::Boolean(values) => Values::Boolean(kept(values, keep)),
            Values::List { spans, items } => {
                Values::List { spans: kept(spans, keep), items: items.clone() }
            }
            Values::Dictionary { codes, values } => {
                Values::Dictionary { codes: kept(codes, keep), values: values.clone() }
            }
        };
        Self::with_missing(values, self.missing.as_ref().map(|missing| kept(missing, keep)))
    }

    /// `f(cell)` of every row; a dictionary's values are worked out once each.
    ///
    /// # Errors
    /// The first row that `f` refuses, with its reason.
    pub fn map_cells<T: Copy, E>(
        &self,
        f: impl Fn(Cell<'_>) -> Result<T, E>,
    ) -> Result<Vec<T>, (usize, E)> {
        let mut out = Vec::with_capacity(self.len());
        let Values::Dictionary { codes, values } = &self.values else {
            self.visit_cells(|i, cell| {
                out.push(f(cell).map_err(|error| (i, error))?);
                Ok(())
            })?;
            return Ok(out);
        };
        let of_value: Vec<Option<T>> = (0..values.len()).map(|v| f(values.cell(v)).ok()).collect();
        let of_missing = f(Cell::Missing).ok();
        for (i, &code) in codes.iter().enumerate() {
            let known = if self.is_missing(i) { of_missing } else { of_value[code as usize] };
            match known {
                Some(value) => out.push(value),
                // Only a value that a row has may be an error: asked again, for its reason.
                None => out.push(f(self.cell(i)).map_err(|error| (i, error))?),
            }
        }
        Ok(out)
    }

    /// Calls `f` with values and how many rows have them, all in all once for every row.
    ///
    /// # Errors
    /// A row that `f` refuses, with its reason: the first one, but for a dictionary, whose values
    /// come in the dictionary's order.
    pub(crate) fn count_cells<E>(
        &self,
        mut f: impl FnMut(Cell<'_>, u64) -> Result<(), E>,
    ) -> Result<(), (usize, E)> {
        let Values::Dictionary { codes, values } = &self.values else {
            return self.visit_cells(|i, cell| f(cell, 1).map_err(|error| (i, error)));
        };
        let mut counts = vec![0_u64; values.len()];
        let mut n_missing = 0;
        for (i, &code) in codes.iter().enumerate() {
            match self.is_missing(i) {
                true => n_missing += 1,
                false => counts[code as usize] += 1,
            }
        }
        let row_of = |code| codes.iter().position(|&other| other as usize == code).unwrap_or(0);
        for (code, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            f(values.cell(code), count).map_err(|error| (row_of(code), error))?;
        }
        let first_missing = || (0..codes.len()).find(|&i| self.is_missing(i)).unwrap_or(0);
        if n_missing > 0 {
            f(Cell::Missing, n_missing).map_err(|error| (first_missing(), error))?;
        }
        Ok(())
    }

    /// Calls `f` with every row; the type of the values is looked at once, not once a row.
    fn visit_cells<E>(&self, mut f: impl FnMut(usize, Cell<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut visit = |i: usize, cell| match self.is_missing(i) {
            true => f(i, Cell::Missing),
            false => f(i, cell),
        };
        match &self.values {
            Values::Text(texts) => {
                texts.iter().enumerate().try_for_each(|(i, text)| visit(i, Cell::Text(text)))
            }
            Values::Integer(values) => each(values, |i, v| visit(i, Cell::Integer(v))),
            Values::Unsigned(values) => each(values, |i, v| visit(i, Cell::Unsigned(v))),
            Values::Float(values) => each(values, |i, v| visit(i, Cell::Float(v))),
            Values::Boolean(values) => each(values, |i, v| visit(i, Cell::Boolean(v))),
            Values::Dictionary { .. } | Values::List { .. } => {
                (0..self.len()).try_for_each(|i| f(i, self.cell(i)))
            }
        }
    }
}

fn each<T: Copy, E>(values: &[T], mut f: impl FnMut(usize, T) -> Result<(), E>) -> Result<(), E> {
    values.iter().enumerate().try_for_each(|(i, &value)| f(i, value))
}

fn kept<T: Copy>(values: &[T], keep: &[bool]) -> Vec<T> {
    values.iter().zip(keep).filter(|(_, keep)| **keep).map(|(&value, _)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary() -> RawColumn {
        let values = Arc::new(RawColumn::text(["a", "bad", "unused", "c"]));
        let codes = vec![0, 3, 0, 1, 7];
        let missing = Some(vec![false, false, false, false, true]);
        RawColumn::with_missing(Values::Dictionary { codes, values }, missing)
    }

    fn lengths(column: &RawColumn) -> Result<Vec<usize>, (usize, &'static str)> {
        column.map_cells(|cell| match cell {
            Cell::Text("bad") => Err("good"),
            cell => Ok(cell.to_string().len()),
        })
    }

    #[test]
    fn a_dictionary_reads_as_the_values_it_points_at() {
        let column = dictionary();
        let cells: Vec<_> = (0..5).map(|i| column.cell(i)).collect();
        let expected =
            [Cell::Text("a"), Cell::Text("c"), Cell::Text("a"), Cell::Text("bad"), Cell::Missing];
        assert_eq!(cells, expected);
        assert_eq!(column.filter(&[false, true, false, false, true]).cell(1), Cell::Missing);
    }

    #[test]
    fn only_a_value_that_a_row_has_is_an_error() {
        let column = dictionary();
        assert_eq!(lengths(&column), Err((3, "good")));
        assert_eq!(lengths(&column.filter(&[true, true, true, false, true])), Ok(vec![1, 1, 1, 0]));
    }

    #[test]
    fn counts_add_up_to_the_rows() {
        let mut seen = Vec::new();
        let counted = dictionary().count_cells(|cell, count| {
            seen.push((cell.to_string(), count));
            Ok::<_, ()>(())
        });
        assert_eq!(counted, Ok(()));
        let expected = [("a", 2), ("bad", 1), ("c", 1), ("", 1)];
        assert_eq!(seen, expected.map(|(text, count)| (text.to_owned(), count)));
    }

    #[test]
    fn a_letter_split_between_two_texts_is_not_utf8() {
        assert_eq!(TextColumn::from_parts("xé".into(), vec![2, 3]), Err((0, "xé".into())));
        assert_eq!(TextColumn::from_parts(b"ab\xff".into(), vec![1, 2, 3]).unwrap_err().0, 2);
        let column = TextColumn::from_parts("aéb".into(), vec![1, 1, 3, 4]).unwrap();
        assert_eq!(column.iter().collect::<Vec<_>>(), ["a", "", "é", "b"]);
        assert_eq!((0..4).map(|i| column.get(i)).collect::<Vec<_>>(), ["a", "", "é", "b"]);
    }

    #[test]
    fn a_value_is_quoted_on_one_line() {
        assert_eq!(Cell::Text("a\nb").quoted(), "`a\\nb`");
        assert_eq!(Cell::Text(&"é".repeat(61)).quoted(), format!("`{}…`", "é".repeat(60)));
        assert_eq!(Cell::Missing.quoted(), "a missing value");
    }
}
