//! What no log shows, in columns of a file: true probabilities, and labels that every row has. It is
//! read beside the tables, by a schema of its own, so that nothing that trains can see it.

use std::path::Path;

use mtl_feature::{Chunk, FeatureTable, LabelSpec, Schema, SchemaFitter, SchemaSpec, Targets};

use crate::load::Columns;
use crate::part_rows::PartRows;
use crate::split::Part;
use crate::{DataConfig, Error, Files, ReadOptions, Result};

/// The columns of a truth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TruthColumns {
    /// Probabilities, from 0 to 1; a missing one is unknown.
    pub probabilities: Vec<String>,
    /// Labels of 0 and 1; a missing one is unknown.
    pub labels: Vec<String>,
}

impl TruthColumns {
    /// Every column once.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.probabilities.iter().chain(&self.labels).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn spec(&self) -> SchemaSpec {
        let label = |name: &str| match self.labels.iter().any(|label| label == name) {
            true => LabelSpec::binary(name),
            false => LabelSpec::regression(name),
        };
        SchemaSpec::new(Vec::new(), self.names().into_iter().map(label).collect())
    }
}

/// Reads the truth about the rows of a part, in their order: a table that has these columns as labels
/// and nothing else.
///
/// # Errors
/// A file without such a column; [`Error::Value`] for a cell that is no probability, or no label.
pub fn read_truth(config: &DataConfig, part: Part, columns: &TruthColumns) -> Result<FeatureTable> {
    let config = config.expanded()?;
    read(PartRows::of(&config, part), &config.read_options()?, columns)
}

/// The same for all rows of a file.
///
/// # Errors
/// As [`read_truth`].
pub fn read_truth_in(
    file: &Path,
    options: &ReadOptions,
    columns: &TruthColumns,
) -> Result<FeatureTable> {
    read(PartRows::all(&Files::One(file.to_owned())), options, columns)
}

fn read(rows: PartRows<'_>, options: &ReadOptions, columns: &TruthColumns) -> Result<FeatureTable> {
    let mut needs: Vec<(String, String)> =
        columns.names().into_iter().map(|name| (name.to_owned(), "the truth".to_owned())).collect();
    if let Some(split) = rows.split_column().filter(|split| !columns.names().contains(split)) {
        needs.push((split.to_owned(), "the split".to_owned()));
    }
    let (mut schema, mut table) = (None, FeatureTable::default());
    rows.for_each(
        options,
        |_| Ok(Columns::new(needs.clone())),
        |file, chunk| {
            let schema: &Schema = match &schema {
                Some(schema) => schema,
                None => &*schema.insert(fitted(columns, file, &chunk)?),
            };
            let encoder = schema.encoder(&schema.columns(), Targets::Required)?;
            if table.is_empty() {
                table = encoder.table();
            }
            let before = table.n_rows();
            encoder.encode(&chunk, &mut table).map_err(|error| Error::in_file(file, error))?;
            check(columns, file, &chunk, (&table, before))?;
            Ok(true)
        },
    )?;
    Ok(table)
}

/// Labels have nothing to fit: any rows do.
fn fitted(columns: &TruthColumns, file: &Path, chunk: &Chunk) -> Result<Schema> {
    let mut fitter = SchemaFitter::new(columns.spec())?;
    fitter.observe(chunk).map_err(|error| Error::in_file(file, error))?;
    Ok(fitter.finish()?)
}

/// Whether the rows of a chunk, which the table has from row `before` on, have probabilities.
fn check(
    columns: &TruthColumns,
    file: &Path,
    chunk: &Chunk,
    (table, before): (&FeatureTable, usize),
) -> Result<()> {
    for name in &columns.probabilities {
        let values = &table.label_of(name).unwrap_or(&[])[before..];
        let wrong = values.iter().position(|p| !p.is_nan() && !(0.0..=1.0).contains(p));
        if let (Some(i), Some(cells)) = (wrong, chunk.column(name)) {
            let (row, cell) = (chunk.rows().number(i), cells.cell(i).quoted());
            return Err(Error::value(file, row, name, cell, "a probability from 0 to 1"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Split;

    fn columns() -> TruthColumns {
        let own = |name: &str| vec![name.to_owned()];
        TruthColumns { probabilities: own("p"), labels: own("would") }
    }

    #[test]
    fn the_truth_is_that_of_the_part_s_rows() -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        std::fs::write(&file, "day,p,would\n1,0.5,0\n9,0.25,1\n2,,0\n9,,\n").unwrap();
        let split = Split::Column {
            column: "day".to_owned(),
            validation_from: None,
            test_from: Some(crate::Bound::Integer(5)),
        };
        let table = read_truth(&DataConfig::new(&file).split(split), Part::Test, &columns())?;
        let [p, would] = ["p", "would"].map(|name| table.label_of(name).unwrap());
        assert_eq!((p[0], would[0]), (0.25, 1.0));
        assert!(p[1].is_nan() && would[1].is_nan() && table.n_rows() == 2);
        let all = read_truth_in(&file, &ReadOptions::default(), &columns())?;
        assert_eq!(all.n_rows(), 4);
        assert_eq!(all.label_of("would").unwrap()[..3], [0.0, 1.0, 0.0]);
        Ok(())
    }

    #[test]
    fn what_is_no_truth_is_named_by_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        for (text, expected) in [
            ("p,would\n0.5,0\n1.5,1\n", "a.csv: row 3, column `p`"),
            ("p,would\n0.5,0\n0.5,2\n", "a.csv: row 3, column `would`"),
            ("q,would\n0.5,0\n", "`p`"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = read_truth_in(&file, &ReadOptions::default(), &columns()).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(expected), "found    {error}\nexpected {expected}");
        }
    }
}
