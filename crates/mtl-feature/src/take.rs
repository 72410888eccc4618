//! Rows of a column by number: what a join needs.

use crate::{RawColumn, TextColumn, Values};

impl RawColumn {
    /// The rows of these numbers, in that order; the value is missing where there is no number.
    ///
    /// This joins a table to a log: `rows[i]` says which row of the table belongs to row i of the
    /// log. A dictionary stays one, its values shared, not copied.
    ///
    /// ```
    /// use mtl_feature::{Cell, RawColumn};
    ///
    /// let city = RawColumn::text(["Rome", "Oslo"]).take(&[Some(1), None, Some(0)]);
    /// assert_eq!((city.cell(0), city.cell(1)), (Cell::Text("Oslo"), Cell::Missing));
    /// ```
    ///
    /// # Panics
    /// If there is no row of such a number.
    pub fn take(&self, rows: &[Option<u32>]) -> Self {
        let values = match self.values() {
            Values::Text(texts) => {
                let text = |row: &Option<u32>| row.map_or("", |row| texts.get(row as usize));
                Values::Text(rows.iter().map(text).collect::<TextColumn>())
            }
            Values::Integer(values) => Values::Integer(taken(values, rows)),
            Values::Unsigned(values) => Values::Unsigned(taken(values, rows)),
            Values::Float(values) => Values::Float(taken(values, rows)),
            Values::Boolean(values) => Values::Boolean(taken(values, rows)),
            Values::List { spans, items } => {
                Values::List { spans: taken(spans, rows), items: items.clone() }
            }
            Values::Dictionary { codes, values } => {
                Values::Dictionary { codes: taken(codes, rows), values: values.clone() }
            }
        };
        let missing = rows.iter().map(|row| row.is_none_or(|row| self.is_missing(row as usize)));
        Self::with_missing(values, Some(missing.collect()))
    }
}

fn taken<T: Copy + Default>(values: &[T], rows: &[Option<u32>]) -> Vec<T> {
    rows.iter().map(|row| row.map_or(T::default(), |row| values[row as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cell;

    fn check(column: &RawColumn) {
        let taken = column.take(&[Some(2), None, Some(0), Some(2), Some(1)]);
        let expected =
            [column.cell(2), Cell::Missing, column.cell(0), column.cell(2), Cell::Missing];
        assert_eq!([0, 1, 2, 3, 4].map(|i| taken.cell(i)), expected);
    }

    #[test]
    fn every_kind_of_column_is_joined_and_stays_missing_where_it_was() {
        let missing = || Some(vec![false, true, false]);
        let texts: TextColumn = ["a", "b", "c"].into_iter().collect();
        let text = RawColumn::new(Values::Text(texts.clone()));
        let codes = Values::Dictionary { codes: vec![2, 1, 0], values: std::sync::Arc::new(text) };
        for values in [
            Values::Text(texts),
            Values::Integer(vec![1, 2, 3]),
            Values::Unsigned(vec![1, 2, 3]),
            Values::Float(vec![1.5, 2.5, 3.5]),
            Values::Boolean(vec![true, true, false]),
            codes,
        ] {
            check(&RawColumn::with_missing(values, missing()));
        }
    }

    #[test]
    fn nothing_can_be_taken_from_an_empty_dictionary_but_missing_values() {
        let values = std::sync::Arc::new(RawColumn::text([]));
        let column = RawColumn::new(Values::Dictionary { codes: vec![], values });
        assert_eq!(column.take(&[None, None]).cell(1), Cell::Missing);
    }
}
