//! Encoded rows.

use mtl_nn::Lists;

use crate::unseen::Example;
use crate::{Error, Result};

/// The group of a row that has none: it shares it with no other row.
pub const NO_GROUP: u64 = u64::MAX;

/// Encoded rows, column by column. Every kind of column is sorted by name, so nothing about a model
/// depends on the order of a file or of a configuration.
///
/// Tables are equal if they have the same columns and rows; a missing label equals a missing label.
#[derive(Clone, Debug, Default)]
pub struct FeatureTable {
    pub(crate) n_rows: usize,
    pub(crate) ids: Vec<(String, Vec<u32>)>,
    pub(crate) lists: Vec<(String, Lists)>,
    pub(crate) values: Vec<(String, Vec<f32>)>,
    pub(crate) labels: Vec<(String, Vec<f32>)>,
    pub(crate) weights: Option<Vec<f32>>,
    pub(crate) groups: Option<Vec<u64>>,
    /// Of features that have such, a value that training did not know: no part of the rows.
    pub(crate) examples: Vec<(String, Example)>,
}

impl FeatureTable {
    /// A table of `n_rows` rows and no columns yet.
    pub fn new(n_rows: usize) -> Self {
        Self { n_rows, ..Self::default() }
    }

    /// Adds the ids of a categorical feature.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Twice`], as for the others.
    pub fn with_ids(mut self, name: impl Into<String>, ids: Vec<u32>) -> Result<Self> {
        let name = name.into();
        check_length(&name, ids.len(), self.n_rows)?;
        insert("features", &mut self.ids, name, ids)?;
        Ok(self)
    }

    /// Adds the lists of ids of a sequence.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Twice`].
    pub fn with_lists(mut self, name: impl Into<String>, lists: Lists) -> Result<Self> {
        let name = name.into();
        check_length(&name, lists.rows(), self.n_rows)?;
        insert("features", &mut self.lists, name, lists)?;
        Ok(self)
    }

    /// Adds the values of a numeric feature.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Twice`].
    pub fn with_values(mut self, name: impl Into<String>, values: Vec<f32>) -> Result<Self> {
        let name = name.into();
        check_length(&name, values.len(), self.n_rows)?;
        insert("features", &mut self.values, name, values)?;
        Ok(self)
    }

    /// Adds a label, NaN where it is missing.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Twice`].
    pub fn with_label(mut self, name: impl Into<String>, labels: Vec<f32>) -> Result<Self> {
        let name = name.into();
        check_length(&name, labels.len(), self.n_rows)?;
        insert("labels", &mut self.labels, name, labels)?;
        Ok(self)
    }

    /// Sets the rows' weights.
    ///
    /// # Errors
    /// [`Error::Length`], or [`Error::Value`] (rows counted from 0) for one that is negative or not finite.
    pub fn with_weights(mut self, weights: Vec<f32>) -> Result<Self> {
        check_length("weights", weights.len(), self.n_rows)?;
        if let Some(row) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
            let cell = crate::Cell::Float(weights[row].into());
            return Err(Error::value(row as u64, "weights", cell, "a finite number of at least 0"));
        }
        self.weights = Some(weights);
        Ok(self)
    }

    /// Sets the rows' groups; [`NO_GROUP`] for a row that is in none.
    ///
    /// # Errors
    /// [`Error::Length`].
    pub fn with_groups(mut self, groups: Vec<u64>) -> Result<Self> {
        check_length("groups", groups.len(), self.n_rows)?;
        self.groups = Some(groups);
        Ok(self)
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// The categorical features: names and ids, in order of name.
    pub fn ids(&self) -> &[(String, Vec<u32>)] {
        &self.ids
    }

    /// The sequences: names and lists of ids, in order of name.
    pub fn lists(&self) -> &[(String, Lists)] {
        &self.lists
    }

    /// The numeric features: names and values, in order of name.
    pub fn values(&self) -> &[(String, Vec<f32>)] {
        &self.values
    }

    /// The labels: names and values, NaN where missing, in order of name.
    pub fn labels(&self) -> &[(String, Vec<f32>)] {
        &self.labels
    }

    /// The rows' weights, if there are any: finite and at least 0.
    pub fn weights(&self) -> Option<&[f32]> {
        self.weights.as_deref()
    }

    /// The rows' groups, if there are any: the same number for the same group, [`NO_GROUP`] for a row
    /// that is in none.
    pub fn groups(&self) -> Option<&[u64]> {
        self.groups.as_deref()
    }

    /// The number of rows that are in no group; 0 of a table without groups.
    pub fn n_without_group(&self) -> usize {
        self.groups.iter().flatten().filter(|&&group| group == NO_GROUP).count()
    }

    /// A value of a feature that training did not know, if one was kept.
    pub(crate) fn example(&self, name: &str) -> Option<&Example> {
        self.examples.iter().find(|(other, _)| other == name).map(|(_, example)| example)
    }

    /// The ids of a categorical feature.
    pub fn ids_of(&self, name: &str) -> Option<&[u32]> {
        find(&self.ids, name).map(Vec::as_slice)
    }

    /// The lists of ids of a sequence.
    pub fn lists_of(&self, name: &str) -> Option<&Lists> {
        find(&self.lists, name)
    }

    /// The values of a numeric feature.
    pub fn values_of(&self, name: &str) -> Option<&[f32]> {
        find(&self.values, name).map(Vec::as_slice)
    }

    /// A label, NaN where missing.
    pub fn label_of(&self, name: &str) -> Option<&[f32]> {
        find(&self.labels, name).map(Vec::as_slice)
    }

    /// Gives row i of some features' columns the values of row `rows[i]`; all else stays.
    ///
    /// # Panics
    /// If `rows` has another length than the table, or there is no row of such a number.
    pub fn permute<S: AsRef<str>>(&mut self, columns: &[S], rows: &[u32]) {
        assert_eq!(rows.len(), self.n_rows, "a row for each row");
        let is_one = |name: &str| columns.iter().any(|column| column.as_ref() == name);
        for (_, ids) in self.ids.iter_mut().filter(|(name, _)| is_one(name)) {
            *ids = pick(ids, rows);
        }
        for (_, lists) in self.lists.iter_mut().filter(|(name, _)| is_one(name)) {
            *lists = pick_lists(lists, rows);
        }
        for (_, values) in self.values.iter_mut().filter(|(name, _)| is_one(name)) {
            *values = pick(values, rows);
        }
    }

    /// The rows numbered by `rows`, in that order.
    ///
    /// # Panics
    /// If there is no row of such a number.
    pub fn select(&self, rows: &[u32]) -> Self {
        Self {
            n_rows: rows.len(),
            ids: pick_all(&self.ids, rows),
            lists: self.lists.iter().map(|(name, l)| (name.clone(), pick_lists(l, rows))).collect(),
            values: pick_all(&self.values, rows),
            labels: pick_all(&self.labels, rows),
            weights: self.weights.as_ref().map(|weights| pick(weights, rows)),
            groups: self.groups.as_ref().map(|groups| pick(groups, rows)),
            examples: self.examples.clone(),
        }
    }
}

