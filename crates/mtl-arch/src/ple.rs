//! CGC and PLE: experts owned by tasks beside shared ones, level upon level.

use mtl_moe::{Cgc, CgcInputs, ExpertOrder};
use mtl_nn::{GraphBuilder, Scalar};

use crate::towers::towers;
use crate::{Architecture, Built, Inputs, Preset, Result, Settings};

/// Progressive layered extraction: levels of [`Cgc`], then towers over the last level's task
/// outputs. With one level it is CGC.
///
/// Tang et al., RecSys 2020, eq. 1–7. Level 0 reads x everywhere; every level but the last has a
/// shared gate, which mixes all experts of the level. Parameters `level.<l>.task.<t>.expert.<j>`,
/// `level.<l>.task.<t>.gate`, `level.<l>.shared.expert.<k>`, `level.<l>.shared.gate`,
/// `task.<t>.tower`.
#[derive(Clone, Debug)]
pub struct Ple {
    settings: Settings,
}

impl Ple {
    /// With these settings; as many levels as they have.
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    fn level(&self, l: usize) -> Cgc {
        let s = &self.settings;
        Cgc {
            path: format!("level.{l}"),
            tasks: s.tasks.clone(),
            task_experts: s.task_experts[l].clone(),
            shared_experts: s.shared_experts[l],
            task_expert: s.task_expert(),
            shared_expert: s.shared_expert(),
            task_gate: s.task_gate(),
            shared_gate: (l + 1 < s.task_experts.len()).then(|| s.shared_gate()),
            gate_bias: s.gate_bias(),
            order: match s.preset {
                Preset::Tutorial => ExpertOrder::OwnFirst,
                Preset::Paper => ExpertOrder::SharedFirst,
            },
        }
    }
}

impl<S: Scalar> Architecture<S> for Ple {
    fn build(&self, b: &mut GraphBuilder<S>, inputs: &Inputs) -> Result<Built> {
        let n = self.settings.tasks.len();
        let mut at =
            CgcInputs { tasks: (0..n).map(|t| inputs.of(t)).collect(), shared: inputs.of(0) };
        let mut gates = Vec::new();
        for l in 0..self.settings.task_experts.len() {
            let out = self.level(l).build(b, &at)?;
            gates.extend(out.gates);
            // The last level has no shared output, and no level after it to read one.
            at = CgcInputs { tasks: out.tasks, shared: out.shared.unwrap_or(at.shared) };
        }
        let logits = towers(b, &self.settings, &at.tasks)?;
        Ok(Built { logits, gates, representations: at.tasks, ..Built::default() })
    }
}
