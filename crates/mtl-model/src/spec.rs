//! What a user writes about a model.

use mtl_arch::{ArchitectureConfig, InputKind, NAMES, architecture};
use mtl_esm::{BehaviourGraph, ChainConfig};
use mtl_feature::{InputConfig, LabelSpec};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, TaskConfig, parse_table};

/// A model's name and settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// The architecture's name, one of [`NAMES`].
    pub name: String,
    /// The input layer.
    pub embedding: InputConfig,
    /// Whether each tower's logit has a first-order term beside the network: a weight for each id.
    #[serde(default)]
    pub first_order: bool,
    /// The feature that says which domain a row belongs to, for an architecture that reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The architecture's settings.
    pub architecture: ArchitectureConfig,
}

impl ModelConfig {
    /// An architecture with every setting at its default.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            embedding: InputConfig::default(),
            first_order: false,
            domain: None,
            architecture: ArchitectureConfig::default(),
        }
    }

    /// The feature of the domain, which the architecture needs.
    pub(crate) fn domain(&self) -> Result<&str> {
        self.domain.as_deref().ok_or_else(|| {
            let message = format!(
                "`{}` needs `domain`, expected the name of a categorical feature that says which \
                 domain a row belongs to",
                self.name
            );
            Error::config("model", message)
        })
    }
}

/// The `[model]` table of a configuration.
///
/// `name` is the architecture, `embedding` a table for the input layer ([`InputConfig`]),
/// `first_order = true` adds a weight for each id to every tower's logit, `domain` names the feature
/// of the rows' domains (STAR), a table
/// named like an architecture (`[model.ple]`) holds settings for that one alone, and everything
/// else is a setting of [`ArchitectureConfig`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelTable {
    name: Option<String>,
    shared: toml::Table,
    embedding: InputConfig,
    first_order: bool,
    domain: Option<String>,
    own: toml::Table,
}

impl ModelTable {
    /// Reads and checks the table.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown or wrong key.
    pub fn parse(mut table: toml::Table) -> Result<Self> {
        let name = match table.remove("name") {
            None => None,
            Some(toml::Value::String(name)) => Some(known(name)?),
            Some(other) => {
                return Err(Error::config("model", format!("`name` is {other}, expected a text")));
            }
        };
        let embedding = match table.remove("embedding") {
            Some(toml::Value::Table(table)) => parse_table(table, "model.embedding")?,
            Some(other) => {
                let message = format!("`embedding` is {other}, expected a table: {{ dim = 8 }}");
                return Err(Error::config("model", message));
            }
            None => InputConfig::default(),
        };
        let first_order = match table.remove("first_order") {
            None => false,
            Some(toml::Value::Boolean(given)) => given,
            Some(other) => {
                let message = format!("`first_order` is {other}, expected true or false");
                return Err(Error::config("model", message));
            }
        };
        let domain = match table.remove("domain") {
            None => None,
            Some(toml::Value::String(name)) => Some(name),
            Some(other) => {
                let message = format!("`domain` is {other}, expected the name of a feature");
                return Err(Error::config("model", message));
            }
        };
        let is_own = |key: &str, value: &toml::Value| NAMES.contains(&key) && value.is_table();
        let (own, shared): (toml::Table, toml::Table) =
            table.into_iter().partition(|(key, value)| is_own(key, value));
        let table = Self { name, shared, embedding, first_order, domain, own };
        table.settings("").map_err(|error| table.mistyped_model().unwrap_or(error))?;
        for name in table.own.keys() {
            table.settings(name)?;
        }
        Ok(table)
    }

    /// A table that is nearly named like an architecture was to hold settings of that one.
    fn mistyped_model(&self) -> Option<Error> {
        let tables = self.shared.iter().filter(|(_, value)| value.is_table());
        let nearest = |(key, _): (&String, _)| {
            let nearest = mtl_feature::nearest_names(key, &NAMES);
            Some(format!("there is no model `{key}`; did you mean `{}`?", nearest.first()?))
        };
        let message = tables.filter_map(nearest).next()?;
        Some(Error::config("model", message))
    }

