//! Which values stand for a missing one.

use mtl_feature::Key;

/// The marks of a missing value, ready to be compared with: `missing` of [`ReadOptions`].
///
/// [`ReadOptions`]: crate::ReadOptions
#[derive(Clone, Debug, Default)]
pub struct Missing {
    texts: Vec<String>,
    integers: Vec<i64>,
    nan: bool,
}

impl Missing {
    /// Marks as a configuration writes them.
    pub fn new(marks: &[String]) -> Self {
        let integer = |mark: &String| match Key::from_text(mark) {
            Key::Integer(value) => Some(value),
            _ => None,
        };
        Self {
            texts: marks.to_vec(),
            integers: marks.iter().filter_map(integer).collect(),
            nan: marks.iter().any(|mark| mark.eq_ignore_ascii_case("nan")),
        }
    }

    /// Whether a field of a text file is missing.
    pub fn bytes(&self, field: &[u8]) -> bool {
        self.texts.iter().any(|mark| mark.as_bytes() == field)
    }

    /// Whether an integer stands for a missing one.
    pub fn integer(&self, value: i64) -> bool {
        self.integers.contains(&value)
    }

    /// A NaN is what many writers of Parquet leave where a number is missing; it is one only if the
    /// marks say so, else it is an error as it is in a CSV file.
    pub(crate) fn float(&self, value: f64) -> bool {
        self.nan && value.is_nan()
    }
}
