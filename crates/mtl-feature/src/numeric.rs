//! Numeric features: x → f(x) or (f(x) − μ)/s, with f the identity or a signed logarithm.

use serde::{Deserialize, Serialize};

use crate::Cell;
use crate::number::{WideSum, number_of, product_error, to_f32};

/// A fitted numeric transform.
///
/// f(x) = x, or sign(x)·ln(1 + |x|) with `log1p`: the usual ln(1 + x) for x ≥ 0, continued so that
/// it is odd, monotone and defined for negative numbers too. Then (f(x) − `shift`) / `scale`.
///
/// A missing value becomes the mean of the transformed training rows, which after standardising is
/// exactly 0: the value that moves a linear layer least. Where being missing says something, add a
/// missing indicator.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Scaling {
    /// Whether f is the signed logarithm.
    pub log1p: bool,
    /// μ; 0 unless standardised.
    pub shift: f64,
    /// s, the population standard deviation, or 1 where that is 0 or not standardised.
    pub scale: f64,
    /// What stands for a missing value, after the transform.
    pub missing: f32,
}

impl Scaling {
    /// The feature's value for a cell.
    ///
    /// # Errors
    /// What was expected, if the cell holds no finite number.
    pub fn apply(&self, cell: Cell<'_>) -> Result<f32, &'static str> {
        match number_of(cell)? {
            None => Ok(self.missing),
            Some(x) => {
                // As in fitting: what the transform makes of a larger one may be small, and means nothing.
                to_f32(x)?;
                to_f32((transform(self.log1p, x) - self.shift) / self.scale)
            }
        }
    }
}

fn transform(log1p: bool, x: f64) -> f64 {
    if log1p { x.abs().ln_1p().copysign(x) } else { x }
}

/// Moments of f(x) over training rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScalingFitter {
    log1p: bool,
    standardise: bool,
    n: u64,
    sum: WideSum,
    squares: WideSum,
}

impl ScalingFitter {
    pub(crate) fn new(log1p: bool, standardise: bool) -> Self {
        Self { log1p, standardise, ..Self::default() }
    }

    pub(crate) fn observe(&mut self, cell: Cell<'_>, count: u64) -> Result<(), &'static str> {
        let Some(x) = number_of(cell)? else { return Ok(()) };
        to_f32(x)?;
        let y = transform(self.log1p, x);
        self.n += count;
        if count == 1 {
            self.sum.add(y);
            self.squares.add_product(y, y);
            return Ok(());
        }
        // `count` copies of y as two exact terms of y² each, so that a dictionary sums as rows do.
        let n = count as f64;
        self.sum.add_product(y, n);
        let square = y * y;
        self.squares.add_product(square, n);
        self.squares.add_product(product_error(y, y), n);
        Ok(())
    }

    pub(crate) fn finish(&self) -> Scaling {
        let n = self.n as f64;
        let mean = if self.n == 0 { 0.0 } else { self.sum.value() / n };
        if !self.standardise {
            let missing = mean as f32;
            return Scaling { log1p: self.log1p, shift: 0.0, scale: 1.0, missing };
        }
        let squares = WideSum::centred_squares(&self.sum, &self.squares, n);
        let deviation = (squares / n).sqrt();
        // NaN (no rows) and 0 (one value) both mean that there is nothing to scale by.
        let scale = if deviation > 0.0 { deviation } else { 1.0 };
        Scaling { log1p: self.log1p, shift: mean, scale, missing: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(log1p: bool, standardise: bool, values: &[f64]) -> Scaling {
        let mut fitter = ScalingFitter::new(log1p, standardise);
        for &value in values {
            fitter.observe(Cell::Float(value), 1).unwrap();
        }
        fitter.finish()
    }

    #[test]
    fn standardising_gives_mean_0_and_variance_1() {
        let scaling = fitted(false, true, &[1.0, 2.0, 3.0, 6.0]);
        assert_eq!((scaling.shift, scaling.scale), (3.0, 3.5_f64.sqrt()));
        assert_eq!(scaling.apply(Cell::Text("3")), Ok(0.0));
        assert_eq!(scaling.apply(Cell::Missing), Ok(0.0));
        assert_eq!(scaling.apply(Cell::Integer(10)), Ok((7.0 / 3.5_f64.sqrt()) as f32));
    }

    #[test]
    fn the_logarithm_is_odd() {
        let scaling = fitted(true, false, &[0.0, 1.0]);
        assert_eq!(scaling.apply(Cell::Integer(9)), Ok(10_f64.ln() as f32));
        assert_eq!(scaling.apply(Cell::Integer(-9)), Ok(-(10_f64.ln() as f32)));
        assert_eq!(scaling.apply(Cell::Missing), Ok((2_f64.ln() / 2.0) as f32));
    }

    #[test]
    fn a_number_that_fitting_refuses_is_refused_later_too() {
        for (log1p, standardise) in [(false, true), (true, false), (true, true)] {
            let scaling = fitted(log1p, standardise, &[1.0, 1e30]);
            assert_eq!(scaling.apply(Cell::Float(-1e39)), Err("a number within ±3.4e38"));
            assert!(scaling.apply(Cell::Float(3e38)).is_ok());
        }
    }

    #[test]
    fn a_constant_or_always_missing_column_becomes_0() {
        assert_eq!(fitted(false, true, &[5.0, 5.0]).apply(Cell::Integer(5)), Ok(0.0));
        assert_eq!(fitted(true, true, &[]).apply(Cell::Missing), Ok(0.0));
    }

    #[test]
    fn counts_sum_as_rows_do() {
        let values = [0.1, 1e9, 0.1, 3.7, 0.1, 3.7];
        let mut by_count = ScalingFitter::new(false, true);
        for (value, count) in [(0.1, 3), (3.7, 2), (1e9, 1)] {
            by_count.observe(Cell::Float(value), count).unwrap();
        }
        assert_eq!(fitted(false, true, &values), by_count.finish());
    }
}
