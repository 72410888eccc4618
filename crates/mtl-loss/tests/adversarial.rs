//! Matrices made to break solvers, through the public border, against oracles of their own: optimality
//! conditions written out here, enumeration, and gradients as vectors.

use mtl_loss::{Gram, Setup, StepInput, Weigher, WeightingConfig, Weights};
use proptest::prelude::*;

const DIM: usize = 6;

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("task{i:02}")).collect()
}

fn build(toml: &str, n: usize) -> Weigher {
    let config: WeightingConfig = toml::from_str(toml).expect(toml);
    let (tasks, initial) = (names(n), vec![0.5; n]);
    config.build(&Setup::new(&tasks).initial_losses(&initial)).expect(toml)
}

/// The shared weights of one step.
fn weigh(toml: &str, gram: &[f64], losses: &[f64], step: u64) -> Result<Vec<f64>, TestCaseError> {
    let n = losses.len();
    let present = vec![true; n];
    let gram = Some(Gram::new(n, gram).expect("n × n"));
    let input = StepInput { step, epoch: 0, losses, present: &present, gram };
    let (mut shared, mut own) = (vec![0.0; n], vec![0.0; n]);
    let result = build(toml, n).weigh(&input, &mut Weights { shared: &mut shared, own: &mut own });
    result.map_err(|e| TestCaseError::fail(format!("{toml}: {e}")))?;
    Ok(shared)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn gram_of(gradients: &[Vec<f64>]) -> Vec<f64> {
    gradients.iter().flat_map(|a| gradients.iter().map(|b| dot(a, b))).collect()
}

fn update(weights: &[f64], gradients: &[Vec<f64>]) -> Vec<f64> {
    let along = |d: usize| weights.iter().zip(gradients).map(|(w, g)| w * g[d]).sum();
    (0..gradients[0].len()).map(along).collect()
}

fn norm(v: &[f64]) -> f64 {
    dot(v, v).sqrt()
}

/// Gradients of `n` tasks: random, on one line, nearly parallel, opposed in pairs, or scaled over
/// twelve orders of magnitude; and the whole of them tiny or huge.
fn gradients(n: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<f64>>> {
    let rows = proptest::collection::vec(proptest::collection::vec(-1.0..1.0_f64, DIM), 16);
    let scales = proptest::collection::vec(-6.0..0.0_f64, 16);
    (n, rows, scales, 0..6_usize, -40..40_i32).prop_map(|(n, rows, scales, kind, size)| {
        let first = rows[0].clone();
        let gradient = |i: usize| -> Vec<f64> {
            let sign = if rows[i][0] < 0.0 { -1.0 } else { 1.0 };
            (0..DIM)
                .map(|d| {
                    let along = first[d] + 0.01_f64.copysign(first[d]);
                    let value = match kind {
                        0 => rows[i][d],
                        1 => along * (rows[i][0] + 0.01 * sign), // one line
                        2 => along + 1e-9 * rows[i][d],
                        3 => {
                            along * if i.is_multiple_of(2) { 1.0 } else { -1.0 } + 1e-7 * rows[i][d]
                        }
                        4 => rows[i][d] * 10.0_f64.powf(scales[i]),
                        _ => {
                            if d == i % DIM {
                                10.0_f64.powf(scales[i])
                            } else {
                                0.0
                            }
                        }
                    };
                    // No gradient is zero: those are left out before.
                    let value = value + if d == 0 { 1e-9_f64.copysign(value) } else { 0.0 };
                    value * 10.0_f64.powi(size)
                })
                .collect()
        };
        (0..n).map(gradient).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pareto_is_optimal_within_its_bounds(
        gradients in gradients(1..17),
        bounds in proptest::collection::vec(0.0..1.0_f64, 16),
        share in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64],
        some in any::<bool>(),
    ) {
        let (n, gram) = (gradients.len(), gram_of(&gradients));
        let mut bounds: Vec<f64> = (0..n)
            .map(|i| if some && i % 3 == 1 { 0.0 } else { bounds[i] + 1e-3 })
            .collect();
        let total: f64 = bounds.iter().sum();
        bounds.iter_mut().for_each(|c| *c *= share / total.max(1e-300));
        let listed: Vec<String> =
            names(n).iter().zip(&bounds).map(|(t, c)| format!("{t} = {c:e}")).collect();
        let toml = format!("method = 'pareto'\nmin_weights = {{ {} }}", listed.join(", "));
        let w = weigh(&toml, &gram, &vec![1.0; n], 0)?;
        prop_assert!((w.iter().sum::<f64>() - 1.0).abs() <= 1e-12, "{w:?}");
        prop_assert!(w.iter().zip(&bounds).all(|(w, c)| *w >= c - 1e-12), "{w:?} {bounds:?}");
        // Nothing moved from one task to another shortens the combination: the slope of each task
        // that can give is no larger than that of any other.
        let largest = gram.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
        let slopes: Vec<f64> = (0..n).map(|i| dot(&gram[i * n..][..n], &w)).collect();
        let least = slopes.iter().copied().fold(f64::INFINITY, f64::min);
        for i in 0..n {
            let gap = (w[i] - bounds[i]).max(0.0) * (slopes[i] - least);
            prop_assert!(gap <= 1e-8 * largest, "{gap:e} of {largest:e}: {w:?} {bounds:?}");
        }
    }

    /// Minimisers without bounds that are far outside: gradients of condition 1e6 and more (1e12 of
    /// their Gram matrix), and such as are nearly parallel.
    #[test]
    fn relaxed_pareto_meets_its_constraints(
        odd in gradients(1..17),
        rows in proptest::collection::vec(proptest::collection::vec(-1.0..1.0_f64, 16), 16),
        bounds in proptest::collection::vec(0.0..1.0_f64, 16),
        share in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64],
        kind in 0..3_usize,
        apart in -9..-2_i32,
    ) {
        let n = odd.len();
        let ill = |i: usize| -> Vec<f64> {
            let scale = |d: usize| 10.0_f64.powf(-6.0 * d as f64 / (n.max(2) - 1) as f64);
            (0..n).map(|d| scale(d) * (rows[i][d] + 0.1_f64.copysign(rows[i][d]))).collect()
        };
        let parallel = |i: usize| -> Vec<f64> {
            (0..DIM).map(|d| rows[0][d] + 0.1 + 10.0_f64.powi(apart) * rows[i][d]).collect()
        };
        let gradients: Vec<Vec<f64>> = match kind {
            0 => odd,
            1 => (0..n).map(ill).collect(),
            _ => (0..n).map(parallel).collect(),
        };
        let total: f64 = bounds[..n].iter().sum::<f64>() + 1e-3;
        let bounds: Vec<f64> = bounds[..n].iter().map(|c| c * share / total).collect();
        let listed: Vec<String> =
            names(n).iter().zip(&bounds).map(|(t, c)| format!("{t} = {c:e}")).collect();
        let listed = listed.join(", ");
        let toml = format!("method = 'pareto'\nform = 'relaxed'\nmin_weights = {{ {listed} }}");
        let w = weigh(&toml, &gram_of(&gradients), &vec![1.0; n], 0)?;
        prop_assert!((w.iter().sum::<f64>() - 1.0).abs() <= 1e-12, "{w:?}");
        prop_assert!(w.iter().zip(&bounds).all(|(w, c)| *w >= c - 1e-12), "{w:?} {bounds:?}");
    }

    #[test]
    fn no_other_point_of_the_ball_serves_the_worst_task_better(
        gradients in gradients(2..6),
        towards in proptest::collection::vec(-1.0..1.0_f64, DIM),
        c in 0.05..0.95_f64,
    ) {
        let (n, gram) = (gradients.len(), gram_of(&gradients));
        let w = weigh(&format!("method = 'cagrad'\nc = {c}"), &gram, &vec![1.0; n], 0)?;
        let d = update(&w, &gradients);
        let mean: Vec<f64> = update(&vec![1.0 / n as f64; n], &gradients);
        let from_mean = |d: &[f64]| -> f64 {
            norm(&d.iter().zip(&mean).map(|(d, m)| d - m).collect::<Vec<_>>())
        };
        let worst = |d: &[f64]| gradients.iter().map(|g| dot(g, d)).fold(f64::INFINITY, f64::min);
        let radius = c * norm(&mean);
        let longest = gradients.iter().map(|g| norm(g)).fold(0.0, f64::max);
        prop_assert!(from_mean(&d) <= radius + 1e-7 * longest, "{} {radius}", from_mean(&d));
        // Some other point of the ball, on its rim and on the way to it.
        for share in [1.0, 0.3, 1e-3] {
            let length = norm(&towards).max(1e-3);
            let other: Vec<f64> = (0..DIM)
                .map(|i| mean[i] + share * radius * towards[i] / length)
                .collect();
            prop_assert!(worst(&other) <= worst(&d) + 1e-7 * longest * longest);
        }
    }

    #[test]
    fn upgrad_is_the_mean_of_projections_found_by_enumeration(gradients in gradients(1..6)) {
        let (n, gram) = (gradients.len(), gram_of(&gradients));
        let w = weigh("method = 'upgrad'", &gram, &vec![1.0; n], 0)?;
        let found = update(&w, &gradients);
        let longest = gradients.iter().map(|g| norm(g)).fold(0.0, f64::max);
        let mut expected = vec![0.0; DIM];
        for g in &gradients {
            let projected = project(g, &gradients);
            expected.iter_mut().zip(&projected).for_each(|(e, p)| *e += p / n as f64);
        }
        let off = norm(&found.iter().zip(&expected).map(|(f, e)| f - e).collect::<Vec<_>>());
        prop_assert!(off <= 1e-6 * longest, "{off:e} of {longest:e}: {found:?} {expected:?}");
    }

    #[test]
    fn pcgrad_is_surgery_in_one_of_the_orders(gradients in gradients(2..4), step in 0..50_u64) {
        let (n, gram) = (gradients.len(), gram_of(&gradients));
        let w = weigh("method = 'pcgrad'", &gram, &vec![1.0; n], step)?;
        let found = update(&w, &gradients);
        let longest = gradients.iter().map(|g| norm(g)).fold(0.0, f64::max);
        // By vectors, as the paper writes it; each task by itself in every order of the others.
        let operate = |i: usize, order: &[usize]| {
            let mut p = gradients[i].clone();
            for &j in order {
                let along = dot(&p, &gradients[j]) / dot(&gradients[j], &gradients[j]);
                if along < 0.0 {
                    p.iter_mut().zip(&gradients[j]).for_each(|(p, g)| *p -= along * g);
                }
            }
            p
        };
        let mut sums = vec![vec![0.0; DIM]];
        for i in 0..n {
            let others: Vec<usize> = (0..n).filter(|j| *j != i).collect();
            let orders = [others.clone(), others.into_iter().rev().collect()];
            sums = orders
                .iter()
                .flat_map(|order| {
                    let p = operate(i, order);
                    let add = move |s: &Vec<f64>| s.iter().zip(&p).map(|(s, p)| s + p).collect();
                    sums.iter().map(add).collect::<Vec<Vec<f64>>>()
                })
                .collect();
        }
        let off = |s: &Vec<f64>| norm(&s.iter().zip(&found).map(|(s, f)| s - f).collect::<Vec<_>>());
        let least = sums.iter().map(off).fold(f64::INFINITY, f64::min);
        prop_assert!(least <= 1e-7 * longest, "{least:e} of {longest:e}");
    }

    #[test]
    fn every_method_answers_and_a_gradient_s_unit_is_no_matter(gradients in gradients(1..17)) {
        let (n, gram) = (gradients.len(), gram_of(&gradients));
        let losses = vec![0.5; n];
        for name in WeightingConfig::NAMES {
            let toml = format!("method = '{name}'");
            let w = weigh(&toml, &gram, &losses, 3)?;
            prop_assert!(w.iter().all(|w| w.is_finite()), "{name}: {w:?}");
            // A power of two changes no digit: all gradients in another unit.
            let unit = 2.0_f64.powi(20);
            let other: Vec<f64> = gram.iter().map(|g| g * unit * unit).collect();
            let other = weigh(&toml, &other, &losses, 3)?;
            // G w = 1/w has w in the inverse unit; the fallback where it has no solution has not.
            let factors: &[f64] = match *name {
                "nash_mtl" | "fairgrad" => &[unit.recip(), 1.0],
                _ => &[1.0],
            };
            let largest = w.iter().fold(0.0_f64, |m, w| m.max(w.abs()));
            let off = |factor: f64| -> f64 {
                w.iter().zip(&other).map(|(w, other)| (other / factor - w).abs()).fold(0.0, f64::max)
            };
            let least = factors.iter().map(|&f| off(f)).fold(f64::INFINITY, f64::min);
            prop_assert!(least <= 1e-9 * largest, "{name}: {w:?} {other:?}");
        }
    }
}

/// The point nearest to g with ⟨g_t, d⟩ ≥ 0 for all t: of the points that some set of active
/// constraints gives, the nearest that meets all of them.
fn project(g: &[f64], gradients: &[Vec<f64>]) -> Vec<f64> {
    let longest = gradients.iter().map(|g| norm(g)).fold(0.0, f64::max);
    let mut best: Option<(f64, Vec<f64>)> = None;
    for mask in 0_u32..1 << gradients.len() {
        let mut point = g.to_vec();
        // Out of the span of the active gradients, by Gram and Schmidt, twice for the digits.
        let mut basis: Vec<Vec<f64>> = Vec::new();
        for (_, active) in gradients.iter().enumerate().filter(|(t, _)| mask & (1 << t) != 0) {
            let mut v = active.clone();
            for _ in 0..2 {
                for b in &basis {
                    let along = dot(&v, b);
                    v.iter_mut().zip(b).for_each(|(v, b)| *v -= along * b);
                }
            }
            let length = norm(&v);
            if length > 1e-12 * norm(active) {
                basis.push(v.iter().map(|v| v / length).collect());
            }
        }
        for _ in 0..2 {
            for b in &basis {
                let along = dot(&point, b);
                point.iter_mut().zip(b).for_each(|(p, b)| *p -= along * b);
            }
        }
        let slack = |t: &Vec<f64>| dot(t, &point) >= -1e-9 * norm(t) * longest;
        let distance = norm(&point.iter().zip(g).map(|(p, g)| p - g).collect::<Vec<_>>());
        if gradients.iter().all(slack) && best.as_ref().is_none_or(|(d, _)| distance < *d) {
            best = Some((distance, point));
        }
    }
    best.map(|(_, point)| point).unwrap_or_default()
}
