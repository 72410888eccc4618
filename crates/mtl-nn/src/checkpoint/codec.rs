//! The codec: the one module that names the serialisation crate.
//!
//! ```text
//! magic 8 | version u32 | kind length u32 | payload length u64 | xxh3 u64 | kind | payload
//! ```
//!
//! All numbers are little-endian; the checksum covers kind and payload.

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use crate::Result;

const MAGIC: [u8; 8] = *b"\x89MTLCKPT";
const VERSION: u32 = 1;
const HEADER: usize = 32;

/// Why bytes are not the checkpoint that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The magic bytes are not there.
    #[error("this is no checkpoint: the magic bytes are missing")]
    NotACheckpoint,
    /// Another version of the format.
    #[error("the format has version {found}, expected {expected}")]
    Version {
        /// The version found.
        found: u32,
        /// The version this code reads and writes.
        expected: u32,
    },
    /// The bytes end early.
    #[error("truncated: {found} bytes, expected {expected}")]
    Truncated {
        /// Bytes present.
        found: usize,
        /// Bytes needed, as far as the header could be read.
        expected: u64,
    },
    /// There is something behind the end.
    #[error("{extra} bytes follow its end")]
    Trailing {
        /// Bytes too many.
        extra: usize,
    },
    /// Some bytes changed since they were written.
    #[error("damaged: the checksum does not match")]
    Checksum,
    /// It holds something else.
    #[error("it holds `{found}`, expected `{expected}`")]
    Kind {
        /// The kind found.
        found: String,
        /// The kind asked for.
        expected: String,
    },
    /// The bytes are as they were written, but not of the type asked for.
    #[error("the contents of `{kind}` do not parse: {reason}")]
    Contents {
        /// The kind.
        kind: String,
        /// What the parser says.
        reason: String,
    },
    /// Values of another float type.
    #[error("`{path}` holds {found} values, expected {expected}")]
    Scalar {
        /// The parameter's path.
        path: String,
        /// The type found, such as `f64`.
        found: &'static str,
        /// The type asked for.
        expected: &'static str,
    },
    /// An entry whose values are more or fewer than its own shape says.
    #[error("`{path}` has {found} values for its {rows} × {cols}")]
    Count {
        /// The parameter's path.
        path: String,
        /// Values present.
        found: usize,
        /// Its rows.
        rows: usize,
        /// Its columns.
        cols: usize,
    },
    /// An optimiser's state of another rule.
    #[error("the state is that of `{found}` on {what}, expected `{expected}`")]
    Rule {
        /// `dense parameters` or `tables`.
        what: &'static str,
        /// The rule found, such as `adam`.
        found: String,
        /// The rule of the configuration.
        expected: &'static str,
    },
}

/// The bytes of a checkpoint of that kind.
///
/// # Panics
/// If `value` cannot be serialised: a sequence that hides its length, or an implementation of
/// `Serialize` that fails. Plain structs, vectors and maps do neither. (Enums must not be
/// internally tagged: they would be written, but never read.)
pub fn encode<T: Serialize>(kind: &str, value: &T) -> Vec<u8> {
    let size = format().serialized_size(value).unwrap_or_default() as usize;
    let mut bytes = Vec::with_capacity(HEADER + kind.len() + size);
    bytes.resize(HEADER, 0);
    bytes.extend_from_slice(kind.as_bytes());
    format().serialize_into(&mut bytes, value).expect("plain data can be serialised");
    let payload = (bytes.len() - HEADER - kind.len()) as u64;
    let checksum = xxh3_64(&bytes[HEADER..]);
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&(kind.len() as u32).to_le_bytes());
    bytes[16..24].copy_from_slice(&payload.to_le_bytes());
    bytes[24..32].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The value that [`encode`] wrote under the same kind.
///
/// # Errors
/// [`Error::Checkpoint`](crate::Error::Checkpoint) with the [`Damage`].
pub fn decode<T: DeserializeOwned>(kind: &str, bytes: &[u8]) -> Result<T> {
    Ok(parse(kind, bytes)?)
}

