//! The order in which tasks are listed changes no number.

use mtl_arch::{ArchitectureConfig, Counts, PerLevel, Preset};
use mtl_nn::Scalar;

use crate::model::{Failure, Model, bits_by_path, every, small};

const ORDERS: [[&str; 3]; 4] = [
    ["buy", "click", "like"],
    ["like", "click", "buy"],
    ["click", "like", "buy"],
    ["like", "buy", "click"],
];

fn config(preset: Preset) -> ArchitectureConfig {
    let own = [("like".to_owned(), 1), ("buy".to_owned(), 3), ("click".to_owned(), 2)];
    ArchitectureConfig {
        task_experts: Some(PerLevel::All(Counts::ByTask(own.into()))),
        ..small(preset)
    }
}

fn check<S: Scalar>(name: &str, preset: Preset) -> Result<(), Failure> {
    let of = |order: &[&str]| -> Result<_, Failure> {
        let model = Model::<S>::new(name, &config(preset), order)?;
        let tasks: Vec<String> = model.built.logits.iter().map(|l| l.0.clone()).collect();
        let initial = model.params();
        let logits = model.logits(&initial, 20)?.iter().map(|z| z.f64().to_bits()).collect();
        let trained = model.trained(300, 2)?;
        Ok((tasks, bits_by_path(&initial)?, logits, bits_by_path(&trained)?))
    };
    let expected: (_, _, Vec<u64>, _) = of(&ORDERS[0])?;
    assert_eq!(expected.0, ORDERS[0], "tasks are sorted by name");
    for order in &ORDERS[1..] {
        assert!(of(order)? == expected, "{name}, {preset:?}: {order:?} changes a number");
    }
    Ok(())
}

#[test]
fn the_order_of_tasks_changes_no_initial_value_no_logit_and_no_step() {
    every(|name, preset| {
        check::<f32>(name, preset)?;
        check::<f64>(name, preset)
    });
}
