//! Finite differences through whole architectures, from the logits to x and every parameter.

use mtl_arch::{ArchitectureConfig, InputKind, Inputs, architecture};
use mtl_nn::ops::{Domains, Sigmoid};
use mtl_nn::{GraphBuilder, check};

use crate::model::{Failure, every, sequenced, small};

const TASKS: [&str; 2] = ["click", "buy"];

fn differences(name: &str, config: &ArchitectureConfig) -> Result<(), Failure> {
    let mut b = GraphBuilder::<f64>::new();
    let arch = architecture::<f64>(name, &sequenced(config, &TASKS), &TASKS)?;
    // Four of the batch's rows for each: the only row of a domain is normalised to 0, and with
    // biases of 0 stands on every kink. Differences with more domains are the ops' tests.
    let domains = Domains { slot: b.ids("domain"), n: 2 };
    let mut read = |slot: &str| {
        let slot = b.values(slot, 3)?;
        b.read(slot)
    };
    let inputs = match arch.input_kind() {
        InputKind::Shared => Inputs::Shared(read("x")?),
        InputKind::Domain => Inputs::Domain { x: read("x")?, domains },
        InputKind::PerTask => Inputs::PerTask(vec![read("x_buy")?, read("x_click")?]),
    };
    let mut roots = Vec::new();
    let built = arch.build(&mut b, &inputs)?;
    roots.extend(built.penalties.iter().map(|penalty| penalty.rows));
    for (task, z) in built.logits {
        roots.push(b.push(&format!("p.{task}"), Sigmoid::new(z))?);
    }
    Ok(check::gradients(b, &roots)?)
}

/// Hidden widths of task and shared experts and gates differ; what a gate mixes does not.
///
/// A ReLU has no derivative on its kink. Biases start at 0, so a layer stands on it wherever all
/// units of a row before it are off; a unit may also lie within a difference of it. These widths
/// are wide enough for the first and were chosen to avoid the second.
fn narrow(config: ArchitectureConfig) -> ArchitectureConfig {
    ArchitectureConfig {
        bottom_units: Some(vec![12, 8]),
        expert_units: Some(vec![11, 8]),
        shared_expert_units: Some(vec![12, 10, 8]),
        gate_units: Some(vec![6]),
        shared_gate_units: Some(vec![7, 4]),
        tower_units: Some(vec![6]),
        experts: Some(2),
        task_experts: Some(mtl_arch::PerLevel::All(mtl_arch::Counts::All(2))),
        shared_experts: Some(mtl_arch::PerLevel::All(1)),
        ..config
    }
}

#[test]
fn of_every_architecture_with_dropout() {
    every(|name, preset| differences(name, &narrow(small(preset))));
}

#[test]
fn of_every_architecture_with_batch_norm() {
    every(|name, preset| {
        let config = ArchitectureConfig { batch_norm: true, ..narrow(small(preset)) };
        differences(name, &ArchitectureConfig { dropout: Some(0.0), ..config })
    });
}

#[test]
fn of_three_levels() {
    every(|name, preset| {
        if name != "ple" {
            return Ok(());
        }
        differences(name, &ArchitectureConfig { levels: Some(3), ..narrow(small(preset)) })
    });
}
