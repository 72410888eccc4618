//! Labels: the column behind a task.

use serde::{Deserialize, Serialize};

use crate::key::{KeyRef, key_of};
use crate::number::{number_of, to_f32};
use crate::{Cell, Error, Result};

/// What values a label may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LabelKind {
    /// 0 or 1 (or false or true).
    #[default]
    Binary,
    /// Any finite number.
    Regression,
}

/// Where a task's label comes from. Labels have names and are bound by them, never by position.
///
/// | key | default | purpose |
/// |---|---|---|
/// | `name` | – | the label's name |
/// | `column` | `name` | the column it reads |
/// | `kind` | `"binary"` | `"binary"` or `"regression"` |
/// | `positive` | none | for a column that is not 0 and 1: the values that are 1, any other being 0 (binary) |
///
/// A missing value is a missing label (NaN): the row trains nothing for the task and counts nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LabelSpec {
    /// The label's name.
    pub name: String,
    /// The column it reads, if it is not called like the label.
    #[serde(default)]
    pub column: Option<String>,
    /// What values it may have.
    #[serde(default)]
    pub kind: LabelKind,
    /// The values that are 1.
    #[serde(default)]
    pub positive: Vec<String>,
}

impl LabelSpec {
    /// A label of 0 and 1.
    pub fn binary(name: impl Into<String>) -> Self {
        let positive = Vec::new();
        Self { name: name.into(), column: None, kind: LabelKind::Binary, positive }
    }

    /// A label of any finite number.
    pub fn regression(name: impl Into<String>) -> Self {
        Self { kind: LabelKind::Regression, ..Self::binary(name) }
    }

    /// Reads another column than the one of its name.
    pub fn column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }

    /// Makes the label 1 where the column has one of these values, else 0.
    pub fn positive<S: Into<String>>(mut self, values: impl IntoIterator<Item = S>) -> Self {
        self.positive = values.into_iter().map(Into::into).collect();
        self
    }

    /// The column it reads.
    pub fn column_name(&self) -> &str {
        self.column.as_deref().unwrap_or(&self.name)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |key, value: &str, expected: &str| {
            let owner = format!("label `{}`", self.name);
            Err(Error::Setting {
                owner,
                key,
                value: value.to_owned(),
                expected: expected.to_owned(),
            })
        };
        if self.name.is_empty() {
            return wrong("name", "empty", "a name");
        }
        if self.kind != LabelKind::Binary && !self.positive.is_empty() {
            return wrong("positive", "given", "it for a binary label only");
        }
        Ok(())
    }

    /// The label of each cell: its value, or NaN for a missing one.
    pub(crate) fn parser(&self) -> impl Fn(Cell<'_>) -> std::result::Result<f32, &'static str> {
        let key = |text| key_of(Cell::Text(text)).ok().flatten();
        let positive: Vec<KeyRef<'_>> = self.positive.iter().filter_map(|text| key(text)).collect();
        move |cell| match self.kind {
            LabelKind::Regression => number_of(cell)?.map_or(Ok(f32::NAN), to_f32),
            LabelKind::Binary if positive.is_empty() => binary(cell),
            LabelKind::Binary => {
                let is_positive = |key| f32::from(u8::from(positive.contains(&key)));
                Ok(key_of(cell)?.map_or(f32::NAN, is_positive))
            }
        }
    }
}

fn binary(cell: Cell<'_>) -> std::result::Result<f32, &'static str> {
    const EXPECTED: &str = "0 or 1";
    match number_of(cell).map_err(|_| EXPECTED)? {
        None => Ok(f32::NAN),
        Some(0.0) => Ok(0.0),
        Some(1.0) => Ok(1.0),
        Some(_) => Err(EXPECTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_label_is_0_or_1() {
        let spec = LabelSpec::binary("click");
        let parse = spec.parser();
        for (text, label) in [("0", 0.0), ("1", 1.0), ("1.0", 1.0), ("true", 1.0), ("False", 0.0)] {
            assert_eq!(parse(Cell::Text(text)), Ok(label), "{text}");
        }
        assert!(parse(Cell::Missing).unwrap().is_nan());
        for text in ["2", "-1", "0.5", "yes", "nan"] {
            assert_eq!(parse(Cell::Text(text)), Err("0 or 1"), "{text}");
        }
    }

    #[test]
    fn positive_values_make_a_label_of_any_column() {
        let spec = LabelSpec::binary("adult").positive(["18+", "7"]);
        let parse = spec.parser();
        assert_eq!(parse(Cell::Text("18+")), Ok(1.0));
        assert_eq!(parse(Cell::Integer(7)), Ok(1.0));
        assert_eq!(parse(Cell::Text("child")), Ok(0.0));
        assert!(parse(Cell::Missing).unwrap().is_nan());
    }

    #[test]
    fn a_regression_label_is_finite() {
        let spec = LabelSpec::regression("seconds");
        let parse = spec.parser();
        assert_eq!(parse(Cell::Text("-2.5")), Ok(-2.5));
        assert!(parse(Cell::Float(f64::INFINITY)).is_err());
        assert!(parse(Cell::Float(1e300)).is_err());
        assert!(spec.clone().positive(["1"]).check().is_err());
    }
}
