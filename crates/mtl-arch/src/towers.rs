//! Towers: the tasks share the embeddings alone.

use mtl_nn::layers::{Stack, build_stacks};
use mtl_nn::{GraphBuilder, Scalar, Var};

use crate::{Architecture, Built, Inputs, Result, Settings};

/// z_t = MLP_t(x): the form that the tutorials put under ESMM (Ma et al., SIGIR 2018, fig. 2).
#[derive(Clone, Debug)]
pub struct Towers {
    settings: Settings,
}

impl Towers {
    /// With these settings.
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl<S: Scalar> Architecture<S> for Towers {
    fn build(&self, b: &mut GraphBuilder<S>, inputs: &Inputs) -> Result<Built> {
        let n = self.settings.tasks.len();
        let logits = towers(b, &self.settings, &(0..n).map(|t| inputs.of(t)).collect::<Vec<_>>())?;
        Ok(Built { logits, ..Built::default() })
    }
}

/// A tower for each task over its own h (rows × d): the logits by task, one column unless the
/// task has several classes.
///
/// Parameters `task.<t>.tower.<layer>`.
pub(crate) fn towers<S: Scalar>(
    b: &mut GraphBuilder<S>,
    settings: &Settings,
    h: &[Var],
) -> Result<Vec<(String, Var)>> {
    let stack = |(t, (task, &input)): (usize, (&String, &Var))| Stack {
        path: format!("task.{task}.tower"),
        input,
        layers: settings.tower(t),
    };
    let stacks = settings.tasks.iter().zip(h).enumerate().map(stack).collect();
    let logits = build_stacks(b, "towers", stacks)?;
    Ok(settings.tasks.iter().cloned().zip(logits).collect())
}
