//! What the papers claim, over several steps in which learned state moves: that a loss may be scaled,
//! that identical tasks stay identical, and what each setting is for.

use approx::assert_abs_diff_eq;
use mtl_loss::{Gram, Setup, StepInput, Weigher, WeightingConfig, Weights};
use proptest::prelude::*;

const DIM: usize = 12;
/// Methods that draw random numbers by position.
const RANDOM: [&str; 3] = ["rlw", "pcgrad", "gradvac"];

/// A step: losses before and after its update, and gradients.
#[derive(Debug, Clone)]
struct Step {
    losses: Vec<f64>,
    after: Vec<f64>,
    gradients: Vec<Vec<f64>>,
}

impl Step {
    /// The step with loss t times `scale`.
    fn scaled(&self, t: usize, scale: f64) -> Self {
        let mut step = self.clone();
        step.losses[t] *= scale;
        step.after[t] *= scale;
        step.gradients[t].iter_mut().for_each(|g| *g *= scale);
        step
    }

    fn gram(&self) -> Vec<f64> {
        let rows = self.gradients.iter();
        rows.flat_map(|a| self.gradients.iter().map(|b| dot(a, b))).collect()
    }

    /// Σ w_t g_t, of length 1.
    fn direction(&self, weights: &[f64]) -> Vec<f64> {
        let along = |d: usize| weights.iter().zip(&self.gradients).map(|(w, g)| w * g[d]).sum();
        let update: Vec<f64> = (0..DIM).map(along).collect();
        let length = dot(&update, &update).sqrt();
        update.iter().map(|x| x / length).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn off(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |max: f64, (a, b)| max.max((a - b).abs()))
}

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("task{i}")).collect()
}

fn build(toml: &str, initial: &[f64]) -> Weigher {
    let config: WeightingConfig = toml::from_str(toml).expect(toml);
    let tasks = names(initial.len());
    config.build(&Setup::new(&tasks).initial_losses(initial)).expect(toml)
}

/// The weights of a step, two to an epoch; learned state then takes a step of `rate`.
fn advance(weigher: &mut Weigher, number: u64, step: &Step, rate: f64) -> Vec<f64> {
    let n = step.losses.len();
    let (gram, present) = (step.gram(), vec![true; n]);
    let gram = Some(Gram::new(n, &gram).expect("n × n"));
    let mut input = StepInput {
        step: number,
        epoch: number / 2,
        losses: &step.losses,
        present: &present,
        gram,
    };
    let (mut shared, mut own) = (vec![0.0; n], vec![0.0; n]);
    let mut weights = Weights { shared: &mut shared, own: &mut own };
    weigher.weigh(&input, &mut weights).expect("a valid step");
    input.losses = &step.after;
    weigher.after_update(&input).expect("valid losses");
    if let Some(learned) = weigher.learned() {
        for (value, gradient) in learned.values.iter_mut().zip(learned.gradient) {
            *value -= rate * gradient;
        }
    }
    weigher.project();
    if number % 2 == 1 {
        weigher.end_epoch();
    }
    shared
}

