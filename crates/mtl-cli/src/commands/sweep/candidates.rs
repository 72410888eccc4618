//! What a sweep tries: fixed weights, then adaptive methods.

use anyhow::Context;
use mtl_loss::{FixedConfig, WeightingConfig};
use mtl_model::ModelSpec;
use mtl_train::LossConfig;

use super::MAX_RUNS;
use crate::args::SweepArgs;
use crate::commands::methods::Method;

/// Weights along an edge of the simplex if nothing else is asked for.
const DEFAULT_GRID: usize = 5;

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
    let axes = args.weights.iter().flatten().map(|text| Axis::parse(text, losses));
    let axes = axes.collect::<anyhow::Result<Vec<_>>>()?;
    let grid = match (args.grid, axes.is_empty()) {
        (None, true) => Some(DEFAULT_GRID),
        (grid, _) => grid,
    };
    let adaptive = adaptive(args.methods.as_deref())?;
    check_number(losses, grid, &axes, adaptive.len(), n_seeds)?;
    let mut fixed = grid.map_or(Vec::new(), |grid| simplex(losses.len(), grid));
    fixed.extend(product(losses, &axes)?);
    let mut candidates = Vec::new();
    for weights in fixed {
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

/// More runs than can be meant are refused before any of their weights is made.
fn check_number(
    losses: &[String],
    grid: Option<usize>,
    axes: &[Axis],
    adaptive: usize,
    n_seeds: usize,
) -> anyhow::Result<()> {
    anyhow::ensure!(grid != Some(0), "--grid is 0, expected at least 1");
    let seeds = if n_seeds > 1 { format!(" with {n_seeds} seeds") } else { String::new() };
    let fits = |n: usize| n.checked_mul(n_seeds).is_some_and(|runs| runs <= MAX_RUNS);
    let expected = format!("more than {MAX_RUNS} runs, expected fewer");
    let of_grid = grid.map_or(Some(0), |grid| count(losses.len(), grid));
    let of_grid = of_grid.and_then(|n| n.checked_add(adaptive)).filter(|&n| fits(n));
    let of_grid = of_grid.with_context(|| match grid {
        Some(grid) => format!("--grid {grid} of {} losses{seeds}: {expected}", losses.len()),
        None => format!("--methods are {adaptive}{seeds}: {expected}"),
    })?;
    let combinations = match axes {
        [] => Some(0),
        axes => axes.iter().try_fold(1_usize, |n, axis| n.checked_mul(axis.weights.len())),
    };
    let all = combinations.and_then(|n| n.checked_add(of_grid)).filter(|&n| fits(n));
    all.with_context(|| {
        let n = combinations.map_or("too many".to_owned(), |n| n.to_string());
        format!("--weights has {n} combinations{seeds}: {expected}")
    })?;
    Ok(())
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

/// The weights of one loss, as `--weights` gives them.
#[derive(Clone, Debug, PartialEq)]
struct Axis {
    /// Which of the losses.
    loss: usize,
    weights: Vec<f64>,
}

impl Axis {
    fn parse(text: &str, losses: &[String]) -> anyhow::Result<Self> {
        let (name, list) = text
            .split_once('=')
            .with_context(|| format!("--weights has `{text}`, expected such as click=0.1,1,10"))?;
        let loss = losses.iter().position(|loss| loss == name).with_context(|| {
            let known = losses.join(", ");
            let nearest = mtl_feature::nearest_names(name, losses);
            let hint = nearest.first().map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            format!("--weights names `{name}`, expected one of {known}{hint}")
        })?;
        let mut weights: Vec<f64> = Vec::new();
        for item in list.split(',') {
            let weight = item.trim().parse::<f64>().ok();
            let weight = weight.filter(|weight| weight.is_finite() && *weight >= 0.0);
            let weight = weight.with_context(|| {
                format!("--weights of `{name}` has `{item}`, expected a finite number, at least 0")
            })?;
            let twice = weights.contains(&weight);
            anyhow::ensure!(!twice, "--weights of `{name}` has {weight} twice, expected once");
            weights.push(weight);
        }
        Ok(Self { loss, weights })
    }
}

/// Every combination of the axes' weights, the last axis fastest; 1 for losses without an axis. None
/// without axes.
fn product(losses: &[String], axes: &[Axis]) -> anyhow::Result<Vec<Vec<f64>>> {
    if axes.is_empty() {
        return Ok(Vec::new());
    }
    let mut all = vec![vec![1.0; losses.len()]];
    for (i, axis) in axes.iter().enumerate() {
        let twice = axes[..i].iter().any(|other| other.loss == axis.loss);
        anyhow::ensure!(!twice, "--weights names `{}` twice, expected once", losses[axis.loss]);
        let longer = all.iter().flat_map(|weights| {
            axis.weights.iter().map(move |&weight| {
                let mut weights = weights.clone();
                weights[axis.loss] = weight;
                weights
            })
        });
        all = longer.collect();
    }
    Ok(all)
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

    #[test]
    fn a_grid_has_every_combination_and_ones_elsewhere() -> anyhow::Result<()> {
        let losses = ["buy", "click", "like"].map(str::to_owned);
        let axis = |text: &str| Axis::parse(text, &losses);
        assert_eq!(axis("click=0.1, 1,10")?, Axis { loss: 1, weights: vec![0.1, 1.0, 10.0] });
        let axes = [axis("click=0.1,1")?, axis("buy=2,0")?];
        let expected = [[2.0, 0.1, 1.0], [0.0, 0.1, 1.0], [2.0, 1.0, 1.0], [0.0, 1.0, 1.0]];
        assert_eq!(product(&losses, &axes)?, expected);
        assert!(product(&losses, &[])?.is_empty());
        assert!(product(&losses, &[axis("buy=1")?, axis("buy=2")?]).is_err());
        let check = |grid, axes: &[Axis], seeds| check_number(&losses, grid, axes, 4, seeds);
        let many = [axis("buy=1,2,3,4,5,6,7,8,9,10")?, axis("like=1,2,3,4,5,6,7,8,9,10")?];
        assert!(check(Some(5), &many, 1).is_ok() && check(None, &many, 4).is_ok());
        assert!(check(None, &many, 5).is_err() && check(Some(100), &[], 1).is_err());
        Ok(())
    }
}
