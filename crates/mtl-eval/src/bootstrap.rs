//! The bootstrap over groups: an interval for GAUC that respects the dependence of a user's rows.

use std::num::NonZeroUsize;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

use crate::{ConfidenceLevel, GaucMode, GroupAucs, Interval, Measured, Undefined};

/// Settings of the bootstrap.
///
/// | field | default | purpose |
/// |---|---|---|
/// | `resamples` | 1000 | samples drawn; the ends of a 95 % interval rest on 25 of 1000 |
/// | `level` | 0.95 | share of repetitions whose interval holds the true value |
/// | `seed` | 0 | the same seed draws the same samples, whatever the number of threads |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Number of samples to draw.
    pub resamples: NonZeroUsize,
    /// Confidence level.
    pub level: ConfidenceLevel,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        const THOUSAND: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
        Bootstrap { resamples: THOUSAND, level: ConfidenceLevel::default(), seed: 0 }
    }
}

impl GroupAucs {
    /// GAUC with a percentile interval from samples of groups drawn with replacement (Efron, 1979).
    /// A group's AUC is taken as it is, so a resample costs one addition a group.
    ///
    /// Undefined with fewer than two groups of both classes or fewer than two resamples.
    ///
    /// ```
    /// use mtl_eval::{BinaryRows, Bootstrap, GaucMode, group_aucs};
    ///
    /// let labels = [1.0_f32, 0.0, 0.0, 1.0, 1.0, 0.0];
    /// let rows = BinaryRows::new(&labels, &[0.9_f32, 0.1, 0.2, 0.1, 0.5, 0.3])?;
    /// let rows = rows.with_groups(&[7, 7, 8, 8, 9, 9])?;
    /// let groups = group_aucs(&rows).value().unwrap();
    /// let interval = groups.bootstrap(GaucMode::Uniform, &Bootstrap::default()).value().unwrap();
    /// assert!(interval.low <= interval.estimate && interval.estimate <= interval.high);
    /// # Ok::<(), mtl_eval::Error>(())
    /// ```
    pub fn bootstrap(&self, mode: GaucMode, settings: &Bootstrap) -> Measured<Interval> {
        bootstrap(self, mode, settings).into()
    }
}

fn bootstrap(
    groups: &GroupAucs,
    mode: GaucMode,
    settings: &Bootstrap,
) -> Result<Interval, Undefined> {
    let estimate = groups.average(mode)?;
    let at_least_two = |what, found| {
        if found < 2 { Err(Undefined::TooFew { what, needed: 2, found }) } else { Ok(()) }
    };
    at_least_two("groups with both classes", groups.used.len())?;
    at_least_two("resamples", settings.resamples.get())?;
    let pairs: Vec<(f64, f64)> =
        groups.used.iter().map(|group| (group.weight(mode), group.auc)).collect();
    let mut averages: Vec<f64> = (0..settings.resamples.get() as u64)
        .into_par_iter()
        .map(|resample| resampled_average(&pairs, settings.seed, resample))
        .collect();
    averages.sort_unstable_by(f64::total_cmp);
    let upper = settings.level.upper_share();
    Ok(Interval {
        estimate,
        standard_error: standard_deviation(&averages),
        low: quantile(&averages, 1.0 - upper),
        high: quantile(&averages, upper),
        level: settings.level,
    })
}

fn resampled_average(pairs: &[(f64, f64)], seed: u64, resample: u64) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(resample);
    let (mut sum, mut total) = (0.0, 0.0);
    for _ in 0..pairs.len() {
        // The high half of the product is uniform below n up to n/2⁶⁴.
        let drawn = (u128::from(random.next_u64()) * pairs.len() as u128) >> 64;
        let (weight, auc) = pairs[drawn as usize];
        sum += weight * auc;
        total += weight;
    }
    sum / total
}

fn standard_deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
}

/// The quantile of sorted values, interpolated linearly.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GroupAuc;
    use crate::oracle::approx_eq;

    fn groups(aucs: &[f64]) -> GroupAucs {
        let of = |(group, &auc): (usize, &f64)| GroupAuc {
            group: group as u64,
            auc,
            impressions: 10.0,
            positives: 1.0 + (group % 3) as f64,
        };
        let used = aucs.iter().enumerate().map(of).collect();
        GroupAucs { used, without_positives: 0, without_negatives: 0 }
    }

    /// 400 groups, half with AUC .4 and half with .8: the standard error of the mean is .2/√400.
    #[test]
    fn agrees_with_the_normal_interval_of_a_mean() {
        let aucs: Vec<f64> = (0..400).map(|i| if i % 2 == 0 { 0.4 } else { 0.8 }).collect();
        let settings =
            Bootstrap { resamples: NonZeroUsize::new(4000).unwrap(), ..Bootstrap::default() };
        let found = groups(&aucs).bootstrap(GaucMode::Uniform, &settings).value().unwrap();
        approx_eq(found.estimate, 0.6, 1e-12);
        approx_eq(found.standard_error, 0.01, 5e-4);
        approx_eq(found.low, 0.6 - 0.0196, 1.5e-3);
        approx_eq(found.high, 0.6 + 0.0196, 1.5e-3);
    }

    #[test]
    fn the_seed_decides_and_the_threads_do_not() {
        let aucs: Vec<f64> = (0..50).map(|i| f64::from(i) / 50.0).collect();
        let run = |seed, threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let settings = Bootstrap { seed, ..Bootstrap::default() };
            pool.install(|| {
                groups(&aucs).bootstrap(GaucMode::Positives, &settings).value().unwrap()
            })
        };
        assert_eq!(run(1, 1), run(1, 3));
        assert_ne!(run(1, 2), run(2, 2));
    }

    #[test]
    fn undefined_says_why() {
        let check = |aucs: &[f64], resamples, expected| {
            let resamples = NonZeroUsize::new(resamples).unwrap();
            let settings = Bootstrap { resamples, ..Bootstrap::default() };
            let found = groups(aucs).bootstrap(GaucMode::Uniform, &settings);
            assert_eq!(found.reason(), Some(&expected));
        };
        check(&[], 9, Undefined::NoRows);
        let too_few = |what| Undefined::TooFew { what, needed: 2, found: 1 };
        check(&[0.7], 9, too_few("groups with both classes"));
        check(&[0.7, 0.8], 1, too_few("resamples"));
    }

    #[test]
    fn quantiles_interpolate() {
        let sorted = [1.0, 2.0, 4.0];
        assert_eq!(quantile(&sorted, 0.0), 1.0);
        assert_eq!(quantile(&sorted, 0.75), 3.0);
        assert_eq!(quantile(&sorted, 1.0), 4.0);
    }
}