/// Steps of n tasks with a common direction, so that every method has a solution.
fn steps(n: usize, count: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (
        proptest::collection::vec(0.05..2.0_f64, n),
        proptest::collection::vec(0.5..1.5_f64, n),
        proptest::collection::vec(proptest::collection::vec(-1.0..1.0_f64, DIM), n),
    );
    let step = step.prop_map(|(losses, progress, mut gradients)| {
        gradients.iter_mut().for_each(|gradient| gradient[0] += 2.0);
        let after = losses.iter().zip(&progress).map(|(loss, factor)| loss * factor).collect();
        Step { losses, after, gradients }
    });
    proptest::collection::vec(step, count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Of FairGrad with α = 1 its paper claims it, as Nash-MTL's does; of FAMO since only ratios of
    /// losses come in; of STCH since a nadir and logarithms do.
    #[test]
    fn a_scale_turns_no_update_after_any_number_of_updates(
        steps in steps(3, 10),
        scale in 0.01..100.0_f64,
        scaled in 0..3_usize,
    ) {
        for toml in [
            "method = 'fairgrad'\nalpha = 1.0",
            "method = 'nash_mtl'",
            "method = 'famo'",
            "method = 'stch'\nwarmup_epochs = 0",
            "method = 'stch'\nwarmup_epochs = 1\nmu = 0.3",
            "method = 'uncertainty'",
            "method = 'imtl_l'",
            "method = 'gls'",
            "method = 'db_mtl'",
        ] {
            let mut initial = [0.5, 0.6, 0.7];
            let mut one = build(toml, &initial);
            initial[scaled] *= scale;
            let mut other = build(toml, &initial);
            for (number, step) in steps.iter().enumerate() {
                let with = step.scaled(scaled, scale);
                let a = step.direction(&advance(&mut one, number as u64, step, 0.05));
                let b = with.direction(&advance(&mut other, number as u64, &with, 0.05));
                prop_assert!(off(&a, &b) < 1e-8, "{toml} at {number}: {a:?} {b:?}");
            }
        }
    }

    /// w starts in proportion to 1/L(0), which undoes a scale of L(0) in the first step; what GradNorm
    /// learns afterwards goes by the gradient's norm.
    #[test]
    fn a_scale_does_not_turn_gradnorm_s_first_update(steps in steps(3, 1), scale in 0.01..100.0_f64) {
        let (toml, step) = ("method = 'gradnorm'", &steps[0]);
        let with = step.scaled(2, scale);
        let a = advance(&mut build(toml, &[0.5, 0.6, 0.7]), 0, step, 0.0);
        let b = advance(&mut build(toml, &[0.5, 0.6, 0.7 * scale]), 0, &with, 0.0);
        prop_assert!(off(&step.direction(&a), &with.direction(&b)) < 1e-12);
    }

    #[test]
    fn identical_tasks_stay_identical(steps in steps(4, 12)) {
        for name in WeightingConfig::NAMES.iter().filter(|name| !RANDOM.contains(name)) {
            let warmup = if *name == "stch" { "\nwarmup_epochs = 1" } else { "" };
            let mut weigher = build(&format!("method = '{name}'{warmup}"), &[0.5, 0.4, 0.5, 0.3]);
            for (number, step) in steps.iter().enumerate() {
                let mut step = step.clone();
                step.losses[2] = step.losses[0];
                step.after[2] = step.after[0];
                step.gradients[2] = step.gradients[0].clone();
                let w = advance(&mut weigher, number as u64, &step, 0.05);
                let largest = w.iter().fold(0.0_f64, |max, w| max.max(w.abs()));
                prop_assert!((w[0] - w[2]).abs() < 1e-8 * largest, "{name} at {number}: {w:?}");
            }
        }
    }

    #[test]
    fn nash_and_fairgrad_are_one_at_alpha_1(steps in steps(4, 1)) {
        let weights = |toml| advance(&mut build(toml, &[0.5; 4]), 0, &steps[0], 0.0);
        let (nash, fair) = (weights("method = 'nash_mtl'"), weights("method = 'fairgrad'"));
        prop_assert!(off(&nash, &fair) < 1e-12 * nash[0].abs().max(1.0));
    }
}

/// With α = 1 the targets Ḡ r_t have Ḡ for their mean, so that there is a point of rest: the norms
/// of the weighted gradients are as the paces, whatever a loss is measured in.
#[test]
fn gradnorm_comes_to_rest_where_norms_are_as_paces() {
    let along = |length: f64, axis: usize| -> Vec<f64> {
        (0..DIM).map(|d| if d == axis { length } else { 0.0 }).collect()
    };
    let step = Step {
        losses: vec![0.4, 0.3, 0.6],
        after: vec![0.4, 0.3, 0.6],
        gradients: vec![along(1.0, 0), along(2.0, 1), along(0.5, 2)],
    };
    let initial = [0.5, 0.6, 0.7];
    for (scale, rate, steps) in
        [(1.0, 1e-3, 20_000_u32), (100.0, 2e-5, 40_000), (0.01, 1e-3, 20_000)]
    {
        let step = step.scaled(2, scale);
        let first = [initial[0], initial[1], initial[2] * scale];
        let mut weigher = build("method = 'gradnorm'\nalpha = 1.0", &first);
        let mut weights = Vec::new();
        for number in 0..steps {
            let left = 1.0 - f64::from(number) / f64::from(steps);
            weights = advance(&mut weigher, number.into(), &step, rate * left);
        }
        let norms: Vec<f64> = (0..3).map(|t| weights[t] * step.gradients[t][t]).collect();
        let paces: Vec<f64> = (0..3).map(|t| step.losses[t] / first[t]).collect();
        for t in 1..3 {
            let found = norms[t] / norms[0];
            assert_abs_diff_eq!(found / (paces[t] / paces[0]), 1.0, epsilon = 1e-3);
        }
        assert_abs_diff_eq!(weights.iter().sum::<f64>(), 3.0, epsilon = 1e-12);
    }
}

/// The weights of two or three tasks, from losses and a Gram matrix.
fn weigh(toml: &str, losses: &[f64], gram: &[f64]) -> Vec<f64> {
    let n = losses.len();
    let present = vec![true; n];
    let gram = Some(Gram::new(n, gram).expect("n × n"));
    let input = StepInput { step: 0, epoch: 0, losses, present: &present, gram };
    let (mut shared, mut own) = (vec![0.0; n], vec![0.0; n]);
    let mut weights = Weights { shared: &mut shared, own: &mut own };
    build(toml, &vec![0.5; n]).weigh(&input, &mut weights).expect(toml);
    shared
}

#[test]
fn mgda_divides_gradients_by_what_it_is_told() {
    // G/(n nᵀ) by hand, w₀ = (G₁₁ − G₀₁)/(G₀₀ + G₁₁ − 2 G₀₁) of it, and weights w/n.
    let gram = [4.0, 0.5, 0.5, 1.0];
    for (normalise, losses, expected) in [
        ("none", [2.0, 0.5], [0.125, 0.875]),
        // [[1, ½], [½, 4]]: w = (⅞, ⅛).
        ("loss", [2.0, 0.5], [0.4375, 0.25]),
        // [[1, ¼], [¼, 1]]: w = (½, ½).
        ("l2", [2.0, 0.5], [0.25, 0.5]),
        // n = (4, 1), [[¼, ⅛], [⅛, 1]]: w = (⅞, ⅛).
        ("loss_l2", [2.0, 1.0], [0.21875, 0.125]),
    ] {
        let w = weigh(&format!("method = 'mgda'\nnormalise = '{normalise}'"), &losses, &gram);
        for (w, expected) in w.iter().zip(expected) {
            assert_abs_diff_eq!(*w, expected, epsilon = 1e-14);
        }
    }
}

#[test]
fn aligned_mtl_sets_every_length_to_the_one_it_is_told() {
    // Orthogonal gradients of lengths 3, 1, 2: each is brought to the common length by its weight.
    let gram = [9.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 4.0];
    let common = [("min", 1.0), ("median", 2.0), ("rms", (14.0_f64 / 3.0).sqrt())];
    for (scale, length) in common {
        let w = weigh(&format!("method = 'aligned_mtl'\nscale = '{scale}'"), &[1.0; 3], &gram);
        for (w, own) in w.iter().zip([3.0, 1.0, 2.0]) {
            assert_abs_diff_eq!(*w, length / own, epsilon = 1e-14);
        }
    }
    // Of an even number the lower median.
    let w = weigh("method = 'aligned_mtl'\nscale = 'median'", &[1.0; 2], &[9.0, 0.0, 0.0, 1.0]);
    assert_abs_diff_eq!(w[0], 1.0 / 3.0, epsilon = 1e-14);
}

#[test]
fn cagrad_divides_its_direction_by_what_it_is_told() {
    let gram = [4.0, -1.0, -1.0, 1.0];
    let c = 0.4;
    let plain = weigh("method = 'cagrad'", &[1.0; 2], &gram);
    for (rescale, divisor) in [("none", 1.0), ("square", 1.0 + c * c), ("linear", 1.0 + c)] {
        let w = weigh(&format!("method = 'cagrad'\nrescale = '{rescale}'"), &[1.0; 2], &gram);
        for (w, plain) in w.iter().zip(&plain) {
            assert_abs_diff_eq!(*w, plain / divisor, epsilon = 1e-14);
        }
    }
}
