//! Activations and dropout, fused into the ops that need them.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::ops::Keep;
use crate::{Error, Result, Scalar};

/// An activation function whose derivative is a function of its output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// y = z.
    #[default]
    Linear,
    /// y = max(z, 0).
    Relu,
    /// y = 1 / (1 + e^−z).
    Sigmoid,
    /// y = tanh z.
    Tanh,
}

impl Activation {
    /// Every activation.
    pub const ALL: [Self; 4] = [Self::Linear, Self::Relu, Self::Sigmoid, Self::Tanh];

    /// z → dropout(act(z + b)), in place.
    #[inline(always)]
    pub(crate) fn forward<S: Scalar>(self, z: &mut [S], bias: Option<&[S]>, keep: Keep<S>) {
        match self {
            Self::Linear => map(z, bias, keep, |z| z),
            // Written so that a NaN passes through and is caught at the loss.
            Self::Relu => map(z, bias, keep, |z| if z < S::zero() { S::zero() } else { z }),
            Self::Sigmoid => map(z, bias, keep, crate::ops::sigmoid),
            Self::Tanh => map(z, bias, keep, S::tanh),
        }
    }

    /// dy → dz, in place, given the output y (after dropout).
    #[inline(always)]
    pub(crate) fn backward<S: Scalar>(self, y: &[S], d: &mut [S], keep: Keep<S>) {
        match self {
            Self::Linear => unmap(y, d, keep, |_| S::one()),
            // y > 0 already says "kept and active": no mask is drawn again.
            Self::Relu => {
                let scale = match keep {
                    Keep::All => S::one(),
                    Keep::Drawn(_, _, scale) => scale,
                };
                for (d, &y) in d.iter_mut().zip(y) {
                    *d = if y > S::zero() { *d * scale } else { S::zero() };
                }
            }
            Self::Sigmoid => unmap(y, d, keep, |y| y * (S::one() - y)),
            Self::Tanh => unmap(y, d, keep, |y| S::one() - y * y),
        }
    }
}

#[inline(always)]
fn map<S: Scalar>(z: &mut [S], bias: Option<&[S]>, keep: Keep<S>, act: impl Fn(S) -> S) {
    match (keep, bias) {
        (Keep::All, Some(bias)) => z.iter_mut().zip(bias).for_each(|(z, &b)| *z = act(*z + b)),
        (Keep::All, None) => z.iter_mut().for_each(|z| *z = act(*z)),
        (Keep::Drawn(draws, threshold, scale), bias) => {
            let drop = |column: usize, z: &mut S, input: S| {
                let kept = draws.bits(column as u32) >= threshold;
                *z = if kept { act(input) * scale } else { S::zero() };
            };
            match bias {
                Some(bias) => {
                    let columns = z.iter_mut().zip(bias).enumerate();
                    columns.for_each(|(column, (z, &b))| drop(column, z, *z + b));
                }
                None => z.iter_mut().enumerate().for_each(|(column, z)| drop(column, z, *z)),
            }
        }
    }
}

#[inline(always)]
fn unmap<S: Scalar>(y: &[S], d: &mut [S], keep: Keep<S>, slope: impl Fn(S) -> S) {
    match keep {
        Keep::All => d.iter_mut().zip(y).for_each(|(d, &y)| *d *= slope(y)),
        Keep::Drawn(draws, threshold, scale) => {
            let inverse = scale.recip();
            for (column, (d, &y)) in d.iter_mut().zip(y).enumerate() {
                let kept = draws.bits(column as u32) >= threshold;
                *d = if kept { *d * scale * slope(y * inverse) } else { S::zero() };
            }
        }
    }
}

/// Inverted dropout: a value is zeroed with probability `rate`, else divided by 1 − rate.
///
/// Draws depend on (seed, step, path, row of the batch, column) alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    rate: f64,
    key: u64,
}

impl Dropout {
    /// Dropout of the layer at `path`; `None` for a rate of 0.
    ///
    /// # Errors
    /// [`Error::Setting`] unless 0 ≤ rate < 1.
    pub fn new(rate: f64, path: &str) -> Result<Option<Self>> {
        if !(0.0..1.0).contains(&rate) {
            let value = rate.to_string();
            return Err(Error::Setting { name: "dropout", value, expected: "0 ≤ rate < 1" });
        }
        Ok((rate > 0.0).then(|| Self { rate, key: xxh3_64(path.as_bytes()) }))
    }

    /// The probability of a zero.
    pub const fn rate(self) -> f64 {
        self.rate
    }

    pub(crate) const fn key(self) -> u64 {
        self.key
    }
}
