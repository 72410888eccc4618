//! The block of CGC and PLE: experts owned by tasks, shared experts, and gates over both.

use mtl_nn::layers::{Stack, StackLayer};
use mtl_nn::{GraphBuilder, Scalar, Var};

use crate::{Gate, GateInfo, Result, mixture};

/// The order of experts under a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpertOrder {
    /// The task's own experts first, then the shared ones.
    OwnFirst,
    /// The shared experts first, then the task's own.
    SharedFirst,
}

/// One level of customised gate control (Tang et al., RecSys 2020, §4.1 and fig. 4).
///
/// Task t's gate mixes its own experts and the shared ones: no path leads from task s ≠ t to the
/// experts and the gate of t. The shared gate, where there is one, mixes *all* experts of the
/// level, tasks in the order given.
#[derive(Clone, Debug)]
pub struct Cgc {
    /// Prefix of the parameter paths: `<path>.task.<t>.expert.<j>`, `<path>.shared.expert.<k>`,
    /// `<path>.task.<t>.gate`, `<path>.shared.gate`.
    pub path: String,
    /// Names of the tasks.
    pub tasks: Vec<String>,
    /// Experts that each task owns.
    pub task_experts: Vec<usize>,
    /// Shared experts.
    pub shared_experts: usize,
    /// Layers of a task's expert.
    pub task_expert: Vec<StackLayer>,
    /// Layers of a shared expert.
    pub shared_expert: Vec<StackLayer>,
    /// Hidden layers of a task's gate.
    pub task_gate: Vec<StackLayer>,
    /// Hidden layers of the shared gate; `None` where the level has none (the last of PLE).
    pub shared_gate: Option<Vec<StackLayer>>,
    /// Whether the layers of the softmax have a bias.
    pub gate_bias: bool,
    /// The order of experts under the gates.
    pub order: ExpertOrder,
}

/// What a level reads: one input a task, one shared.
#[derive(Clone, Debug)]
pub struct CgcInputs {
    /// Input of each task's experts and gate, rows × n_in.
    pub tasks: Vec<Var>,
    /// Input of the shared experts and the shared gate, rows × n_in.
    pub shared: Var,
}

/// What a level gives.
#[derive(Clone, Debug)]
pub struct CgcOutputs {
    /// h of each task, rows × the experts' width.
    pub tasks: Vec<Var>,
    /// h of the shared gate, if there is one.
    pub shared: Option<Var>,
    /// The gates' weights.
    pub gates: Vec<GateInfo>,
}

impl Cgc {
    /// Adds the level to a graph.
    ///
    /// # Errors
    /// As [`mixture`]: experts of different widths under one gate, a gate without experts, or an
    /// error of the graph.
    ///
    /// # Panics
    /// If `task_experts` or the inputs are not one a task.
    pub fn build<S: Scalar>(
        &self,
        b: &mut GraphBuilder<S>,
        inputs: &CgcInputs,
    ) -> Result<CgcOutputs> {
        assert!(
            self.tasks.len() == self.task_experts.len() && self.tasks.len() == inputs.tasks.len()
        );
        let (mut experts, mut owned) = (Vec::new(), Vec::new());
        let stack = |path: String, input, layers: &[StackLayer]| Stack {
            path,
            input,
            layers: layers.to_vec(),
        };
        for (t, &n) in self.task_experts.iter().enumerate() {
            owned.push((experts.len()..experts.len() + n).collect::<Vec<_>>());
            for j in 0..n {
                let path = format!("{}.task.{}.expert.{j}", self.path, self.tasks[t]);
                experts.push(stack(path, inputs.tasks[t], &self.task_expert));
            }
        }
        let shared: Vec<_> = (experts.len()..experts.len() + self.shared_experts).collect();
        for k in 0..self.shared_experts {
            let path = format!("{}.shared.expert.{k}", self.path);
            experts.push(stack(path, inputs.shared, &self.shared_expert));
        }
        let gates = self.gates(inputs, &owned, &shared);
        let mut built = mixture(b, &self.path, experts, gates)?;
        let shared = self.shared_gate.as_ref().and_then(|_| built.outputs.pop());
        Ok(CgcOutputs { tasks: built.outputs, shared, gates: built.gates })
    }

    fn gates(&self, inputs: &CgcInputs, owned: &[Vec<usize>], shared: &[usize]) -> Vec<Gate> {
        let ordered = |own: &[usize]| match self.order {
            ExpertOrder::OwnFirst => [own, shared].concat(),
            ExpertOrder::SharedFirst => [shared, own].concat(),
        };
        let mut gates: Vec<Gate> = (self.tasks.iter().zip(owned).zip(&inputs.tasks))
            .map(|((task, own), &input)| Gate {
                path: format!("{}.task.{task}.gate", self.path),
                input,
                hidden: self.task_gate.clone(),
                bias: self.gate_bias,
                experts: ordered(own),
            })
            .collect();
        if let Some(hidden) = &self.shared_gate {
            gates.push(Gate {
                path: format!("{}.shared.gate", self.path),
                input: inputs.shared,
                hidden: hidden.clone(),
                bias: self.gate_bias,
                experts: ordered(&owned.concat()),
            });
        }
        gates
    }
}

