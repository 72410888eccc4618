//! A map from categorical values, so that looking up a borrowed text allocates nothing.

use foldhash::HashMap;

use crate::Key;
use crate::key::KeyRef;

/// A map from [`Key`] to `V`.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyMap<V> {
    integers: HashMap<i64, V>,
    unsigned: HashMap<u64, V>,
    texts: HashMap<Box<str>, V>,
}

impl<V: Copy> KeyMap<V> {
    pub(crate) fn get(&self, key: &KeyRef<'_>) -> Option<V> {
        match key {
            KeyRef::Integer(value) => self.integers.get(value).copied(),
            KeyRef::Unsigned(value) => self.unsigned.get(value).copied(),
            KeyRef::Text(text) => self.texts.get(*text).copied(),
            KeyRef::Owned(text) => self.texts.get(text.as_str()).copied(),
        }
    }

    pub(crate) fn insert(&mut self, key: &Key, value: V) {
        match key {
            Key::Integer(key) => self.integers.insert(*key, value),
            Key::Unsigned(key) => self.unsigned.insert(*key, value),
            Key::Text(key) => self.texts.insert(key.clone(), value),
        };
    }

    /// The entries, in no order.
    pub(crate) fn into_entries(self) -> Vec<(Key, V)> {
        let integers = self.integers.into_iter().map(|(key, v)| (Key::Integer(key), v));
        let unsigned = self.unsigned.into_iter().map(|(key, v)| (Key::Unsigned(key), v));
        let texts = self.texts.into_iter().map(|(key, v)| (Key::Text(key), v));
        integers.chain(unsigned).chain(texts).collect()
    }
}

impl KeyMap<u64> {
    /// Adds the counts of another map.
    pub(crate) fn merge(&mut self, other: Self) {
        other.integers.into_iter().for_each(|(key, n)| *self.integers.entry(key).or_default() += n);
        other.unsigned.into_iter().for_each(|(key, n)| *self.unsigned.entry(key).or_default() += n);
        other.texts.into_iter().for_each(|(key, n)| *self.texts.entry(key).or_default() += n);
    }

    /// Counts `count` more of a key.
    pub(crate) fn add(&mut self, key: &KeyRef<'_>, count: u64) {
        let text = match key {
            KeyRef::Integer(value) => return *self.integers.entry(*value).or_default() += count,
            KeyRef::Unsigned(value) => return *self.unsigned.entry(*value).or_default() += count,
            KeyRef::Text(text) => *text,
            KeyRef::Owned(text) => text,
        };
        match self.texts.get_mut(text) {
            Some(sum) => *sum += count,
            None => _ = self.texts.insert(text.into(), count),
        }
    }
}