/// What tells bytes from others: their xxh3. It guards against mistakes, not against malice.
pub fn checksum(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

fn parse<T: DeserializeOwned>(kind: &str, bytes: &[u8]) -> Result<T, Damage> {
    let n_magic = bytes.len().min(MAGIC.len());
    if bytes[..n_magic] != MAGIC[..n_magic] {
        return Err(Damage::NotACheckpoint);
    }
    let found = bytes.len();
    let short = |expected| Damage::Truncated { found, expected };
    let version = u32::from_le_bytes(field(bytes, 8).ok_or(short(HEADER as u64))?);
    if version != VERSION {
        return Err(Damage::Version { found: version, expected: VERSION });
    }
    let header = |at| field(bytes, at).ok_or(short(HEADER as u64)).map(u64::from_le_bytes);
    let (payload, checksum) = (header(16)?, header(24)?);
    let n_kind = u32::from_le_bytes(field(bytes, 12).ok_or(short(HEADER as u64))?);
    let expected = (HEADER as u64 + u64::from(n_kind)).saturating_add(payload);
    let rest = &bytes[HEADER..];
    match (found as u64).cmp(&expected) {
        std::cmp::Ordering::Less => return Err(short(expected)),
        std::cmp::Ordering::Greater => {
            return Err(Damage::Trailing { extra: found - expected as usize });
        }
        std::cmp::Ordering::Equal => {}
    }
    if xxh3_64(rest) != checksum {
        return Err(Damage::Checksum);
    }
    let (found, payload) = rest.split_at(n_kind as usize);
    if found != kind.as_bytes() {
        let found = String::from_utf8_lossy(found).into_owned();
        return Err(Damage::Kind { found, expected: kind.to_owned() });
    }
    let limited = format().with_limit(payload.len() as u64);
    let value = limited.deserialize(payload);
    value.map_err(|e| Damage::Contents { kind: kind.to_owned(), reason: e.to_string() })
}

/// Fixed-width little-endian integers; bytes left over are an error.
fn format() -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding()
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Content = (String, Vec<f64>);

    fn content() -> Content {
        ("a".to_owned(), vec![1.5, -0.0, f64::MIN_POSITIVE])
    }

    fn damage(kind: &str, bytes: &[u8]) -> Damage {
        parse::<Content>(kind, bytes).expect_err("damaged")
    }

    #[test]
    fn every_truncation_is_named() {
        let bytes = encode("k", &content());
        for n in 0..bytes.len() {
            let found = damage("k", &bytes[..n]);
            assert!(matches!(found, Damage::Truncated { found, .. } if found == n), "{n}: {found}");
        }
        assert_eq!(parse::<Content>("k", &bytes), Ok(content()));
    }

    #[test]
    fn other_files_versions_kinds_and_tails_are_named() {
        let bytes = encode("params", &content());
        assert_eq!(damage("params", b"PAR1 and so on"), Damage::NotACheckpoint);
        assert_eq!(damage("params", b"\x89MTM"), Damage::NotACheckpoint);
        let mut newer = bytes.clone();
        newer[8] = 9;
        assert_eq!(damage("params", &newer), Damage::Version { found: 9, expected: 1 });
        let longer = [bytes.as_slice(), &[0, 0]].concat();
        assert_eq!(damage("params", &longer), Damage::Trailing { extra: 2 });
        let found = damage("state", &bytes);
        assert_eq!(found.to_string(), "it holds `params`, expected `state`");
        let wrong_type = parse::<Vec<String>>("params", &bytes).expect_err("another type");
        assert!(matches!(wrong_type, Damage::Contents { .. }), "{wrong_type}");
    }

    proptest! {
        #[test]
        fn no_flipped_bit_goes_unnoticed(bit in 0usize..8 * 100) {
            let mut bytes = encode("kind", &content());
            let bit = bit % (8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(parse::<Content>("kind", &bytes).is_err());
        }
    }
}
