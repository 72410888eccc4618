//! Rows of a table into the batch of a graph, bound by name.

use std::borrow::Cow;

use foldhash::{HashMap, HashMapExt};
use mtl_nn::{Batch, Graph, Lists};

use crate::input::{FEATURE_SLOT, GROUP_SLOT, LABEL_SLOT, WEIGHT_SLOT};
use crate::{Error, FeatureTable, NO_GROUP, Result};

/// A graph's slots bound to the columns of a table, once, by name.
///
/// A label that the table does not have is NaN in every row, absent weights are 1, and rows of a table
/// without groups are one group: prediction needs none of them.
#[derive(Debug)]
pub struct Feed<'t> {
    ids: Vec<Cow<'t, [u32]>>,
    lists: Vec<&'t Lists>,
    values: Vec<Source<'t>>,
}

#[derive(Clone, Copy, Debug)]
enum Source<'t> {
    Column(&'t [f32]),
    Constant(f32),
}

impl<'t> Feed<'t> {
    /// Binds the slots of `graph` to `table`.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] for a feature that the table does not have.
    pub fn new(graph: &Graph<f32>, table: &'t FeatureTable) -> Result<Self> {
        let missing = |slot: &str, names: Vec<&str>| {
            let column = slot.strip_prefix(FEATURE_SLOT).unwrap_or(slot).to_owned();
            let nearest = crate::nearest_names(&column, &names);
            Error::MissingColumn { column, needed_by: "the model".to_owned(), nearest }
        };
        let mut ids = Vec::with_capacity(graph.id_slots().len());
        for slot in graph.id_slots() {
            if slot.name == GROUP_SLOT {
                ids.push(Cow::Owned(group_numbers(table)));
                continue;
            }
            let found = slot.name.strip_prefix(FEATURE_SLOT).and_then(|name| table.ids_of(name));
            let names = || table.ids().iter().map(|(name, _)| name.as_str()).collect();
            ids.push(Cow::Borrowed(found.ok_or_else(|| missing(&slot.name, names()))?));
        }
        let mut lists = Vec::with_capacity(graph.list_slots().len());
        for slot in graph.list_slots() {
            let found = slot.name.strip_prefix(FEATURE_SLOT).and_then(|name| table.lists_of(name));
            let names = || table.lists().iter().map(|(name, _)| name.as_str()).collect();
            lists.push(found.ok_or_else(|| missing(&slot.name, names()))?);
        }
        let mut values = Vec::with_capacity(graph.value_slots().len());
        for slot in graph.value_slots() {
            let name = slot.name.as_str();
            values.push(if let Some(label) = name.strip_prefix(LABEL_SLOT) {
                table.label_of(label).map_or(Source::Constant(f32::NAN), Source::Column)
            } else if name == WEIGHT_SLOT {
                table.weights().map_or(Source::Constant(1.0), Source::Column)
            } else {
                let found = name.strip_prefix(FEATURE_SLOT).and_then(|name| table.values_of(name));
                let names = || table.values().iter().map(|(name, _)| name.as_str()).collect();
                Source::Column(found.ok_or_else(|| missing(name, names()))?)
            });
        }
        Ok(Self { ids, lists, values })
    }

    /// Fills `batch` with these rows, in this order; allocates only to grow.
    ///
    /// # Panics
    /// If a row is not in the table.
    pub fn fill(&self, rows: &[u32], batch: &mut Batch<f32>) {
        batch.rows = rows.len();
        for (column, out) in self.ids.iter().zip(&mut batch.ids) {
            out.clear();
            out.extend(rows.iter().map(|&row| column[row as usize]));
        }
        for (lists, out) in self.lists.iter().zip(&mut batch.lists) {
            out.clear();
            rows.iter().for_each(|&row| out.push(lists.row(row as usize)));
        }
        for (source, out) in self.values.iter().zip(&mut batch.values) {
            out.clear();
            match source {
                Source::Column(column) => out.extend(rows.iter().map(|&row| column[row as usize])),
                Source::Constant(value) => out.resize(rows.len(), *value),
            }
        }
    }

