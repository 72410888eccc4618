//! One task, one expert, many tasks: logits are finite and gates sum to 1.

use mtl_arch::{ArchitectureConfig, Counts, PerLevel, Preset};
use mtl_nn::Scalar;

use crate::model::{Failure, Model, every, small};

const ROWS: usize = 33;

fn check<S: Scalar>(
    name: &str,
    config: &ArchitectureConfig,
    tasks: &[&str],
) -> Result<(), Failure> {
    let model = Model::<S>::new(name, config, tasks)?;
    let params = model.trained(ROWS, 2)?;
    let names: Vec<&str> = model.built.logits.iter().map(|l| l.0.as_str()).collect();
    let mut sorted = tasks.to_vec();
    sorted.sort_unstable();
    assert_eq!(names, sorted);
    let logits = model.logits(&params, ROWS)?;
    assert!(logits.len() == ROWS * tasks.len() && logits.iter().all(|z| z.is_finite()));
    for gate in &model.built.gates {
        let n = gate.weights.n_cols();
        assert_eq!(gate.experts.len(), n, "{}", gate.path);
        for row in model.values(vec![gate.weights], &params, ROWS)?.chunks(n) {
            let total: f64 = row.iter().map(|g| g.f64()).sum();
            assert!((total - 1.0).abs() < 1e-6, "{}: {total}", gate.path);
            assert!(row.iter().all(|&g| g >= S::zero()), "{}", gate.path);
        }
    }
    Ok(())
}

fn check_floats(name: &str, config: &ArchitectureConfig, tasks: &[&str]) -> Result<(), Failure> {
    check::<f32>(name, config, tasks)?;
    check::<f64>(name, config, tasks)
}

#[test]
fn one_task() {
    every(|name, preset| check_floats(name, &small(preset), &["click"]));
}

#[test]
fn sixteen_tasks() {
    let names: Vec<String> = (0..16).map(|t| format!("task_{t}")).collect();
    let tasks: Vec<&str> = names.iter().map(String::as_str).collect();
    every(|name, preset| check_floats(name, &small(preset), &tasks));
}

#[test]
fn one_expert() {
    every(|name, preset| {
        let config = ArchitectureConfig {
            experts: Some(1),
            task_experts: Some(PerLevel::All(Counts::All(1))),
            shared_experts: Some(PerLevel::All(0)),
            ..small(preset)
        };
        check_floats(name, &config, &["buy", "click"])
    });
}

#[test]
fn shared_experts_alone() {
    every(|name, preset| {
        let config = ArchitectureConfig {
            task_experts: Some(PerLevel::All(Counts::All(0))),
            ..small(preset)
        };
        check_floats(name, &config, &["buy", "click"])
    });
}

#[test]
fn towers_without_hidden_layers_and_gates_without_them() {
    every(|name, preset| {
        let none = Some(Vec::new());
        let config =
            ArchitectureConfig { tower_units: none.clone(), gate_units: none, ..small(preset) };
        check_floats(name, &config, &["buy", "click"])
    });
}

#[test]
fn gates_name_the_experts_they_mix() -> Result<(), Failure> {
    let config = ArchitectureConfig {
        levels: Some(2),
        task_experts: Some(PerLevel::All(Counts::All(1))),
        shared_experts: Some(PerLevel::All(1)),
        ..small(Preset::Paper)
    };
    let model = Model::<f32>::new("ple", &config, &["click", "buy"])?;
    let found: Vec<(&str, Vec<&str>)> = (model.built.gates.iter())
        .map(|gate| (gate.path.as_str(), gate.experts.iter().map(String::as_str).collect()))
        .collect();
    let [buy, click, shared] =
        ["level.0.task.buy.expert.0", "level.0.task.click.expert.0", "level.0.shared.expert.0"];
    assert_eq!(found[0], ("level.0.task.buy.gate", vec![shared, buy]));
    assert_eq!(found[2], ("level.0.shared.gate", vec![shared, buy, click]));
    assert_eq!(found[4].0, "level.1.task.click.gate");
    assert_eq!(found.len(), 5, "the last level has no shared gate");
    Ok(())
}
