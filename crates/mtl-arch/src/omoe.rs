//! OMoE: one gate for all tasks.

use mtl_moe::{Gate, mixture};
use mtl_nn::{GraphBuilder, Scalar};

use crate::mmoe::experts;
use crate::towers::towers;
use crate::{Architecture, Built, Inputs, Result, Settings};

/// K experts e_k(x), one gate g = softmax(·): h = Σ_k g_k·e_k; z_t = MLP_t(h).
///
/// Ma et al., KDD 2018, §3.2 (the one-gate mixture). Parameters `expert.<k>.<layer>`,
/// `gate.<layer>`, `task.<t>.tower.<layer>`.
#[derive(Clone, Debug)]
pub struct Omoe {
    settings: Settings,
}

impl Omoe {
    /// With these settings.
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl<S: Scalar> Architecture<S> for Omoe {
    fn build(&self, b: &mut GraphBuilder<S>, inputs: &Inputs) -> Result<Built> {
        let gate = Gate {
            path: "gate".to_owned(),
            input: inputs.of(0),
            hidden: self.settings.gate(),
            bias: self.settings.gate_bias(),
            experts: (0..self.settings.experts).collect(),
        };
        let experts = experts(&self.settings, inputs);
        let mixed = mixture(b, "omoe", experts, vec![gate])?;
        let h = mixed.outputs[0];
        let logits = towers(b, &self.settings, &vec![h; self.settings.tasks.len()])?;
        Ok(Built { logits, gates: mixed.gates, representations: vec![h], ..Built::default() })
    }
}
