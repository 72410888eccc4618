//! Cells of a JSON request, gathered column by column.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use mtl_data::Missing;
use mtl_feature::{RawColumn, TextColumn, Values};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    /// `null`: a missing value.
    Null,
    Boolean(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(Cow<'a, str>),
    /// An array of the others but arrays: the items of a sequence.
    List(Vec<Json<'a>>),
    /// An object or an array of arrays, which no column holds.
    Nested(&'static str),
}

impl Json<'_> {
    /// As a text: what a column of several kinds of values holds.
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Null | Self::List(_) | Self::Nested(_) => Cow::Borrowed(""),
            Self::Boolean(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Self::Integer(value) => Cow::Owned(value.to_string()),
            Self::Unsigned(value) => Cow::Owned(value.to_string()),
            Self::Float(value) => Cow::Owned(value.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }

    pub(crate) fn is_missing(&self, marks: &Missing) -> bool {
        match self {
            Self::Null => true,
            Self::Integer(value) => marks.integer(*value),
            Self::Text(text) => marks.bytes(text.as_bytes()),
            _ => false,
        }
    }
}

/// A column of a request in the form that files have: of one type if all its values are. Arrays are
/// all its values or none. `missing` says which of the cells are, by these marks.
pub(crate) fn column(cells: Vec<Json<'_>>, missing: Vec<bool>, marks: &Missing) -> RawColumn {
    let known = || cells.iter().zip(&missing).filter(|(_, missing)| !**missing).map(|(c, _)| c);
    let integer = |cell: &Json<'_>| if let Json::Integer(v) = cell { *v } else { 0 };
    let number = |cell: &Json<'_>| match cell {
        Json::Integer(v) => *v as f64,
        Json::Float(v) => *v,
        _ => 0.0,
    };
    let values = if known().any(|cell| matches!(cell, Json::List(_))) {
        lists(cells, marks)
    } else if known().all(|cell| matches!(cell, Json::Integer(_))) {
        Values::Integer(cells.iter().map(integer).collect())
    } else if known().all(|cell| matches!(cell, Json::Float(_) | Json::Integer(_)))
        && known().all(|cell| !matches!(cell, Json::Integer(v) if v.abs() >= 1 << 53))
    {
        Values::Float(cells.iter().map(number).collect())
    } else if known().all(|cell| matches!(cell, Json::Boolean(_))) {
        Values::Boolean(cells.iter().map(|cell| matches!(cell, Json::Boolean(true))).collect())
    } else {
        let mut texts = TextColumn::new();
        cells.iter().for_each(|cell| texts.push(&cell.text()));
        Values::Text(texts)
    };
    RawColumn::with_missing(values, Some(missing))
}

fn lists(cells: Vec<Json<'_>>, marks: &Missing) -> Values {
    let (mut spans, mut items) = (Vec::with_capacity(cells.len()), Vec::new());
    for cell in cells {
        let start = items.len() as u32;
        if let Json::List(list) = cell {
            items.extend(list);
        }
        spans.push((start, items.len() as u32));
    }
    let missing = items.iter().map(|item| item.is_missing(marks)).collect();
    Values::List { spans, items: Arc::new(column(items, missing, marks)) }
}

/// One value for `n` rows: what is done for it is done once.
pub(crate) fn repeated(value: RawColumn, n: usize) -> RawColumn {
    RawColumn::new(Values::Dictionary { codes: vec![0; n], values: Arc::new(value) })
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false, null or an array of them")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(i64::try_from(value).map_or(Json::Unsigned(value), Json::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let (mut items, mut nested) = (Vec::new(), false);
        while let Some(item) = seq.next_element()? {
            nested |= matches!(item, Json::List(_) | Json::Nested(_));
            items.push(item);
        }
        Ok(if nested { Json::Nested("an array of arrays or objects") } else { Json::List(items) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Json::Nested("an object"))
    }
}

#[cfg(test)]
mod tests {
    use mtl_feature::Cell;

    use super::*;

    fn read(json: &str, marks: &[&str]) -> RawColumn {
        let cells: Vec<Json<'_>> = serde_json::from_str(json).unwrap();
        let marks: Vec<String> = marks.iter().map(|&mark| mark.to_owned()).collect();
        let marks = Missing::new(&marks);
        let missing = cells.iter().map(|cell| cell.is_missing(&marks)).collect();
        column(cells, missing, &marks)
    }

    fn check(json: &str, expected: &[Cell<'_>]) {
        let column = read(json, &["", "-1"]);
        let found: Vec<Cell<'_>> = (0..column.len()).map(|i| column.cell(i)).collect();
        assert_eq!(found, expected, "{json}");
    }

    #[test]
    fn a_column_is_of_one_type_if_its_values_are() {
        check("[1, null, -1]", &[Cell::Integer(1), Cell::Missing, Cell::Missing]);
        check("[1, 2.5, \"\"]", &[Cell::Float(1.0), Cell::Float(2.5), Cell::Missing]);
        check("[true, false]", &[Cell::Boolean(true), Cell::Boolean(false)]);
        check("[\"a\", 7, true]", &[Cell::Text("a"), Cell::Text("7"), Cell::Text("true")]);
        check("[null]", &[Cell::Missing]);
    }

    #[test]
    fn an_array_is_a_list_of_its_items() {
        let column = read(r#"[[7, null, 9], null, []]"#, &[""]);
        let items = |i: usize| match column.cell(i) {
            Cell::List(list) => list.iter().collect(),
            Cell::Missing => vec![Cell::Missing],
            other => panic!("{other:?}"),
        };
        assert_eq!(items(0), [Cell::Integer(7), Cell::Missing, Cell::Integer(9)]);
        assert_eq!((items(1), items(2)), (vec![Cell::Missing], vec![]));
        assert_eq!(
            serde_json::from_str::<Json<'_>>("[[1]]").unwrap(),
            Json::Nested("an array of arrays or objects")
        );
    }

    #[test]
    fn an_integer_beside_a_float_keeps_its_digits() {
        let big = "9007199254740993";
        check(&format!("[{big}, 0.5]"), &[Cell::Text(big), Cell::Text("0.5")]);
        check("[18446744073709551615]", &[Cell::Text("18446744073709551615")]);
    }
}
