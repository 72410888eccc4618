//! Tasks: a label, a loss and a weight, bound by name.

use mtl_feature::{GROUP_SLOT, LABEL_SLOT, LabelKind, LabelSpec, Schema, WEIGHT_SLOT};
use mtl_nn::ops::{
    Bce, Bpr, Focal, Huber, LogCosh, PointLoss, RowLoss, SoftmaxLoss, SquaredError, WeightedBce,
};
use mtl_nn::{GraphBuilder, Scalar, ValueSlot, Var};
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
    /// ln cosh(z − y).
    LogCosh,
    /// Binary cross-entropy whose positives count `positive_weight` times.
    WeightedBce,
    /// Focal loss with `gamma` and `alpha`: rows that are right already fade.
    Focal,
    /// Pairwise ranking within the groups of `[data]`.
    Bpr,
    /// Softmax cross-entropy of several classes.
    Softmax,
}

impl TaskLoss {
    /// The kind of label that it is a loss of.
    pub const fn kind(self) -> LabelKind {
        match self {
            Self::Bce | Self::WeightedBce | Self::Focal | Self::Bpr => LabelKind::Binary,
            Self::SquaredError | Self::Huber | Self::LogCosh => LabelKind::Regression,
            Self::Softmax => LabelKind::Multiclass,
        }
    }

    /// The keys of a task that only this loss reads.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Huber => &["delta"],
            Self::WeightedBce => &["positive_weight"],
            Self::Focal => &["gamma", "alpha"],
            Self::Softmax => &["classes"],
            _ => &[],
        }
    }
}

/// The classes of a task of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of classes, or a list of their names")]
pub enum Classes {
    /// 0, 1, … below this.
    Count(usize),
    /// These, in this order.
    Names(Vec<String>),
}

/// One `[[task]]` of a configuration.
///
/// | key | default | purpose |
/// |---|---|---|
/// | `name` | – | the task's name: letters, digits, `_` and `-` |
/// | `label` | `name` | the column of its label |
/// | `kind` | that of `loss`, else `"binary"` | `"binary"` (0 or 1), `"regression"` or `"multiclass"` |
/// | `positive` | none | for a column that is not 0 and 1: the values that are 1 |
/// | `loss` | `"bce"`, `"squared_error"`, `"softmax"` | or `"weighted_bce"`, `"focal"`, `"bpr"` (binary), `"huber"`, `"log_cosh"` (regression) |
/// | `delta` | 1.0 | where Huber's loss turns linear, > 0 |
/// | `positive_weight` | – | how often a positive counts in `weighted_bce`, > 0 |
/// | `gamma`, `alpha` | 2.0, 0.25 | focal loss: how fast easy rows fade, ≥ 0; weight of positives, in \[0, 1\] |
/// | `classes` | those of the training rows | number (0, 1, …) or names of the classes (multiclass) |
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
    /// What values the label may have; those that its loss is for, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<LabelKind>,
    /// The values that are 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positive: Vec<String>,
    /// Its loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<TaskLoss>,
    /// Where Huber's loss turns linear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// How often a positive counts in weighted cross-entropy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive_weight: Option<f64>,
    /// How fast easy rows fade in focal loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    /// The weight of positives in focal loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// The classes of a task of several; those of the training rows, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Classes>,
    /// The factor on its loss.
    #[serde(default = "one")]
    pub weight: f64,
}

/// Where Huber's loss turns linear, if nothing is said.
const DELTA: f64 = 1.0;

/// How fast easy rows fade in focal loss, likewise.
const GAMMA: f64 = 2.0;

/// The weight of positives in focal loss, likewise.
const ALPHA: f64 = 0.25;

const fn one() -> f64 {
    1.0
}

