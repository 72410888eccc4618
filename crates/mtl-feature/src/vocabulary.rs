//! The known values of a categorical feature.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::count::KeyMap;
use crate::key::{KeyRef, key_of};
use crate::{Cell, FIRST_KNOWN, Key, MISSING, UNSEEN};

/// Known values in order of their ids, which begin at [`FIRST_KNOWN`].
///
/// The order is by falling number of training rows, then by value, so it depends neither on the
/// order of the rows nor on how they are cut into chunks.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    keys: Vec<Key>,
    ids: KeyMap<u32>,
}

impl Vocabulary {
    /// A vocabulary of these values, the first of which gets id [`FIRST_KNOWN`].
    pub fn new(keys: Vec<Key>) -> Self {
        let mut ids = KeyMap::default();
        for (i, key) in keys.iter().enumerate() {
            ids.insert(key, i as u32 + FIRST_KNOWN);
        }
        Self { keys, ids }
    }

    pub(crate) fn from_counts(counts: KeyMap<u64>, min_count: u64) -> Self {
        let mut entries = counts.into_entries();
        entries.retain(|(_, count)| *count >= min_count);
        entries.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Self::new(entries.into_iter().map(|(key, _)| key).collect())
    }

    /// These values with the ids they have, and after them the others that were counted often enough.
    pub(crate) fn extended(&self, counts: KeyMap<u64>, min_count: u64) -> Self {
        let counted = Self::from_counts(counts, min_count);
        let is_new = |key: &Key| self.ids.get(&key.as_ref()).is_none();
        let new = counted.keys.into_iter().filter(is_new);
        Self::new(self.keys.iter().cloned().chain(new).collect())
    }

    /// The known values in order of their ids.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Rows of an embedding table for it: the known values and the reserved ids.
    pub fn n_rows(&self) -> usize {
        self.keys.len() + FIRST_KNOWN as usize
    }

    /// The id of a value.
    ///
    /// # Errors
    /// What was expected, for a float that is not finite or too large to be an id.
    pub fn id(&self, cell: Cell<'_>) -> Result<u32, &'static str> {
        Ok(key_of(cell)?.map_or(MISSING, |key| self.id_of(&key)))
    }

    fn id_of(&self, key: &KeyRef<'_>) -> u32 {
        self.ids.get(key).unwrap_or(UNSEEN)
    }
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys
    }
}

impl Serialize for Vocabulary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.keys.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(cells: &[(Cell<'_>, u64)], min_count: u64) -> Vocabulary {
        let mut counts = KeyMap::default();
        for (cell, count) in cells {
            counts.add(&key_of(*cell).unwrap().unwrap(), *count);
        }
        Vocabulary::from_counts(counts, min_count)
    }

    #[test]
    fn ids_fall_with_the_count_then_rise_with_the_value() {
        let cells = [
            (Cell::Text("b"), 3),
            (Cell::Text("a"), 3),
            (Cell::Text("10"), 3),
            (Cell::Integer(9), 2),
            (Cell::Text("9"), 2),
            (Cell::Text("rare"), 1),
        ];
        let vocabulary = counted(&cells, 2);
        let keys: Vec<_> = vocabulary.keys().iter().map(Key::to_string).collect();
        assert_eq!(keys, ["9", "10", "a", "b"]);
        assert_eq!(vocabulary.n_rows(), 6);
        assert_eq!(vocabulary.id(Cell::Integer(9)), Ok(2));
        assert_eq!(vocabulary.id(Cell::Text("b")), Ok(5));
        assert_eq!(vocabulary.id(Cell::Text("rare")), Ok(UNSEEN));
        assert_eq!(vocabulary.id(Cell::Missing), Ok(MISSING));
    }

    #[test]
    fn it_survives_json_and_bincode() {
        let cells = [(Cell::Text("x"), 1), (Cell::Integer(-3), 2), (Cell::Unsigned(u64::MAX), 1)];
        let vocabulary = counted(&cells, 1);
        let json = serde_json::to_string(&vocabulary).unwrap();
        assert_eq!(serde_json::from_str::<Vocabulary>(&json).unwrap(), vocabulary);
        let bytes = bincode::serialize(&vocabulary).unwrap();
        let back: Vocabulary = bincode::deserialize(&bytes).unwrap();
        assert_eq!(back.id(Cell::Integer(-3)), Ok(2));
        assert_eq!(back, vocabulary);
    }
}
