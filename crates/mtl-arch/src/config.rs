//! Settings of architectures, checked once.

use std::collections::BTreeMap;

use mtl_nn::layers::{Activation, Norm, StackLayer};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Which form of the stacks and gates: `maths.md` §1's two columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Last layers linear, gates with hidden layers and no bias, own experts first.
    #[default]
    Tutorial,
    /// Last layers ReLU, linear gates with bias, shared experts first.
    Paper,
}

/// A number of experts for every task, or one for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Counts {
    /// The same for every task.
    All(usize),
    /// By the task's name.
    ByTask(BTreeMap<String, usize>),
}

/// A setting for every level of PLE, or one for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerLevel<T> {
    /// One for each level, from the input up.
    Each(Vec<T>),
    /// The same for every level.
    All(T),
}

/// Settings as a user writes them; what is absent takes the default of `maths.md` §1.
///
/// One table serves all architectures, so a comparison can share it; a setting that an
/// architecture has no use for is not read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchitectureConfig {
    /// `tutorial` (default) or `paper`.
    pub preset: Preset,
    /// Widths of the shared bottom; \[128, 64\].
    pub bottom_units: Option<Vec<usize>>,
    /// Widths of an expert; \[128, 64\].
    pub expert_units: Option<Vec<usize>>,
    /// Widths of a shared expert of CGC and PLE; those of `expert_units`.
    pub shared_expert_units: Option<Vec<usize>>,
    /// Widths of a gate before its softmax layer; \[128, 64\]; none in the `paper` preset.
    pub gate_units: Option<Vec<usize>>,
    /// Widths of the shared gate of PLE; those of `gate_units`.
    pub shared_gate_units: Option<Vec<usize>>,
    /// Hidden widths of a tower, its logit not counted; \[128, 64\].
    pub tower_units: Option<Vec<usize>>,
    /// Experts of OMoE and MMoE; 4.
    pub experts: Option<usize>,
    /// Experts that each task of CGC and PLE owns: a number, a table by task, or a list by
    /// level of either; 4.
    pub task_experts: Option<PerLevel<Counts>>,
    /// Shared experts of CGC and PLE: a number, or a list by level; 2.
    pub shared_experts: Option<PerLevel<usize>>,
    /// Levels of PLE; 2. CGC has one.
    pub levels: Option<usize>,
    /// Dropout rate, unless a part has its own; 0.1.
    pub dropout: Option<f64>,
    /// Dropout rate of the bottom.
    pub bottom_dropout: Option<f64>,
    /// Dropout rate of experts; in the `tutorial` preset CGC and PLE have none.
    pub expert_dropout: Option<f64>,
    /// Dropout rate of gates' hidden layers; in the `tutorial` preset CGC and PLE have none.
    pub gate_dropout: Option<f64>,
    /// Dropout rate of towers.
    pub tower_dropout: Option<f64>,
    /// Batch normalisation of hidden layers, before the activation; off.
    pub batch_norm: bool,
}

/// Settings that are right: tasks sorted by name, widths above 0, rates in [0, 1), as many
/// expert counts as levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub(crate) tasks: Vec<String>,
    pub(crate) preset: Preset,
    pub(crate) experts: usize,
    /// By level, then by task.
    pub(crate) task_experts: Vec<Vec<usize>>,
    pub(crate) shared_experts: Vec<usize>,
    units: Units,
    rates: Rates,
    norm: Option<Norm>,
}

#[derive(Clone, Debug, PartialEq)]
struct Units {
    bottom: Vec<usize>,
    expert: Vec<usize>,
    shared_expert: Vec<usize>,
    gate: Vec<usize>,
    shared_gate: Vec<usize>,
    tower: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Rates {
    bottom: f64,
    expert: f64,
    gate: f64,
    tower: f64,
}

const UNITS: [usize; 2] = [128, 64];
const DROPOUT: f64 = 0.1;

impl ArchitectureConfig {
    /// Checks the settings for these tasks and fills in the defaults.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Tasks`], naming what is wrong.
    pub fn check(&self, tasks: &[impl AsRef<str>]) -> Result<Settings> {
        let tasks = sorted(tasks)?;
        let levels = self.levels.unwrap_or(1);
        at_least_one("levels", levels)?;
        let experts = self.experts.unwrap_or(4);
        at_least_one("experts", experts)?;
        let units = self.units()?;
        let task_experts = self.task_experts(&tasks, levels)?;
        let shared_experts = match self.shared_experts.clone().unwrap_or(PerLevel::All(2)) {
            PerLevel::All(n) => vec![n; levels],
            PerLevel::Each(list) => of_levels("shared_experts", list, levels)?,
        };
        for (level, (own, &shared)) in task_experts.iter().zip(&shared_experts).enumerate() {
            if let Some(t) = own.iter().position(|&n| n + shared == 0) {
                let (name, value) = (format!("task_experts.{}", tasks[t]), "0".to_owned());
                let expected = format!("at least 1 expert under each gate (level {level})");
                return Err(Error::Setting { name, value, expected });
            }
        }
        let norm = match self.preset {
            Preset::Tutorial => Norm { momentum: 0.99, epsilon: 1e-3 },
            Preset::Paper => Norm { momentum: 0.9, epsilon: 1e-5 },
        };
        Ok(Settings {
            tasks,
            preset: self.preset,
            experts,
            task_experts,
            shared_experts,
            units,
            rates: self.rates()?,
            norm: self.batch_norm.then_some(norm),
        })
    }

