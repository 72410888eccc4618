//! A borrowed column of f32 or f64 values.

/// A borrowed column of f32 or f64 values. Slices, vectors and arrays of either convert into it.
#[derive(Clone, Copy, Debug)]
pub enum Column<'a> {
    /// Single precision, as models predict.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
}

impl Column<'_> {
    /// Number of values.
    pub fn len(self) -> usize {
        match self {
            Column::F32(values) => values.len(),
            Column::F64(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of a row, widened.
    ///
    /// # Panics
    ///
    /// If `row` is not below the length.
    #[inline]
    pub fn get(self, row: usize) -> f64 {
        match self {
            Column::F32(values) => f64::from(values[row]),
            Column::F64(values) => values[row],
        }
    }

    /// The distance from 1 to the next number of the column's type.
    pub(crate) fn epsilon(self) -> f64 {
        match self {
            Column::F32(_) => f64::from(f32::EPSILON),
            Column::F64(_) => f64::EPSILON,
        }
    }
}

impl<'a> From<&'a [f32]> for Column<'a> {
    fn from(values: &'a [f32]) -> Self {
        Column::F32(values)
    }
}

impl<'a> From<&'a [f64]> for Column<'a> {
    fn from(values: &'a [f64]) -> Self {
        Column::F64(values)
    }
}

impl<'a> From<&'a Vec<f32>> for Column<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Column::F32(values)
    }
}

impl<'a> From<&'a Vec<f64>> for Column<'a> {
    fn from(values: &'a Vec<f64>) -> Self {
        Column::F64(values)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for Column<'a> {
    fn from(values: &'a [f32; N]) -> Self {
        Column::F32(values)
    }
}

impl<'a, const N: usize> From<&'a [f64; N]> for Column<'a> {
    fn from(values: &'a [f64; N]) -> Self {
        Column::F64(values)
    }
}
