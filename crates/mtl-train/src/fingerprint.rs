//! What rows a run was trained on: enough to notice that they are others.

use mtl_feature::FeatureTable;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// The number of rows, and a hash of every encoded column in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    rows: u64,
    columns: Vec<(String, u64)>,
}

impl Fingerprint {
    pub(crate) fn of(table: &FeatureTable) -> Self {
        let mut columns: Vec<(String, u64)> = Vec::new();
        for (name, ids) in table.ids() {
            columns.push((format!("feature `{name}`"), hash(ids, |id| id.to_le_bytes())));
        }
        for (name, values) in table.values() {
            columns.push((format!("feature `{name}`"), hash(values, |v| v.to_le_bytes())));
        }
        for (name, labels) in table.labels() {
            columns.push((format!("label `{name}`"), hash(labels, |y| y.to_le_bytes())));
        }
        if let Some(weights) = table.weights() {
            columns.push(("the rows' weights".to_owned(), hash(weights, |w| w.to_le_bytes())));
        }
        // The order of columns in a file changes nothing.
        columns.sort_unstable();
        Self { rows: table.n_rows() as u64, columns }
    }

    /// What is different `now`, as a sentence; `None` if nothing is.
    pub(crate) fn difference(&self, now: &Self) -> Option<String> {
        if self.rows != now.rows {
            let (was, is) = (self.rows, now.rows);
            return Some(format!("the training rows were {was}, and are {is} now"));
        }
        let names = |of: &Self| of.columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let (before, after) = (names(self), names(now));
        if let Some(gone) = before.iter().find(|name| !after.contains(name)) {
            return Some(format!("{gone} was in the training rows, and is not now"));
        }
        if let Some(new) = after.iter().find(|name| !before.contains(name)) {
            return Some(format!("{new} was not in the training rows, and is now"));
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
        Some(format!("the training rows have other values or another order now, in {listed}"))
    }
}

fn hash<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> u64 {
    let mut hasher = Xxh3::new();
    let mut buffer = Vec::with_capacity(N * 4096);
    for chunk in values.chunks(4096) {
        buffer.clear();
        chunk.iter().for_each(|&value| buffer.extend_from_slice(&bytes(value)));
        hasher.update(&buffer);
    }
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(ids: &[u32], labels: &[f32]) -> FeatureTable {
        let table = FeatureTable::new(ids.len()).with_ids("city", ids.to_vec());
        table.and_then(|t| t.with_label("click", labels.to_vec())).expect("equal lengths")
    }

    #[test]
    fn what_changed_is_named() {
        let before = Fingerprint::of(&table(&[1, 2, 3], &[0.0, 1.0, 0.0]));
        let difference = |now: &FeatureTable| before.difference(&Fingerprint::of(now));
        assert_eq!(difference(&table(&[1, 2, 3], &[0.0, 1.0, 0.0])), None);
        let found = difference(&table(&[1, 2], &[0.0, 1.0])).expect("a row is gone");
        assert_eq!(found, "the training rows were 3, and are 2 now");
        let found = difference(&table(&[1, 2, 3], &[0.0, 1.0, 1.0])).expect("a label changed");
        assert!(found.ends_with("in label `click`"), "{found}");
        let found = difference(&table(&[2, 1, 3], &[1.0, 0.0, 0.0])).expect("rows changed places");
        assert!(found.ends_with("in feature `city`, label `click`"), "{found}");
        let more = table(&[1, 2, 3], &[0.0, 1.0, 0.0]).with_values("age", vec![1.0; 3]);
        let found = difference(&more.expect("three rows")).expect("a column more");
        assert_eq!(found, "feature `age` was not in the training rows, and is now");
    }
}
