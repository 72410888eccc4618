//! Into how many ids values may be hashed.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// The most that `hash_buckets` may be: ids are `u32`, and the unseen and the missing have some too.
pub(crate) const MOST_BUCKETS: u32 = 1 << 31;

/// Reads `hash_buckets`. Left to itself serde would refuse what no `u32` holds by the limit of that
/// type, of which a half is refused later.
pub(crate) fn read<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Ok(Option::<Buckets>::deserialize(deserializer)?.map(|Buckets(buckets)| buckets))
}

struct Buckets(u32);

impl<'d> Deserialize<'d> for Buckets {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u32(Limited).map(Self)
    }
}

struct Limited;

impl Visitor<'_> for Limited {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from 1 to {MOST_BUCKETS}")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<u32, E> {
        u32::try_from(value).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u32, E> {
        u32::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }
}
