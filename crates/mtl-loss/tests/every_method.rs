//! One suite over every method: what must hold whatever the weighting.

use mtl_loss::{Error, Gram, Setup, State, StepInput, Weigher, WeightingConfig, Weights};
use proptest::prelude::*;

/// One step's losses, presence and gradients (T rows of `DIM`).
#[derive(Debug, Clone)]
struct Step {
    losses: Vec<f64>,
    present: Vec<bool>,
    gradients: Vec<Vec<f64>>,
}

const DIM: usize = 24;
/// Methods that draw random numbers by position.
const RANDOM: [&str; 3] = ["rlw", "pcgrad", "gradvac"];
/// Methods whose update opposes no task: PCGrad's of two, Nash-MTL's where it does not fall back.
const NO_CONFLICT: [&str; 4] = ["mgda", "upgrad", "nash_mtl", "pcgrad"];

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("task{i}")).collect()
}

fn build(name: &str, tasks: &[String]) -> Weigher {
    // Equal, so that weights that start from them start equal.
    let initial = vec![0.5; tasks.len()];
    let setup = Setup::new(tasks).initial_losses(&initial);
    WeightingConfig::from_name(name).and_then(|config| config.build(&setup)).expect(name)
}

fn gram(gradients: &[Vec<f64>]) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
    gradients.iter().flat_map(|a| gradients.iter().map(move |b| dot(a, b))).collect()
}

/// Weighs a step, then lets learned state take a small gradient step.
fn advance(weigher: &mut Weigher, number: u64, step: &Step) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let n = step.losses.len();
    let gram = gram(&step.gradients);
    let epoch = number / 2;
    let mut input = StepInput {
        step: number,
        epoch,
        losses: &step.losses,
        present: &step.present,
        gram: Some(Gram::new(n, &gram)?),
    };
    let (mut shared, mut own) = (vec![0.0; n], vec![0.0; n]);
    weigher.weigh(&input, &mut Weights { shared: &mut shared, own: &mut own })?;
    let after: Vec<f64> = step.losses.iter().map(|l| l * (0.9 + 0.1 * (7.0 * l).fract())).collect();
    input.losses = &after;
    weigher.after_update(&input)?;
    if let Some(learned) = weigher.learned() {
        for i in (0..n).filter(|&i| learned.touched[i]) {
            learned.values[i] -= 0.01 * learned.gradient[i];
        }
    }
    weigher.project();
    if number % 2 == 1 {
        weigher.end_epoch();
    }
    Ok((shared, own))
}

/// Steps of n tasks with a common direction, so that every method has a solution.
fn steps(n: usize, count: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (
        proptest::collection::vec(0.05..2.0_f64, n),
        proptest::collection::vec(proptest::collection::vec(-1.0..1.0_f64, DIM), n),
        proptest::collection::vec(0.2..5.0_f64, n),
    );
    let step = step.prop_map(move |(losses, mut gradients, scales)| {
        for (gradient, scale) in gradients.iter_mut().zip(scales) {
            gradient[0] += 2.0;
            gradient.iter_mut().for_each(|g| *g *= scale);
        }
        Step { losses, present: vec![true; n], gradients }
    });
    proptest::collection::vec(step, count)
}

/// The update Σ w_t g_t.
fn update(weights: &[f64], gradients: &[Vec<f64>]) -> Vec<f64> {
    let along = |d: usize| weights.iter().zip(gradients).map(|(w, g)| w * g[d]).sum();
    (0..gradients[0].len()).map(along).collect()
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    norm(&difference) <= tolerance * (norm(a) + norm(b))
}

