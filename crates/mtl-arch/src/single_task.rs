//! Single-Task: one network a task, nothing shared.

use mtl_nn::layers::{Stack, build_stacks};
use mtl_nn::{GraphBuilder, Scalar, Var};

use crate::towers::towers;
use crate::{Architecture, Built, InputKind, Inputs, Result, Settings};

/// z_t = MLP_t(MLP_bottom,t(x_t)), with embedding tables of its own for each task: what a
/// multi-task model is measured against.
///
/// Parameters `task.<t>.bottom.<layer>`, `task.<t>.tower.<layer>`, and tables
/// `task.<t>.embedding.<feature>.table`.
#[derive(Clone, Debug)]
pub struct SingleTask {
    settings: Settings,
}

impl SingleTask {
    /// With these settings.
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl<S: Scalar> Architecture<S> for SingleTask {
    fn input_kind(&self) -> InputKind {
        InputKind::PerTask
    }

    fn build(&self, b: &mut GraphBuilder<S>, inputs: &Inputs) -> Result<Built> {
        let stack = |(t, task): (usize, &String)| Stack {
            path: format!("task.{task}.bottom"),
            input: inputs.of(t),
            layers: self.settings.bottom(),
        };
        let stacks = self.settings.tasks.iter().enumerate().map(stack).collect();
        let h: Vec<Var> = build_stacks(b, "bottoms", stacks)?;
        let logits = towers(b, &self.settings, &h)?;
        Ok(Built { logits, ..Built::default() })
    }
}
