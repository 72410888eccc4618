//! What a categorical value is, whatever type the file gave it.
//!
//! The same id must come out of a CSV file, where it is text, and a Parquet file, where it is an
//! integer: so text that is an integer written the usual way *is* that integer, and the integer is
//! taken as 64 bits, never through a float.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::Cell;

/// A categorical value. Integers sort by value and before texts; texts sort by their bytes.
///
/// - An integer, or text that is an integer without leading zeros, plus sign or blanks
///   (`123`, `-5`; not `007`, `+1`, `1.0`), is that integer.
/// - A float that is a whole number below 2⁵³ is that integer; other floats are their shortest
///   decimal text.
/// - True and false are the texts `true` and `false`.
/// - All else is text, byte by byte: case and blanks count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// An integer.
    Integer(i64),
    /// An integer above `i64::MAX`.
    Unsigned(u64),
    /// Anything else.
    Text(Box<str>),
}

impl Key {
    /// The key of a text, which is an integer if the text is one.
    pub fn from_text(text: &str) -> Self {
        canonical_integer(text).unwrap_or_else(|| Self::Text(text.into()))
    }

    pub(crate) fn as_ref(&self) -> KeyRef<'_> {
        match self {
            Key::Integer(value) => KeyRef::Integer(*value),
            Key::Unsigned(value) => KeyRef::Unsigned(*value),
            Key::Text(text) => KeyRef::Text(text),
        }
    }

    /// A stable 64-bit hash: xxh3 of the integer's eight bytes, least first, or of the text's bytes.
    pub fn hash64(&self) -> u64 {
        match self {
            Key::Integer(value) => hash_integer(*value),
            Key::Unsigned(value) => hash_unsigned(*value),
            Key::Text(text) => xxh3_64(text.as_bytes()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Integer(value) => value.fmt(f),
            Key::Unsigned(value) => value.fmt(f),
            Key::Text(text) => f.write_str(text),
        }
    }
}

fn hash_integer(value: i64) -> u64 {
    xxh3_64(&value.to_le_bytes())
}

/// With a seed: the eight bytes are those of a negative integer.
fn hash_unsigned(value: u64) -> u64 {
    xxh3_64_with_seed(&value.to_le_bytes(), 1)
}

/// A categorical value, borrowed where it can be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum KeyRef<'a> {
    Integer(i64),
    Unsigned(u64),
    Text(&'a str),
    Owned(String),
}

impl KeyRef<'_> {
    pub(crate) fn into_key(self) -> Key {
        match self {
            KeyRef::Integer(value) => Key::Integer(value),
            KeyRef::Unsigned(value) => Key::Unsigned(value),
            KeyRef::Text(text) => Key::Text(text.into()),
            KeyRef::Owned(text) => Key::Text(text.into()),
        }
    }

    pub(crate) fn hash64(&self) -> u64 {
        match self {
            KeyRef::Integer(value) => hash_integer(*value),
            KeyRef::Unsigned(value) => hash_unsigned(*value),
            KeyRef::Text(text) => xxh3_64(text.as_bytes()),
            KeyRef::Owned(text) => xxh3_64(text.as_bytes()),
        }
    }
}

impl fmt::Display for KeyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyRef::Integer(value) => value.fmt(f),
            KeyRef::Unsigned(value) => value.fmt(f),
            KeyRef::Text(text) => f.write_str(text),
            KeyRef::Owned(text) => f.write_str(text),
        }
    }
}

/// The key of a cell, `None` if it is missing.
///
/// # Errors
/// What was expected, for a float that cannot be a key.
pub(crate) fn key_of(cell: Cell<'_>) -> Result<Option<KeyRef<'_>>, &'static str> {
    Ok(Some(match cell {
        Cell::Missing => return Ok(None),
        Cell::Integer(value) => KeyRef::Integer(value),
        Cell::Unsigned(value) => match i64::try_from(value) {
            Ok(value) => KeyRef::Integer(value),
            Err(_) => KeyRef::Unsigned(value),
        },
        Cell::Boolean(value) => KeyRef::Text(if value { "true" } else { "false" }),
        Cell::Float(value) => return key_of_float(value).map(Some),
        Cell::List(_) => return Err("one value, not a list (`kind = \"sequence\"` reads lists)"),
        Cell::Text(text) => match canonical_integer(text) {
            Some(Key::Integer(value)) => KeyRef::Integer(value),
            Some(Key::Unsigned(value)) => KeyRef::Unsigned(value),
            _ => KeyRef::Text(text),
        },
    }))
}