impl TaskConfig {
    /// A binary task whose label is the column of its name.
    pub fn binary(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            label: None,
            kind: None,
            positive: Vec::new(),
            loss: None,
            delta: None,
            positive_weight: None,
            gamma: None,
            alpha: None,
            classes: None,
            weight: 1.0,
        }
    }

    /// The task that a label defines.
    pub fn from_label(label: &LabelSpec) -> Self {
        Self {
            label: label.column.clone(),
            kind: Some(label.kind),
            positive: label.positive.clone(),
            classes: (!label.classes.is_empty()).then(|| Classes::Names(label.classes.clone())),
            ..Self::binary(&label.name)
        }
    }

    /// Its label, for the schema.
    pub fn label_spec(&self) -> LabelSpec {
        let label = match self.label_kind() {
            LabelKind::Regression => LabelSpec::regression(&self.name),
            LabelKind::Multiclass => {
                let classes = match &self.classes {
                    Some(Classes::Count(n)) => (0..*n).map(|class| class.to_string()).collect(),
                    Some(Classes::Names(names)) => names.clone(),
                    None => Vec::new(),
                };
                LabelSpec::multiclass(&self.name).classes(classes)
            }
            _ => LabelSpec::binary(&self.name),
        };
        let column = self.label.clone().unwrap_or_else(|| self.name.clone());
        label.column(column).positive(self.positive.iter().cloned())
    }

    /// What values its label may have.
    pub fn label_kind(&self) -> LabelKind {
        self.kind.or(self.loss.map(TaskLoss::kind)).unwrap_or_default()
    }

    /// Whether its label is 0 or 1, and its output one number between them.
    pub fn is_binary(&self) -> bool {
        self.label_kind() == LabelKind::Binary
    }

    /// Its loss.
    pub fn task_loss(&self) -> TaskLoss {
        self.loss.unwrap_or(match self.label_kind() {
            LabelKind::Regression => TaskLoss::SquaredError,
            LabelKind::Multiclass => TaskLoss::Softmax,
            _ => TaskLoss::Bce,
        })
    }

    /// The same task with its defaults written out: two that train alike are equal.
    pub fn spelt_out(&self) -> Self {
        let loss = self.task_loss();
        let or = |key: &str, given: Option<f64>, default: f64| {
            loss.keys().contains(&key).then(|| given.unwrap_or(default))
        };
        Self {
            label: Some(self.label.clone().unwrap_or_else(|| self.name.clone())),
            kind: Some(self.label_kind()),
            loss: Some(loss),
            delta: or("delta", self.delta, DELTA),
            gamma: or("gamma", self.gamma, GAMMA),
            alpha: or("alpha", self.alpha, ALPHA),
            ..self.clone()
        }
    }

    /// The output that holds the probability of one of its classes.
    pub fn class_output(&self, class: &str) -> String {
        format!("p_{}_{class}", self.name)
    }

    /// Its classes by a schema that was fitted for it; none unless it has several.
    pub fn classes<'s>(&self, schema: &'s Schema) -> &'s [String] {
        let label = schema.labels().iter().find(|label| label.name == self.name);
        label.map_or(&[], |label| &label.classes)
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
        let (kind, loss) = (self.label_kind(), self.task_loss());
        if loss.kind() != kind {
            let (name, kind, of) = (name_of(&loss), name_of(&kind), name_of(&loss.kind()));
            return wrong(format!("`{name}` is a loss of `kind = {of}`, and the kind is {kind}"));
        }
        self.check_keys()?;
        match self.point_losses() {
            Err(error) => wrong(error.to_string()),
            Ok(_) if matches!(self.classes, Some(Classes::Count(n)) if n < 2) => {
                wrong("`classes` is below 2, expected at least 2".into())
            }
            Ok(_) => Ok(()),
        }
    }

    /// A key that the loss does not read is a mistake.
    fn check_keys(&self) -> Result<()> {
        let given = [
            ("delta", self.delta.is_some()),
            ("positive_weight", self.positive_weight.is_some()),
            ("gamma", self.gamma.is_some()),
            ("alpha", self.alpha.is_some()),
            ("classes", self.classes.is_some()),
        ];
        let loss = self.task_loss();
        let stray = given.iter().find(|(key, given)| *given && !loss.keys().contains(key));
        if let Some((key, _)) = stray {
            let loss = name_of(&loss);
            let message = format!("`{}`: `{key}` is no setting of `loss = {loss}`", self.name);
            return Err(Error::config("task", message));
        }
        if loss == TaskLoss::WeightedBce && self.positive_weight.is_none() {
            let message =
                "`loss = \"weighted_bce\"` needs `positive_weight`, expected a number > 0";
            return Err(Error::config("task", format!("`{}`: {message}", self.name)));
        }
        Ok(())
    }

    /// The settings of the losses that have some, checked.
    fn point_losses(&self) -> mtl_nn::Result<(Huber, WeightedBce, Focal)> {
        Ok((
            Huber::new(self.delta.unwrap_or(DELTA))?,
            WeightedBce::new(self.positive_weight.unwrap_or(1.0))?,
            Focal::new(self.gamma.unwrap_or(GAMMA), self.alpha.unwrap_or(ALPHA))?,
        ))
    }

    /// Gives `visit` the loss of a single value and label; `None` where the loss is none of such:
    /// of several classes, or of pairs.
    ///
    /// # Errors
    /// [`Error::Graph`] for settings that cannot be.
    pub fn with_point_loss<V: VisitPointLoss>(&self, visit: V) -> Result<Option<V::Output>> {
        let (huber, weighted_bce, focal) = self.point_losses()?;
        Ok(Some(match self.task_loss() {
            TaskLoss::Bce => visit.visit(Bce),
            TaskLoss::WeightedBce => visit.visit(weighted_bce),
            TaskLoss::Focal => visit.visit(focal),
            TaskLoss::SquaredError => visit.visit(SquaredError),
            TaskLoss::Huber => visit.visit(huber),
            TaskLoss::LogCosh => visit.visit(LogCosh),
            TaskLoss::Bpr | TaskLoss::Softmax => return Ok(None),
        }))
    }

    /// Adds the task's loss over its logit (rows × 1, or rows × classes) to a graph, as
    /// `loss.<name>`; `penalty` (rows × 1) is added to each row of a loss of single values.
    pub(crate) fn add_loss<S: Scalar>(
        &self,
        b: &mut GraphBuilder<S>,
        z: Var,
        penalty: Option<Var>,
    ) -> Result<()> {
        let label = b.values(&format!("{LABEL_SLOT}{}", self.name), 1)?;
        let weight = Some(b.values(WEIGHT_SLOT, 1)?);
        let node = format!("loss.{}", self.name);
        let loss = match self.task_loss() {
            TaskLoss::Softmax => b.push(&node, SoftmaxLoss::new(z, label, weight))?,
            TaskLoss::Bpr => {
                let group = b.ids(GROUP_SLOT);
                b.push(&node, Bpr::new(z, label, group, weight))?
            }
            _ => {
                let row_loss = AddRowLoss { b, node: &node, z, label, weight, penalty };
                let added = self.with_point_loss(row_loss)?;
                added.expect("the other losses are of single values")?
            }
        };
        Ok(b.loss(&self.name, loss)?)
    }
}

/// What is done with the loss of a task, whichever it is.
pub trait VisitPointLoss {
    /// What comes of it.
    type Output;

    /// Takes the loss.
    fn visit<L: PointLoss + 'static>(self, loss: L) -> Self::Output;
}

struct AddRowLoss<'a, S> {
    b: &'a mut GraphBuilder<S>,
    node: &'a str,
    z: Var,
    label: ValueSlot,
    weight: Option<ValueSlot>,
    penalty: Option<Var>,
}

impl<S: Scalar> VisitPointLoss for AddRowLoss<'_, S> {
    type Output = mtl_nn::Result<Var>;

    fn visit<L: PointLoss + 'static>(self, loss: L) -> Self::Output {
        let loss = RowLoss::new(loss, self.z, self.label, self.weight);
        self.b.push(self.node, if let Some(a) = self.penalty { loss.plus(a) } else { loss })
    }
}

/// What a configuration calls a kind or a loss, in quotes.
fn name_of(value: &impl Serialize) -> String {
    toml::Value::try_from(value).map_or_else(|_| String::new(), |value| value.to_string())
}
