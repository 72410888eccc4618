//! The results of a sweep over loss weightings, and the Pareto front of two metrics.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Part;

/// What `sweep.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sweep {
    /// The data's name.
    pub data: String,
    /// The version of these crates.
    pub version: &'static str,
    /// The model's name.
    pub model: String,
    /// Which rows the metrics are of: `test` or `validation`.
    pub reported: &'static str,
    /// Their number.
    pub rows: usize,
    /// The seed of every run.
    pub seed: u64,
    /// The data's parts.
    pub parts: Vec<Part>,
    /// The two metrics.
    pub metrics: [Axis; 2],
    /// One for each weighting.
    pub points: Vec<SweepPoint>,
    /// The text of the configuration.
    pub configuration: String,
}

/// A metric of the front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Axis {
    /// Its name, as in `monitor`.
    pub name: String,
    /// Whether larger values are better.
    pub larger_is_better: bool,
}

/// A trained model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepPoint {
    /// `fixed`, or the adaptive method.
    pub weighting: String,
    /// The weight of each loss: those given, or the mean over the last epoch.
    pub weights: BTreeMap<String, f64>,
    /// The two metrics.
    pub values: [f64; 2],
    /// Whether no other point is as good in both metrics and better in one.
    pub on_front: bool,
    /// The epoch whose weights were kept.
    pub best_epoch: usize,
    /// Wall time of training.
    pub seconds: f64,
}

impl Sweep {
    /// Marks the points that no other beats: as good in both metrics and better in one.
    pub fn mark_front(&mut self) {
        let all: Vec<[f64; 2]> = self.points.iter().map(|point| point.values).collect();
        let gain = |a: f64, b: f64, axis: &Axis| if axis.larger_is_better { a - b } else { b - a };
        let metrics = &self.metrics;
        let beats = |other: &[f64; 2], values: &[f64; 2]| {
            let gains = [0, 1].map(|i| gain(other[i], values[i], &metrics[i]));
            gains.iter().all(|&g| g >= 0.0) && gains.iter().any(|&g| g > 0.0)
        };
        for point in &mut self.points {
            point.on_front = !all.iter().any(|other| beats(other, &point.values));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(values: [f64; 2]) -> SweepPoint {
        let (weighting, weights) = ("equal".to_owned(), BTreeMap::new());
        SweepPoint { weighting, weights, values, on_front: false, best_epoch: 1, seconds: 0.0 }
    }

    #[test]
    fn the_front_has_what_nothing_beats_in_both() {
        let axis = |larger_is_better| Axis { name: "m".to_owned(), larger_is_better };
        let values = [[0.9, 0.3], [0.8, 0.2], [0.8, 0.3], [0.7, 0.1], [0.9, 0.3], [0.6, 0.4]];
        let front = |metrics: [Axis; 2]| -> Vec<bool> {
            let mut sweep = Sweep {
                data: String::new(),
                version: "",
                model: String::new(),
                reported: "test",
                rows: 1,
                seed: 1,
                parts: Vec::new(),
                metrics,
                points: values.map(point).to_vec(),
                configuration: String::new(),
            };
            sweep.mark_front();
            sweep.points.iter().map(|point| point.on_front).collect()
        };
        // Equal points are both on the front.
        assert_eq!(front([axis(true), axis(true)]), [true, false, false, false, true, true]);
        assert_eq!(front([axis(true), axis(false)]), [true, true, false, true, true, false]);
    }
}
