//! Means over an epoch of what a weighting saw and answered.

use mtl_loss::Solve;
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
    /// Steps in which an inner problem was solved, those of them that fell back, the worst residual.
    solved: u32,
    fallbacks: u32,
    worst_residual: f64,
}

/// How a weighting's inner problem was solved in the steps of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Solves {
    /// Share of the steps in which it had no solution and the method's documented fallback was taken:
    /// a Nash-MTL of 1 is MGDA.
    pub fallbacks: f64,
    /// The worst residual of the weights that were taken, relative as the method documents.
    pub worst_residual: f64,
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
        Self {
            weights: means(n),
            norms: means(n),
            cosines: means(n * n),
            solved: 0,
            fallbacks: 0,
            worst_residual: 0.0,
        }
    }

    /// Adds the last weighed step, and how its inner problem was solved.
    pub(crate) fn add(&mut self, step: &Step<f32>, solve: Option<Solve>) {
        self.add_weights(&step.loss_weights().shared, step.last_report().total_weights);
        self.add_gradients(step);
        self.add_solve(solve);
    }

    /// Adds the gradients of a step that takes them.
    pub(crate) fn add_gradients(&mut self, step: &Step<f32>) {
        if let Some(gram) = step.gram() {
            self.add_gram(gram, step.last_report().total_weights);
        }
    }

    fn add_solve(&mut self, solve: Option<Solve>) {
        let Some(Solve { residual, fallback }) = solve else { return };
        self.solved += 1;
        self.fallbacks += u32::from(fallback);
        self.worst_residual = self.worst_residual.max(residual);
    }

    pub(crate) fn solves(&self) -> Option<Solves> {
        let fallbacks = f64::from(self.fallbacks) / f64::from(self.solved);
        let worst_residual = self.worst_residual;
        (self.solved > 0).then_some(Solves { fallbacks, worst_residual })
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
    fn fallbacks_are_a_share_of_the_steps_that_solve() {
        let mut seen = WeightingMeans::new(2);
        assert_eq!(seen.solves(), None);
        seen.add_solve(None);
        for (residual, fallback) in [(1e-15, false), (3e-12, true), (1e-16, true), (0.0, true)] {
            seen.add_solve(Some(Solve { residual, fallback }));
        }
        assert_eq!(seen.solves(), Some(Solves { fallbacks: 0.75, worst_residual: 3e-12 }));
    }

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
