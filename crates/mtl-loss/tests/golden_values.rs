//! Every method against the float64 reference of `golden/generate.py`: weights of each update, the
//! gradient of learned state, and that state after each step. GradNorm runs 20 updates.

use mtl_loss::{Gram, Setup, StepInput, Weigher, WeightingConfig, Weights};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    config: WeightingConfig,
    tasks: Vec<String>,
    initial_losses: Option<Vec<f64>>,
    /// The rate of the plain gradient step that learned state takes.
    lr: f64,
    /// The reference's own tolerance.
    tolerance: f64,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    epoch: u64,
    losses: Vec<f64>,
    gram: Vec<Vec<f64>>,
    losses_after: Option<Vec<f64>>,
    shared: Vec<f64>,
    own: Vec<f64>,
    gradient: Option<Vec<f64>>,
    learned: Option<Vec<f64>>,
}

#[test]
fn every_method_equals_the_reference() {
    let golden: Golden =
        serde_json::from_str(include_str!("golden/golden.json")).expect("the golden file");
    let mut names: Vec<&str> = golden.cases.iter().map(|case| case.config.name()).collect();
    for case in &golden.cases {
        check(case);
    }
    names.sort_unstable();
    names.dedup();
    // RLW has no reference but its draws, GradVac's reference needs the orders (tested beside it).
    let missing: Vec<_> =
        WeightingConfig::NAMES.iter().filter(|name| !names.contains(name)).collect();
    assert_eq!(missing, [&"rlw", &"gradvac"]);
}

fn check(case: &Case) {
    let mut setup = Setup::new(&case.tasks);
    setup.initial_losses = case.initial_losses.as_deref();
    let mut weigher = case.config.build(&setup).expect("a golden case is valid");
    let mut epoch = 0;
    for (number, step) in case.steps.iter().enumerate() {
        if step.epoch > epoch {
            weigher.end_epoch();
            epoch = step.epoch;
        }
        check_step(case, &mut weigher, number as u64, step);
    }
}

fn check_step(case: &Case, weigher: &mut Weigher, number: u64, step: &Step) {
    let n = case.tasks.len();
    let gram: Vec<f64> = step.gram.iter().flatten().copied().collect();
    let mut input = StepInput {
        step: number,
        epoch: step.epoch,
        losses: &step.losses,
        present: &vec![true; n],
        gram: Some(Gram::new(n, &gram).expect("a square matrix")),
    };
    let (mut shared, mut own) = (vec![0.0; n], vec![0.0; n]);
    let mut weights = Weights { shared: &mut shared, own: &mut own };
    weigher.weigh(&input, &mut weights).expect("a golden step succeeds");
    let what = format!("{:?}, step {number}", case.config);
    close(&shared, &step.shared, case.tolerance, &format!("{what}: shared"));
    close(&own, &step.own, case.tolerance, &format!("{what}: own"));
    if let Some(after) = &step.losses_after {
        input.losses = after;
        weigher.after_update(&input).expect("losses after the update are valid");
    }
    if let Some(learned) = weigher.learned() {
        let expected = step.gradient.as_ref().expect("a gradient of learned state");
        close(learned.gradient, expected, case.tolerance, &format!("{what}: gradient"));
        for (value, gradient) in learned.values.iter_mut().zip(learned.gradient) {
            *value -= case.lr * gradient;
        }
    }
    weigher.project();
    if let (Some(learned), Some(expected)) = (weigher.learned(), &step.learned) {
        close(learned.values, expected, case.tolerance, &format!("{what}: learned"));
    }
}

fn close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, value) in found.iter().zip(expected) {
        let error = (found - value).abs() / (1.0 + value.abs());
        assert!(error <= tolerance, "{what}: {found} is not {value} (error {error:e})");
    }
}
