//! The body of `POST /score`, read in one pass into columns.

use std::fmt;

use axum::http::StatusCode;
use mtl_feature::{Chunk, RawColumn, Rows};
use mtl_model::Fusion;
use serde::de::{Deserialize, DeserializeSeed};
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::cell::{Json, column, repeated};
use crate::loaded::Inputs;
use crate::problem::{Part, Problem, quoted};

/// What is to be scored, and how the answer is ordered.
#[derive(Debug)]
pub(crate) struct Request {
    /// The rows; for candidates the user's fields are in each of them.
    pub(crate) chunk: Chunk,
    /// Whether they are one user's candidates.
    pub(crate) part: Part,
    pub(crate) fusion: Option<Fusion>,
    pub(crate) sort: bool,
    pub(crate) top_k: Option<usize>,
}

impl Request {
    /// Reads a body for a model with these inputs.
    pub(crate) fn parse(body: &[u8], inputs: &Inputs) -> Result<Self, Problem> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let read = Body(inputs).deserialize(&mut json).and_then(|body| json.end().map(|()| body));
        let body = read.map_err(|error| Problem::bad(format!("the request: {error}")))?;
        if let Some(key) = body.unknown {
            let near = mtl_feature::nearest_names(&key, &KEYS);
            let hint = near.first().map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            let known = KEYS.join(", ");
            let message = format!("the request has {}, expected {known}{hint}", quoted(&key));
            return Err(Problem::bad(message));
        }
        let (fusion, sort, top_k) = (body.fusion, body.sort || body.top_k.is_some(), body.top_k);
        let (chunk, part) = match (body.rows, body.user, body.candidates) {
            (Some(rows), None, None) => (rows.chunk(inputs, None)?, Part::Rows),
            (None, Some(user), Some(candidates)) => {
                (candidates.chunk(inputs, Some(user))?, Part::Candidates)
            }
            _ => {
                let expected = "either `rows`, or `user` and `candidates`";
                return Err(Problem::bad(format!("the request: expected {expected}")));
            }
        };
        Ok(Self { chunk, part, fusion, sort, top_k })
    }
}

const KEYS: [&str; 6] = ["rows", "user", "candidates", "fusion", "sort", "top_k"];

/// Rows as cells by the model's columns; `None` where a row has no such field.
#[derive(Debug)]
struct Table<'a> {
    part: Part,
    n_rows: usize,
    columns: Vec<Vec<Option<Json<'a>>>>,
}

impl<'a> Table<'a> {
    fn new(part: Part, inputs: &Inputs) -> Self {
        Self { part, n_rows: 0, columns: vec![Vec::new(); inputs.columns().len()] }
    }

    fn add_row<A: MapAccess<'a>>(&mut self, inputs: &Inputs, mut row: A) -> Result<(), A::Error> {
        self.columns.iter_mut().for_each(|column| column.push(None));
        while let Some(key) = row.next_key::<Key<'a>>()? {
            // A field that no feature reads is no concern of ours, as a column of a file is none.
            let Some(place) = inputs.place(&key.0) else {
                row.next_value::<IgnoredAny>()?;
                continue;
            };
            let cell = &mut self.columns[place][self.n_rows];
            if cell.is_some() {
                return Err(A::Error::custom(format!("field `{}` twice in a row", key.0)));
            }
            *cell = Some(row.next_value()?);
        }
        self.n_rows += 1;
        Ok(())
    }

    /// The rows as a chunk, with the fields of a user beside their own.
    fn chunk(self, inputs: &Inputs, user: Option<Self>) -> Result<Chunk, Problem> {
        let (part, n_rows) = (self.part, self.n_rows);
        let mut users = user.map(|user| user.columns.into_iter());
        let mut columns = Vec::with_capacity(self.columns.len());
        for (name, cells) in inputs.columns().iter().zip(self.columns) {
            let of_user = users.as_mut().and_then(|users| users.next()?.pop().flatten());
            let raw = match of_user {
                Some(value) => {
                    if let Some(row) = cells.iter().position(Option::is_some) {
                        let expected = "it in `user` or in `candidates`, not in both";
                        let message =
                            format!("{} has field `{name}` and so has `user`", part.at(row as u64));
                        return Err(Problem::bad(format!("{message}, expected {expected}")));
                    }
                    repeated(one(Part::User, name, vec![Some(value)], inputs)?, n_rows)
                }
                None => one(part, name, cells, inputs)?,
            };
            columns.push((name.clone(), raw));
        }
        Chunk::new(n_rows, Rows::From(0), columns).map_err(|e| Problem::bad(e.to_string()))
    }
}

