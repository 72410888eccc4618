//! Numbers out of cells, and sums of them that do not depend on their order.

use crate::Cell;

/// What a cell that should hold a number is told.
pub(crate) const FINITE: &str = "a finite number";

/// What a cell with a number that is none, such as NaN, is told.
pub(crate) const NOT_A_NUMBER: &str =
    "a finite number (list the value in `missing` if it marks a missing one)";

/// The number in a cell, `None` if it is missing. True and false are 1 and 0.
///
/// # Errors
/// What was expected, if it is no number or not a finite one.
pub(crate) fn number_of(cell: Cell<'_>) -> Result<Option<f64>, &'static str> {
    let value = match cell {
        Cell::Missing => return Ok(None),
        Cell::Integer(value) => value as f64,
        Cell::Unsigned(value) => value as f64,
        Cell::Float(value) => value,
        Cell::Boolean(value) => f64::from(u8::from(value)),
        Cell::Text(text) => parse(text)?,
        Cell::List(_) => return Err("a number, not a list"),
    };
    match value.is_finite() {
        true => Ok(Some(value)),
        false => Err(NOT_A_NUMBER),
    }
}

fn parse(text: &str) -> Result<f64, &'static str> {
    if let Ok(value) = text.parse() {
        return Ok(value);
    }
    match text.trim() {
        trimmed if trimmed.eq_ignore_ascii_case("true") => Ok(1.0),
        trimmed if trimmed.eq_ignore_ascii_case("false") => Ok(0.0),
        trimmed if trimmed.parse::<f64>().is_ok() => {
            Err("a number without blanks around it (`trim = true` takes them away)")
        }
        _ => Err(FINITE),
    }
}

/// `value` as f32, if it does not overflow.
pub(crate) fn to_f32(value: f64) -> Result<f32, &'static str> {
    let narrow = value as f32;
    if narrow.is_finite() { Ok(narrow) } else { Err("a number within ±3.4e38") }
}

/// A sum held in two floats, with 106 bits.
///
/// A plain sum's last digits depend on the order of its terms: the same rows in another order, or
/// cut into other chunks, would standardise a little differently.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WideSum {
    high: f64,
    low: f64,
}

impl WideSum {
    pub(crate) fn add(&mut self, value: f64) {
        let (sum, error) = two_sum(self.high, value);
        let low = self.low + error;
        (self.high, self.low) = two_sum(sum, low);
    }

    pub(crate) fn add_product(&mut self, a: f64, b: f64) {
        let (product, error) = two_product(a, b);
        self.add(product);
        self.add(error);
    }

    pub(crate) fn value(&self) -> f64 {
        self.high + self.low
    }

    /// Σx² − (Σx)²/n, of which the leading digits cancel when the mean is far from 0.
    pub(crate) fn centred_squares(sum: &Self, squares: &Self, n: f64) -> f64 {
        let mean = sum.value() / n;
        let mut centred = *squares;
        // Σ(x − m)² = Σx² − 2mΣx + nm²: exact in m, so m need not be.
        centred.add_product(-2.0 * mean, sum.high);
        centred.add_product(-2.0 * mean, sum.low);
        let (square, error) = two_product(mean, mean);
        centred.add_product(n, square);
        centred.add_product(n, error);
        centred.value().max(0.0)
    }
}

/// a + b and its rounding error (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// a · b less its rounded value.
pub(crate) fn product_error(a: f64, b: f64) -> f64 {
    two_product(a, b).1
}

/// a · b and its rounding error (Dekker); a fused multiply-add is a library call on plain x86-64.
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    let ((a_high, a_low), (b_high, b_low)) = (split(a), split(b));
    let error = a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low);
    // Splitting overflows near the largest floats; there the plain product is good enough.
    (product, if error.is_finite() { error } else { 0.0 })
}

fn split(value: f64) -> (f64, f64) {
    let scaled = 134_217_729.0 * value;
    let high = scaled - (scaled - value);
    (high, value - high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_become_numbers() {
        assert_eq!(number_of(Cell::Text("1e3")), Ok(Some(1000.0)));
        assert_eq!(number_of(Cell::Text("-.5")), Ok(Some(-0.5)));
        assert_eq!(number_of(Cell::Text("True")), Ok(Some(1.0)));
        assert_eq!(number_of(Cell::Boolean(false)), Ok(Some(0.0)));
        assert_eq!(number_of(Cell::Unsigned(3)), Ok(Some(3.0)));
        assert_eq!(number_of(Cell::Missing), Ok(None));
        assert_eq!(number_of(Cell::Text("ten")), Err(FINITE));
        assert_eq!(number_of(Cell::Text("")), Err(FINITE));
        assert!(number_of(Cell::Text(" 1")).unwrap_err().contains("trim"));
        for text in ["nan", "NaN", "inf", "-Infinity"] {
            assert!(number_of(Cell::Text(text)).unwrap_err().contains("`missing`"), "{text}");
        }
        assert!(number_of(Cell::Float(f64::NAN)).is_err());
    }

    #[test]
    fn a_wide_sum_keeps_what_a_plain_one_loses() {
        let mut sum = WideSum::default();
        for value in [1e16, 1.0, -1e16, 1.0] {
            sum.add(value);
        }
        assert_eq!(sum.value(), 2.0);
    }

    #[test]
    fn the_variance_of_close_large_numbers_is_exact() {
        let (mut sum, mut squares) = (WideSum::default(), WideSum::default());
        for value in [1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0] {
            sum.add(value);
            squares.add_product(value, value);
        }
        assert_eq!(WideSum::centred_squares(&sum, &squares, 3.0), 2.0);
    }
}
