//! What can be wrong with a configuration of features, or with a value.

use crate::Cell;

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value that its column may not have.
    #[error("row {row}, column `{column}`: found {value}, expected {expected}")]
    Value {
        /// The row, as the chunk numbers it.
        row: u64,
        /// The column's name in the data.
        column: String,
        /// The value, shortened and in back quotes, or "a missing value".
        value: String,
        /// What would have been right.
        expected: String,
    },
    /// A column that is needed and is not there.
    #[error("there is no column `{column}` (needed by {needed_by}){}", suggestion(.nearest))]
    MissingColumn {
        /// The column's name.
        column: String,
        /// Who needs it: a feature, a label, the group or the weight.
        needed_by: String,
        /// Names that exist and look alike, nearest first.
        nearest: Vec<String>,
    },
    /// A setting that cannot be.
    #[error("{owner}: `{key}` is {value}, expected {expected}")]
    Setting {
        /// Whose setting it is, such as "feature `age`".
        owner: String,
        /// The setting's name.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would have been right.
        expected: String,
    },
    /// Two things of one kind have one name.
    #[error("two {what} are named `{name}`")]
    Twice {
        /// What kind of thing.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A schema was to grow, and features or labels are not those that it was fitted for.
    #[error("{owner}: {difference}")]
    Differs {
        /// The feature or label, such as "feature `age`".
        owner: String,
        /// What of it was, and is now.
        difference: String,
    },
    /// A schema was to be fitted to nothing.
    #[error("there are no training rows; fitting a schema needs at least one")]
    NoRows,
    /// A column of another length than its table.
    #[error("column `{column}` has {found} rows, expected {expected}")]
    Length {
        /// The column's name.
        column: String,
        /// Its length.
        found: usize,
        /// The table's length.
        expected: usize,
    },
    /// An error of the graph that the input layer is added to.
    #[error(transparent)]
    Graph(#[from] mtl_nn::Error),
}

impl Error {
    /// The error for a cell, with its value made fit for one line.
    pub(crate) fn value(row: u64, column: &str, cell: Cell<'_>, expected: &str) -> Self {
        let value = cell.quoted();
        Self::Value { row, column: column.to_owned(), value, expected: expected.to_owned() }
    }
}

fn suggestion(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        [one] => format!("; did you mean `{one}`?"),
        [first, rest @ ..] => {
            let rest: Vec<_> = rest.iter().map(|name| format!(" or `{name}`")).collect();
            format!("; did you mean `{first}`{}?", rest.concat())
        }
    }
}

/// Up to three of `names` that look like `name`, nearest first.
///
/// Case and the choice of `_`, `-` or a blank count for little, since these are what people mix up.
pub fn nearest_names<S: AsRef<str>>(name: &str, names: &[S]) -> Vec<String> {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let wanted = plain(name);
    let mut scored: Vec<(f64, &str)> = names
        .iter()
        .map(|other| (likeness(&wanted, &plain(other.as_ref())), other.as_ref()))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// 1 for equal names; 0.8 at least for names of two letters and more that are one slip apart,
/// which Jaro and Winkler's measure finds unlike where they are short: `dm` and `dim`.
fn likeness(a: &str, b: &str) -> f64 {
    let slip = a.len().min(b.len()) > 1 && strsim::damerau_levenshtein(a, b) == 1;
    strsim::jaro_winkler(a, b).max(if slip { 0.8 } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_in_a_short_name_is_found() {
        assert_eq!(nearest_names("dm", &["dim", "bound", "group"]), ["dim"]);
        assert!(nearest_names("a", &["b"]).is_empty());
    }

    #[test]
    fn a_missing_column_names_its_neighbours() {
        let nearest = nearest_names("is_clik", &["user_id", "is_click", "IS-CLICK", "video"]);
        let error = Error::MissingColumn {
            column: "is_clik".into(),
            needed_by: "label `click`".into(),
            nearest,
        };
        assert_eq!(
            error.to_string(),
            "there is no column `is_clik` (needed by label `click`); \
             did you mean `IS-CLICK` or `is_click`?"
        );
    }

    #[test]
    fn nothing_is_suggested_for_a_name_like_no_other() {
        assert!(nearest_names("weight", &["a", "user_id"]).is_empty());
    }
}
