//! Row-major matrix views whose rows are contiguous slices.
//!
//! `ndarray` views allow any stride in both directions, so a row may fail to be a slice. The
//! kernels rest on rows being slices; these two views carry that in their type, and convert to
//! `ndarray` where a caller wants to look.

use ndarray::{ArrayView2, ShapeBuilder};

use crate::Scalar;

/// A read-only view of `rows × cols` values; consecutive rows lie `stride` values apart.
#[derive(Clone, Copy, Debug)]
pub struct Mat<'a, S> {
    data: &'a [S],
    rows: usize,
    cols: usize,
    stride: usize,
}

/// A writable view of `rows × cols` values; consecutive rows lie `stride` values apart.
#[derive(Debug)]
pub struct MatMut<'a, S> {
    data: &'a mut [S],
    rows: usize,
    cols: usize,
    stride: usize,
}

/// The number of values a view must reach into, from its first to its last.
const fn span(rows: usize, cols: usize, stride: usize) -> usize {
    if rows == 0 || cols == 0 { 0 } else { (rows - 1) * stride + cols }
}

impl<'a, S: Scalar> Mat<'a, S> {
    /// A view of the first `rows × cols` values of `data`.
    ///
    /// # Panics
    /// If `data` is too short or `stride < cols`.
    #[inline]
    pub fn new(data: &'a [S], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(stride >= cols && data.len() >= span(rows, cols, stride), "view out of bounds");
        Self { data, rows, cols, stride }
    }

    /// Number of rows.
    #[inline]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[inline]
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// Distance between the starts of consecutive rows.
    #[inline]
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// The values from the first of this view on.
    #[inline]
    pub const fn data(&self) -> &'a [S] {
        self.data
    }

    /// Row `r`.
    #[inline]
    pub fn row(&self, r: usize) -> &'a [S] {
        &self.data[r * self.stride..r * self.stride + self.cols]
    }

    /// The columns `start .. start + n` of every row.
    #[inline]
    pub fn columns(&self, start: usize, n: usize) -> Self {
        assert!(start + n <= self.cols, "columns out of range");
        Self { data: self.data.get(start..).unwrap_or(&[]), cols: n, ..*self }
    }

    /// The rows `start .. start + n`.
    #[inline]
    pub fn part(&self, start: usize, n: usize) -> Self {
        assert!(start + n <= self.rows, "rows out of range");
        Self { data: self.data.get(start * self.stride..).unwrap_or(&[]), rows: n, ..*self }
    }

    /// The same values as an `ndarray` view.
    pub fn as_array(&self) -> ArrayView2<'a, S> {
        ArrayView2::from_shape((self.rows, self.cols).strides((self.stride, 1)), self.data)
            .expect("a view's bounds are checked when it is made")
    }
}

impl<'a, S: Scalar> MatMut<'a, S> {
    /// A view of the first `rows × cols` values of `data`.
    ///
    /// # Panics
    /// If `data` is too short or `stride < cols`.
    #[inline]
    pub fn new(data: &'a mut [S], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(stride >= cols && data.len() >= span(rows, cols, stride), "view out of bounds");
        Self { data, rows, cols, stride }
    }

    /// Number of rows.
    #[inline]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[inline]
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// Distance between the starts of consecutive rows.
    #[inline]
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// The values from the first of this view on.
    #[inline]
    pub const fn data(&mut self) -> &mut [S] {
        self.data
    }

    /// Row `r`.
    #[inline]
    pub fn row(&mut self, r: usize) -> &mut [S] {
        &mut self.data[r * self.stride..r * self.stride + self.cols]
    }

    /// The columns `start .. start + n` of every row.
    #[inline]
    pub fn columns(&mut self, start: usize, n: usize) -> MatMut<'_, S> {
        assert!(start + n <= self.cols, "columns out of range");
        let data = self.data.get_mut(start..).unwrap_or(&mut []);
        MatMut { data, rows: self.rows, cols: n, stride: self.stride }
    }

    /// The rows `start .. start + n`.
    #[inline]
    pub fn part(&mut self, start: usize, n: usize) -> MatMut<'_, S> {
        assert!(start + n <= self.rows, "rows out of range");
        let data = self.data.get_mut(start * self.stride..).unwrap_or(&mut []);
        MatMut { data, rows: n, cols: self.cols, stride: self.stride }
    }

    /// The same view, borrowed for less long.
    #[inline]
    pub const fn reborrow(&mut self) -> MatMut<'_, S> {
        MatMut { data: self.data, rows: self.rows, cols: self.cols, stride: self.stride }
    }

    /// The same values, read-only.
    #[inline]
    pub const fn as_mat(&self) -> Mat<'_, S> {
        Mat { data: self.data, rows: self.rows, cols: self.cols, stride: self.stride }
    }

    /// Sets every value.
    pub fn fill(&mut self, value: S) {
        for r in 0..self.rows {
            self.row(r).fill(value);
        }
    }
}