/// One column, if every row has it and it holds what a column may.
fn one(
    part: Part,
    name: &str,
    cells: Vec<Option<Json<'_>>>,
    inputs: &Inputs,
) -> Result<RawColumn, Problem> {
    let mut found = Vec::with_capacity(cells.len());
    for (row, cell) in cells.into_iter().enumerate() {
        let at = (part, row as u64);
        match cell {
            None => return Err(Problem::field(at, name, None, "it, or null for a missing value")),
            Some(Json::Nested(what)) => {
                let expected = "a text, a number, true, false, null or an array of them";
                return Err(Problem::field(at, name, Some(what.to_owned()), expected));
            }
            Some(Json::Text(text)) if inputs.trims() => {
                found.push(Json::Text(text.trim().to_owned().into()));
            }
            Some(cell) => found.push(cell),
        }
    }
    // A column holds arrays or single values.
    let is_list = |cell: &Json<'_>| matches!(cell, Json::List(_));
    let is_single = |cell: &Json<'_>| !matches!(cell, Json::List(_) | Json::Null);
    if let Some(row) = found.iter().position(is_single).filter(|_| found.iter().any(is_list)) {
        let expected = "an array or null, as in the other rows";
        return Err(Problem::field(
            (part, row as u64),
            name,
            Some("no array".to_owned()),
            expected,
        ));
    }
    Ok(column(&found, inputs.missing()))
}

/// A key, borrowed from the body where it has no escapes.
struct Key<'a>(std::borrow::Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(text.to_owned().into()))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The top level.
#[derive(Debug, Default)]
struct Read<'a> {
    rows: Option<Table<'a>>,
    user: Option<Table<'a>>,
    candidates: Option<Table<'a>>,
    fusion: Option<Fusion>,
    sort: bool,
    top_k: Option<usize>,
    unknown: Option<String>,
}

struct Body<'i>(&'i Inputs);

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = Read<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Read<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Read<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `rows`, or with `user` and `candidates`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read<'de>, A::Error> {
        let (inputs, mut read) = (self.0, Read::default());
        while let Some(key) = map.next_key::<Key<'de>>()? {
            match &*key.0 {
                "rows" => read.rows = Some(map.next_value_seed(RowList(inputs, Part::Rows))?),
                "user" => read.user = Some(map.next_value_seed(OneRow(inputs))?),
                "candidates" => {
                    let list = RowList(inputs, Part::Candidates);
                    read.candidates = Some(map.next_value_seed(list)?);
                }
                "fusion" => read.fusion = map.next_value()?,
                "sort" => read.sort = map.next_value()?,
                "top_k" => read.top_k = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    read.unknown.get_or_insert_with(|| key.0.clone().into_owned());
                }
            }
        }
        Ok(read)
    }
}

/// An array of rows.
struct RowList<'i>(&'i Inputs, Part);

impl<'de> DeserializeSeed<'de> for RowList<'_> {
    type Value = Table<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Table<'de>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowList<'_> {
    type Value = Table<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` to be an array of objects", self.1.name())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Table<'de>, A::Error> {
        let mut table = Table::new(self.1, self.0);
        while seq.next_element_seed(Row(self.0, &mut table))?.is_some() {}
        Ok(table)
    }
}

/// A user: one row.
struct OneRow<'i>(&'i Inputs);

impl<'de> DeserializeSeed<'de> for OneRow<'_> {
    type Value = Table<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Table<'de>, D::Error> {
        let mut table = Table::new(Part::User, self.0);
        Row(self.0, &mut table).deserialize(deserializer)?;
        Ok(table)
    }
}

/// An object of fields, added to a table.
struct Row<'i, 't, 'de>(&'i Inputs, &'t mut Table<'de>);

impl<'de> DeserializeSeed<'de> for Row<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to be an object of fields", self.1.part.at(self.1.n_rows as u64))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.1.add_row(self.0, map)
    }
}

/// The status of a request that could not be read in time or in full.
pub(crate) fn refused(status: StatusCode, max_body: usize) -> Problem {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            status,
            format!("the request is too large, expected at most {max_body} bytes"),
        ),
        _ => Problem::bad("the request ended early"),
    }
}
