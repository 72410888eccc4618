//! MMoE: a gate for each task.

use mtl_moe::{Gate, mixture};
use mtl_nn::layers::Stack;
use mtl_nn::{GraphBuilder, Scalar};

use crate::towers::towers;
use crate::{Architecture, Built, Inputs, Result, Settings};

/// K experts e_k(x), gates g_t = softmax(·): h_t = Σ_k g_{t,k}·e_k; z_t = MLP_t(h_t).
///
/// Ma et al., KDD 2018, eq. 6 and 7. Parameters `expert.<k>.<layer>`, `task.<t>.gate.<layer>`,
/// `task.<t>.tower.<layer>`.
#[derive(Clone, Debug)]
pub struct Mmoe {
    settings: Settings,
}

impl Mmoe {
    /// With these settings.
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl<S: Scalar> Architecture<S> for Mmoe {
    fn build(&self, b: &mut GraphBuilder<S>, inputs: &Inputs) -> Result<Built> {
        let gate = |(t, task): (usize, &String)| Gate {
            path: format!("task.{task}.gate"),
            input: inputs.of(t),
            hidden: self.settings.gate(),
            bias: self.settings.gate_bias(),
            experts: (0..self.settings.experts).collect(),
        };
        let gates = self.settings.tasks.iter().enumerate().map(gate).collect();
        let mixed = mixture(b, "mmoe", experts(&self.settings, inputs), gates)?;
        let logits = towers(b, &self.settings, &mixed.outputs)?;
        Ok(Built { logits, gates: mixed.gates, representations: mixed.outputs, ..Built::default() })
    }
}

/// The experts that OMoE's and MMoE's gates share.
pub(crate) fn experts(settings: &Settings, inputs: &Inputs) -> Vec<Stack> {
    let stack =
        |k| Stack { path: format!("expert.{k}"), input: inputs.of(0), layers: settings.expert() };
    (0..settings.experts).map(stack).collect()
}
