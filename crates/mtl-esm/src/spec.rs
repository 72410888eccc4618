//! The words a behaviour graph is declared in: events, edges, conditional probabilities.

use serde::{Deserialize, Serialize};

/// How an event follows from the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Edge {
    /// With probability σ(a), a the logit of a tower, independently of the other ways out.
    Tower(String),
    /// As one of several exclusive branches: all edges that leave one event under one group name
    /// share e^{a_k} / Σ_j e^{a_j}.
    Softmax {
        /// Name of the group.
        group: String,
        /// The branch's tower; at most one branch of a group has none, and the logit 0.
        tower: Option<String>,
    },
    /// When the named event, reached from the same event by a tower of its own, does not happen:
    /// with probability 1 − σ(a).
    Not(String),
    /// Always: the event is the union of the exclusive events that lead to it.
    Always,
}

impl Edge {
    /// See [`Edge::Tower`].
    pub fn tower(tower: impl Into<String>) -> Self {
        Self::Tower(tower.into())
    }

    /// See [`Edge::Softmax`].
    pub fn softmax(group: impl Into<String>, tower: impl Into<String>) -> Self {
        Self::Softmax { group: group.into(), tower: Some(tower.into()) }
    }

    /// The branch of a softmax whose logit is 0.
    pub fn otherwise(group: impl Into<String>) -> Self {
        Self::Softmax { group: group.into(), tower: None }
    }

    /// See [`Edge::Not`].
    pub fn not(event: impl Into<String>) -> Self {
        Self::Not(event.into())
    }
}

/// An event: the paths that lead to it, and its label if it is observed.
///
/// ```
/// use mtl_esm::{Edge, Event};
///
/// let action = Event::new("action").from("click", Edge::tower("y2")).any_of(["cart", "wish"]);
/// # assert_eq!(action, action.clone());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub(crate) name: String,
    pub(crate) paths: Vec<(String, Edge)>,
    pub(crate) labels: Vec<String>,
    pub(crate) weight: f64,
    pub(crate) output: Option<String>,
}

impl Event {
    /// An event that nothing leads to yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), paths: Vec::new(), labels: Vec::new(), weight: 1.0, output: None }
    }

    /// Adds a path: the event follows from `parent` by `edge`. Several paths must be exclusive.
    #[must_use]
    pub fn from(mut self, parent: impl Into<String>, edge: Edge) -> Self {
        self.paths.push((parent.into(), edge));
        self
    }

    /// The label column that says whether the event happened. It makes the event supervised.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        self.any_of([label])
    }

    /// The event happened if any of these label columns says so.
    #[must_use]
    pub fn any_of<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        self.labels = labels.into_iter().map(Into::into).collect();
        self
    }

    /// Weight of the event's loss, 1 by default. With 0 the label is known (it counts for nesting
    /// and for evaluation) but trains nothing.
    #[must_use]
    pub const fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// Name of the output that holds the event's probability; `p_<event>` by default.
    #[must_use]
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.output = Some(name.into());
        self
    }
}

/// The probability of an event given an earlier one, as an output, with a loss if wanted.
///
/// It needs no tower of its own: ESM2's pCVR = P(purchase | click) = y2·y3 + (1 − y2)·y4.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditional {
    pub(crate) name: String,
    pub(crate) event: String,
    pub(crate) given: String,
    pub(crate) loss: Option<ConditionalLoss>,
    pub(crate) weight: f64,
}

impl Conditional {
    /// The probability of `event` given `given`, as the output `name`.
    pub fn new(
        name: impl Into<String>,
        event: impl Into<String>,
        given: impl Into<String>,
    ) -> Self {
        let (name, event, given) = (name.into(), event.into(), given.into());
        Self { name, event, given, loss: None, weight: 1.0 }
    }

    /// Its name, which is that of its output and of its loss.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The event whose probability it is.
    pub fn event(&self) -> &str {
        &self.event
    }

    /// The event that it is given.
    pub fn given(&self) -> &str {
        &self.given
    }

    /// Adds a loss on this probability, of the conditional's name.
    #[must_use]
    pub fn loss(mut self, loss: ConditionalLoss) -> Self {
        self.loss = Some(loss);
        self
    }

    /// Weight of that loss, 1 by default.
    #[must_use]
    pub const fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// The tower of the imputed error, if there is one.
    pub(crate) fn imputation(&self) -> Option<&str> {
        match &self.loss {
            Some(ConditionalLoss::DoublyRobust { imputation, .. }) => Some(imputation),
            _ => None,
        }
    }

    /// Whether it has a loss with a weight.
    pub(crate) fn is_trained(&self) -> bool {
        self.loss.is_some() && self.weight > 0.0
    }
}

/// A loss on a conditional probability p = P(event | given): the baselines that an entire-space
/// chain is compared with, and the regularisers of ESCM².
///
/// δ is the BCE of p against the event's label, o whether `given` happened, ô its probability.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConditionalLoss {
    /// Σ o·δ / Σ o: trained where `given` happened (naive CVR).
    Space,
    /// Mean of δ over all rows, rows without `given` being negatives.
    AllRows,
    /// Mean of o·δ/max(ô, floor) over all rows: ESCM²-IPS.
    InversePropensity {
        /// The least propensity, in (0, 1].
        floor: f64,
    },
    /// Mean of δ̂ + o/max(ô, floor)·(e + e²) with e = δ − δ̂ over all rows: ESCM²-DR.
    DoublyRobust {
        /// The least propensity, in (0, 1].
        floor: f64,
        /// The tower whose softplus is the imputed error δ̂.
        imputation: String,
        /// Whether e² moves the event's tower too; see [`crate::ops::DoublyRobust::joint`].
        joint: bool,
    },
}

/// What happens to a row whose labels contradict the graph: a purchase without a click.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nesting {
    /// Such a row is an error; see [`crate::NestingCheck`].
    #[default]
    Error,
    /// Each label is multiplied by those of the events that lie on every path to its event.
    Multiply,
}
