//! The body of `POST /score`, read in one pass into columns.

use std::fmt;

use axum::http::StatusCode;
use mtl_feature::{Chunk, Rows};
use mtl_model::Fusion;
use serde::de::{Deserialize, DeserializeSeed};
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::cell::{Json, repeated};
use crate::column::Column;
use crate::formula::Formula;
use crate::loaded::Inputs;
use crate::optional::{Count, Flag, OrNull};
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
        // The whole of it at once: else each key would be looked at by itself.
        let text = std::str::from_utf8(body)
            .map_err(|error| Problem::bad(format!("the request: {error}, expected UTF-8")))?;
        let mut json = serde_json::Deserializer::from_str(text);
        let rows = text.len() / (BYTES_OF_A_CELL * inputs.columns().len().max(1));
        let read = Body { inputs, rows }.deserialize(&mut json);
        let read = read.and_then(|body| json.end().map(|()| body));
        let body = read.map_err(|error| unread(text, &error))?;
        if let Some(key) = body.unknown {
            let near = mtl_feature::nearest_names(&key, &KEYS);
            let hint = near.first().map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            let known = KEYS.join(", ");
            let message = format!("the request has {}, expected {known}{hint}", quoted(&key));
            return Err(Problem::bad(message));
        }
        let (fusion, top_k) = (body.fusion, body.top_k);
        let sort = body.sort.unwrap_or_default() || top_k.is_some();
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

const EXPECTED: &str = "an object with `rows`, or with `user` and `candidates`";

/// What is wrong with a body, and at which of its places.
fn unread(text: &str, error: &serde_json::Error) -> Problem {
    if text.trim().is_empty() {
        return Problem::bad(format!("the request: there is no body, expected {EXPECTED}"));
    }
    let message = error.to_string();
    // Of what is wrong from the first letter on the place says nothing, and is called column 0.
    let message = message.strip_suffix(" at line 1 column 0").unwrap_or(&message);
    Problem::bad(format!("the request: {message}"))
}

/// What a value takes of a body with its key, at least: columns get room for as many rows as that
/// leaves, which is never more memory than the body's own.
const BYTES_OF_A_CELL: usize = 10;

/// Rows, gathered by the model's columns.
#[derive(Debug)]
struct Table<'a> {
    part: Part,
    n_rows: usize,
    columns: Vec<Column<'a>>,
    /// The column of each field of the row before, in the order in which they came, past the last for
    /// one that no feature reads. Rows are alike: a field is mostly the one that came in its place
    /// before, which one comparison tells.
    order: Vec<usize>,
}

impl<'a> Table<'a> {
    fn new(part: Part, inputs: &Inputs, rows: usize) -> Self {
        let columns = inputs.columns().iter().map(|_| Column::new(rows)).collect();
        Self { part, n_rows: 0, columns, order: Vec::new() }
    }

