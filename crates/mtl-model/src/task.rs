//! Tasks: a label, a loss and a weight, bound by name.

use mtl_feature::{LABEL_SLOT, LabelKind, LabelSpec, WEIGHT_SLOT};
use mtl_nn::ops::{Bce, Huber, RowLoss, SquaredError};
use mtl_nn::{GraphBuilder, Scalar, Var};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A task's loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskLoss {
    /// Binary cross-entropy from the logit.
    Bce,
    /// (z − y)².
    SquaredError,
    /// Huber's loss, quadratic within `delta`.
    Huber,
}

/// One `[[task]]` of a configuration.
///
/// | key | default | purpose |
/// |---|---|---|
/// | `name` | – | the task's name: letters, digits, `_` and `-` |
/// | `label` | `name` | the column of its label |
/// | `kind` | `"binary"` | `"binary"` (0 or 1) or `"regression"` |
/// | `positive` | none | for a column that is not 0 and 1: the values that are 1 |
/// | `loss` | `"bce"`, `"squared_error"` | or `"huber"` (regression) |
/// | `delta` | 1.0 | where Huber's loss turns linear, > 0 |
/// | `weight` | 1.0 | the factor on its loss, ≥ 0 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TaskConfig {
    /// Its name.
    pub name: String,
    /// The column of its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What values the label may have.
    #[serde(default)]
    pub kind: LabelKind,
    /// The values that are 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positive: Vec<String>,
    /// Its loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<TaskLoss>,
    /// Where Huber's loss turns linear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// The factor on its loss.
    #[serde(default = "one")]
    pub weight: f64,
}

const fn one() -> f64 {
    1.0
}

impl TaskConfig {
    /// A binary task whose label is the column of its name.
    pub fn binary(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            label: None,
            kind: LabelKind::Binary,
            positive: Vec::new(),
            loss: None,
            delta: None,
            weight: 1.0,
        }
    }

    /// The task that a label defines.
    pub fn from_label(label: &LabelSpec) -> Self {
        Self {
            label: label.column.clone(),
            kind: label.kind,
            positive: label.positive.clone(),
            ..Self::binary(&label.name)
        }
    }

    /// Its label, for the schema.
    pub fn label_spec(&self) -> LabelSpec {
        let label = match self.kind {
            LabelKind::Binary => LabelSpec::binary(&self.name),
            _ => LabelSpec::regression(&self.name),
        };
        let column = self.label.clone().unwrap_or_else(|| self.name.clone());
        label.column(column).positive(self.positive.iter().cloned())
    }

    /// Whether its output is a probability.
    pub fn is_binary(&self) -> bool {
        self.kind == LabelKind::Binary
    }

    /// Its loss.
    pub fn task_loss(&self) -> TaskLoss {
        let default = if self.is_binary() { TaskLoss::Bce } else { TaskLoss::SquaredError };
        self.loss.unwrap_or(default)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong =
            |message: String| Err(Error::config("task", format!("`{}`: {message}", self.name)));
        let of_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        if self.name.is_empty() || !self.name.chars().all(of_name) {
            return wrong(
                "the name may have letters, digits, `_` and `-`, and at least one".into(),
            );
        }
        if self.name == "macro" {
            return wrong("`macro` names the mean over tasks, expected another name".into());
        }
        if !(self.weight >= 0.0 && self.weight.is_finite()) {
            return wrong(format!("`weight` is {}, expected a number ≥ 0", self.weight));
        }
        if self.is_binary() != (self.task_loss() == TaskLoss::Bce) {
            return wrong("`bce` is the loss of a binary task, the others of a regression".into());
        }
        match self.delta {
            Some(_) if self.task_loss() != TaskLoss::Huber => {
                wrong("`delta` is for `loss = \"huber\"` only".into())
            }
            Some(delta) if !(delta > 0.0 && delta.is_finite()) => {
                wrong(format!("`delta` is {delta}, expected a number > 0"))
            }
            _ => Ok(()),
        }
    }

    /// Adds the task's loss over its logit (rows × 1) to a graph, as `loss.<name>`.
    pub(crate) fn add_loss<S: Scalar>(&self, b: &mut GraphBuilder<S>, z: Var) -> Result<()> {
        let label = b.values(&format!("{LABEL_SLOT}{}", self.name), 1)?;
        let weight = Some(b.values(WEIGHT_SLOT, 1)?);
        let node = format!("loss.{}", self.name);
        let loss = match self.task_loss() {
            TaskLoss::Bce => b.push(&node, RowLoss::new(Bce, z, label, weight))?,
            TaskLoss::SquaredError => {
                b.push(&node, RowLoss::new(SquaredError, z, label, weight))?
            }
            TaskLoss::Huber => {
                let huber = Huber { delta: self.delta.unwrap_or(1.0) };
                b.push(&node, RowLoss::new(huber, z, label, weight))?
            }
        };
        Ok(b.loss(&self.name, loss)?)
    }
}
