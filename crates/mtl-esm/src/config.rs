//! The `[chain]` table of a configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    BehaviourGraph, BehaviourGraphBuilder, Conditional, ConditionalLoss, Edge, Error, Event,
    Nesting, Preset, Result,
};

/// A behaviour graph as a configuration file spells it: a preset, or events one by one.
///
/// | key | default | purpose |
/// |---|---|---|
/// | `preset` | – | see [`Preset`]; not together with `event` |
/// | `labels` | the event's name | with a preset: an event's label column, or several (any of) |
/// | `weights` | 1 | with a preset: weight of the loss of an event or conditional, ≥ 0 |
/// | `floor` | 0.05 | with an ESCM² preset: the least propensity, in (0, 1] |
/// | `nesting` | `error`; of presets `multiply` | see [`Nesting`] |
/// | `root` | `impression` | name of the root |
/// | `shared_towers` | none | towers that several edges mean to use |
/// | `[[chain.event]]` | – | see [`EventConfig`] |
/// | `[[chain.conditional]]` | – | see [`ConditionalConfig`] |
///
/// ```
/// use mtl_esm::ChainConfig;
///
/// let config: ChainConfig = toml::from_str(r#"
///     preset = "esmm"
///     labels = { click = "is_click", conversion = "is_like" }
/// "#)?;
/// assert_eq!(config.build()?.labels(), ["is_click", "is_like"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainConfig {
    /// A named graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Name of the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// What happens to labels that contradict the graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nesting: Option<Nesting>,
    /// The least propensity of a preset's counterfactual loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// Towers that several edges mean to use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared_towers: Vec<String>,
    /// Label columns of a preset's events.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, LabelConfig>,
    /// Weights of a preset's losses.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, f64>,
    /// Events.
    #[serde(rename = "event", skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventConfig>,
    /// Conditional probabilities, as outputs.
    #[serde(rename = "conditional", skip_serializing_if = "Vec::is_empty")]
    pub conditionals: Vec<ConditionalConfig>,
}

/// One label column, or several of which any says that the event happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LabelConfig {
    /// One column.
    One(String),
    /// Any of several.
    AnyOf(Vec<String>),
}

/// One event. It has one path, written in the event itself, or several in `paths`.
// The keys of a path stand here again because serde's `flatten` cannot refuse unknown keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventConfig {
    /// Its name.
    pub name: String,
    /// Of its one path: the event it follows from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Of its one path: see [`PathConfig::tower`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tower: Option<String>,
    /// Of its one path: see [`PathConfig::softmax`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub softmax: Option<String>,
    /// Of its one path: see [`PathConfig::not`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<String>,
    /// Of its one path: see [`PathConfig::always`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub always: bool,
    /// Exclusive paths that lead to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathConfig>,
    /// Its label, if it is observed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<LabelConfig>,
    /// Weight of its loss, ≥ 0; 1 by default, 0 for a label that trains nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Name of the output that holds its probability; `p_<name>` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// One path to an event: exactly one of `tower`, `softmax` (with or without a `tower`), `not`
/// and `always`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PathConfig {
    /// The event it follows from.
    pub from: String,
    /// The tower whose logit gives the probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tower: Option<String>,
    /// The group of exclusive branches that the path is one of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub softmax: Option<String>,
    /// The event whose not happening it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<String>,
    /// Whether the event always follows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub always: bool,
}

/// A conditional probability P(event | given) as an output, with a loss if wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionalConfig {
    /// Name of the output, and of the loss.
    pub name: String,
    /// The event.
    pub event: String,
    /// The event it follows from.
    pub given: String,
    /// A loss on it, `{ kind = "space" }` and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossConfig>,
    /// Weight of that loss, ≥ 0; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
}

/// See [`ConditionalLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LossConfig {
    /// See [`ConditionalLoss::Space`].
    Space {},
    /// See [`ConditionalLoss::AllRows`].
    AllRows {},
    /// See [`ConditionalLoss::InversePropensity`].
    InversePropensity {
        /// The least propensity, in (0, 1].
        floor: f64,
    },
    /// See [`ConditionalLoss::DoublyRobust`].
    DoublyRobust {
        /// The least propensity, in (0, 1].
        floor: f64,
        /// The tower of the imputed error.
        imputation: String,
        /// Whether the square of the error moves the event's tower too.
        #[serde(default)]
        joint: bool,
    },
}

impl ChainConfig {
    /// The checked graph.
    ///
    /// # Errors
    /// Those of [`ChainConfig::builder`] and [`BehaviourGraphBuilder::build`].
    pub fn build(&self) -> Result<BehaviourGraph> {
        self.builder()?.build()
    }

    /// The builder that the configuration describes.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that exclude each other, [`Error::Unknown`] for a label or
    /// weight of an event that the preset does not have.
    pub fn builder(&self) -> Result<BehaviourGraphBuilder> {
        let mut builder = match self.preset {
            Some(preset) => self.of_preset(preset)?,
            None => self.of_events()?,
        };
        if let Some(nesting) = self.nesting {
            builder = builder.nesting(nesting);
        }
        Ok(builder)
    }

