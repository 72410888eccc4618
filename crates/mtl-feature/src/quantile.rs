//! Numeric features cut at quantiles of the training rows: a categorical id for each bucket.

use foldhash::HashMap;
use serde::{Deserialize, Serialize};

use crate::number::{number_of, to_f32};
use crate::{Cell, FIRST_KNOWN, MISSING};

/// Fitted quantile buckets.
///
/// Bucket i holds `edges[i−1]` < x ≤ `edges[i]`, the outermost ones being open, and has id
/// [`FIRST_KNOWN`] + i. Edge k of n buckets is the smallest training value that at least k/n of the
/// training rows do not exceed; edges that coincide are one, so a column with few distinct values
/// has fewer buckets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quantiles {
    /// Upper edges of all buckets but the last, rising.
    pub edges: Vec<f32>,
}

impl Quantiles {
    /// Rows of an embedding table for it: the buckets and the reserved ids.
    pub fn n_rows(&self) -> usize {
        self.edges.len() + 1 + FIRST_KNOWN as usize
    }

    /// The id for a cell.
    ///
    /// # Errors
    /// What was expected, if the cell holds no finite number.
    pub fn id(&self, cell: Cell<'_>) -> Result<u32, &'static str> {
        let Some(x) = number_of(cell)? else { return Ok(MISSING) };
        let x = to_f32(x)?;
        Ok(FIRST_KNOWN + self.edges.partition_point(|&edge| edge < x) as u32)
    }
}

/// Distinct values that are counted apart; 36 MB of counters.
const MOST_COUNTS: usize = 1 << 20;

/// Counts of the distinct training values, in bounded memory.
///
/// While there are at most [`MOST_COUNTS`] of them they are exact. Beyond, neighbours are counted as
/// one: all values whose `f32`s agree but for the last k bits, as the largest of them, with the
/// smallest k that leaves so few. An edge is then above the exact one by less than 2^(k−23) of itself.
/// k depends on the set of values alone, so the edges depend neither on the order of the rows nor on
/// how they are cut into chunks.
#[derive(Clone, Debug)]
pub(crate) struct QuantileFitter {
    n_buckets: usize,
    most: usize,
    /// Low bits that are not told apart: k.
    ignored_bits: u32,
    /// By the value's place among all `f32`s, without those bits.
    counts: HashMap<u32, u64>,
}

/// The place of a finite value among all `f32`s, in their order.
fn place_of(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

/// The value at a place.
fn value_at(place: u32) -> f32 {
    f32::from_bits(if place >> 31 == 1 { place & !(1 << 31) } else { !place })
}

impl QuantileFitter {
    pub(crate) fn new(n_buckets: usize) -> Self {
        Self { n_buckets, most: MOST_COUNTS, ignored_bits: 0, counts: HashMap::default() }
    }

    pub(crate) fn observe(&mut self, cell: Cell<'_>, count: u64) -> Result<(), &'static str> {
        let Some(x) = number_of(cell)? else { return Ok(()) };
        // + 0.0 makes −0 and 0 one value.
        let place = place_of(to_f32(x)? + 0.0);
        *self.counts.entry(place >> self.ignored_bits).or_default() += count;
        while self.counts.len() > self.most {
            self.ignored_bits += 1;
            for (place, count) in std::mem::take(&mut self.counts) {
                *self.counts.entry(place >> 1).or_default() += count;
            }
        }
        Ok(())
    }

    /// The largest value that is counted there; where the last of the `f32`s are, a finite one.
    fn largest_at(&self, place: u32) -> f32 {
        let last = ((u64::from(place) + 1) << self.ignored_bits) - 1;
        value_at(last as u32).min(f32::MAX)
    }

    pub(crate) fn finish(&self) -> Quantiles {
        let mut counts: Vec<(f32, u64)> =
            self.counts.iter().map(|(&place, &count)| (self.largest_at(place), count)).collect();
        counts.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let total: u64 = counts.iter().map(|(_, count)| count).sum();
        let n = self.n_buckets as u128;
        let mut edges: Vec<f32> = Vec::new();
        let (mut k, mut below) = (1, 0_u64);
        for (value, count) in counts {
            below += count;
            // Nothing lies above the largest value, so it is no edge.
            if below < total && u128::from(below) * n >= k * u128::from(total) {
                edges.push(value);
                k = u128::from(below) * n / u128::from(total) + 1;
            }
        }
        Quantiles { edges }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(n_buckets: usize, values: impl IntoIterator<Item = i64>) -> Quantiles {
        let mut fitter = QuantileFitter::new(n_buckets);
        values.into_iter().for_each(|value| fitter.observe(Cell::Integer(value), 1).unwrap());
        fitter.finish()
    }

    #[test]
    fn buckets_hold_equal_shares() {
        let quantiles = fitted(4, (1..=100).rev());
        assert_eq!(quantiles.edges, [25.0, 50.0, 75.0]);
        assert_eq!(quantiles.n_rows(), 6);
        let ids = [-5, 25, 26, 75, 76, 1000].map(|x| quantiles.id(Cell::Integer(x)).unwrap());
        assert_eq!(ids, [2, 2, 3, 4, 5, 5]);
        assert_eq!(quantiles.id(Cell::Missing), Ok(MISSING));
    }

    #[test]
    fn places_are_in_the_order_of_values() {
        let values = [f32::MIN, -1.5, -1e-40, 0.0, 1e-40, 2.0, f32::MAX];
        assert!(values.map(place_of).is_sorted());
        assert_eq!(values.map(|value| value_at(place_of(value))), values);
    }

    /// Places of 10⁴ values, of which 100 can be counted apart.
    #[test]
    fn beyond_what_can_be_counted_edges_are_near_and_whatever_the_order() {
        let value = |i: i64| ((i * 7919) % 10_007 - 3_000) as f64 / 16.0;
        let fitted = |most: usize, order: &mut dyn Iterator<Item = i64>| {
            let mut fitter = QuantileFitter { most, ..QuantileFitter::new(20) };
            order.for_each(|i| fitter.observe(Cell::Float(value(i)), 1).unwrap());
            (fitter.finish(), fitter.ignored_bits)
        };
        let (exact, none) = fitted(MOST_COUNTS, &mut (0..10_007));
        let (near, ignored) = fitted(100, &mut (0..10_007));
        assert_eq!(none, 0);
        assert_eq!(fitted(100, &mut (0..10_007).rev()), (near.clone(), ignored));
        let bound = f32::powi(2.0, ignored as i32 - 23);
        assert!((0.01..0.3).contains(&bound), "{bound}");
        // Two edges may have become one, never more than that.
        assert!(near.edges.len() >= exact.edges.len() / 2, "{near:?}");
        for edge in &near.edges {
            let of = |e: &&f32| *e <= edge && edge - *e <= bound * e.abs().max(edge.abs());
            assert!(exact.edges.iter().any(|e| of(&e)), "{edge} within {bound} of {exact:?}");
        }
    }

    #[test]
    fn few_distinct_values_have_few_buckets() {
        assert_eq!(fitted(10, [0, 0, 0, 0, 0, 0, 0, 0, 0, 7]).edges, [0.0]);
        assert_eq!(fitted(10, [3, 3]).edges, Vec::<f32>::new());
        assert_eq!(fitted(10, []).n_rows(), 3);
    }
}
