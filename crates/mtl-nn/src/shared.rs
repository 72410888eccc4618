//! Slots that hold one value in every row of a batch: one user, many candidates.

use std::ops::Range;

use crate::kernel::{Transpose, product};
use crate::{Batch, IdSlot, Mat, MatMut, Scalar, ValueSlot};

/// Fewer rows than this gain nothing from a split product.
const MIN_ROWS: usize = 8;

/// Which slots of a batch hold one value in all of its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedSlots {
    ids: Vec<bool>,
    values: Vec<bool>,
}

impl SharedSlots {
    /// Looks at a batch. A slot that varies is given up at the first row that differs.
    pub fn of<S: Scalar>(batch: &Batch<S>) -> Self {
        let same_ids = |ids: &Vec<u32>| ids.iter().all(|id| *id == ids[0]);
        let same_values = |values: &Vec<S>| {
            let n_cols = values.len() / batch.rows.max(1);
            n_cols > 0 && values.chunks_exact(n_cols).all(|row| *row == values[..n_cols])
        };
        Self {
            ids: batch.ids.iter().map(same_ids).collect(),
            values: batch.values.iter().map(same_values).collect(),
        }
    }

    /// Whether the slot holds one id.
    pub fn ids(&self, slot: IdSlot) -> bool {
        self.ids.get(slot.index()).copied().unwrap_or(false)
    }

    /// Whether the slot holds one row of values.
    pub fn values(&self, slot: ValueSlot) -> bool {
        self.values.get(slot.index()).copied().unwrap_or(false)
    }
}

/// Copies that a split product works on, kept from call to call.
#[derive(Clone, Debug)]
pub(crate) struct Split<S> {
    x: Vec<S>,
    w: Vec<S>,
    head: Vec<S>,
}

impl<S> Default for Split<S> {
    fn default() -> Self {
        Self { x: Vec::new(), w: Vec::new(), head: Vec::new() }
    }
}

impl<S: Scalar> Split<S> {
    /// y = x·W where the columns `shared` of x are the same in every row: their part of the product
    /// is computed for one row, and the others' from copies that stand side by side. Returns false,
    /// with nothing done, where that would not pay.
    pub(crate) fn product(
        &mut self,
        mut y: MatMut<'_, S>,
        x: Mat<'_, S>,
        w: Mat<'_, S>,
        shared: &[Range<usize>],
    ) -> bool {
        let n_shared: usize = shared.iter().map(Range::len).sum();
        if x.rows() < MIN_ROWS || n_shared * 4 < x.cols() {
            return false;
        }
        let first = Mat::new(x.row(0), 1, x.cols(), x.cols());
        let (n, n_varying) = (y.cols(), x.cols() - n_shared);
        self.head.clear();
        self.head.resize(n, S::zero());
        for range in shared {
            let w = w.part(range.start, range.len());
            let x = first.columns(range.start, range.len());
            product(MatMut::new(&mut self.head, 1, n, n), true, x, w, Transpose::Neither);
        }
        for r in 0..x.rows() {
            y.row(r).copy_from_slice(&self.head);
        }
        self.gather(x, w, shared);
        let x = Mat::new(&self.x, x.rows(), n_varying, n_varying);
        let w = Mat::new(&self.w, n_varying, n, n);
        product(y, true, x, w, Transpose::Neither);
        true
    }

    /// The columns of x and rows of W that are not shared, side by side.
    fn gather(&mut self, x: Mat<'_, S>, w: Mat<'_, S>, shared: &[Range<usize>]) {
        let ends = shared.iter().map(|range| range.start).chain([x.cols()]);
        let starts = [0].into_iter().chain(shared.iter().map(|range| range.end));
        let varying = || starts.clone().zip(ends.clone()).filter(|(start, end)| start < end);
        self.x.clear();
        for r in 0..x.rows() {
            varying().for_each(|(start, end)| self.x.extend_from_slice(&x.row(r)[start..end]));
        }
        self.w.clear();
        for row in varying().flat_map(|(start, end)| start..end) {
            self.w.extend_from_slice(w.row(row));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_product_is_the_product() {
        let (rows, k, n) = (11, 13, 7);
        let shared = [0..2, 5..6, 9..13];
        let is_shared = |c: usize| shared.iter().any(|range| range.contains(&c));
        let value = |r: usize, c: usize| {
            let r = if is_shared(c) { 0 } else { r };
            ((r * k + c) as f64 * 0.37).sin()
        };
        let x: Vec<f64> = (0..rows * k).map(|i| value(i / k, i % k)).collect();
        let w: Vec<f64> = (0..k * (n + 2)).map(|i| (i as f64 * 0.71).cos()).collect();
        let (x, w) = (Mat::new(&x, rows, k, k), Mat::new(&w, k, n, n + 2));
        let (mut plain, mut split) = (vec![0.0; rows * n], vec![9.0; rows * n]);
        product(MatMut::new(&mut plain, rows, n, n), false, x, w, Transpose::Neither);
        let mut scratch = Split::default();
        for _ in 0..2 {
            assert!(scratch.product(MatMut::new(&mut split, rows, n, n), x, w, &shared));
            assert!(plain.iter().zip(&split).all(|(a, b)| (a - b).abs() < 1e-12));
        }
        let (few, all) = (vec![3..4; 1], vec![0..k; 1]);
        assert!(!scratch.product(MatMut::new(&mut split, rows, n, n), x, w, &few), "too few");
        let same: Vec<f64> = (0..rows * k).map(|i| value(0, i % k)).collect();
        let same = Mat::new(&same, rows, k, k);
        assert!(scratch.product(MatMut::new(&mut split, rows, n, n), same, w, &all));
        product(MatMut::new(&mut plain, rows, n, n), false, same, w, Transpose::Neither);
        assert!(plain.iter().zip(&split).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}
