//! Rows in the order of their predictions: the one sort that AUC, its intervals and calibration share.
//!
//! An entry packs the order-preserving bits of a prediction, the row and its label into one integer:
//! u64 for f32 predictions, u128 for f64. Integers sort several times faster than records behind an
//! index, and since the row is part of the key no two entries are equal, so an unstable parallel
//! sort has one result whatever the number of threads.

use rayon::prelude::*;

use crate::{BinaryRows, Column, NO_GROUP};

/// The counted rows of a task in ascending order of prediction.
#[derive(Debug)]
pub(crate) struct Ranked<'a> {
    order: Order,
    weights: Option<Column<'a>>,
}

#[derive(Debug)]
enum Order {
    Single(Vec<u64>),
    Double(Vec<u128>),
}

/// The rows of one value of the prediction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tie {
    pub(crate) prediction: f64,
    pub(crate) n_positives: usize,
    pub(crate) n_negatives: usize,
    /// Sum of the weights of the positive rows.
    pub(crate) positives: f64,
    /// Sum of the weights of the negative rows.
    pub(crate) negatives: f64,
}

impl Tie {
    pub(crate) fn len(&self) -> usize {
        self.n_positives + self.n_negatives
    }

    pub(crate) fn weight(&self) -> f64 {
        self.positives + self.negatives
    }
}

impl<'a> Ranked<'a> {
    pub(crate) fn new(rows: &BinaryRows<'a>) -> Self {
        let order = match rows.predictions() {
            Column::F32(values) => {
                Order::Single(sorted(rows, |row, label| u64::pack(values[row], row, label)))
            }
            Column::F64(values) => {
                Order::Double(sorted(rows, |row, label| u128::pack(values[row], row, label)))
            }
        };
        Ranked { order, weights: rows.weights() }
    }

    /// The distinct predictions, ascending.
    pub(crate) fn ties(&self) -> Box<dyn Iterator<Item = Tie> + '_> {
        match &self.order {
            Order::Single(entries) => Box::new(ties(entries, self.weights)),
            Order::Double(entries) => Box::new(ties(entries, self.weights)),
        }
    }

    /// The row at a position of the order, and whether it is positive.
    pub(crate) fn row(&self, position: usize) -> (usize, bool) {
        match &self.order {
            Order::Single(entries) => (entries[position].row(), entries[position].positive()),
            Order::Double(entries) => (entries[position].row(), entries[position].positive()),
        }
    }
}

/// Rows sorted by group, then by prediction.
#[derive(Debug)]
pub(crate) enum Grouped {
    Single(Vec<(u64, u64)>),
    Double(Vec<(u64, u128)>),
}

impl Grouped {
    /// The rows that are in a group; `None` if the rows have no groups.
    pub(crate) fn new(rows: &BinaryRows<'_>) -> Option<Self> {
        let groups = rows.groups()?;
        Some(match rows.predictions() {
            Column::F32(values) => Grouped::Single(in_a_group(sorted(rows, |row, label| {
                (groups[row], u64::pack(values[row], row, label))
            }))),
            Column::F64(values) => Grouped::Double(in_a_group(sorted(rows, |row, label| {
                (groups[row], u128::pack(values[row], row, label))
            }))),
        })
    }

    /// Applies `f` to the group and the ties of every group, in ascending order of groups.
    pub(crate) fn map_groups<R: Send>(
        &self,
        weights: Option<Column<'_>>,
        f: impl Fn(u64, &mut dyn DoubleEndedIterator<Item = Tie>) -> R + Sync,
    ) -> Vec<R> {
        match self {
            Grouped::Single(entries) => map_groups(entries, weights, f),
            Grouped::Double(entries) => map_groups(entries, weights, f),
        }
    }
}

/// `NO_GROUP` is the greatest number, so rows without a group are the last.
fn in_a_group<E>(mut entries: Vec<(u64, E)>) -> Vec<(u64, E)> {
    entries.truncate(entries.partition_point(|&(group, _)| group != NO_GROUP));
    entries
}

fn map_groups<E: Entry, R: Send>(
    entries: &[(u64, E)],
    weights: Option<Column<'_>>,
    f: impl Fn(u64, &mut dyn DoubleEndedIterator<Item = Tie>) -> R + Sync,
) -> Vec<R> {
    entries
        .par_chunk_by(|a, b| a.0 == b.0)
        .map(|group| f(group[0].0, &mut ties(group, weights)))
        .collect()
}

/// The ties of entries that are sorted by prediction.
fn ties<'e, E: Entry>(
    entries: &'e [E],
    weights: Option<Column<'e>>,
) -> impl DoubleEndedIterator<Item = Tie> + 'e {
    entries.chunk_by(|a, b| a.prediction_bits() == b.prediction_bits()).map(move |tied| {
        let n_positives = tied.iter().filter(|entry| entry.positive()).count();
        let n_negatives = tied.len() - n_positives;
        let (mut positives, mut negatives) = (n_positives as f64, n_negatives as f64);
        if let Some(weights) = weights {
            (positives, negatives) = (0.0, 0.0);
            for entry in tied {
                let sum = if entry.positive() { &mut positives } else { &mut negatives };
                *sum += weights.get(entry.row());
            }
        }
        Tie { prediction: tied[0].prediction(), n_positives, n_negatives, positives, negatives }
    })
}