impl PartialEq for FeatureTable {
    fn eq(&self, other: &Self) -> bool {
        let same_label = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan());
        self.n_rows == other.n_rows
            && self.ids == other.ids
            && self.lists == other.lists
            && self.values == other.values
            && self.weights == other.weights
            && self.groups == other.groups
            && self.labels.len() == other.labels.len()
            && self.labels.iter().zip(&other.labels).all(|((name, labels), (other, others))| {
                name == other && labels.iter().zip(others).all(same_label)
            })
    }
}

fn insert<T>(
    what: &'static str,
    columns: &mut Vec<(String, T)>,
    name: String,
    column: T,
) -> Result<()> {
    match columns.binary_search_by(|(other, _)| other.cmp(&name)) {
        Ok(_) => Err(Error::Twice { what, name }),
        Err(place) => {
            columns.insert(place, (name, column));
            Ok(())
        }
    }
}

fn check_length(column: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Length { column: column.to_owned(), found, expected })
}

fn find<'t, T>(columns: &'t [(String, T)], name: &str) -> Option<&'t T> {
    let found = columns.binary_search_by(|(other, _)| other.as_str().cmp(name));
    found.ok().map(|i| &columns[i].1)
}

fn pick<T: Copy>(column: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|&row| column[row as usize]).collect()
}

fn pick_lists(lists: &Lists, rows: &[u32]) -> Lists {
    rows.iter().map(|&row| lists.row(row as usize)).collect()
}

fn pick_all<T: Copy>(columns: &[(String, Vec<T>)], rows: &[u32]) -> Vec<(String, Vec<T>)> {
    columns.iter().map(|(name, column)| (name.clone(), pick(column, rows))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_sorted_whatever_the_order_they_came_in() {
        let table = FeatureTable::new(2).with_ids("b", vec![3, 4]).unwrap();
        let table =
            table.with_ids("a", vec![1, 2]).unwrap().with_label("y", vec![0.0, 1.0]).unwrap();
        let names: Vec<_> = table.ids().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(table.ids_of("b"), Some(&[3, 4][..]));
        assert_eq!(table.ids_of("c"), None);
        assert_eq!(table.select(&[1, 0, 1]).ids_of("a"), Some(&[2, 1, 2][..]));
    }

    #[test]
    fn some_columns_change_places() {
        let lists = || [&[1, 2][..], &[], &[3]].into_iter().collect::<Lists>();
        let table = FeatureTable::new(3).with_ids("a", vec![1, 2, 3]).unwrap();
        let table = table.with_ids("b", vec![1, 2, 3]).unwrap().with_lists("l", lists()).unwrap();
        let mut other = table.with_label("a", vec![0.0, 1.0, 0.0]).unwrap();
        other.permute(&["a", "l"], &[2, 0, 1]);
        assert_eq!(
            (other.ids_of("a"), other.ids_of("b")),
            (Some(&[3, 1, 2][..]), Some(&[1, 2, 3][..]))
        );
        assert_eq!(other.lists_of("l").unwrap().iter().next(), Some(&[3][..]));
        assert_eq!(other.label_of("a"), Some(&[0.0, 1.0, 0.0][..]));
    }

    #[test]
    fn a_missing_label_equals_a_missing_label_only() {
        let table = |label| FeatureTable::new(1).with_label("y", vec![label]).unwrap();
        assert_eq!(table(f32::NAN), table(f32::NAN));
        assert_ne!(table(f32::NAN), table(0.0));
    }

    #[test]
    fn a_column_that_does_not_fit_is_refused() {
        let table = FeatureTable::new(2).with_values("x", vec![0.0; 2]).unwrap();
        let error = table.clone().with_values("x", vec![0.0; 2]).unwrap_err();
        assert_eq!(error.to_string(), "two features are named `x`");
        let error = table.clone().with_label("y", vec![0.0]).unwrap_err();
        assert_eq!(error.to_string(), "column `y` has 1 rows, expected 2");
        let error = table.with_weights(vec![1.0, -1.0]).unwrap_err();
        assert!(error.to_string().contains("row 1, column `weights`: found `-1`"), "{error}");
    }
}
