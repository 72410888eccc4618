//! The order of rows in an epoch.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A random order of rows, the same for the same rows, seed and epoch on every machine.
///
/// Fisher and Yates' shuffle, drawn from ChaCha with eight rounds.
///
/// ```
/// use mtl_data::Shuffle;
///
/// let shuffle = Shuffle::new(10, 7, 0);
/// let sizes: Vec<usize> = shuffle.batches(4).map(<[u32]>::len).collect();
/// assert_eq!(sizes, [4, 4, 2]);
/// assert_ne!(shuffle, Shuffle::new(10, 7, 1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shuffle {
    order: Vec<u32>,
}

impl Shuffle {
    /// The order of an epoch of `rows` rows.
    ///
    /// # Panics
    /// If there are more than 2³² rows.
    pub fn new(rows: usize, seed: u64, epoch: u64) -> Self {
        Self::of_block(rows, seed, epoch, 0)
    }

    /// The order of the rows of one block of an epoch, by the block's number; that of block 0 is the
    /// one of [`Shuffle::new`].
    ///
    /// # Panics
    /// If there are more than 2³² rows.
    pub fn of_block(rows: usize, seed: u64, epoch: u64, block: u64) -> Self {
        assert!(rows <= 1 << 32, "a block in memory has at most 2^32 rows");
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&epoch.to_le_bytes());
        key[16..24].copy_from_slice(&block.to_le_bytes());
        let mut random = ChaCha8Rng::from_seed(key);
        let mut order: Vec<u32> = (0..rows as u64).map(|row| row as u32).collect();
        for i in (1..rows).rev() {
            // The high half of a product: its bias, 2^-32 at most, is not worth a rejection.
            let other = (u128::from(random.next_u64()) * (i as u128 + 1)) >> 64;
            order.swap(i, other as usize);
        }
        Self { order }
    }

    /// Rows in order, not shuffled: for evaluation.
    pub fn in_order(rows: usize) -> Self {
        Self { order: (0..rows as u64).map(|row| row as u32).collect() }
    }

    /// The rows' numbers in the epoch's order.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The epoch cut into batches; the last one may be short.
    ///
    /// # Panics
    /// If `size` is 0.
    pub fn batches(&self, size: usize) -> impl ExactSizeIterator<Item = &[u32]> {
        self.order.chunks(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_comes_once() {
        for rows in [0, 1, 2, 1000] {
            let mut order = Shuffle::new(rows, 3, 5).order;
            order.sort_unstable();
            assert_eq!(order, Shuffle::in_order(rows).order);
        }
    }

    #[test]
    fn every_order_is_as_likely() {
        let mut counts = std::collections::HashMap::new();
        for epoch in 0..6000 {
            *counts.entry(Shuffle::new(3, 1, epoch).order).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 6);
        // Five standard deviations of a binomial.
        assert!(counts.values().all(|count| count.abs_diff(1000) < 145), "{counts:?}");
    }

    /// A change of these numbers would change every training run.
    #[test]
    fn the_order_of_a_seed_stays() {
        assert_eq!(Shuffle::new(8, 1, 2).order, [4, 5, 3, 0, 6, 7, 1, 2]);
        assert_ne!(Shuffle::of_block(8, 1, 2, 1), Shuffle::new(8, 1, 2));
    }
}
