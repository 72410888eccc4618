//! `Target`: what a supervised event is trained towards, from label columns.

/// The product of one or more observed events, each of them any-of several label columns.
///
/// A factor is 1 if any of its columns is, missing (NaN) if none is 1 and one is missing, else
/// the largest of them. The product is 0 as soon as one factor is 0 — a purchase that cannot have
/// happened did not, whatever its own column says or fails to say — and missing otherwise if a
/// factor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    factors: Vec<Vec<String>>,
}

impl Target {
    pub(crate) const fn new(factors: Vec<Vec<String>>) -> Self {
        Self { factors }
    }

    /// The label columns, factor by factor.
    pub fn factors(&self) -> &[Vec<String>] {
        &self.factors
    }

    /// Every label column it reads.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.factors.iter().flatten().map(String::as_str)
    }

    /// The target of a row, given its labels; NaN if it is missing.
    pub fn value(&self, mut label: impl FnMut(&str) -> f64) -> f64 {
        product(self.factors.iter().map(|any| any_of(any.iter().map(|name| label(name)))))
    }
}

/// The largest value; NaN beside values below 1 is NaN.
#[inline]
pub(crate) fn any_of(values: impl Iterator<Item = f64>) -> f64 {
    let mut largest = f64::NEG_INFINITY;
    let mut missing = false;
    for value in values {
        missing |= value.is_nan();
        largest = largest.max(value); // `max` passes NaN over
    }
    if missing && largest < 1.0 { f64::NAN } else { largest }
}

/// The product; 0 beside NaN is 0.
#[inline]
pub(crate) fn product(factors: impl Iterator<Item = f64>) -> f64 {
    let mut total = 1.0;
    let mut zero = false;
    for factor in factors {
        zero |= factor == 0.0;
        total *= factor;
    }
    if zero { 0.0 } else { total }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_and_product_treat_missing_values_as_unknown() {
        let any = |v: &[f64]| any_of(v.iter().copied());
        assert_eq!(any(&[0.0, 1.0]), 1.0);
        assert_eq!(any(&[f64::NAN, 1.0]), 1.0);
        assert!(any(&[0.0, f64::NAN]).is_nan());
        assert!(any(&[f64::NAN]).is_nan());
        assert_eq!(any(&[0.0, 0.0]), 0.0);
        let all = |v: &[f64]| product(v.iter().copied());
        assert_eq!(all(&[0.0, f64::NAN]), 0.0);
        assert!(all(&[1.0, f64::NAN]).is_nan());
        assert_eq!(all(&[1.0, 0.5]), 0.5);
    }
}