#[cfg(test)]
mod tests {
    use mtl_nn::check;
    use mtl_nn::layers::{Activation, Mlp};

    use super::*;

    fn level(task_experts: [usize; 2], shared_experts: usize, order: ExpertOrder) -> Cgc {
        let stack = |units: &[usize]| Mlp::new(units, Activation::Tanh).layers();
        Cgc {
            path: "level.0".to_owned(),
            tasks: vec!["buy".to_owned(), "click".to_owned()],
            task_experts: task_experts.to_vec(),
            shared_experts,
            task_expert: stack(&[4, 2]),
            shared_expert: stack(&[3, 3, 2]),
            task_gate: stack(&[3]),
            shared_gate: Some(Vec::new()),
            gate_bias: true,
            order,
        }
    }

    fn build(cgc: &Cgc) -> Result<(GraphBuilder<f64>, CgcOutputs)> {
        let mut b = GraphBuilder::new();
        let (buy, shared) = (b.values("buy", 3)?, b.values("shared", 4)?);
        let (buy, shared) = (b.read(buy)?, b.read(shared)?);
        // The second task reads what the shared experts read, as at the first level of PLE.
        let built = cgc.build(&mut b, &CgcInputs { tasks: vec![buy, shared], shared })?;
        Ok((b, built))
    }

    #[test]
    fn gates_read_their_own_and_the_shared_experts_in_the_order_asked_for() -> Result<()> {
        let buy = ["level.0.task.buy.expert.0", "level.0.task.buy.expert.1"];
        let click = ["level.0.task.click.expert.0"];
        let shared = ["level.0.shared.expert.0"];
        for (order, expected) in [
            (
                ExpertOrder::OwnFirst,
                [
                    [&buy[..], &shared].concat(),
                    [&click[..], &shared].concat(),
                    [&buy[..], &click, &shared].concat(),
                ],
            ),
            (
                ExpertOrder::SharedFirst,
                [
                    [&shared[..], &buy].concat(),
                    [&shared[..], &click].concat(),
                    [&shared[..], &buy, &click].concat(),
                ],
            ),
        ] {
            let (_, built) = build(&level([2, 1], 1, order))?;
            let found: Vec<_> = built.gates.iter().map(|gate| gate.experts.clone()).collect();
            assert_eq!(found, expected);
        }
        Ok(())
    }

    #[test]
    fn gates_and_parameters_have_the_documented_paths() -> Result<()> {
        let (b, built) = build(&level([2, 1], 1, ExpertOrder::OwnFirst))?;
        let gates: Vec<&str> = built.gates.iter().map(|gate| gate.path.as_str()).collect();
        let expected = ["level.0.task.buy.gate", "level.0.task.click.gate", "level.0.shared.gate"];
        assert_eq!(gates, expected);
        let graph = b.finish();
        for path in [
            "level.0.task.buy.expert.1.1.weight",
            "level.0.shared.expert.0.2.bias",
            "level.0.task.click.gate.1.weight",
            "level.0.shared.gate.0.bias",
        ] {
            graph.layout().find(path)?;
        }
        Ok(())
    }

    #[test]
    fn finite_differences() -> Result<()> {
        for order in [ExpertOrder::OwnFirst, ExpertOrder::SharedFirst] {
            for (own, shared) in [([2, 1], 2), ([0, 2], 1), ([1, 1], 0)] {
                let (mut b, built) = build(&level(own, shared, order))?;
                let mut roots = Vec::new();
                for (i, h) in built.tasks.into_iter().chain(built.shared).enumerate() {
                    roots.push(b.push(&format!("root.{i}"), mtl_nn::ops::Sigmoid::new(h))?);
                }
                assert_eq!(roots.len(), 3);
                check::gradients(b, &roots)?;
            }
        }
        Ok(())
    }

    #[test]
    fn the_last_level_has_no_shared_gate() -> Result<()> {
        let last = Cgc { shared_gate: None, ..level([2, 1], 1, ExpertOrder::OwnFirst) };
        let (b, built) = build(&last)?;
        assert!(built.shared.is_none());
        assert_eq!(built.gates.len(), 2);
        assert!(b.finish().layout().find("level.0.shared.gate.0.weight").is_err());
        Ok(())
    }

    #[test]
    fn a_task_without_experts_and_without_shared_ones_is_an_error() {
        let error = build(&level([0, 2], 0, ExpertOrder::OwnFirst)).expect_err("nothing to mix");
        assert_eq!(error.to_string(), "gate `level.0.task.buy.gate` has no expert to mix");
    }
}
