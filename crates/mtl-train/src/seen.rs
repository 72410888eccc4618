//! Means over an epoch of what a weighting saw and answered.

use mtl_nn::Step;
use serde::{Deserialize, Serialize};

/// Running sums; see [`crate::EpochRecord`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WeightingMeans {
    steps: f64,
    weights: Vec<f64>,
    norms: Vec<f64>,
    /// Sum and number of steps, T × T; a cosine is defined where both gradients are not 0.
    cosines: Vec<(f64, f64)>,
    has_gram: bool,
}

/// By loss, by loss, and by pair of losses.
type Means = (Vec<(String, f64)>, Vec<(String, f64)>, Vec<(String, String, f64)>);

impl WeightingMeans {
    pub(crate) fn new(n: usize) -> Self {
        Self {
            steps: 0.0,
            weights: vec![0.0; n],
            norms: vec![0.0; n],
            cosines: vec![(0.0, 0.0); n * n],
            has_gram: false,
        }
    }

    /// Adds the last weighed step.
    pub(crate) fn add(&mut self, step: &Step<f32>) {
        self.steps += 1.0;
        let answered = &step.loss_weights().shared;
        self.weights.iter_mut().zip(answered).for_each(|(sum, weight)| *sum += weight);
        let Some(gram) = step.gram() else { return };
        self.has_gram = true;
        let n = self.norms.len();
        for i in 0..n {
            self.norms[i] += gram[i * n + i].sqrt();
            for j in i + 1..n {
                let size = (gram[i * n + i] * gram[j * n + j]).sqrt();
                if size > 0.0 {
                    let (sum, count) = &mut self.cosines[i * n + j];
                    *sum += gram[i * n + j] / size;
                    *count += 1.0;
                }
            }
        }
    }

    pub(crate) fn finish(&self, names: &[String]) -> Means {
        if self.steps == 0.0 {
            return Means::default();
        }
        let by_loss = |sums: &[f64]| -> Vec<(String, f64)> {
            names.iter().cloned().zip(sums.iter().map(|sum| sum / self.steps)).collect()
        };
        let n = names.len();
        let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
        let cosine = |(i, j): (usize, usize)| {
            let (sum, count) = self.cosines[i * n + j];
            (count > 0.0).then(|| (names[i].clone(), names[j].clone(), sum / count))
        };
        let norms = if self.has_gram { by_loss(&self.norms) } else { Vec::new() };
        (by_loss(&self.weights), norms, pairs.filter_map(cosine).collect())
    }
}