    fn of_preset(&self, preset: Preset) -> Result<BehaviourGraphBuilder> {
        let alone = |key, given: bool| match given {
            true => Err(chain(key, "given beside `preset`", "a preset or a graph of its own")),
            false => Ok(()),
        };
        alone("event", !self.events.is_empty())?;
        alone("conditional", !self.conditionals.is_empty())?;
        alone("root", self.root.is_some())?;
        alone("shared_towers", !self.shared_towers.is_empty())?;
        let mut builder = preset.builder();
        if let Some(floor) = self.floor {
            let given = builder.conditionals.iter_mut().find_map(|c| c.floor_mut());
            let expected = "used with `escm2_ips` or `escm2_dr` only";
            *given.ok_or_else(|| chain("floor", &floor.to_string(), expected))? = floor;
        }
        for (event, label) in &self.labels {
            builder = builder.relabel(event, label.columns().to_vec())?;
        }
        for (loss, &weight) in &self.weights {
            builder = builder.reweight(loss, weight)?;
        }
        Ok(builder)
    }

    fn of_events(&self) -> Result<BehaviourGraphBuilder> {
        let of_presets = [
            ("labels", !self.labels.is_empty(), "`label` in each event"),
            ("weights", !self.weights.is_empty(), "`weight` in each event"),
            ("floor", self.floor.is_some(), "`floor` in the conditional's loss"),
        ];
        for (key, given, expected) in of_presets {
            if given {
                return Err(chain(key, "given without `preset`", expected));
            }
        }
        if self.events.is_empty() {
            return Err(chain("preset", "not given", "a preset, or events"));
        }
        let mut builder = BehaviourGraph::builder();
        if let Some(root) = &self.root {
            builder = builder.root(root);
        }
        for event in &self.events {
            builder = builder.event(event.event()?);
        }
        for conditional in &self.conditionals {
            builder = builder.conditional(conditional.conditional());
        }
        Ok(self.shared_towers.iter().fold(builder, |b, tower| b.share_tower(tower)))
    }
}

impl LabelConfig {
    /// The columns.
    pub fn columns(&self) -> &[String] {
        match self {
            Self::One(column) => std::slice::from_ref(column),
            Self::AnyOf(columns) => columns,
        }
    }
}

impl EventConfig {
    fn event(&self) -> Result<Event> {
        let owner = || format!("event `{}`", self.name);
        let mut event = Event::new(&self.name).weight(self.weight.unwrap_or(1.0));
        let inline = PathConfig {
            from: self.from.clone().unwrap_or_default(),
            tower: self.tower.clone(),
            softmax: self.softmax.clone(),
            not: self.not.clone(),
            always: self.always,
        };
        let has_inline = inline != PathConfig::default();
        if has_inline && !self.paths.is_empty() {
            let expected = "one path in the event itself, or several in `paths`";
            return Err(setting(owner(), "paths", "given beside a path of its own", expected));
        }
        for path in self.paths.iter().chain(has_inline.then_some(&inline)) {
            event = event.from(&path.from, path.edge(&self.name)?);
        }
        if let Some(label) = &self.label {
            if label.columns().is_empty() {
                return Err(setting(owner(), "label", "an empty list", "at least one column"));
            }
            event = event.any_of(label.columns().to_vec());
        }
        Ok(match &self.output {
            Some(output) => event.output(output),
            None => event,
        })
    }
}

impl PathConfig {
    fn edge(&self, event: &str) -> Result<Edge> {
        let owner = || format!("event `{event}`");
        if self.from.is_empty() {
            return Err(setting(owner(), "from", "not given", "the event that it follows from"));
        }
        match (&self.tower, &self.softmax, &self.not, self.always) {
            (Some(tower), None, None, false) => Ok(Edge::tower(tower)),
            (tower, Some(group), None, false) => {
                Ok(Edge::Softmax { group: group.clone(), tower: tower.clone() })
            }
            (None, None, Some(of), false) => Ok(Edge::not(of)),
            (None, None, None, true) => Ok(Edge::Always),
            _ => {
                let expected =
                    "one of `tower`, `softmax` (with a `tower` or without), `not`, `always`";
                let value = format!("none or several ways from `{}`", self.from);
                Err(setting(owner(), "path", &value, expected))
            }
        }
    }
}

impl ConditionalConfig {
    fn conditional(&self) -> Conditional {
        let conditional = Conditional::new(&self.name, &self.event, &self.given)
            .weight(self.weight.unwrap_or(1.0));
        match &self.loss {
            Some(loss) => conditional.loss(loss.loss()),
            None => conditional,
        }
    }
}

impl LossConfig {
    fn loss(&self) -> ConditionalLoss {
        match self.clone() {
            Self::Space {} => ConditionalLoss::Space,
            Self::AllRows {} => ConditionalLoss::AllRows,
            Self::InversePropensity { floor } => ConditionalLoss::InversePropensity { floor },
            Self::DoublyRobust { floor, imputation, joint } => {
                ConditionalLoss::DoublyRobust { floor, imputation, joint }
            }
        }
    }
}

impl Conditional {
    fn floor_mut(&mut self) -> Option<&mut f64> {
        match &mut self.loss {
            Some(
                ConditionalLoss::InversePropensity { floor }
                | ConditionalLoss::DoublyRobust { floor, .. },
            ) => Some(floor),
            _ => None,
        }
    }
}

fn chain(key: &'static str, value: &str, expected: &'static str) -> Error {
    setting("chain".to_owned(), key, value, expected)
}

fn setting(owner: String, key: &'static str, value: &str, expected: &'static str) -> Error {
    Error::Setting { owner, key, value: value.to_owned(), expected }
}
