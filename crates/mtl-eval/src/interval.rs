//! Confidence levels and intervals.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::Error;

/// A confidence level between 0 and 1; 0.95 by default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ConfidenceLevel(f64);

impl ConfidenceLevel {
    /// Checks the level.
    ///
    /// # Errors
    ///
    /// The level is not in the open interval (0, 1).
    pub fn new(level: f64) -> Result<Self, Error> {
        if level > 0.0 && level < 1.0 {
            Ok(ConfidenceLevel(level))
        } else {
            Err(Error::BadConfidenceLevel { level })
        }
    }

    /// The level as a number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The share below the upper end of a two-sided interval: 0.975 for 0.95.
    pub(crate) fn upper_share(self) -> f64 {
        0.5 + 0.5 * self.0
    }

    /// Half the width of a normal interval, in standard errors: 1.96 for 0.95.
    pub(crate) fn normal_quantile(self) -> f64 {
        Normal::standard().inverse_cdf(self.upper_share())
    }

    /// Half the width of a t interval, in standard errors.
    pub(crate) fn t_quantile(self, distribution: &StudentsT) -> f64 {
        distribution.inverse_cdf(self.upper_share())
    }
}

impl Default for ConfidenceLevel {
    fn default() -> Self {
        ConfidenceLevel(0.95)
    }
}

/// An estimate between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The metric itself.
    pub estimate: f64,
    /// Standard error of the estimate.
    pub standard_error: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
    /// The share of intervals, over repetitions of the experiment, that hold the true value.
    pub level: ConfidenceLevel,
}

/// P(Z ≤ z) of a standard normal Z.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// The two-sided p-value of an effect and its standard error; an effect without any error is
/// certain, and none is no effect.
pub(crate) fn z_and_p(effect: f64, standard_error: f64) -> (f64, f64) {
    if effect == 0.0 {
        return (0.0, 1.0);
    }
    let z = effect / standard_error;
    (z, 2.0 * normal_cdf(-z.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::approx_eq;

    #[test]
    fn levels_are_shares() {
        for bad in [0.0, 1.0, 95.0, f64::NAN] {
            assert!(ConfidenceLevel::new(bad).is_err(), "{bad}");
        }
        approx_eq(ConfidenceLevel::default().normal_quantile(), 1.959_963_984_540_054, 1e-9);
        // SciPy 1.17: t.ppf(0.975, 2), t.ppf(0.995, 4).
        let t = |degrees: f64| StudentsT::new(0.0, 1.0, degrees).unwrap();
        approx_eq(ConfidenceLevel::default().t_quantile(&t(2.0)), 4.302_652_729_749_464, 1e-8);
        let level = ConfidenceLevel::new(0.99).unwrap();
        approx_eq(level.t_quantile(&t(4.0)), 4.604_094_871_349_993, 1e-8);
    }

    #[test]
    fn p_values() {
        approx_eq(z_and_p(1.959_963_984_540_054, 1.0).1, 0.05, 1e-10);
        assert_eq!(z_and_p(0.0, 0.0), (0.0, 1.0));
        assert_eq!(z_and_p(0.1, 0.0).1, 0.0);
    }
}
