//! What rows a run was trained on and judged by: enough to notice that they are others.

use std::collections::BTreeMap;

use mtl_data::{Part, RowSource};
use mtl_feature::FeatureTable;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::Result;

/// Values that are hashed at a time.
const VALUES: usize = 4096;

/// The number of rows, and a hash of every encoded column in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    rows: u64,
    columns: Vec<(String, u64)>,
}

/// Takes a fingerprint of rows that come in blocks; how they are cut makes no difference.
#[derive(Default)]
pub(crate) struct Fingerprinter {
    rows: u64,
    columns: BTreeMap<String, Xxh3>,
}

impl Fingerprinter {
    pub(crate) fn add(&mut self, table: &FeatureTable) {
        self.rows += table.n_rows() as u64;
        for (name, ids) in table.ids() {
            self.column(format!("feature `{name}`"), ids.iter().map(|id| id.to_le_bytes()));
        }
        for (name, lists) in table.lists() {
            let lengths = lists.iter().map(|list| (list.len() as u32).to_le_bytes());
            self.column(format!("lengths of feature `{name}`"), lengths);
            let ids = lists.ids().iter().map(|id| id.to_le_bytes());
            self.column(format!("feature `{name}`"), ids);
        }
        for (name, values) in table.values() {
            self.column(format!("feature `{name}`"), values.iter().map(|v| v.to_le_bytes()));
        }
        for (name, labels) in table.labels() {
            self.column(format!("label `{name}`"), labels.iter().map(|y| y.to_le_bytes()));
        }
        if let Some(weights) = table.weights() {
            let weights = weights.iter().map(|w| w.to_le_bytes());
            self.column("the rows' weights".to_owned(), weights);
        }
        if let Some(groups) = table.groups() {
            self.column("the rows' groups".to_owned(), groups.iter().map(|g| g.to_le_bytes()));
        }
    }

    fn column<const N: usize>(&mut self, name: String, values: impl Iterator<Item = [u8; N]>) {
        let hasher = self.columns.entry(name).or_default();
        let mut buffer = Vec::with_capacity(N * VALUES);
        for value in values {
            buffer.extend_from_slice(&value);
            if buffer.len() == N * VALUES {
                hasher.update(&buffer);
                buffer.clear();
            }
        }
        hasher.update(&buffer);
    }

    /// The columns are sorted by name: their order in a file changes nothing.
    pub(crate) fn finish(self) -> Fingerprint {
        let columns = self.columns.into_iter().map(|(name, hasher)| (name, hasher.digest()));
        Fingerprint { rows: self.rows, columns: columns.collect() }
    }
}

impl Fingerprint {
    /// That of all rows.
    ///
    /// # Errors
    /// What is wrong with a file.
    pub(crate) fn of<R: RowSource + ?Sized>(rows: &R) -> Result<Self> {
        let mut found = Fingerprinter::default();
        for block in rows.blocks(None) {
            let block = block?;
            found.add(&block);
        }
        Ok(found.finish())
    }

    /// What is different `now` of the rows of a part, as a sentence; `None` if nothing is.
    pub(crate) fn difference(&self, now: &Self, part: Part) -> Option<String> {
        let part = part.adjective();
        if self.rows != now.rows {
            let (was, is) = (self.rows, now.rows);
            return Some(format!("the {part} rows were {was}, and are {is} now"));
        }
        let names = |of: &Self| of.columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let (before, after) = (names(self), names(now));
        if let Some(gone) = before.iter().find(|name| !after.contains(name)) {
            return Some(format!("{gone} was in the {part} rows, and is not now"));
        }
        if let Some(new) = after.iter().find(|name| !before.contains(name)) {
            return Some(format!("{new} was not in the {part} rows, and is now"));
        }
        let pairs = self.columns.iter().zip(&now.columns).filter(|(a, b)| a.1 != b.1);
        let others: Vec<&str> = pairs.map(|((name, _), _)| name.as_str()).collect();
        if others.is_empty() {
            return None;
        }
        let listed = match others.len() {
            n if n > 3 => format!("{}, … ({n} columns)", others[..3].join(", ")),
            _ => others.join(", "),
        };
        Some(format!("the {part} rows have other values or another order now, in {listed}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(ids: &[u32], labels: &[f32]) -> FeatureTable {
        let table = FeatureTable::new(ids.len()).with_ids("city", ids.to_vec());
        table.and_then(|t| t.with_label("click", labels.to_vec())).expect("equal lengths")
    }

    fn of(tables: &[&FeatureTable]) -> Fingerprint {
        let mut found = Fingerprinter::default();
        tables.iter().for_each(|table| found.add(table));
        found.finish()
    }

    #[test]
    fn blocks_are_taken_together() {
        let all: Vec<u32> = (0..10_000).collect();
        let labels = vec![1.0; all.len()];
        let whole = of(&[&table(&all, &labels)]);
        for at in [1, 4096, 9_999] {
            let first = table(&all[..at], &labels[..at]);
            assert_eq!(of(&[&first, &table(&all[at..], &labels[at..])]), whole);
        }
    }

    #[test]
    fn what_changed_is_named() {
        let before = of(&[&table(&[1, 2, 3], &[0.0, 1.0, 0.0])]);
        let difference = |now: &FeatureTable| before.difference(&of(&[now]), Part::Train);
        assert_eq!(difference(&table(&[1, 2, 3], &[0.0, 1.0, 0.0])), None);
        let found = difference(&table(&[1, 2], &[0.0, 1.0])).expect("a row is gone");
        assert_eq!(found, "the training rows were 3, and are 2 now");
        let judged = before.difference(&of(&[&table(&[1, 2], &[0.0, 1.0])]), Part::Validation);
        assert_eq!(judged.as_deref(), Some("the validation rows were 3, and are 2 now"));
        let found = difference(&table(&[1, 2, 3], &[0.0, 1.0, 1.0])).expect("a label changed");
        assert!(found.ends_with("in label `click`"), "{found}");
        let found = difference(&table(&[2, 1, 3], &[1.0, 0.0, 0.0])).expect("rows changed places");
        assert!(found.ends_with("in feature `city`, label `click`"), "{found}");
        let more = table(&[1, 2, 3], &[0.0, 1.0, 0.0]).with_values("age", vec![1.0; 3]);
        let found = difference(&more.expect("three rows")).expect("a column more");
        assert_eq!(found, "feature `age` was not in the training rows, and is now");
    }
}