/// Entries of the counted rows, ascending. Rows that count nowhere become `E::LAST` and are cut off
/// after the sort, which is faster than to filter them out in parallel.
fn sorted<E: Entry>(rows: &BinaryRows<'_>, entry: impl Fn(usize, bool) -> E + Sync) -> Vec<E> {
    let mut entries: Vec<E> = (0..rows.len())
        .into_par_iter()
        .map(|row| rows.get(row).map_or(E::LAST, |r| entry(row, r.positive)))
        .collect();
    entries.par_sort_unstable();
    entries.truncate(rows.n_rows());
    entries
}

/// A prediction, its row and its label in a sortable word.
trait Entry: Copy + Ord + Send + Sync {
    /// Sorts behind every row that counts.
    const LAST: Self;
    /// Bits that are equal for equal predictions.
    fn prediction_bits(self) -> u64;
    fn prediction(self) -> f64;
    /// What [`row_and_label`] packed.
    fn row_and_label(self) -> u32;

    #[inline]
    fn row(self) -> usize {
        (self.row_and_label() >> 1) as usize
    }

    #[inline]
    fn positive(self) -> bool {
        self.row_and_label() & 1 == 1
    }
}

trait Pack<T>: Entry {
    fn pack(prediction: T, row: usize, positive: bool) -> Self;
}

/// The row above the label, in 32 bits. Rows are below 2³¹ (`BinaryRows::new` checks it).
fn row_and_label(row: usize, positive: bool) -> u64 {
    ((row as u64) << 1) | u64::from(positive)
}

impl Pack<f32> for u64 {
    #[inline]
    fn pack(prediction: f32, row: usize, positive: bool) -> Self {
        // Adding 0 makes −0 equal to 0. Flipping the sign bit of positive numbers, and all bits of
        // negative ones, makes the order of the bits that of the numbers.
        let bits = (prediction + 0.0).to_bits();
        let ordered = if bits >> 31 == 0 { bits | (1 << 31) } else { !bits };
        (u64::from(ordered) << 32) | row_and_label(row, positive)
    }
}

impl Entry for u64 {
    const LAST: Self = u64::MAX;

    #[inline]
    fn prediction_bits(self) -> u64 {
        self >> 32
    }

    #[inline]
    fn prediction(self) -> f64 {
        let ordered = (self >> 32) as u32;
        let bits = if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered };
        f64::from(f32::from_bits(bits))
    }

    #[inline]
    fn row_and_label(self) -> u32 {
        self as u32
    }
}

impl Pack<f64> for u128 {
    #[inline]
    fn pack(prediction: f64, row: usize, positive: bool) -> Self {
        let bits = (prediction + 0.0).to_bits();
        let ordered = if bits >> 63 == 0 { bits | (1 << 63) } else { !bits };
        (u128::from(ordered) << 64) | u128::from(row_and_label(row, positive))
    }
}

impl Entry for u128 {
    const LAST: Self = u128::MAX;

    #[inline]
    fn prediction_bits(self) -> u64 {
        (self >> 64) as u64
    }

    #[inline]
    fn prediction(self) -> f64 {
        let ordered = (self >> 64) as u64;
        let bits = if ordered >> 63 == 1 { ordered & !(1 << 63) } else { !ordered };
        f64::from_bits(bits)
    }

    #[inline]
    fn row_and_label(self) -> u32 {
        self as u32
    }
}

impl<E: Entry> Entry for (u64, E) {
    const LAST: Self = (u64::MAX, E::LAST);

    #[inline]
    fn prediction_bits(self) -> u64 {
        self.1.prediction_bits()
    }

    #[inline]
    fn prediction(self) -> f64 {
        self.1.prediction()
    }

    #[inline]
    fn row_and_label(self) -> u32 {
        self.1.row_and_label()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_keeps_order_and_value() {
        let ascending = [f32::NEG_INFINITY, -2.5, -1e-40, 0.0, 1e-40, 0.3, 1.0, f32::INFINITY];
        for (row, &value) in ascending.iter().enumerate() {
            let (single, double) =
                (u64::pack(value, row, true), u128::pack(value.into(), row, false));
            assert_eq!(
                (single.prediction(), single.row(), single.positive()),
                (value.into(), row, true)
            );
            assert_eq!(
                (double.prediction(), double.row(), double.positive()),
                (value.into(), row, false)
            );
        }
        // The row numbers fall while the predictions rise: the prediction decides.
        let packed = ascending.iter().enumerate().map(|(i, &v)| u64::pack(v, 100 - i, i % 2 == 0));
        assert!(packed.is_sorted());
        let packed =
            ascending.iter().enumerate().map(|(i, &v)| u128::pack(v.into(), 100 - i, true));
        assert!(packed.is_sorted());
        assert!(u64::pack(f32::INFINITY, (1 << 31) - 1, true) < u64::LAST);
    }

    #[test]
    fn negative_zero_ties_with_zero() {
        let rows = BinaryRows::new(&[0.0_f64, 1.0], &[0.0_f32, -0.0]).unwrap();
        assert_eq!(Ranked::new(&rows).ties().count(), 1);
        let rows = BinaryRows::new(&[0.0_f64, 1.0], &[0.0_f64, -0.0]).unwrap();
        assert_eq!(Ranked::new(&rows).ties().count(), 1);
    }
}
