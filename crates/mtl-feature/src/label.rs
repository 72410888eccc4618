//! Labels: the column behind a task.

use serde::{Deserialize, Serialize};

use crate::count::KeyMap;
use crate::key::{KeyRef, key_of};
use crate::number::{NOT_A_NUMBER, number_of, to_f32};
use crate::{Cell, Error, Key, Result};

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
    /// One of several values, the classes.
    Multiclass,
}

/// More classes than these are a column of ids taken for a label.
pub(crate) const MAX_CLASSES: usize = 1000;

/// Where a task's label comes from. Labels have names and are bound by them, never by position.
///
/// | key | default | purpose |
/// |---|---|---|
/// | `name` | – | the label's name |
/// | `column` | `name` | the column it reads |
/// | `kind` | `"binary"` | `"binary"`, `"regression"` or `"multiclass"` |
/// | `positive` | none | for a column that is not 0 and 1: the values that are 1, any other being 0 (binary) |
/// | `classes` | those of the training rows | the values there are, in the order of their numbers (multiclass) |
///
/// A class is compared like the value of a categorical feature (see [`Key`](crate::Key)); its label is
/// its place among the classes, from 0. Classes found in the training rows are sorted: integers by
/// value, then texts.
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
    /// The classes; none until the schema is fitted, where they are those of the training rows.
    #[serde(default)]
    pub classes: Vec<String>,
}

impl LabelSpec {
    /// A label of 0 and 1.
    pub fn binary(name: impl Into<String>) -> Self {
        let (positive, classes) = (Vec::new(), Vec::new());
        Self { name: name.into(), column: None, kind: LabelKind::Binary, positive, classes }
    }

    /// A label of any finite number.
    pub fn regression(name: impl Into<String>) -> Self {
        Self { kind: LabelKind::Regression, ..Self::binary(name) }
    }

    /// A label of several classes: those of the training rows, unless they are named.
    pub fn multiclass(name: impl Into<String>) -> Self {
        Self { kind: LabelKind::Multiclass, ..Self::binary(name) }
    }

    /// Names the classes of a multiclass label.
    pub fn classes<S: Into<String>>(mut self, classes: impl IntoIterator<Item = S>) -> Self {
        self.classes = classes.into_iter().map(Into::into).collect();
        self
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
        if self.kind != LabelKind::Multiclass && !self.classes.is_empty() {
            return wrong("classes", "given", "it for a multiclass label only");
        }
        if self.classes.is_empty() {
            return Ok(());
        }
        if !(2..=MAX_CLASSES).contains(&self.classes.len()) {
            return wrong("classes", &self.classes.len().to_string(), "2 to 1000 classes");
        }
        let mut keys: Vec<Key> = self.classes.iter().map(|text| Key::from_text(text)).collect();
        keys.sort_unstable();
        match keys.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => wrong("classes", &pair[0].to_string(), "each class once"),
            None => Ok(()),
        }
    }

    /// The label with the classes that training rows have, where none are named.
    ///
    /// # Errors
    /// [`Error::Setting`] for fewer than two, or more than are likely.
    pub(crate) fn fitted(self, found: KeyMap<u64>) -> Result<Self> {
        let mut keys: Vec<Key> = found.into_entries().into_iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        let n = keys.len();
        if !(2..=MAX_CLASSES).contains(&n) {
            let value = format!("{n} in the training rows");
            let (owner, expected) = (format!("label `{}`", self.name), "2 to 1000".to_owned());
            return Err(Error::Setting { owner, key: "classes", value, expected });
        }
        Ok(self.classes(keys.iter().map(Key::to_string)))
    }

    /// Whether classes are to be found in the training rows.
    pub(crate) fn wants_classes(&self) -> bool {
        self.kind == LabelKind::Multiclass && self.classes.is_empty()
    }

    /// The label of each cell: its value, or NaN for a missing one.
    pub(crate) fn parser(&self) -> impl Fn(Cell<'_>) -> std::result::Result<f32, &'static str> {
        let key = |text| key_of(Cell::Text(text)).ok().flatten();
        let positive: Vec<KeyRef<'_>> = self.positive.iter().filter_map(|text| key(text)).collect();
        let mut classes = KeyMap::default();
        for (i, class) in self.classes.iter().enumerate() {
            classes.insert(&Key::from_text(class), i as u32);
        }
        move |cell| match self.kind {
            LabelKind::Multiclass => match key_of(cell)? {
                None => Ok(f32::NAN),
                Some(key) => match classes.get(&key) {
                    Some(class) => Ok(class as f32), // at most MAX_CLASSES
                    None => Err("one of the label's classes"),
                },
            },
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
    const NAN: &str = "0 or 1 (list the value in `missing` if it marks a missing one)";
    const WORD: &str = "0 or 1 (`positive` of a [[task]] names the values that count as 1)";
    let number = number_of(cell).map_err(|expected| match cell {
        _ if expected == NOT_A_NUMBER => NAN,
        Cell::Text(_) => WORD,
        _ => EXPECTED,
    });
    match number? {
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
        for text in ["2", "-1", "0.5"] {
            assert_eq!(parse(Cell::Text(text)), Err("0 or 1"), "{text}");
        }
        assert!(parse(Cell::Text("yes")).unwrap_err().contains("`positive` of a [[task]]"));
        for cell in [Cell::Text("nan"), Cell::Float(f64::NAN)] {
            assert!(parse(cell).unwrap_err().contains("list the value in `missing`"), "{cell:?}");
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
    fn a_class_is_its_place_among_the_classes() {
        let spec = LabelSpec::multiclass("size").classes(["small", "7", "large"]);
        spec.check().unwrap();
        let parse = spec.parser();
        assert_eq!(parse(Cell::Text("large")), Ok(2.0));
        assert_eq!(parse(Cell::Integer(7)), Ok(1.0));
        assert!(parse(Cell::Missing).unwrap().is_nan());
        assert_eq!(parse(Cell::Text("huge")), Err("one of the label's classes"));
        let error = |spec: LabelSpec| spec.check().unwrap_err().to_string();
        let twice = error(LabelSpec::multiclass("size").classes(["7", "a", "7"]));
        assert!(twice.contains("each class once"), "{twice}");
        assert!(error(LabelSpec::binary("size").classes(["a", "b"])).contains("multiclass"));
        assert!(error(LabelSpec::multiclass("size").classes(["a"])).contains("2 to 1000"));
    }

    #[test]
    fn classes_of_the_training_rows_are_sorted() {
        let found = |texts: &[&str]| {
            let mut counts = KeyMap::default();
            for text in texts {
                counts.add(&key_of(Cell::Text(text)).unwrap().unwrap(), 1);
            }
            LabelSpec::multiclass("size").fitted(counts)
        };
        assert_eq!(found(&["b", "10", "9", "a", "9"]).unwrap().classes, ["9", "10", "a", "b"]);
        let error = found(&["b"]).unwrap_err().to_string();
        assert!(error.contains("label `size`") && error.contains("1 in the training"), "{error}");
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
