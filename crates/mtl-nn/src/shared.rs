//! Slots that hold one value in every row of a batch: one user, many candidates.

use std::ops::Range;

use crate::kernel::{Products, Transpose, product};
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

/// What a split product works on, kept from call to call.
#[derive(Clone, Debug)]
pub(crate) struct Split<S> {
    varying: Vec<Range<usize>>,
    head: Vec<S>,
    x: Vec<S>,
    w: Vec<S>,
}

impl<S> Default for Split<S> {
    fn default() -> Self {
        Self { varying: Vec::new(), head: Vec::new(), x: Vec::new(), w: Vec::new() }
    }
}

impl<S: Scalar> Split<S> {
    /// y = x·W, W being the op's bank `bank`, where the columns `shared` of x are the same in every
    /// row: their part of the product is computed for one row. Returns false, with nothing done,
    /// where that would not pay.
    ///
    /// Of packed weights a kernel takes the lines that it needs. Of others the rows are copied, which
    /// for 200 rows of W1's MMoE is a tenth of the time.
    pub(crate) fn product(
        &mut self,
        (products, bank): (&mut Products<'_>, usize),
        mut y: MatMut<'_, S>,
        x: Mat<'_, S>,
        w: Mat<'_, S>,
        shared: &[Range<usize>],
    ) -> bool {
        let n_shared: usize = shared.iter().map(Range::len).sum();
        if x.rows() < MIN_ROWS || n_shared * 4 < x.cols() {
            return false;
        }
        let ends = shared.iter().map(|range| range.start).chain([x.cols()]);
        let starts = [0].into_iter().chain(shared.iter().map(|range| range.end));
        self.varying.clear();
        self.varying.extend(starts.zip(ends).map(|(start, end)| start..end));
        self.varying.retain(|range| !range.is_empty());
        let (n, first) = (y.cols(), x.part(0, 1));
        self.head.clear();
        self.head.resize(n, S::zero());
        let mut head = MatMut::new(&mut self.head, 1, n, n);
        if products.forward_columns(bank, head.reborrow(), None, first, shared) {
            return products.forward_columns(bank, y, Some(&self.head), x, &self.varying);
        }
        for range in shared {
            let w = w.part(range.start, range.len());
            let x = first.columns(range.start, range.len());
            product(head.reborrow(), true, x, w, Transpose::Neither);
        }
        for r in 0..x.rows() {
            y.row(r).copy_from_slice(&self.head);
        }
        self.gather(x, w);
        let n_varying = x.cols() - n_shared;
        let x = Mat::new(&self.x, x.rows(), n_varying, n_varying);
        let w = Mat::new(&self.w, n_varying, n, n);
        product(y, true, x, w, Transpose::Neither);
        true
    }

    /// The columns of x and rows of W that are not shared, side by side.
    fn gather(&mut self, x: Mat<'_, S>, w: Mat<'_, S>) {
        self.x.clear();
        for r in 0..x.rows() {
            self.varying.iter().for_each(|c| self.x.extend_from_slice(&x.row(r)[c.clone()]));
        }
        self.w.clear();
        for row in self.varying.iter().cloned().flatten() {
            self.w.extend_from_slice(w.row(row));
        }
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "a list of one range of columns")]
mod tests {
    use super::*;
    use crate::kernel::{Bank, Kernels, Precision, Scratch};

    /// k × n, two values between the rows.
    fn weights<S: Scalar>(k: usize, n: usize) -> Vec<S> {
        (0..k * (n + 2)).map(|i| S::of((i as f64 * 0.71).cos())).collect()
    }

    /// Compares the split product by some products with the plain one in f64.
    fn check<S: Scalar>(
        (products, slack): (&mut Products<'_>, f64),
        (rows, k, n): (usize, usize, usize),
        shared: &[Range<usize>],
    ) {
        let is_shared = |c: usize| shared.iter().any(|range| range.contains(&c));
        let value = |r: usize, c: usize| {
            let r = if is_shared(c) { 0 } else { r };
            S::of(((r * k + c) as f64 * 0.37).sin())
        };
        let x: Vec<S> = (0..rows * k).map(|i| value(i / k, i % k)).collect();
        let w = weights::<S>(k, n);
        let (x, w) = (Mat::new(&x, rows, k, k), Mat::new(&w, k, n, n + 2));
        let mut split = vec![S::of(9.0); rows * n];
        let mut scratch = Split::default();
        for _ in 0..2 {
            let y = MatMut::new(&mut split, rows, n, n);
            assert!(scratch.product((products, 0), y, x, w, shared));
            for (i, found) in split.iter().enumerate() {
                let terms = (0..k).map(|c| x.row(i / n)[c].f64() * w.row(c)[i % n].f64());
                let expected: f64 = terms.sum();
                assert!((found.f64() - expected).abs() < slack, "{i}: {found} {expected}");
            }
        }
        let y = MatMut::new(&mut split, rows, n, n);
        assert!(!scratch.product((products, 0), y, x, w, &[3..4]), "too few");
    }

    #[test]
    fn a_split_product_is_the_product() {
        for shared in [&[0..2, 5..6, 9..13][..], &[0..13], &[1..12]] {
            check::<f64>((&mut Products::plain(), 1e-12), (11, 13, 7), shared);
            for (precision, slack) in [(Precision::F32, 1e-5), (Precision::Bf16, 0.05)] {
                for n in [7, 48] {
                    let (kernels, mut scratch) = (Kernels::new(precision), Scratch::default());
                    let mut bank = Bank::forward::<f32>(kernels, 13, n);
                    if let Some(bank) = &mut bank {
                        bank.pack(Mat::new(&weights::<f32>(13, n), 13, n, n + 2));
                    }
                    let banks = [bank];
                    let mut products = Products::new(kernels, &banks, &mut scratch);
                    check::<f32>((&mut products, slack), (11, 13, n), shared);
                    let mut products = Products::new(kernels, &[], &mut scratch);
                    check::<f32>((&mut products, slack), (11, 13, n), shared);
                }
            }
        }
    }
}