fn permute<T: Clone>(items: &[T], order: &[usize]) -> Vec<T> {
    order.iter().map(|&i| items[i].clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn order_of_tasks_changes_nothing(
        steps in steps(4, 8),
        order in Just(vec![0, 1, 2, 3]).prop_shuffle(),
    ) {
        for name in WeightingConfig::NAMES.iter().filter(|name| !RANDOM.contains(name)) {
            let tasks = names(4);
            let initial = [0.5, 0.6, 0.7, 0.8];
            let config = WeightingConfig::from_name(name).expect(name);
            let permuted_initial = permute(&initial, &order);
            let permuted_tasks = permute(&tasks, &order);
            let mut straight =
                config.build(&Setup::new(&tasks).initial_losses(&initial)).expect(name);
            let mut permuted = config
                .build(&Setup::new(&permuted_tasks).initial_losses(&permuted_initial))
                .expect(name);
            for (number, step) in steps.iter().enumerate() {
                let other = Step {
                    losses: permute(&step.losses, &order),
                    present: step.present.clone(),
                    gradients: permute(&step.gradients, &order),
                };
                let (shared, own) = advance(&mut straight, number as u64, step).expect(name);
                let (other, other_own) =
                    advance(&mut permuted, number as u64, &other).expect(name);
                prop_assert!(close(&permute(&shared, &order), &other, 1e-7), "{name}");
                prop_assert!(close(&permute(&own, &order), &other_own, 1e-7), "{name}");
            }
        }
    }

    #[test]
    fn restored_state_continues_bit_for_bit(steps in steps(3, 12), stop in 1_usize..11) {
        // STCH's nadir is of the fifth epoch by default, and its state zero until then.
        let early = "method = 'stch'\nwarmup_epochs = 0".to_owned();
        let named = WeightingConfig::NAMES.iter().map(|name| format!("method = '{name}'"));
        for name in named.chain([early]) {
            let config: WeightingConfig = toml::from_str(&name).expect("a method");
            let (tasks, name) = (names(3), config.name());
            let build = || config.build(&Setup::new(&tasks).initial_losses(&[0.5; 3])).expect(name);
            let (mut whole, mut first, mut second) = (build(), build(), build());
            for (number, step) in steps.iter().enumerate() {
                let expected = advance(&mut whole, number as u64, step).expect(name);
                let part = if number < stop { &mut first } else { &mut second };
                let found = advance(part, number as u64, step).expect(name);
                prop_assert_eq!(&found, &expected, "{} at {}", name, number);
                if number + 1 == stop {
                    let bytes = bincode::serialize(&first.state()).expect("a state serialises");
                    let state: State = bincode::deserialize(&bytes).expect("a state reads back");
                    second.restore(&state).expect(name);
                }
            }
        }
    }

    #[test]
    fn absent_task_leaves_the_others_as_if_it_did_not_exist(steps in steps(3, 4)) {
        for name in WeightingConfig::NAMES.iter().filter(|name| !RANDOM.contains(name)) {
            let tasks = names(3);
            let mut three = build(name, &tasks);
            let mut two = build(name, &tasks[..2]);
            let state = three.state();
            for (number, step) in steps.iter().enumerate() {
                let mut step = step.clone();
                step.present[2] = false;
                step.losses[2] = f64::NAN;
                let smaller = Step {
                    losses: step.losses[..2].to_vec(),
                    present: vec![true; 2],
                    gradients: step.gradients[..2].to_vec(),
                };
                step.gradients[2].fill(0.0);
                let (shared, own) = advance(&mut three, number as u64, &step).expect(name);
                let (smaller, smaller_own) = advance(&mut two, number as u64, &smaller).expect(name);
                prop_assert_eq!((shared[2], own[2]), (0.0, 0.0));
                prop_assert!(close(&shared[..2], &smaller, 1e-12), "{name} {shared:?} {smaller:?}");
                prop_assert!(close(&own[..2], &smaller_own, 1e-12), "{name}");
            }
            for (key, values) in &three.state().values {
                // GradVac's cosines are T × T: the last row and column are the absent task's.
                if values.len() == 3 {
                    prop_assert_eq!(values[2], state.values[key][2], "{} {}", name, key);
                }
            }
        }
    }

    #[test]
    fn update_opposes_no_task(
        n in prop_oneof![Just(2_usize), 1_usize..17],
        rows in proptest::collection::vec(proptest::collection::vec(-1.0..1.0_f64, 6), 16),
        scales in proptest::collection::vec(-2.0..2.0_f64, 16),
    ) {
        let gradients: Vec<Vec<f64>> = rows[..n]
            .iter()
            .zip(&scales)
            .map(|(row, scale)| row.iter().map(|x| x * 10.0_f64.powf(*scale)).collect())
            .collect();
        for name in NO_CONFLICT.into_iter().filter(|name| *name != "pcgrad" || n <= 2) {
            let step = Step { losses: vec![1.0; n], present: vec![true; n], gradients: gradients.clone() };
            let mut weigher = build(name, &names(n));
            let (shared, _) = advance(&mut weigher, 0, &step).expect(name);
            if name == "nash_mtl" && weigher.solve().is_some_and(|solve| solve.fallback) {
                continue;
            }
            let direction = update(&shared, &gradients);
            // The size of the terms that the update is summed from.
            let size: f64 = shared.iter().zip(&gradients).map(|(w, g)| w.abs() * norm(g)).sum();
            for gradient in &gradients {
                let gain: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
                prop_assert!(gain >= -1e-10 * norm(gradient) * size, "{name}: {gain:e} of {:e}, {:?}", norm(gradient) * size, weigher.solve());
            }
        }
    }

    #[test]
    fn conflicting_gradients_of_any_rank_and_scale_get_an_answer(
        n in 1_usize..17,
        dim in 1_usize..25,
        rows in proptest::collection::vec(proptest::collection::vec(-1.0..1.0_f64, 24), 16),
        scales in proptest::collection::vec(-2.0..2.0_f64, 16),
    ) {
        let scaled = |(row, scale): (&Vec<f64>, &f64)| -> Vec<f64> {
            row[..dim].iter().map(|x| (x + 0.01_f64.copysign(*x)) * 10.0_f64.powf(*scale)).collect()
        };
        let gradients: Vec<Vec<f64>> = rows[..n].iter().zip(&scales).map(scaled).collect();
        let step = Step { losses: vec![0.5; n], present: vec![true; n], gradients };
        for name in WeightingConfig::NAMES {
            let mut weigher = build(name, &names(n));
            for number in 0..3 {
                let result = advance(&mut weigher, number, &step);
                let (shared, own) = result.map_err(|e| TestCaseError::fail(e.to_string()))?;
                prop_assert!(shared.iter().chain(&own).all(|w| w.is_finite()), "{name}");
                if let Some(solve) = weigher.solve() {
                    prop_assert!(solve.residual <= 1e-8, "{name} {solve:?}");
                }
            }
        }
    }

    #[test]
    fn nash_and_fairgrad_solve_their_equation(steps in steps(5, 1)) {
        for name in ["nash_mtl", "fairgrad"] {
            let mut weigher = build(name, &names(5));
            let (shared, _) = advance(&mut weigher, 0, &steps[0]).expect(name);
            let direction = update(&shared, &steps[0].gradients);
            for (weight, gradient) in shared.iter().zip(&steps[0].gradients) {
                let gain: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
                prop_assert!((gain * weight - 1.0).abs() < 1e-9, "{name}: {gain} {weight}");
            }
            prop_assert!(!weigher.solve().expect(name).fallback);
        }
    }

    #[test]
    fn imtl_g_projects_equally(steps in steps(6, 1)) {
        let mut weigher = build("imtl_g", &names(6));
        let (shared, _) = advance(&mut weigher, 0, &steps[0]).expect("imtl_g");
        prop_assert!((shared.iter().sum::<f64>() - 1.0).abs() < 1e-10);
        let direction = update(&shared, &steps[0].gradients);
        let project = |g: &Vec<f64>| {
            g.iter().zip(&direction).map(|(g, d)| g * d).sum::<f64>() / norm(g)
        };
        let first = project(&steps[0].gradients[0]);
        for gradient in &steps[0].gradients {
            prop_assert!((project(gradient) - first).abs() < 1e-9 * norm(&direction));
        }
    }

    #[test]
    fn scale_of_a_loss_does_not_turn_the_update(steps in steps(3, 1), scale in 0.01..100.0_f64) {
        // The scale of loss 1 changes, and its gradient with it.
        for name in ["gls", "imtl_g", "nash_mtl", "db_mtl", "famo"] {
            let step = &steps[0];
            let mut scaled = step.clone();
            scaled.losses[1] *= scale;
            scaled.gradients[1].iter_mut().for_each(|g| *g *= scale);
            let tasks = names(3);
            let (shared, _) = advance(&mut build(name, &tasks), 0, step).expect(name);
            let (other, _) = advance(&mut build(name, &tasks), 0, &scaled).expect(name);
            let (a, b) = (update(&shared, &step.gradients), update(&other, &scaled.gradients));
            let (a_norm, b_norm) = (norm(&a), norm(&b));
            let a: Vec<f64> = a.iter().map(|x| x / a_norm).collect();
            let b: Vec<f64> = b.iter().map(|x| x / b_norm).collect();
            // IMTL-G fixes the line, and Σ w = 1 the sign.
            let opposite: Vec<f64> = b.iter().map(|x| -x).collect();
            let same = close(&a, &b, 1e-8) || (name == "imtl_g" && close(&a, &opposite, 1e-8));
            prop_assert!(same, "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Weights that start at the base rates undo a scale from the first step to the last.
    #[test]
    fn scale_of_a_loss_is_undone_all_the_way(steps in steps(3, 12), scale in 0.01..100.0_f64) {
        let tasks = names(3);
        for name in ["uncertainty", "imtl_l"] {
            let config = WeightingConfig::from_name(name).expect(name);
            let build = |last: f64| {
                let initial = [0.5, 0.6, last];
                config.build(&Setup::new(&tasks).initial_losses(&initial)).expect(name)
            };
            let (mut one, mut other) = (build(0.7), build(0.7 * scale));
            for (number, step) in steps.iter().enumerate() {
                let mut scaled = step.clone();
                scaled.losses[2] *= scale;
                let (shared, _) = advance(&mut one, number as u64, step).expect(name);
                let (mut found, _) = advance(&mut other, number as u64, &scaled).expect(name);
                found[2] *= scale;
                prop_assert!(close(&found, &shared, 1e-12), "{name}: {found:?} {shared:?}");
            }
        }
    }
}

/// A fixed step with n tasks, deterministic but in general position.
fn plain_step(n: usize) -> Step {
    let entry = |t: usize, d: usize| ((t * 31 + d * 17 + 7) % 23) as f64 / 23.0 - 0.4;
    Step {
        losses: (0..n).map(|t| 0.3 + 0.1 * t as f64).collect(),
        present: vec![true; n],
        gradients: (0..n).map(|t| (0..DIM).map(|d| entry(t, d)).collect()).collect(),
    }
}

#[test]
fn one_and_sixteen_tasks_work() {
    for name in WeightingConfig::NAMES {
        for n in [1, 16] {
            let mut weigher = build(name, &names(n));
            for number in 0..12 {
                let (shared, own) = advance(&mut weigher, number, &plain_step(n)).expect(name);
                assert!(shared.iter().chain(&own).all(|w| w.is_finite()), "{name}: {shared:?}");
                assert!(norm(&shared) > 0.0, "{name}");
            }
        }
    }
}

#[test]
fn identical_tasks_get_identical_weights_where_order_does_not_matter() {
    let mut step = plain_step(3);
    step.losses[1] = step.losses[0];
    step.gradients[1] = step.gradients[0].clone();
    let tasks = names(3);
    for name in WeightingConfig::NAMES.iter().filter(|name| !RANDOM.contains(name)) {
        let config = WeightingConfig::from_name(name).expect(name);
        let setup = Setup::new(&tasks).initial_losses(&[0.5; 3]);
        let mut weigher = config.build(&setup).expect(name);
        let (shared, _) = advance(&mut weigher, 0, &step).expect(name);
        assert!((shared[0] - shared[1]).abs() < 1e-9, "{name}: {shared:?}");
    }
}

#[test]
fn zero_gradient_is_left_out() {
    let tasks = names(3);
    for name in WeightingConfig::NAMES {
        let mut weigher = build(name, &tasks);
        let mut step = plain_step(3);
        step.gradients[1].fill(0.0);
        let before = weigher.state();
        let (shared, own) = advance(&mut weigher, 0, &step).expect(name);
        assert!(shared.iter().chain(&own).all(|w| w.is_finite()), "{name}");
        if weigher.needs().gram {
            let mut pair = build(name, &[tasks[0].clone(), tasks[2].clone()]);
            let two = Step {
                losses: vec![step.losses[0], step.losses[2]],
                present: vec![true; 2],
                gradients: vec![step.gradients[0].clone(), step.gradients[2].clone()],
            };
            if *name != "gradnorm" && !RANDOM.contains(name) {
                let (two, _) = advance(&mut pair, 0, &two).expect(name);
                assert!(close(&[shared[0], shared[2]], &two, 1e-12), "{name}");
            }
            for (key, values) in weigher.state().values {
                if values.len() == 3 {
                    assert_eq!(values[1], before.values[&key][1], "{name} {key}");
                }
            }
            assert!(own[1] > 0.0, "{name}: the task's own parameters must go on training");
        }
    }
}

#[test]
fn no_gradient_at_all_means_equal_weights() {
    let mut nothing = plain_step(3);
    nothing.gradients.iter_mut().for_each(|g| g.fill(0.0));
    for name in WeightingConfig::NAMES {
        let mut weigher = build(name, &names(3));
        if !weigher.needs().gram {
            continue;
        }
        // Learned weights have moved apart by then, and must be where they were afterwards.
        for number in 0..4 {
            advance(&mut weigher, number, &plain_step(3)).expect(name);
        }
        let before = weigher.state();
        let (shared, _) = advance(&mut weigher, 4, &nothing).expect(name);
        assert!(shared.iter().all(|w| *w == shared[0]), "{name}: {shared:?}");
        assert!(shared[0] > 0.0);
        assert_eq!(weigher.state(), before, "{name}");
    }
}

#[test]
fn zero_losses_are_guarded() {
    let mut step = plain_step(3);
    step.losses.fill(0.0);
    for name in WeightingConfig::NAMES {
        let mut weigher = build(name, &names(3));
        for number in 0..12 {
            let (shared, own) = advance(&mut weigher, number, &step).expect(name);
            assert!(shared.iter().chain(&own).all(|w| w.is_finite()), "{name}");
        }
    }
}

#[test]
fn opposed_gradients_have_a_defined_answer() {
    // Pareto stationary: the solvers' fallbacks. The update must not explode.
    let mut step = plain_step(2);
    step.gradients[1] = step.gradients[0].iter().map(|g| -g).collect();
    for name in WeightingConfig::NAMES {
        let mut weigher = build(name, &names(2));
        let (shared, _) = advance(&mut weigher, 0, &step).expect(name);
        let size = norm(&update(&shared, &step.gradients));
        // DB-MTL divides by the losses, STCH's warm-up too.
        assert!(size <= 10.0 * norm(&step.gradients[0]), "{name}: {size} {shared:?}");
    }
}

#[test]
fn nan_and_infinity_name_the_task() {
    for name in WeightingConfig::NAMES {
        let mut weigher = build(name, &names(3));
        for bad in [f64::NAN, f64::INFINITY] {
            let mut step = plain_step(3);
            step.losses[1] = bad;
            let error = advance(&mut weigher, 5, &step).expect_err(name);
            assert!(error.to_string().contains("task1"), "{name}: {error}");
            // The sixth: five updates were made before it.
            assert!(error.to_string().contains("step 6"), "{name}: {error}");
            if weigher.needs().gram {
                let mut step = plain_step(3);
                step.gradients[2][0] = bad;
                let error = advance(&mut weigher, 5, &step).expect_err(name);
                assert!(error.to_string().contains("\"task2\" and \"task2\""), "{name}: {error}");
            }
        }
    }
}

#[test]
fn gradvac_keeps_the_cosines_of_an_absent_task() {
    let mut weigher = build("gradvac", &names(3));
    advance(&mut weigher, 0, &plain_step(3)).expect("gradvac");
    let before = weigher.state().values["cosines"].clone();
    let mut step = plain_step(3);
    step.present[2] = false;
    advance(&mut weigher, 1, &step).expect("gradvac");
    let after = weigher.state().values["cosines"].clone();
    for (i, (before, after)) in before.iter().zip(&after).enumerate() {
        let involved = i / 3 == 2 || i % 3 == 2 || i / 3 == i % 3;
        assert_eq!(before == after, involved, "entry {i}: {before} {after}");
    }
}
