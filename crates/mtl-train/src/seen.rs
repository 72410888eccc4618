//! Means over an epoch of what a weighting saw and answered.

use mtl_nn::Step;
use serde::{Deserialize, Serialize};

/// Running sums; see [`crate::EpochRecord`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WeightingMeans {
    /// By loss, over the steps in which a row carries its label: in the others it has no weight and
    /// no gradient, which says nothing of those that it gets.
    weights: Vec<Mean>,
    norms: Vec<Mean>,
    /// T × T, over the steps in which both gradients are not 0.
    cosines: Vec<Mean>,
}

/// A sum, and of how many.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn get(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

/// By loss, by loss, and by pair of losses.
type Means = (Vec<(String, f64)>, Vec<(String, f64)>, Vec<(String, String, f64)>);

impl WeightingMeans {
    pub(crate) fn new(n: usize) -> Self {
        let means = |n| vec![Mean::default(); n];
        Self { weights: means(n), norms: means(n), cosines: means(n * n) }
    }

    /// Adds the last weighed step.
    pub(crate) fn add(&mut self, step: &Step<f32>) {
        let present = step.last_report().total_weights;
        self.add_weights(&step.loss_weights().shared, present);
        if let Some(gram) = step.gram() {
            self.add_gram(gram, present);
        }
    }

    /// Adds a step's weights; `present` is above 0 where a row carries the loss's label.
    fn add_weights(&mut self, answered: &[f64], present: &[f64]) {
        for (i, mean) in self.weights.iter_mut().enumerate().filter(|(i, _)| present[*i] > 0.0) {
            mean.add(answered[i]);
        }
    }

    /// Adds a Gram matrix, T × T.
    fn add_gram(&mut self, gram: &[f64], present: &[f64]) {
        let n = self.norms.len();
        for i in (0..n).filter(|&i| present[i] > 0.0) {
            self.norms[i].add(gram[i * n + i].sqrt());
            for j in (i + 1..n).filter(|&j| present[j] > 0.0) {
                let size = (gram[i * n + i] * gram[j * n + j]).sqrt();
                if size > 0.0 {
                    self.cosines[i * n + j].add(gram[i * n + j] / size);
                }
            }
        }
    }

    pub(crate) fn finish(&self, names: &[String]) -> Means {
        let by_loss = |means: &[Mean]| -> Vec<(String, f64)> {
            let named = names.iter().zip(means);
            named.filter_map(|(name, mean)| Some((name.clone(), mean.get()?))).collect()
        };
        let n = names.len();
        let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
        let cosine = |(i, j): (usize, usize)| {
            Some((names[i].clone(), names[j].clone(), self.cosines[i * n + j].get()?))
        };
        (by_loss(&self.weights), by_loss(&self.norms), pairs.filter_map(cosine).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_losses_count_in_no_mean() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let mut seen = WeightingMeans::new(3);
        let gram = [4.0, 1.0, 0.0, 1.0, 9.0, 0.0, 0.0, 0.0, 0.0];
        seen.add_weights(&[0.5, 2.0, 0.0], &[3.0, 1.0, 0.0]);
        seen.add_gram(&gram, &[3.0, 1.0, 0.0]);
        // b is absent: neither its weight of 0 nor its norm of 0 is one that it was given.
        seen.add_weights(&[1.5, 0.0, 0.0], &[2.0, 0.0, 0.0]);
        seen.add_gram(&[16.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], &[2.0, 0.0, 0.0]);
        let (weights, norms, cosines) = seen.finish(&names);
        let named = |a, b| vec![("a".to_owned(), a), ("b".to_owned(), b)];
        assert_eq!(weights, named(1.0, 2.0));
        assert_eq!(norms, named(3.0, 3.0));
        assert_eq!(cosines, [("a".to_owned(), "b".to_owned(), 1.0 / 6.0)]);
    }
}