    fn units(&self) -> Result<Units> {
        let expert = widths("expert_units", &self.expert_units, &UNITS, 1)?;
        let gate = match self.preset {
            Preset::Tutorial => widths("gate_units", &self.gate_units, &UNITS, 0)?,
            Preset::Paper => Vec::new(),
        };
        Ok(Units {
            bottom: widths("bottom_units", &self.bottom_units, &UNITS, 1)?,
            shared_expert: widths("shared_expert_units", &self.shared_expert_units, &expert, 1)?,
            shared_gate: match self.preset {
                Preset::Tutorial => widths("shared_gate_units", &self.shared_gate_units, &gate, 0)?,
                Preset::Paper => Vec::new(),
            },
            tower: widths("tower_units", &self.tower_units, &UNITS, 0)?,
            expert,
            gate,
        })
    }

    fn rates(&self) -> Result<Rates> {
        let all = self.dropout.unwrap_or(DROPOUT);
        let rate = |name: &str, own: Option<f64>| {
            let rate = own.unwrap_or(all);
            if (0.0..1.0).contains(&rate) {
                return Ok(rate);
            }
            let name = if own.is_some() { format!("{name}_dropout") } else { "dropout".to_owned() };
            let (value, expected) = (rate.to_string(), "a rate in [0, 1)".to_owned());
            Err(Error::Setting { name, value, expected })
        };
        Ok(Rates {
            bottom: rate("bottom", self.bottom_dropout)?,
            expert: rate("expert", self.expert_dropout)?,
            gate: rate("gate", self.gate_dropout)?,
            tower: rate("tower", self.tower_dropout)?,
        })
    }

    fn task_experts(&self, tasks: &[String], levels: usize) -> Result<Vec<Vec<usize>>> {
        let counts = match self.task_experts.clone() {
            None => vec![Counts::All(4); levels],
            Some(PerLevel::All(counts)) => vec![counts; levels],
            Some(PerLevel::Each(list)) => of_levels("task_experts", list, levels)?,
        };
        counts.into_iter().map(|counts| by_task(counts, tasks)).collect()
    }
}

fn by_task(counts: Counts, tasks: &[String]) -> Result<Vec<usize>> {
    let counts = match counts {
        Counts::All(n) => return Ok(vec![n; tasks.len()]),
        Counts::ByTask(counts) => counts,
    };
    if let Some((stranger, n)) = counts.iter().find(|(name, _)| !tasks.contains(name)) {
        let name = format!("task_experts.{stranger}");
        let expected = format!("one of the tasks {}", tasks.join(", "));
        return Err(Error::Setting { name, value: n.to_string(), expected });
    }
    let count = |task: &String| {
        counts.get(task).copied().ok_or_else(|| Error::Setting {
            name: format!("task_experts.{task}"),
            value: "absent".to_owned(),
            expected: "a number for each task".to_owned(),
        })
    };
    tasks.iter().map(count).collect()
}

fn of_levels<T>(name: &str, list: Vec<T>, levels: usize) -> Result<Vec<T>> {
    if list.len() == levels {
        return Ok(list);
    }
    let (value, expected) = (format!("a list of {}", list.len()), format!("{levels}, one a level"));
    Err(Error::Setting { name: name.to_owned(), value, expected })
}

fn at_least_one(name: &str, n: usize) -> Result<()> {
    if n > 0 {
        return Ok(());
    }
    let (value, expected) = ("0".to_owned(), "at least 1".to_owned());
    Err(Error::Setting { name: name.to_owned(), value, expected })
}

fn widths(
    name: &str,
    own: &Option<Vec<usize>>,
    default: &[usize],
    at_least: usize,
) -> Result<Vec<usize>> {
    let widths = own.clone().unwrap_or_else(|| default.to_vec());
    if widths.len() >= at_least && !widths.contains(&0) {
        return Ok(widths);
    }
    let (value, expected) = (format!("{widths:?}"), "widths of at least 1".to_owned());
    Err(Error::Setting { name: name.to_owned(), value, expected })
}

/// The tasks by name: their order in the file changes no number.
fn sorted(tasks: &[impl AsRef<str>]) -> Result<Vec<String>> {
    let mut tasks: Vec<String> = tasks.iter().map(|t| t.as_ref().to_owned()).collect();
    tasks.sort();
    if tasks.is_empty() {
        return Err(Error::Tasks("there is no task to train".to_owned()));
    }
    if let Some(pair) = tasks.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::Tasks(format!("the task `{}` is declared twice", pair[0])));
    }
    Ok(tasks)
}

/// Layers of the parts.
impl Settings {
    /// The tasks, sorted by name.
    pub fn tasks(&self) -> &[String] {
        &self.tasks
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

    /// A tower: hidden layers and the logit.
    pub(crate) fn tower(&self) -> Vec<StackLayer> {
        let hidden = |&n_out: &usize| StackLayer {
            n_out,
            bias: true,
            norm: self.norm,
            activation: Activation::Relu,
            dropout: self.rates.tower,
        };
        let logit = StackLayer {
            n_out: 1,
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
