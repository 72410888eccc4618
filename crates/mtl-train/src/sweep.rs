//! The results of a sweep over loss weightings, and the Pareto front of two metrics.

use std::collections::{BTreeMap, BTreeSet};

use mtl_eval::Summary;
use mtl_loss::WeightingConfig;
use serde::Serialize;

use crate::{MissingPoint, Part};

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
    /// The seeds that every weighting was trained with.
    pub seeds: Vec<u64>,
    /// The data's parts.
    pub parts: Vec<Part>,
    /// The two metrics.
    pub metrics: [Axis; 2],
    /// Weightings that are tried: more than there are points while it is not finished.
    pub planned: usize,
    /// One for each weighting, in the order in which they were tried.
    pub points: Vec<SweepPoint>,
    /// The runs that are missing, if the sweep was interrupted. A point that lacks some of its seeds
    /// is the mean over the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interrupted: Vec<MissingPoint>,
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

/// A weighting: its trainings, and what they come to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepPoint {
    /// `fixed`, or the adaptive method with the settings that tell it apart.
    pub weighting: String,
    /// The method with all its settings.
    pub method: WeightingConfig,
    /// The weight of each loss, mean over seeds: those given, or the mean over the last epoch.
    pub weights: BTreeMap<String, f64>,
    /// The two metrics, mean over seeds; `None` of a weighting that failed.
    pub values: Option<[f64; 2]>,
    /// Their sample standard deviations over seeds; undefined for one seed.
    pub sd: [Option<f64>; 2],
    /// Whether no other point is as good in both metrics and better in one, by the means.
    pub on_front: bool,
    /// The epoch whose weights were kept, mean over seeds; `None` of a weighting that failed.
    pub best_epoch: Option<f64>,
    /// Wall time of training, mean over seeds; `None` of a weighting that failed.
    pub seconds: Option<f64>,
    /// Why a run failed: a loss that is no number, a metric that is undefined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// One for each seed, in their order; of a weighting that failed, those before the one that did,
    /// and of one that was interrupted, those before that.
    pub runs: Vec<SweepRun>,
}

/// A trained model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepRun {
    /// Its seed.
    pub seed: u64,
    /// The weight of each loss: those given, or the mean over the last epoch.
    pub weights: BTreeMap<String, f64>,
    /// The two metrics.
    pub values: [f64; 2],
    /// The epoch whose weights were kept.
    pub best_epoch: usize,
    /// Wall time of training.
    pub seconds: f64,
}

impl SweepPoint {
    /// Summarises the runs of a weighting, one a seed.
    ///
    /// # Errors
    /// A metric that is not finite.
    ///
    /// # Panics
    /// If there are no runs.
    pub fn new(
        weighting: &str,
        method: WeightingConfig,
        runs: Vec<SweepRun>,
    ) -> Result<Self, mtl_eval::Error> {
        let mean = |value: &dyn Fn(&SweepRun) -> f64| {
            runs.iter().map(value).sum::<f64>() / runs.len() as f64
        };
        let metric =
            |i: usize| Summary::new(&runs.iter().map(|run| run.values[i]).collect::<Vec<_>>());
        let metrics = [metric(0)?, metric(1)?];
        let weight = |name: &String| {
            (name.clone(), mean(&|run| run.weights.get(name).copied().unwrap_or(f64::NAN)))
        };
        Ok(Self {
            weighting: weighting.to_owned(),
            method,
            weights: runs[0].weights.keys().map(weight).collect(),
            values: Some(metrics.each_ref().map(|m| m.mean.value().expect("at least one run"))),
            sd: metrics.each_ref().map(|m| m.sd.value()),
            on_front: false,
            best_epoch: Some(mean(&|run| run.best_epoch as f64)),
            seconds: Some(mean(&|run| run.seconds)),
            failed: None,
            runs,
        })
    }

    /// A weighting under which a run failed, after those of other seeds.
    pub fn failed(
        weighting: &str,
        method: WeightingConfig,
        runs: Vec<SweepRun>,
        reason: String,
    ) -> Self {
        Self {
            weighting: weighting.to_owned(),
            weights: given(&method),
            method,
            values: None,
            sd: [None; 2],
            on_front: false,
            best_epoch: None,
            seconds: None,
            failed: Some(reason),
            runs,
        }
    }
}

/// The weights that a method has before any training: none of one that chooses them.
pub(crate) fn given(method: &WeightingConfig) -> BTreeMap<String, f64> {
    match method {
        WeightingConfig::Fixed(fixed) => fixed.weights.clone(),
        _ => BTreeMap::new(),
    }
}

impl Sweep {
    /// The seeds in words: `seed 3`, or `mean ± sd of 5 seeds`.
    pub fn seeds_said(&self) -> String {
        match self.seeds[..] {
            [seed] => format!("seed {seed}"),
            _ => format!("mean ± sd of {} seeds", self.seeds.len()),
        }
    }

