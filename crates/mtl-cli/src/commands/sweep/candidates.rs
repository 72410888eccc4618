//! What a sweep tries: fixed weights, then adaptive methods.

use anyhow::Context;
use mtl_loss::{FixedConfig, WeightingConfig};
use mtl_model::ModelSpec;
use mtl_train::LossConfig;

use super::MAX_RUNS;
use crate::args::SweepArgs;
use crate::commands::methods::Method;

/// The option that names methods.
const METHODS: &str = "--methods";

/// A weighting to try.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// `fixed`, or the method with the settings that were written beside it.
    pub(super) label: String,
    /// The weighting.
    pub(super) method: WeightingConfig,
}

/// The fixed weights, then the adaptive methods, checked for the model. `own` is what the configuration
/// says of losses.
pub(super) fn candidates(
    args: &SweepArgs,
    losses: &[String],
    (own, spec): (&LossConfig, &ModelSpec),
    n_seeds: usize,
) -> anyhow::Result<Vec<Candidate>> {
    anyhow::ensure!(args.grid > 0, "--grid is 0, expected at least 1");
    let adaptive = adaptive(args.methods.as_deref())?;
    let n = count(losses.len(), args.grid).and_then(|n| n.checked_add(adaptive.len()));
    let fits = |n: &usize| n.checked_mul(n_seeds).is_some_and(|runs| runs <= MAX_RUNS);
    let n = n.filter(fits).with_context(|| {
        let (t, grid) = (losses.len(), args.grid);
        let seeds = if n_seeds > 1 { format!(" with {n_seeds} seeds") } else { String::new() };
        format!("--grid {grid} of {t} losses{seeds}: more than {MAX_RUNS} runs, expected fewer")
    })?;
    let mut candidates = Vec::with_capacity(n);
    for weights in simplex(losses.len(), args.grid) {
        let weights = losses.iter().cloned().zip(weights).collect();
        let method = WeightingConfig::Fixed(FixedConfig { weights });
        candidates.push(Candidate { label: method.name().to_owned(), method });
    }
    for method in adaptive {
        let loss = method.checked(METHODS, own, spec)?;
        candidates.extend(
            loss.weighting.map(|weighting| Candidate { label: method.label, method: weighting }),
        );
    }
    Ok(candidates)
}

/// The methods that are named; all that choose weights, where none is.
fn adaptive(lists: Option<&[String]>) -> anyhow::Result<Vec<Method>> {
    match lists {
        Some(lists) => {
            let lists: Vec<String> = lists.iter().filter(|list| *list != "none").cloned().collect();
            Method::read(METHODS, &lists)
        }
        None => {
            let names = WeightingConfig::NAMES.iter().filter(|name| **name != "fixed");
            names.map(|name| Method::named(name)).collect()
        }
    }
}

/// The weights w_t = T·k_t/K with whole k_t ≥ 1 and Σ k_t = K = grid + T − 1: for two losses `grid`
/// of them, evenly apart, none of which drops a loss.
fn simplex(n_losses: usize, grid: usize) -> Vec<Vec<f64>> {
    let total = grid + n_losses - 1;
    let mut parts = vec![Vec::new()];
    for left in (0..n_losses).rev() {
        let mut longer = Vec::new();
        for part in &parts {
            let rest = total - part.iter().sum::<usize>();
            let range = if left == 0 { rest..rest + 1 } else { 1..rest - left + 1 };
            longer.extend(range.map(|k| [&part[..], &[k]].concat()));
        }
        parts = longer;
    }
    let weight = |k: usize| (n_losses * k) as f64 / total as f64;
    parts.into_iter().map(|part| part.into_iter().map(weight).collect()).collect()
}

/// C(grid + T − 2, T − 1), the number of those weights; `None` if it is beyond counting.
fn count(n_losses: usize, grid: usize) -> Option<usize> {
    (1..n_losses).try_fold(1usize, |n, k| Some(n.checked_mul(grid + k - 1)? / k))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_weights_lie_evenly_on_the_simplex_and_drop_no_loss() {
        let two = simplex(2, 3);
        assert_eq!(two, [[0.5, 1.5], [1.0, 1.0], [1.5, 0.5]]);
        for (n, grid) in [(2, 5), (3, 1), (3, 4), (4, 3)] {
            let all = simplex(n, grid);
            assert_eq!(Some(all.len()), count(n, grid), "{n} losses, grid {grid}");
            for weights in &all {
                assert_eq!(weights.len(), n);
                assert!((weights.iter().sum::<f64>() - n as f64).abs() < 1e-12, "{weights:?}");
                assert!(weights.iter().all(|&w| w > 0.0), "{weights:?}");
                assert_eq!(all.iter().filter(|other| *other == weights).count(), 1);
            }
        }
        assert_eq!(count(3, 4), Some(10));
        assert_eq!(count(40, usize::MAX / 2), None);
    }
}
