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

/// Counts of the distinct training values: exact whatever the order, and memory for distinct
/// values only.
#[derive(Clone, Debug)]
pub(crate) struct QuantileFitter {
    n_buckets: usize,
    counts: HashMap<u32, u64>,
}

impl QuantileFitter {
    pub(crate) fn new(n_buckets: usize) -> Self {
        Self { n_buckets, counts: HashMap::default() }
    }

    pub(crate) fn observe(&mut self, cell: Cell<'_>, count: u64) -> Result<(), &'static str> {
        let Some(x) = number_of(cell)? else { return Ok(()) };
        // + 0.0 makes −0 and 0 one value.
        *self.counts.entry((to_f32(x)? + 0.0).to_bits()).or_default() += count;
        Ok(())
    }

    pub(crate) fn finish(&self) -> Quantiles {
        let mut counts: Vec<(f32, u64)> =
            self.counts.iter().map(|(&bits, &count)| (f32::from_bits(bits), count)).collect();
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
    fn few_distinct_values_have_few_buckets() {
        assert_eq!(fitted(10, [0, 0, 0, 0, 0, 0, 0, 0, 0, 7]).edges, [0.0]);
        assert_eq!(fitted(10, [3, 3]).edges, Vec::<f32>::new());
        assert_eq!(fitted(10, []).n_rows(), 3);
    }
}