    /// The losses that any point has a weight of, by name.
    pub fn losses(&self) -> Vec<&str> {
        let names = self.points.iter().flat_map(|point| point.weights.keys());
        names.map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The first point and why it failed, if all did.
    pub fn none_succeeded(&self) -> Option<(&SweepPoint, &str)> {
        if self.points.iter().any(|point| point.failed.is_none()) {
            return None;
        }
        self.points.iter().find_map(|point| Some((point, point.failed.as_deref()?)))
    }

    /// Marks the points that no other beats: as good in both metrics and better in one. Those that
    /// failed are none.
    pub fn mark_front(&mut self) {
        let all: Vec<[f64; 2]> = self.points.iter().filter_map(|point| point.values).collect();
        let gain = |a: f64, b: f64, axis: &Axis| if axis.larger_is_better { a - b } else { b - a };
        let metrics = &self.metrics;
        let beats = |other: &[f64; 2], values: &[f64; 2]| {
            let gains = [0, 1].map(|i| gain(other[i], values[i], &metrics[i]));
            gains.iter().all(|&g| g >= 0.0) && gains.iter().any(|&g| g > 0.0)
        };
        for point in &mut self.points {
            let beaten = |values| all.iter().any(|other| beats(other, values));
            point.on_front = point.values.as_ref().is_some_and(|values| !beaten(values));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64, values: [f64; 2]) -> SweepRun {
        let weights = BTreeMap::from([("ctr".to_owned(), seed as f64)]);
        SweepRun { seed, weights, values, best_epoch: seed as usize, seconds: 0.0 }
    }

    fn summed(name: &str, runs: Vec<SweepRun>) -> Result<SweepPoint, mtl_eval::Error> {
        SweepPoint::new(name, WeightingConfig::from_name(name).unwrap(), runs)
    }

    fn point(values: [f64; 2]) -> SweepPoint {
        summed("equal", vec![run(1, values)]).unwrap()
    }

    #[test]
    fn a_point_is_the_mean_of_its_seeds() {
        let runs = vec![run(1, [0.7, 2.0]), run(2, [0.8, 4.0]), run(3, [0.9, 6.0])];
        let point = summed("gradnorm", runs.clone()).unwrap();
        let [x, y] = point.values.unwrap();
        let [sd_x, sd_y] = point.sd.map(Option::unwrap);
        assert!((x - 0.8).abs() < 1e-12 && (y - 4.0).abs() < 1e-12, "{x} {y}");
        assert!((sd_x - 0.1).abs() < 1e-12 && (sd_y - 2.0).abs() < 1e-12, "{sd_x} {sd_y}");
        assert_eq!((point.weights["ctr"], point.best_epoch), (2.0, Some(2.0)));
        assert_eq!(point.runs, runs);
        assert_eq!(self::point([0.7, 2.0]).sd, [None, None]);
        assert!(summed("equal", vec![run(1, [f64::NAN, 1.0])]).is_err());
    }

    fn sweep(metrics: [Axis; 2], points: Vec<SweepPoint>) -> Sweep {
        Sweep {
            data: String::new(),
            version: "",
            model: String::new(),
            reported: "test",
            rows: 1,
            seeds: vec![1],
            parts: Vec::new(),
            metrics,
            planned: points.len(),
            points,
            interrupted: Vec::new(),
            configuration: String::new(),
        }
    }

    fn axis(larger_is_better: bool) -> Axis {
        Axis { name: "m".to_owned(), larger_is_better }
    }

    #[test]
    fn the_front_has_what_nothing_beats_in_both() {
        let values = [[0.9, 0.3], [0.8, 0.2], [0.8, 0.3], [0.7, 0.1], [0.9, 0.3], [0.6, 0.4]];
        let front = |metrics: [Axis; 2]| -> Vec<bool> {
            let mut sweep = sweep(metrics, values.map(point).to_vec());
            sweep.mark_front();
            sweep.points.iter().map(|point| point.on_front).collect()
        };
        // Equal points are both on the front.
        assert_eq!(front([axis(true), axis(true)]), [true, false, false, false, true, true]);
        assert_eq!(front([axis(true), axis(false)]), [true, true, false, true, true, false]);
    }

    #[test]
    fn what_failed_is_on_no_front_and_keeps_its_weights() {
        let fixed = |weight| {
            let weights = BTreeMap::from([("ctr".to_owned(), weight)]);
            WeightingConfig::Fixed(mtl_loss::FixedConfig { weights })
        };
        let failed = |weight| {
            let runs = vec![run(1, [1.0, 1.0])];
            SweepPoint::failed("fixed", fixed(weight), runs, "seed 2: no number".to_owned())
        };
        let mut some = sweep([axis(true), axis(true)], vec![failed(9.0), point([0.5, 0.5])]);
        some.mark_front();
        assert_eq!([some.points[0].on_front, some.points[1].on_front], [false, true]);
        assert_eq!((some.points[0].weights["ctr"], some.points[0].runs.len()), (9.0, 1));
        assert_eq!((some.none_succeeded(), some.losses()), (None, vec!["ctr"]));
        let none = sweep([axis(true), axis(true)], vec![failed(9.0), failed(8.0)]);
        let (first, reason) = none.none_succeeded().unwrap();
        assert_eq!((first.weights["ctr"], reason), (9.0, "seed 2: no number"));
    }
}