    /// Fills `batch` with the rows `start .. end`; allocates only to grow.
    ///
    /// # Panics
    /// If a row is not in the table.
    pub fn fill_range(&self, start: usize, end: usize, batch: &mut Batch<f32>) {
        batch.rows = end - start;
        for (column, out) in self.ids.iter().zip(&mut batch.ids) {
            out.clear();
            out.extend_from_slice(&column[start..end]);
        }
        for (lists, out) in self.lists.iter().zip(&mut batch.lists) {
            out.clear();
            out.extend_rows(lists, start, end);
        }
        for (source, out) in self.values.iter().zip(&mut batch.values) {
            out.clear();
            match source {
                Source::Column(column) => out.extend_from_slice(&column[start..end]),
                Source::Constant(value) => out.resize(end - start, *value),
            }
        }
    }
}

/// The groups in 32 bits: numbered as they come. A row without a group has a number of its own, and
/// so is in no pair.
fn group_numbers(table: &FeatureTable) -> Vec<u32> {
    let Some(groups) = table.groups() else { return vec![0; table.n_rows()] };
    let (mut numbers, mut next) = (HashMap::new(), 0);
    let number = |&group: &u64| {
        let number = match group {
            NO_GROUP => next,
            group => *numbers.entry(group).or_insert(next),
        };
        next += u32::from(number == next);
        number
    };
    groups.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use mtl_nn::GraphBuilder;

    use super::*;

    #[test]
    fn slots_are_bound_by_name_whatever_their_order() -> Result<()> {
        let mut b = GraphBuilder::<f32>::new();
        b.ids("feature.item");
        b.ids("feature.ad");
        b.values("row.weight", 1)?;
        b.values("label.click", 1)?;
        b.values("label.like", 1)?;
        b.values("feature.price", 1)?;
        let graph = b.finish();
        let table = FeatureTable::new(3)
            .with_ids("ad", vec![1, 2, 3])?
            .with_ids("item", vec![4, 5, 6])?
            .with_values("price", vec![0.1, 0.2, 0.3])?
            .with_label("click", vec![0.0, 1.0, f32::NAN])?;
        let feed = Feed::new(&graph, &table)?;
        let mut batch = Batch::for_graph(&graph);
        feed.fill(&[2, 0], &mut batch);
        assert_eq!(batch.ids, [[6, 4], [3, 1]]);
        assert_eq!(batch.values[0], [1.0, 1.0]);
        assert!(batch.values[1][0].is_nan() && batch.values[1][1] == 0.0);
        assert!(batch.values[2].iter().all(|label| label.is_nan()));
        assert_eq!(batch.values[3], [0.3, 0.1]);
        feed.fill_range(1, 3, &mut batch);
        assert_eq!((batch.rows, &batch.ids[1][..]), (2, &[2, 3][..]));
        Ok(())
    }

    #[test]
    fn groups_are_numbered_as_they_come() -> Result<()> {
        let mut b = GraphBuilder::<f32>::new();
        b.ids(GROUP_SLOT);
        let graph = b.finish();
        let table = FeatureTable::new(4);
        let mut batch = Batch::for_graph(&graph);
        Feed::new(&graph, &table)?.fill_range(0, 4, &mut batch);
        assert_eq!(batch.ids[0], [0; 4]);
        let table = table.with_groups(vec![9, 5, 9, 5 + (1 << 32)])?;
        Feed::new(&graph, &table)?.fill(&[3, 2, 1, 0], &mut batch);
        assert_eq!(batch.ids[0], [2, 0, 1, 0]);
        Ok(())
    }

    #[test]
    fn rows_without_a_group_are_in_none_together() -> Result<()> {
        let mut b = GraphBuilder::<f32>::new();
        b.ids(GROUP_SLOT);
        let graph = b.finish();
        let table = FeatureTable::new(5).with_groups(vec![NO_GROUP, 5, NO_GROUP, 7, 5])?;
        let mut batch = Batch::for_graph(&graph);
        Feed::new(&graph, &table)?.fill_range(0, 5, &mut batch);
        assert_eq!(batch.ids[0], [0, 1, 2, 3, 1]);
        Ok(())
    }

    #[test]
    fn a_feature_that_the_table_lacks_is_named() -> Result<()> {
        let mut b = GraphBuilder::<f32>::new();
        b.ids("feature.item_id");
        let table = FeatureTable::new(1).with_ids("item", vec![1])?;
        let error = Feed::new(&b.finish(), &table).expect_err("there is no such column");
        assert!(error.to_string().contains("item_id"), "{error}");
        Ok(())
    }
}
