//! What `[loss]` says.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use mtl_loss::{Setup, WeightingConfig};
use mtl_nn::Shared;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::run_settings::flatten;
use crate::{Error, Result};

/// The `[loss]` table.
///
/// | key | default | purpose |
/// |---|---|---|
/// | `weighting` | `"equal"` | a method of `mtl-loss`, by name or as a table `{ method = "gradnorm", alpha = 1.5 }` |
/// | `shared` | `"last_layer"` | over which shared parameters gradients are compared: `last_layer`, `dense`, `all`; or over which activations: `representation` |
/// | `watch` | none | every so many steps of an epoch, from its first, gradients are compared whatever the method: for the history, no bit of what is trained changes |
///
/// A task's own `weight` multiplies its loss before any method sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossConfig {
    /// The method; equal weights if absent.
    pub weighting: Option<WeightingConfig>,
    /// Over which shared parameters gradients are compared.
    pub shared: SharedParameters,
    /// Every how many steps of an epoch gradients are compared for the history alone, where the method
    /// does not compare them at each; never if absent.
    pub watch: Option<NonZeroUsize>,
}

/// See [`Shared`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedParameters {
    /// The weights of the last shared layers.
    #[default]
    LastLayer,
    /// All shared dense parameters.
    Dense,
    /// Tables too.
    All,
    /// The activations that the losses share and are computed from directly.
    Representation,
}

impl From<SharedParameters> for Shared {
    fn from(shared: SharedParameters) -> Self {
        match shared {
            SharedParameters::LastLayer => Self::LastLayer,
            SharedParameters::Dense => Self::Dense,
            SharedParameters::All => Self::All,
            SharedParameters::Representation => Self::Representation,
        }
    }
}

impl LossConfig {
    /// The method of that name, with its paper's settings.
    ///
    /// # Errors
    /// [`Error::Model`] for an unknown name, with the nearest that there is.
    pub fn named(method: &str) -> Result<Self> {
        let mut table = toml::Table::new();
        table.insert("method".to_owned(), method.into());
        let weighting = Some(mtl_model::parse_table(table, "loss")?);
        Ok(Self { weighting, ..Self::default() })
    }

    /// Checks the method's settings for losses of those names, and that the step can supply what it
    /// needs.
    ///
    /// # Errors
    /// [`Error::Weighting`] or [`Error::Model`], naming the setting.
    pub fn check(&self, names: &[String]) -> Result<()> {
        let Some(method) = &self.weighting else { return Ok(()) };
        let initial = vec![1.0; names.len()];
        let needs = method.build(&Setup { tasks: names, initial_losses: Some(&initial) })?.needs();
        let keeps = matches!(self.shared, SharedParameters::LastLayer | SharedParameters::Dense);
        if needs.running.is_some() && !keeps {
            let message = "`beta` above 0 keeps running gradients, which are those of dense \
                           parameters: expected `shared` to be `last_layer` or `dense`";
            let section = "loss".to_owned();
            return Err(mtl_model::Error::Config { section, message: message.to_owned() }.into());
        }
        Ok(())
    }

    /// Reads the table.
    ///
    /// # Errors
    /// [`Error::Model`] or [`Error::Weighting`] for an unknown or wrong key or method.
    pub fn parse(mut table: toml::Table) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Rest {
            #[serde(default)]
            shared: SharedParameters,
            watch: Option<NonZeroUsize>,
            #[serde(default, rename = "weighting")]
            _named_in_messages: Option<String>,
        }
        let weighting = match table.remove("weighting") {
            None => None,
            Some(toml::Value::String(name)) => Self::named(&name)?.weighting,
            Some(toml::Value::Table(table)) => {
                Some(mtl_model::parse_table(table, "loss.weighting")?)
            }
            Some(other) => {
                let message = format!(
                    "[loss] `weighting` is {other}, expected a name or {{ method = \"…\" }}"
                );
                return Err(Error::Config { file: "configuration".to_owned(), message });
            }
        };
        let rest: Rest = mtl_model::parse_table(table, "loss")?;
        Ok(Self { weighting, shared: rest.shared, watch: rest.watch })
    }

    /// Every setting that training depends on, by its key, as JSON writes it.
    pub(crate) fn settings(&self) -> BTreeMap<String, String> {
        let equal = json!({ "method": self.name() });
        let method = self.weighting.as_ref().map_or(equal, |method| json!(method));
        let mut settings = BTreeMap::new();
        flatten("loss.weighting", &method, &mut settings);
        flatten("loss.shared", &json!(self.shared), &mut settings);
        settings
    }

    /// The method's name.
    pub fn name(&self) -> &'static str {
        self.weighting.as_ref().map_or("equal", WeightingConfig::name)
    }
}
