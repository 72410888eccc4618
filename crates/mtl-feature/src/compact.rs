//! Smaller forms of a column: text that is really integers, and few distinct values.
//!
//! A file is read once, fitted to and then encoded. Holding a column's texts for the second pass
//! costs their length and their hashing twice; a dictionary is hashed once and holds 4 bytes a row.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use crate::key::canonical_integer;
use crate::{Key, RawColumn, TextColumn, Values};

/// A dictionary pays while its values stay in the first-level cache, and are few beside the rows.
const MOST_VALUES: usize = 4096;

impl RawColumn {
    /// A column of equal cells in its smallest form.
    ///
    /// Texts become a dictionary if they have few distinct values, else integers if every one is
    /// an integer written the usual way (see [`Key`]), else they stay. So do the items of lists.
    /// Other columns stay.
    pub fn compact(self) -> Self {
        if let Values::List { spans, items } = self.values {
            let items = Arc::new(Arc::unwrap_or_clone(items).compact());
            return Self { values: Values::List { spans, items }, missing: self.missing };
        }
        let Values::Text(texts) = &self.values else { return self };
        let most = MOST_VALUES.min(texts.len() / 4);
        match dictionary(texts, most).or_else(|| self.integers(texts)) {
            Some(values) => Self { values, missing: self.missing },
            None => self,
        }
    }

    fn integers(&self, texts: &TextColumn) -> Option<Values> {
        let integer = |(i, text)| match canonical_integer(text) {
            Some(Key::Integer(value)) => Some(value),
            _ if self.is_missing(i) => Some(0),
            _ => None,
        };
        texts.iter().enumerate().map(integer).collect::<Option<_>>().map(Values::Integer)
    }
}

fn dictionary(texts: &TextColumn, most: usize) -> Option<Values> {
    let mut code_of: HashMap<&str, u32> = HashMap::with_capacity(64);
    let mut values = TextColumn::new();
    let mut codes = Vec::with_capacity(texts.len());
    for text in texts.iter() {
        let next = values.len() as u32;
        let code = *code_of.entry(text).or_insert(next);
        if code == next {
            if values.len() == most {
                return None;
            }
            values.push(text);
        }
        codes.push(code);
    }
    let values = RawColumn::new(Values::Text(values)).integers_or_texts();
    Some(Values::Dictionary { codes, values: Arc::new(values) })
}

impl RawColumn {
    fn integers_or_texts(self) -> Self {
        let Values::Text(texts) = &self.values else { return self };
        self.integers(texts).map_or_else(|| self.clone(), Self::new)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Cell;
    use crate::key::key_of;

    fn check_same_keys(column: RawColumn) -> Result<RawColumn, TestCaseError> {
        let compact = column.clone().compact();
        prop_assert_eq!(column.len(), compact.len());
        for i in 0..column.len() {
            prop_assert_eq!(key_of(column.cell(i)), key_of(compact.cell(i)));
            prop_assert_eq!(column.cell(i).to_string(), compact.cell(i).to_string());
        }
        Ok(compact)
    }

    proptest! {
        #[test]
        fn compacting_changes_no_value(
            rows in prop::collection::vec(("[0-3ab]?[0-9]?", any::<bool>()), 0..60),
        ) {
            let texts = rows.iter().map(|(text, _)| text.as_str()).collect();
            let missing = rows.iter().map(|(_, missing)| *missing).collect();
            check_same_keys(RawColumn::with_missing(Values::Text(texts), Some(missing)))?;
        }

        #[test]
        fn many_integers_become_integers(values in prop::collection::vec(any::<i64>(), 8..60)) {
            let texts: Vec<String> = values.iter().map(i64::to_string).collect();
            let column = RawColumn::text(texts.iter().map(String::as_str));
            let compact = check_same_keys(column)?;
            let small = !matches!(compact.values(), Values::Text(_));
            prop_assert!(small, "still text");
        }
    }

    #[test]
    fn few_texts_become_a_dictionary() {
        let column = RawColumn::text(["x", "y", "x", "x", "y", "y", "x", "x"]).compact();
        let Values::Dictionary { codes, values } = column.values() else { panic!("{column:?}") };
        assert_eq!((codes.as_slice(), values.len()), (&[0, 1, 0, 0, 1, 1, 0, 0][..], 2));
    }

    #[test]
    fn a_number_with_a_leading_zero_stays_text() {
        let column = RawColumn::text(["007", "7"]).compact();
        assert_eq!(column.cell(0), Cell::Text("007"));
    }
}
