//! Settings as a user writes them, checked once into [`Settings`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::settings::{Rates, Settings, Units};
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
#[serde(untagged, expecting = "expected a number, or a table with a number for each task")]
pub enum Counts {
    /// The same for every task.
    All(usize),
    /// By the task's name.
    ByTask(BTreeMap<String, usize>),
}

/// A setting for every level of PLE, or one for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a value, or a list with one for each level")]
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
    /// AITM's order of the tasks, each once, as `["click", "buy"]`; it has no default.
    pub sequence: Option<Vec<String>>,
    /// AITM's weight on the excess of a probability over the one before it in the sequence; 0.6.
    pub sequence_penalty: Option<f64>,
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
    /// Columns of the logits of tasks that have more than one, by name: the classes of a task of
    /// several. It follows from the tasks, so it is no key of a configuration.
    #[serde(skip)]
    pub n_logits: BTreeMap<String, usize>,
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
        let n_logits: Vec<usize> =
            tasks.iter().map(|task| self.n_logits.get(task).copied().unwrap_or(1)).collect();
        if let Some(t) = n_logits.iter().position(|&n| n == 0) {
            at_least_one(&format!("n_logits.{}", tasks[t]), 0)?;
        }
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
        let sequence = self.sequence(&tasks)?;
        let settings = Settings {
            tasks,
            n_logits,
            preset: self.preset,
            sequence,
            sequence_penalty: self.sequence_penalty()?,
            experts,
            task_experts,
            shared_experts,
            units,
            rates: self.rates()?,
            norm: None,
        };
        let norm = self.batch_norm.then(|| settings.preset_norm());
        Ok(Settings { norm, ..settings })
    }

    /// The tasks' positions in the order of the sequence; that of their names if there is none.
    fn sequence(&self, tasks: &[String]) -> Result<Vec<usize>> {
        let Some(sequence) = &self.sequence else { return Ok((0..tasks.len()).collect()) };
        let positions: Option<Vec<usize>> =
            sequence.iter().map(|name| tasks.iter().position(|task| task == name)).collect();
        let mut sorted = positions.clone().unwrap_or_default();
        sorted.sort_unstable();
        match positions {
            Some(positions) if sorted.iter().copied().eq(0..tasks.len()) => Ok(positions),
            _ => {
                let (name, value) = ("sequence".to_owned(), format!("{sequence:?}"));
                let expected = format!("each of {} once", tasks.join(", "));
                Err(Error::Setting { name, value, expected })
            }
        }
    }

    fn sequence_penalty(&self) -> Result<f64> {
        let weight = self.sequence_penalty.unwrap_or(0.6);
        if weight >= 0.0 && weight.is_finite() {
            return Ok(weight);
        }
        let (name, value) = ("sequence_penalty".to_owned(), weight.to_string());
        Err(Error::Setting { name, value, expected: "a number ≥ 0".to_owned() })
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

#[cfg(test)]
mod tests;
