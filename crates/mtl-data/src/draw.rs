//! Random draws that depend on what they are for, not on when they are made.

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The draws of one thing: user 7, or the block of rows that begins at 8,000.
///
/// They are keyed by (seed, purpose, number), so what is generated does not depend on the number of
/// threads or on what was generated before.
pub(crate) struct Draws {
    random: ChaCha8Rng,
    /// Box and Muller's formula gives two normal numbers at a time.
    spare: Option<f64>,
}

impl Draws {
    pub(crate) fn new(seed: u64, purpose: u64, number: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&purpose.to_le_bytes());
        key[16..24].copy_from_slice(&number.to_le_bytes());
        Self { random: ChaCha8Rng::from_seed(key), spare: None }
    }

    /// A number from 0 inclusive to 1 exclusive.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// A standard normal number.
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // 1 − u is never 0, whose logarithm is infinite.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_the_moments_of_a_normal() {
        let mut draws = Draws::new(1, 2, 3);
        let n = 40_000;
        let numbers: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
        let moment = |power| numbers.iter().map(|x| x.powi(power)).sum::<f64>() / f64::from(n);
        // Five standard errors: the variances of x, x², x³ and x⁴ are 1, 2, 15 and 96.
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0)] {
            let error = moment(power) - expected;
            assert!(error.abs() < 5.0 * (variance / f64::from(n)).sqrt(), "{power}: {error}");
        }
        assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / f64::from(n)).sqrt());
    }

    #[test]
    fn seed_purpose_and_number_are_different_things() {
        let first = |seed, purpose, number| Draws::new(seed, purpose, number).uniform();
        let draws = [first(1, 0, 0), first(0, 1, 0), first(0, 0, 1), first(0, 0, 0)];
        for (i, draw) in draws.iter().enumerate() {
            assert!(!draws[..i].contains(draw));
        }
        assert_eq!(first(1, 2, 3), first(1, 2, 3));
    }
}
