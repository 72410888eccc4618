//! Crosses: the values of several columns as one.

use std::fmt::Write as _;

use crate::key::key_of;
use crate::{Chunk, Error, RawColumn, Result, TextColumn, Values};

/// What stands between the values of a cross in the text that they become: U+001F, made for this,
/// and in no text that people write.
pub const CROSS_SEPARATOR: char = '\u{1f}';

/// A column of the columns' values joined in order of the columns' names, missing where one of
/// them is.
///
/// # Errors
/// [`Error::MissingColumn`], or [`Error::Value`] for a value that is no name.
pub(crate) fn joined(chunk: &Chunk, of: &[String], feature: &str) -> Result<RawColumn> {
    let needed_by = || format!("feature `{feature}`");
    let mut names: Vec<&str> = of.iter().map(String::as_str).collect();
    names.sort_unstable();
    let columns: Vec<&RawColumn> =
        names.iter().map(|column| chunk.need(column, needed_by)).collect::<Result<_>>()?;
    let (mut texts, mut missing) = (TextColumn::new(), Vec::with_capacity(chunk.n_rows()));
    let mut text = String::new();
    for row in 0..chunk.n_rows() {
        text.clear();
        let mut is_missing = false;
        for (i, (column, name)) in columns.iter().zip(&names).enumerate() {
            let cell = column.cell(row);
            let wrong = |expected| Error::value(chunk.rows().number(row), name, cell, expected);
            if i > 0 {
                text.push(CROSS_SEPARATOR);
            }
            match key_of(cell).map_err(wrong)? {
                None => is_missing = true,
                // A `String` takes whatever is written to it.
                Some(key) => _ = write!(text, "{key}"),
            }
        }
        texts.push(if is_missing { "" } else { &text });
        missing.push(is_missing);
    }
    Ok(RawColumn::with_missing(Values::Text(texts), Some(missing)))
}