    /// The name that the table gives.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The settings of the architecture `name`.
    ///
    /// # Errors
    /// [`Error::Config`] for a setting of it that cannot be read.
    pub fn for_model(&self, name: &str) -> Result<ModelConfig> {
        Ok(ModelConfig {
            name: name.to_owned(),
            embedding: self.embedding.clone(),
            first_order: self.first_order,
            domain: self.domain.clone(),
            architecture: self.settings(name)?,
        })
    }

    fn settings(&self, name: &str) -> Result<ArchitectureConfig> {
        let mut table = self.shared.clone();
        let mut section = "model".to_owned();
        if let Some(toml::Value::Table(own)) = self.own.get(name) {
            table.extend(own.clone());
            section = format!("model.{name}");
        }
        parse_table(table, &section)
    }
}

/// A name that there is, or an error that suggests the nearest.
fn known(name: String) -> Result<String> {
    if NAMES.contains(&name.as_str()) {
        return Ok(name);
    }
    let nearest = mtl_feature::nearest_names(&name, &NAMES);
    let hint = nearest.first().map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    let message = format!("`name` is `{name}`, expected one of {}{hint}", NAMES.join(", "));
    Err(Error::config("model", message))
}

/// Everything about a model that is not learnt: its settings, its tasks and its chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// Name and settings.
    pub model: ModelConfig,
    /// The tasks, as the user ordered them.
    pub tasks: Vec<TaskConfig>,
    /// The behaviour graph over some towers, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainConfig>,
}

impl ModelSpec {
    /// Checks tasks and chain. With a chain, tasks may be none; those there are have towers of
    /// their own beside the chain's.
    ///
    /// # Errors
    /// [`Error::Config`] for a task that cannot be, or two towers or losses of one name;
    /// [`Error::Chain`] for a behaviour graph that cannot be.
    pub fn new(
        model: ModelConfig,
        tasks: Vec<TaskConfig>,
        chain: Option<ChainConfig>,
    ) -> Result<Self> {
        let spec = Self { model, tasks, chain };
        spec.check()?;
        Ok(spec)
    }

    fn check(&self) -> Result<()> {
        for task in &self.tasks {
            task.check()?;
        }
        let graph = self.behaviour_graph()?;
        let mut names: Vec<&str> = self.tasks.iter().map(|task| task.name.as_str()).collect();
        let mut losses = names.clone();
        if let Some(graph) = &graph {
            names.extend(graph.towers());
            losses.extend(graph.losses().into_iter().map(|(name, _)| name));
        }
        if names.is_empty() {
            let message = "there is none, expected at least one [[task]] or a [chain]";
            return Err(Error::config("task", message));
        }
        for (what, mut names) in [("tasks or towers", names.clone()), ("losses", losses)] {
            names.sort_unstable();
            if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(Error::config("task", format!("two {what} are named `{}`", pair[0])));
            }
        }
        let ModelConfig { name, architecture: settings, .. } = &self.model;
        if architecture::<f32>(name, settings, &names)?.input_kind() == InputKind::Domain {
            self.model.domain()?;
        }
        Ok(())
    }

    /// The chain, built.
    ///
    /// # Errors
    /// [`Error::Chain`].
    pub fn behaviour_graph(&self) -> Result<Option<BehaviourGraph>> {
        Ok(self.chain.as_ref().map(ChainConfig::build).transpose()?)
    }

    /// A task by name.
    pub fn task(&self, name: &str) -> Option<&TaskConfig> {
        self.tasks.iter().find(|task| task.name == name)
    }

    /// Every label that tasks and chain need, for the schema. A chain's label is the task of that
    /// name if there is one, else the column of that name, of 0 and 1.
    ///
    /// # Errors
    /// [`Error::Chain`].
    pub fn labels(&self) -> Result<Vec<LabelSpec>> {
        let mut labels: Vec<_> = self.tasks.iter().map(TaskConfig::label_spec).collect();
        if let Some(graph) = self.behaviour_graph()? {
            let own = graph.labels().into_iter().filter(|name| self.task(name).is_none());
            labels.extend(own.map(LabelSpec::binary));
        }
        Ok(labels)
    }
}
