//! Random numbers keyed by (seed, step): nothing to save, and a resumed run draws the same.

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The generator of one step: the ChaCha8 key of `seed`, its stream number `step`.
#[derive(Debug)]
pub(crate) struct StepRandom(ChaCha8Rng);

impl StepRandom {
    pub(crate) fn new(seed: u64, step: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(step);
        Self(generator)
    }

    /// A standard normal number, by Box and Muller (one of the pair).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }

    /// Puts `items` in random order (Fisher and Yates).
    pub(crate) fn shuffle(&mut self, items: &mut [usize]) {
        for last in (1..items.len()).rev() {
            // Multiply-shift: the bias of a 32-bit draw over at most a few dozen tasks is 1e-8.
            let other = (u64::from(self.0.next_u32()) * (last as u64 + 1)) >> 32;
            items.swap(last, other as usize);
        }
    }

    /// Uniform on [0, 1).
    fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let n = 20_000;
        let mut random = StepRandom::new(3, 0);
        let draws: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let mean = draws.iter().sum::<f64>() / n as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn every_order_of_three_occurs_about_equally_often() {
        let mut counts = std::collections::BTreeMap::new();
        for step in 0..6_000 {
            let mut items = [0, 1, 2];
            StepRandom::new(1, step).shuffle(&mut items);
            *counts.entry(items).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|&count| (850..1150).contains(&count)), "{counts:?}");
    }
}
