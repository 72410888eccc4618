//! Settings that are right, and the layers of each part that follow from them.

use mtl_nn::layers::{Activation, Norm, StackLayer};

use crate::Preset;

/// Settings that are right: tasks sorted by name, widths above 0, rates in [0, 1), as many
/// expert counts as levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub(crate) tasks: Vec<String>,
    /// Columns of each task's logits.
    pub(crate) n_logits: Vec<usize>,
    pub(crate) preset: Preset,
    pub(crate) experts: usize,
    /// By level, then by task.
    pub(crate) task_experts: Vec<Vec<usize>>,
    pub(crate) shared_experts: Vec<usize>,
    /// Positions in `tasks`, each once: AITM's order.
    pub(crate) sequence: Vec<usize>,
    pub(crate) sequence_penalty: f64,
    pub(crate) units: Units,
    pub(crate) rates: Rates,
    pub(crate) norm: Option<Norm>,
}

/// Widths of each part's layers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Units {
    pub(crate) bottom: Vec<usize>,
    pub(crate) expert: Vec<usize>,
    pub(crate) shared_expert: Vec<usize>,
    pub(crate) gate: Vec<usize>,
    pub(crate) shared_gate: Vec<usize>,
    pub(crate) tower: Vec<usize>,
}

/// Dropout rates of each part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rates {
    pub(crate) bottom: f64,
    pub(crate) expert: f64,
    pub(crate) gate: f64,
    pub(crate) tower: f64,
}

/// Layers of the parts.
impl Settings {
    /// The tasks, sorted by name.
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    /// The normalisation of the preset, whether it is on or not.
    pub(crate) fn preset_norm(&self) -> Norm {
        match self.preset {
            Preset::Tutorial => Norm { momentum: 0.99, epsilon: 1e-3 },
            Preset::Paper => Norm { momentum: 0.9, epsilon: 1e-5 },
        }
    }

    /// The shared bottom.
    pub(crate) fn bottom(&self) -> Vec<StackLayer> {
        self.body(&self.units.bottom, self.rates.bottom)
    }

    /// An expert of OMoE or MMoE.
    pub(crate) fn expert(&self) -> Vec<StackLayer> {
        self.body(&self.units.expert, self.rates.expert)
    }

    /// An expert that a task owns, inside an extraction level.
    pub(crate) fn task_expert(&self) -> Vec<StackLayer> {
        self.body(&self.units.expert, self.inside(self.rates.expert))
    }

    /// A shared expert, inside an extraction level.
    pub(crate) fn shared_expert(&self) -> Vec<StackLayer> {
        self.body(&self.units.shared_expert, self.inside(self.rates.expert))
    }

    /// A gate of OMoE or MMoE, before its softmax layer.
    pub(crate) fn gate(&self) -> Vec<StackLayer> {
        self.body(&self.units.gate, self.rates.gate)
    }

    /// A task's gate inside an extraction level, before its softmax layer.
    pub(crate) fn task_gate(&self) -> Vec<StackLayer> {
        self.body(&self.units.gate, self.inside(self.rates.gate))
    }

    /// The shared gate inside an extraction level, before its softmax layer.
    pub(crate) fn shared_gate(&self) -> Vec<StackLayer> {
        self.body(&self.units.shared_gate, self.inside(self.rates.gate))
    }

    /// Whether the softmax layer of a gate has a bias.
    pub(crate) fn gate_bias(&self) -> bool {
        self.preset == Preset::Paper
    }

    /// The tower of task `t`: hidden layers and its logits.
    pub(crate) fn tower(&self, t: usize) -> Vec<StackLayer> {
        let hidden = |&n_out: &usize| StackLayer {
            n_out,
            bias: true,
            norm: self.norm,
            activation: Activation::Relu,
            dropout: self.rates.tower,
        };
        let logit = StackLayer {
            n_out: self.n_logits[t],
            bias: true,
            norm: None,
            activation: Activation::Linear,
            dropout: 0.0,
        };
        self.units.tower.iter().map(hidden).chain([logit]).collect()
    }

    /// The tutorial form has no dropout inside extraction levels.
    fn inside(&self, rate: f64) -> f64 {
        if self.preset == Preset::Tutorial { 0.0 } else { rate }
    }

    /// A bottom, expert or gate stack: the last layer is linear without dropout in the tutorial
    /// form, and like the hidden ones, but never normalised, in the paper form.
    fn body(&self, units: &[usize], rate: f64) -> Vec<StackLayer> {
        let layer = |(i, &n_out): (usize, &usize)| {
            let hidden = i + 1 < units.len();
            let active = hidden || self.preset == Preset::Paper;
            StackLayer {
                n_out,
                bias: true,
                norm: self.norm.filter(|_| hidden),
                activation: if active { Activation::Relu } else { Activation::Linear },
                dropout: if active { rate } else { 0.0 },
            }
        };
        units.iter().enumerate().map(layer).collect()
    }
}