fn key_of_float(value: f64) -> Result<KeyRef<'static>, &'static str> {
    // From 2^53 on neighbouring integers share a float: two users would become one.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !value.is_finite() {
        return Err("a finite number (list the value in `missing` if it marks a missing one)");
    }
    if value.fract() != 0.0 {
        return Ok(KeyRef::Owned(value.to_string()));
    }
    if value.abs() >= EXACT {
        return Err("an id below 2^53: a larger one has lost digits in a floating-point column");
    }
    Ok(KeyRef::Integer(value as i64))
}

/// The integer that `text` is, if it is written as an integer prints.
pub(crate) fn canonical_integer(text: &str) -> Option<Key> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let canonical = match digits {
        [] => false,
        [b'0'] => !negative,
        [first, ..] => *first != b'0' && digits.len() <= 20,
    };
    if !canonical || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if digits.len() <= 18 {
        let size = digits.iter().fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        return Some(Key::Integer(if negative { -size } else { size }));
    }
    let integer = text.parse().map(Key::Integer);
    integer.or_else(|_| text.parse().map(Key::Unsigned)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(cell: Cell<'_>) -> u64 {
        key_of(cell).unwrap().unwrap().hash64()
    }

    #[test]
    fn text_and_integer_are_one_key() {
        for value in [0, 1, -1, 123, i64::MAX, i64::MIN, 999_999_999_999_999_999] {
            let text = value.to_string();
            assert_eq!(key_of(Cell::Text(&text)), key_of(Cell::Integer(value)), "{value}");
        }
        let text = u64::MAX.to_string();
        assert_eq!(key_of(Cell::Text(&text)), key_of(Cell::Unsigned(u64::MAX)));
        assert_eq!(key_of(Cell::Unsigned(7)), key_of(Cell::Integer(7)));
        assert_eq!(key_of(Cell::Float(7.0)), key_of(Cell::Integer(7)));
        assert_eq!(key_of(Cell::Float(0.5)).unwrap().unwrap().hash64(), hash(Cell::Text("0.5")));
    }

    #[test]
    fn text_that_is_no_canonical_integer_stays_text() {
        for text in ["", "-", "-0", "007", "+1", " 1", "1 ", "1.0", "1e3", "99999999999999999999"] {
            assert_eq!(key_of(Cell::Text(text)), Ok(Some(KeyRef::Text(text))), "{text}");
        }
    }

    #[test]
    fn ids_that_a_float_cannot_hold_stay_apart() {
        let big = 9_007_199_254_740_993_i64;
        assert_ne!(hash(Cell::Integer(big)), hash(Cell::Integer(big - 1)));
        assert_ne!(hash(Cell::Unsigned(u64::MAX)), hash(Cell::Integer(-1)));
        assert!(key_of(Cell::Float(big as f64)).unwrap_err().contains("lost digits"));
    }

    /// A change of these numbers would move every hashed id of every saved model.
    #[test]
    fn the_hash_is_the_published_xxh3() {
        assert_eq!(hash(Cell::Text("")), 0x2d06_8005_38d3_94c2);
        assert_eq!(hash(Cell::Integer(0)), xxh3_64(&[0; 8]));
    }

    proptest! {
        #[test]
        fn every_integer_reads_back(value in any::<i64>()) {
            prop_assert_eq!(canonical_integer(&value.to_string()), Some(Key::Integer(value)));
        }

        #[test]
        fn a_canonical_integer_prints_as_it_was(text in "-?[0-9]{1,21}") {
            if let Some(key) = canonical_integer(&text) {
                prop_assert_eq!(key.to_string(), text);
            }
        }
    }
}
