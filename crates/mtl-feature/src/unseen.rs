//! Columns of a file nearly all of whose values training did not know: most often the file writes ids
//! in another way, as `5.0` for `5`.

use crate::{Cell, Encoding, FIRST_KNOWN, FeatureTable, Key, MISSING, RawColumn, Schema, UNSEEN};
use crate::{FittedFeature, Vocabulary};

/// Unseen values that are no news: a file has as many by chance. Fewer rows (a request to a server)
/// are not looked at.
pub(crate) const FEW: usize = 20;

/// The share of a column's values above which something is wrong.
const NEARLY_ALL: f64 = 0.9;

/// Unseen values of a chunk among which one is sought that is known in another spelling.
const LOOKED_AT: usize = 64;

/// A value that training did not know.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    value: String,
    /// Its other spelling, which training knew.
    known: Option<String>,
}

impl Example {
    /// An unseen value of a column with these ids, such as is known in another spelling if there is one.
    pub(crate) fn of(column: &RawColumn, ids: &[u32], vocabulary: &Vocabulary) -> Option<Self> {
        let unseen = (0..ids.len()).filter(|&i| ids[i] == UNSEEN).take(LOOKED_AT);
        let mut examples = unseen.map(|i| {
            let value = shown(column.cell(i));
            let known = other_spelling(&value)
                .filter(|text| vocabulary.id(Cell::Text(text)).is_ok_and(|id| id >= FIRST_KNOWN));
            Self { value, known }
        });
        let first = examples.next()?;
        if first.known.is_some() {
            return Some(first);
        }
        Some(examples.find(|example| example.known.is_some()).unwrap_or(first))
    }
}

fn shown(cell: Cell<'_>) -> String {
    match cell {
        Cell::Text(text) => text.to_owned(),
        Cell::Integer(value) => value.to_string(),
        Cell::Unsigned(value) => value.to_string(),
        Cell::Float(value) => value.to_string(),
        Cell::Boolean(value) => value.to_string(),
        Cell::Missing | Cell::List(_) => String::new(),
    }
}

/// `5` of `5.0`, and `5.0` of `5`: what a table of floats makes of a column of integers.
fn other_spelling(text: &str) -> Option<String> {
    let is_integer = |text: &str| !matches!(Key::from_text(text), Key::Text(_));
    match text.split_once('.') {
        Some((whole, zeros)) if is_integer(whole) => {
            (!zeros.is_empty() && zeros.bytes().all(|b| b == b'0')).then(|| whole.to_owned())
        }
        None if is_integer(text) => Some(format!("{text}.0")),
        _ => None,
    }
}

/// Counts, of each column of names with a vocabulary, the values that training did not know.
#[derive(Clone, Debug)]
pub struct UnseenCounts {
    columns: Vec<Counted>,
}

#[derive(Clone, Debug)]
struct Counted {
    feature: String,
    column: String,
    /// Values that are not missing.
    values: u64,
    unseen: u64,
    example: Option<Example>,
}

impl UnseenCounts {
    /// Nothing yet; two features of one column and one vocabulary are counted once.
    pub fn new(schema: &Schema) -> Self {
        let counted = schema.features().iter().filter(|f| vocabulary_of(f, schema).is_some());
        let mut columns: Vec<Counted> = Vec::new();
        for feature in counted {
            if columns.iter().all(|other| other.column != feature.column()) {
                columns.push(Counted {
                    feature: feature.name().to_owned(),
                    column: feature.column().to_owned(),
                    values: 0,
                    unseen: 0,
                    example: None,
                });
            }
        }
        Self { columns }
    }

    /// Adds rows that the schema encoded.
    pub fn add(&mut self, table: &FeatureTable) {
        for counted in &mut self.columns {
            let ids = table.ids_of(&counted.feature).unwrap_or(&[]);
            counted.values += ids.iter().filter(|&&id| id != MISSING).count() as u64;
            counted.unseen += ids.iter().filter(|&&id| id == UNSEEN).count() as u64;
            if counted.example.is_none() {
                counted.example = table.example(&counted.feature).cloned();
            }
        }
    }

    /// What is to be said of the columns nearly all of whose values are unseen, a line each.
    pub fn notes(&self) -> Vec<String> {
        let telling = |counted: &&Counted| {
            counted.unseen >= FEW as u64
                && counted.unseen as f64 > NEARLY_ALL * counted.values as f64
        };
        self.columns.iter().filter(telling).map(Counted::note).collect()
    }
}

impl Counted {
    fn note(&self) -> String {
        let Self { column, values, unseen, example, .. } = self;
        // Rounded down: 100 % is all of them.
        let percent = 100 * unseen / values;
        let example = match example {
            None => String::new(),
            Some(Example { value, known: None }) => format!(" (for example `{value}`)"),
            Some(Example { value, known: Some(known) }) => {
                format!(" (for example `{value}`, while `{known}` is known)")
            }
        };
        format!("column `{column}`: {percent} % of {values} values are unseen{example}")
    }
}

/// The vocabulary of a feature with one id a row, read from one column.
pub(crate) fn vocabulary_of<'s>(
    feature: &'s FittedFeature,
    schema: &'s Schema,
) -> Option<&'s Vocabulary> {
    match schema.ids_of(feature).encoding() {
        Encoding::Vocabulary(vocabulary)
            if !feature.is_sequence() && feature.spec().of.is_none() =>
        {
            Some(vocabulary)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Chunk, FeatureSpec, Result, Rows, SchemaFitter, SchemaSpec, Targets, TextColumn, Values,
    };

    fn chunk(texts: impl Iterator<Item = String>) -> Chunk {
        let mut column = TextColumn::new();
        texts.for_each(|text| column.push(&text));
        let column = RawColumn::new(Values::Text(column));
        Chunk::new(column.len(), Rows::From(1), vec![("user".to_owned(), column)]).unwrap()
    }

    fn notes(train: &str, later: &[&str]) -> Result<Vec<String>> {
        let spec = SchemaSpec::new(vec![FeatureSpec::categorical("user")], Vec::new());
        let mut fitter = SchemaFitter::new(spec)?;
        fitter.observe(&chunk((0..40).map(|i| format!("{i}{train}"))))?;
        let schema = fitter.finish()?;
        let mut counts = UnseenCounts::new(&schema);
        for later in later {
            let encoder = schema.encoder(&["user"], Targets::Ignored)?;
            let mut table = encoder.table();
            encoder.encode(&chunk((30..60).map(|i| format!("{i}{later}"))), &mut table)?;
            counts.add(&table);
        }
        Ok(counts.notes())
    }

    #[test]
    fn ids_that_are_written_in_another_way_are_told() -> Result<()> {
        let told = |found: &str, known: &str| {
            vec![format!(
                "column `user`: 100 % of 60 values are unseen (for example `{found}`, while \
                 `{known}` is known)"
            )]
        };
        assert_eq!(notes("", &[".0", ".0"])?, told("30.0", "30"));
        assert_eq!(notes(".0", &["", ""])?, told("30", "30.0"));
        let other = "column `user`: 100 % of 30 values are unseen (for example `30x`)";
        assert_eq!(notes("", &["x"])?, [other]);
        assert!(notes("", &["", "x"])?.is_empty());
        Ok(())
    }
}
