//! The gradient of an embedding table: only the rows that a batch touched.

use crate::Scalar;

/// Gradient rows of one table, duplicates summed in the order in which they came.
///
/// A small open-addressing index maps ids to rows; it is sized by the batch, not by the table,
/// so a step costs the same for a table of ten thousand rows and of ten million.
#[derive(Clone, Debug, Default)]
pub struct SparseGradient<S> {
    dim: usize,
    ids: Vec<u32>,
    rows: Vec<S>,
    index: Vec<u32>,
    shift: u32,
}

const EMPTY: u32 = u32::MAX;

impl<S: Scalar> SparseGradient<S> {
    /// No rows yet, of a table with `dim` columns.
    pub const fn new(dim: usize) -> Self {
        Self { dim, ids: Vec::new(), rows: Vec::new(), index: Vec::new(), shift: 0 }
    }

    /// Forgets all rows and makes room for `n` distinct ids; allocates only to grow.
    pub fn reset(&mut self, n: usize) {
        self.ids.clear();
        self.rows.clear();
        self.ids.reserve(n);
        self.rows.reserve(n * self.dim);
        let size = (2 * n).next_power_of_two().max(16);
        self.index.clear();
        self.index.resize(size, EMPTY);
        self.shift = 32 - size.trailing_zeros();
    }

    /// Adds `gradient` (of length dim) to the row of `id`.
    ///
    /// # Panics
    /// If more distinct ids are added than [`SparseGradient::reset`] made room for.
    #[inline]
    pub fn add(&mut self, id: u32, gradient: &[S]) {
        self.add_times(id, S::one(), gradient);
    }

    /// Adds `factor · gradient` to the row of `id`, as [`SparseGradient::add`].
    #[inline]
    pub fn add_times(&mut self, id: u32, factor: S, gradient: &[S]) {
        let mask = self.index.len() - 1;
        // Fibonacci hashing: consecutive ids, the usual case, spread over the index.
        let mut slot = (id.wrapping_mul(0x9E37_79B9) >> self.shift) as usize;
        loop {
            let position = self.index[slot];
            if position == EMPTY {
                self.index[slot] = self.ids.len() as u32;
                self.ids.push(id);
                self.rows.extend(gradient.iter().map(|&g| factor * g));
                return;
            }
            if self.ids[position as usize] == id {
                let start = position as usize * self.dim;
                let row = &mut self.rows[start..start + self.dim];
                row.iter_mut().zip(gradient).for_each(|(to, &g)| *to += factor * g);
                return;
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Adds `factor` times another gradient of the same table.
    pub(crate) fn add_scaled(&mut self, factor: S, other: &Self) {
        for (&id, row) in other.ids.iter().zip(other.rows.chunks_exact(self.dim.max(1))) {
            self.add_times(id, factor, row);
        }
    }

    /// The position of an id among [`SparseGradient::ids`].
    pub fn find(&self, id: u32) -> Option<usize> {
        let mask = self.index.len().checked_sub(1)?;
        let mut slot = (id.wrapping_mul(0x9E37_79B9) >> self.shift) as usize;
        loop {
            match self.index[slot] {
                EMPTY => return None,
                position if self.ids[position as usize] == id => return Some(position as usize),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// The touched ids, each once, in the order of their first appearance.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The gradient rows, ids × dim, row-major.
    pub fn rows(&self) -> &[S] {
        &self.rows
    }

    /// The gradient rows, writable.
    pub(crate) fn rows_mut(&mut self) -> (&[u32], &mut [S]) {
        (&self.ids, &mut self.rows)
    }

    /// The table's columns.
    pub const fn dim(&self) -> usize {
        self.dim
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_duplicates_like_a_map(ids in prop::collection::vec(0u32..40, 0..200)) {
            let mut sparse = SparseGradient::<f64>::new(2);
            sparse.reset(ids.len());
            let mut plain = std::collections::BTreeMap::<u32, [f64; 2]>::new();
            for (i, &id) in ids.iter().enumerate() {
                let g = [i as f64, 1.0];
                sparse.add(id * 1_000_003, &g);
                let row = plain.entry(id * 1_000_003).or_default();
                row[0] += g[0];
                row[1] += g[1];
            }
            prop_assert_eq!(sparse.ids().len(), plain.len());
            for (&id, row) in &plain {
                let position = sparse.find(id).expect("every id is found");
                prop_assert_eq!(&sparse.rows()[position * 2..position * 2 + 2], row);
            }
            prop_assert_eq!(sparse.find(7), None);
        }
    }
}
