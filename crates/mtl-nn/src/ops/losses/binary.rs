//! Losses of a logit z against a label y in [0, 1]; p = σ(z).
//!
//! All are built from softplus(z) = ln(1 + e^z), so that they are finite and exact to a few units
//! of the last place for every finite logit: ln p = −softplus(−z), ln(1 − p) = −softplus(z).

use super::PointLoss;
use crate::ops::sigmoid;
use crate::{Error, Result, Scalar};

/// Binary cross-entropy: ℓ = −y·ln p − (1 − y)·ln(1 − p).
#[derive(Clone, Copy, Debug)]
pub struct Bce;

/// Binary cross-entropy with a weight w₊ on the positive part: ℓ = −w₊·y·ln p − (1 − y)·ln(1 − p).
///
/// It moves the probabilities (the odds come out w₊ times too high), so a calibrated model wants
/// [`Bce`], or the odds divided by w₊ afterwards.
#[derive(Clone, Copy, Debug)]
pub struct WeightedBce {
    /// w₊ > 0.
    pub positive_weight: f64,
}

/// Focal loss: ℓ = −α·y·(1 − p)^γ·ln p − (1 − α)·(1 − y)·p^γ·ln(1 − p).
///
/// Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, eq. 5; their values are γ = 2
/// and α = 0.25. A soft label mixes the two sides.
#[derive(Clone, Copy, Debug)]
pub struct Focal {
    /// γ ≥ 0: how fast easy rows fade.
    pub gamma: f64,
    /// α in [0, 1]: the weight of positives.
    pub alpha: f64,
}

impl WeightedBce {
    /// A checked positive weight.
    ///
    /// # Errors
    /// [`Error::Setting`] unless it is a finite number > 0.
    pub fn new(positive_weight: f64) -> Result<Self> {
        if positive_weight > 0.0 && positive_weight.is_finite() {
            return Ok(Self { positive_weight });
        }
        let (name, value) = ("positive_weight", positive_weight.to_string());
        Err(Error::Setting { name, value, expected: "a number > 0" })
    }
}

impl Focal {
    /// Checked settings.
    ///
    /// # Errors
    /// [`Error::Setting`] unless γ ≥ 0 and 0 ≤ α ≤ 1.
    pub fn new(gamma: f64, alpha: f64) -> Result<Self> {
        if !(gamma >= 0.0 && gamma.is_finite()) {
            let (name, value) = ("gamma", gamma.to_string());
            return Err(Error::Setting { name, value, expected: "a number ≥ 0" });
        }
        if !(0.0..=1.0).contains(&alpha) {
            let (name, value) = ("alpha", alpha.to_string());
            return Err(Error::Setting { name, value, expected: "0 ≤ alpha ≤ 1" });
        }
        Ok(Self { gamma, alpha })
    }
}

/// ln(1 + e^z), without overflow.
#[inline(always)]
pub(in crate::ops) fn softplus<S: Scalar>(z: S) -> S {
    z.max(S::zero()) + (-z.abs()).exp().ln_1p()
}

impl PointLoss for Bce {
    fn kind(&self) -> &'static str {
        "bce"
    }

    #[inline(always)]
    fn loss<S: Scalar>(&self, z: S, y: S) -> S {
        // One exponential for both sides: softplus(z) − z·y.
        z.max(S::zero()) - z * y + (-z.abs()).exp().ln_1p()
    }

    #[inline(always)]
    fn slope<S: Scalar>(&self, z: S, y: S) -> S {
        // σ(z) − y would lose every digit where p is near a label of 1.
        (S::one() - y) * sigmoid(z) - y * sigmoid(-z)
    }
}

impl PointLoss for WeightedBce {
    fn kind(&self) -> &'static str {
        "weighted_bce"
    }

    fn loss<S: Scalar>(&self, z: S, y: S) -> S {
        S::of(self.positive_weight) * y * softplus(-z) + (S::one() - y) * softplus(z)
    }

    fn slope<S: Scalar>(&self, z: S, y: S) -> S {
        (S::one() - y) * sigmoid(z) - S::of(self.positive_weight) * y * sigmoid(-z)
    }
}

impl Focal {
    /// −(1 − q)^γ·ln q and its derivative by s, with q = σ(s).
    fn side<S: Scalar>(self, s: S) -> (S, S) {
        let (q, rest, gamma) = (sigmoid(s), sigmoid(-s), S::of(self.gamma));
        let minus_log_q = softplus(-s);
        let fade = (-gamma * softplus(s)).exp();
        (fade * minus_log_q, -fade * (gamma * q * minus_log_q + rest))
    }
}

impl PointLoss for Focal {
    fn kind(&self) -> &'static str {
        "focal"
    }

    fn loss<S: Scalar>(&self, z: S, y: S) -> S {
        let alpha = S::of(self.alpha);
        alpha * y * self.side(z).0 + (S::one() - alpha) * (S::one() - y) * self.side(-z).0
    }

    fn slope<S: Scalar>(&self, z: S, y: S) -> S {
        let alpha = S::of(self.alpha);
        alpha * y * self.side(z).1 - (S::one() - alpha) * (S::one() - y) * self.side(-z).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bce_is_finite_and_exact_at_extreme_logits() {
        assert_eq!(Bce.loss(80.0f32, 0.0), 80.0);
        assert_eq!(Bce.loss(-800.0f32, 1.0), 800.0);
        assert!((Bce.loss(-80.0f64, 0.0) / (-80.0f64).exp() - 1.0).abs() < 1e-12);
        assert!((Bce.slope(80.0f64, 1.0) / -(-80.0f64).exp() - 1.0).abs() < 1e-12);
        assert_eq!(Bce.slope(800.0f32, 1.0), 0.0);
    }

    #[test]
    fn special_cases_fall_back_to_bce() {
        let (one, half) = (WeightedBce { positive_weight: 1.0 }, Focal { gamma: 0.0, alpha: 0.5 });
        for z in [-90.0f64, -3.0, -0.1, 0.0, 0.7, 5.0, 90.0] {
            for y in [0.0, 0.3, 1.0] {
                let (loss, slope): (f64, f64) = (Bce.loss(z, y), Bce.slope(z, y));
                assert!((one.loss(z, y) - loss).abs() <= 1e-13 * (1.0 + loss), "{z} {y}");
                assert!((one.slope(z, y) - slope).abs() <= 1e-15, "{z} {y}");
                assert!((2.0 * half.loss(z, y) - loss).abs() <= 1e-13 * (1.0 + loss), "{z} {y}");
                assert!((2.0 * half.slope(z, y) - slope).abs() <= 1e-15, "{z} {y}");
            }
        }
    }

    #[test]
    fn weighted_bce_and_focal_by_hand() {
        // p = 3/4 at z = ln 3.
        let (z, ln4) = (3f64.ln(), 4f64.ln());
        let weighted = WeightedBce { positive_weight: 5.0 };
        assert!((weighted.loss(z, 1.0) - 5.0 * (4.0 / 3.0f64).ln()).abs() < 1e-14);
        assert!((weighted.slope(z, 1.0) + 1.25).abs() < 1e-14);
        assert!((weighted.loss(z, 0.0) - ln4).abs() < 1e-14);
        let focal = Focal { gamma: 2.0, alpha: 0.25 };
        assert!((focal.loss(z, 0.0) - 0.75 * 0.5625 * ln4).abs() < 1e-14);
    }
}