    fn add_row<A: MapAccess<'a>>(&mut self, inputs: &Inputs, mut row: A) -> Result<(), A::Error> {
        let mut nth = 0;
        while let Some(key) = row.next_key::<Key<'a>>()? {
            let place = self.place(inputs, nth, &key.0);
            nth += 1;
            // A field that no feature reads is no concern of ours, as a column of a file is none.
            let Some(column) = self.columns.get_mut(place) else {
                row.next_value::<IgnoredAny>()?;
                continue;
            };
            if column.has(self.n_rows) {
                return Err(A::Error::custom(format!("field `{}` twice in a row", key.0)));
            }
            let value = match row.next_value()? {
                Json::Text(text) if inputs.trims() => Json::Text(text.trim().to_owned().into()),
                value => value,
            };
            column.add(self.n_rows, value, inputs.missing());
        }
        self.n_rows += 1;
        Ok(())
    }

    /// The column of the `nth` field of a row.
    fn place(&mut self, inputs: &Inputs, nth: usize, key: &str) -> usize {
        let before = self.order.get(nth).copied().unwrap_or(usize::MAX);
        if inputs.columns().get(before).is_some_and(|name| name == key) {
            return before;
        }
        let place = inputs.place(key).unwrap_or(usize::MAX);
        match self.order.get_mut(nth) {
            Some(before) => *before = place,
            None => self.order.push(place),
        }
        place
    }

    /// The rows as a chunk, with the fields of a user beside their own.
    fn chunk(self, inputs: &Inputs, user: Option<Self>) -> Result<Chunk, Problem> {
        let (part, n_rows) = (self.part, self.n_rows);
        let mut users = user.map(|user| user.columns.into_iter());
        let mut columns = Vec::with_capacity(self.columns.len());
        for (name, column) in inputs.columns().iter().zip(self.columns) {
            let of_user = users.as_mut().and_then(Iterator::next);
            let raw = match of_user.filter(|column| column.first().is_some()) {
                Some(value) => {
                    if let Some(row) = column.first() {
                        let expected = "it in `user` or in `candidates`, not in both";
                        let message =
                            format!("{} has field `{name}` and so has `user`", part.at(row as u64));
                        return Err(Problem::bad(format!("{message}, expected {expected}")));
                    }
                    repeated(value.finish(Part::User, name, 1, inputs.missing())?, n_rows)
                }
                None => column.finish(part, name, n_rows, inputs.missing())?,
            };
            columns.push((name.clone(), raw));
        }
        Chunk::new(n_rows, Rows::From(0), columns).map_err(|e| Problem::bad(e.to_string()))
    }
}

/// A key, borrowed from the body where it has no escapes.
pub(crate) struct Key<'a>(std::borrow::Cow<'a, str>);

impl Key<'_> {
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

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
    sort: Option<bool>,
    top_k: Option<usize>,
    unknown: Option<String>,
}

struct Body<'i> {
    inputs: &'i Inputs,
    /// As many rows as there may be.
    rows: usize,
}

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = Read<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Read<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Read<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read<'de>, A::Error> {
        let (Self { inputs, rows }, mut read) = (self, Read::default());
        let mut given = [false; KEYS.len()];
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let known = KEYS.iter().zip(&mut given).find(|(known, _)| **known == key.text());
            if let Some((known, given)) = known
                && std::mem::replace(given, true)
            {
                return Err(A::Error::custom(format!("`{known}` twice")));
            }
            match &*key.0 {
                "rows" => {
                    let table = Table::new(Part::Rows, inputs, rows);
                    read.rows = map.next_value_seed(OrNull(RowList(inputs, table)))?;
                }
                "user" => {
                    let table = Table::new(Part::User, inputs, 1);
                    read.user = map.next_value_seed(OrNull(OneRow(inputs, table)))?;
                }
                "candidates" => {
                    let table = Table::new(Part::Candidates, inputs, rows);
                    read.candidates = map.next_value_seed(OrNull(RowList(inputs, table)))?;
                }
                "fusion" => read.fusion = map.next_value_seed(OrNull(Formula))?,
                "sort" => read.sort = map.next_value_seed(OrNull(Flag("sort")))?,
                "top_k" => read.top_k = map.next_value_seed(OrNull(Count("top_k")))?,
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
struct RowList<'i, 'a>(&'i Inputs, Table<'a>);

impl<'de> DeserializeSeed<'de> for RowList<'_, 'de> {
    type Value = Table<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Table<'de>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowList<'_, 'de> {
    type Value = Table<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` to be an array of objects", self.1.part.name())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Table<'de>, A::Error> {
        let Self(inputs, mut table) = self;
        while seq.next_element_seed(Row(inputs, &mut table))?.is_some() {}
        Ok(table)
    }
}

/// A user: one row.
struct OneRow<'i, 'a>(&'i Inputs, Table<'a>);

impl<'de> DeserializeSeed<'de> for OneRow<'_, 'de> {
    type Value = Table<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Table<'de>, D::Error> {
        let Self(inputs, mut table) = self;
        Row(inputs, &mut table).deserialize(deserializer)?;
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
