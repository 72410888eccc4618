//! Losses of a prediction z against a target y; r = z − y.

use super::PointLoss;
use crate::{Error, Result, Scalar};

/// Squared error: ℓ = r².
#[derive(Clone, Copy, Debug)]
pub struct SquaredError;

/// Huber, 1964: ℓ = ½r² where |r| ≤ δ, else δ(|r| − ½δ).
#[derive(Clone, Copy, Debug)]
pub struct Huber {
    /// δ > 0.
    pub delta: f64,
}

/// ℓ = ln cosh r: ½r² near 0, |r| − ln 2 far from it, smooth between.
#[derive(Clone, Copy, Debug)]
pub struct LogCosh;

impl Huber {
    /// A checked δ.
    ///
    /// # Errors
    /// [`Error::Setting`] unless it is a finite number > 0.
    pub fn new(delta: f64) -> Result<Self> {
        if delta > 0.0 && delta.is_finite() {
            return Ok(Self { delta });
        }
        let (name, value) = ("delta", delta.to_string());
        Err(Error::Setting { name, value, expected: "a number > 0" })
    }
}

impl PointLoss for SquaredError {
    fn kind(&self) -> &'static str {
        "squared_error"
    }

    fn loss<S: Scalar>(&self, z: S, y: S) -> S {
        (z - y) * (z - y)
    }

    fn slope<S: Scalar>(&self, z: S, y: S) -> S {
        S::of(2.0) * (z - y)
    }
}

impl PointLoss for Huber {
    fn kind(&self) -> &'static str {
        "huber"
    }

    fn loss<S: Scalar>(&self, z: S, y: S) -> S {
        let (r, delta, half) = ((z - y).abs(), S::of(self.delta), S::of(0.5));
        if r <= delta { half * r * r } else { delta * (r - half * delta) }
    }

    fn slope<S: Scalar>(&self, z: S, y: S) -> S {
        let (r, delta) = (z - y, S::of(self.delta));
        // `max` and `min` would turn a NaN into a slope of δ.
        if r > delta {
            delta
        } else if r < -delta {
            -delta
        } else {
            r
        }
    }
}

impl PointLoss for LogCosh {
    fn kind(&self) -> &'static str {
        "log_cosh"
    }

    fn loss<S: Scalar>(&self, z: S, y: S) -> S {
        let r = (z - y).abs();
        if r < S::one() {
            // ½ ln(1 + sinh² r): the other form subtracts ln 2 from nearly ln 2.
            let sinh = r.sinh();
            S::of(0.5) * (sinh * sinh).ln_1p()
        } else {
            r + (-(r + r)).exp().ln_1p() - S::of(std::f64::consts::LN_2)
        }
    }

    fn slope<S: Scalar>(&self, z: S, y: S) -> S {
        (z - y).tanh()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huber_joins_its_two_parts_and_passes_nan_on() {
        let huber = Huber { delta: 0.5 };
        assert_eq!(huber.loss(1.5, 1.0), 0.125);
        assert_eq!(huber.loss(4.0, 1.0), 0.5 * (3.0 - 0.25));
        assert_eq!([huber.slope(4.0, 1.0), huber.slope(0.9, 1.0)], [0.5, 0.9 - 1.0]);
        assert!(huber.slope(f64::NAN, 1.0).is_nan() && huber.loss(f64::NAN, 1.0).is_nan());
    }

    #[test]
    fn log_cosh_is_smooth_where_its_forms_meet_and_finite_far_out() {
        let (below, above) = (LogCosh.loss(1.0 - 1e-9, 0.0), LogCosh.loss(1.0 + 1e-9, 0.0));
        assert!((above - below - 2e-9 * 1f64.tanh()).abs() < 1e-15);
        assert!((LogCosh.loss(1e4f32, 0.0) - (1e4 - 0.693)).abs() < 1e-2);
        assert!((LogCosh.loss(1e-6f64, 0.0) / 5e-13 - 1.0).abs() < 1e-9);
    }
}
