//! The input layer: features to x.

use mtl_nn::ops::{Embed, Part};
use mtl_nn::{GraphBuilder, Init, Scalar, Var};
use serde::{Deserialize, Serialize};

use crate::{Encoding, Error, Result, Schema};

/// How features become x.
///
/// | key | default | purpose | range |
/// |---|---|---|---|
/// | `dim` | 8 | columns of an embedding, unless the feature has its own `dim` | ≥ 1 |
/// | `bound` | 0.05 | embeddings start in U(−bound, bound) | ≥ 0 |
/// | `group` | every feature | the group of features that the model reads | |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputConfig {
    /// Columns of an embedding.
    pub dim: usize,
    /// The bound of the initial values.
    pub bound: f64,
    /// The group of features to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Default for InputConfig {
    fn default() -> Self {
        Self { dim: 8, bound: 0.05, group: None }
    }
}

impl InputConfig {
    /// Adds x = [embeddings and numbers of all features, in order of name] to a graph, as the node
    /// `<prefix>x`; rows × Σ columns. Its slots are named `feature.<name>`, its tables
    /// `<prefix>embedding.<name>.table`, ids × dim.
    ///
    /// # Errors
    /// [`Error::Setting`] for a width of 0, a bound that is no bound or a group without features;
    /// an error of the graph if the prefix was used before.
    pub fn build<S: Scalar>(
        &self,
        b: &mut GraphBuilder<S>,
        schema: &Schema,
        prefix: &str,
    ) -> Result<Var> {
        self.check()?;
        let mut parts = Vec::new();
        for feature in schema.features() {
            let (name, spec) = (feature.name(), feature.spec());
            if self.group.as_ref().is_some_and(|group| !spec.groups.contains(group)) {
                continue;
            }
            match feature.encoding().n_rows() {
                Some(n_rows) => {
                    let dim = spec.dim.unwrap_or(self.dim);
                    let path = format!("{prefix}embedding.{name}.table");
                    let table = b.table(path, n_rows, dim, Init::Uniform(self.bound))?;
                    parts.push((
                        name.to_owned(),
                        Part::Lookup { slot: b.ids(&slot(name)), table, dim },
                    ));
                }
                None => {
                    debug_assert!(matches!(feature.encoding(), Encoding::Scaling(_)));
                    for name in [Some(name.to_owned()), spec.indicator_name()].into_iter().flatten()
                    {
                        let part = Part::Values { slot: b.values(&slot(&name), 1)?, n_cols: 1 };
                        parts.push((name, part));
                    }
                }
            }
        }
        if parts.is_empty() {
            let value = self.group.as_deref().unwrap_or("none").to_owned();
            return Err(wrong("group", value, "a group with at least one feature"));
        }
        parts.sort_by(|a, b| a.0.cmp(&b.0));
        let parts = parts.into_iter().map(|(_, part)| part).collect();
        Ok(b.push(&format!("{prefix}x"), Embed::new(parts))?)
    }

    /// Adds the first-order term of the same features to a graph, as the node
    /// `<prefix>first_order`: one weight for each id (tables `<prefix>first_order.<name>.table`,
    /// ids × 1, from 0), rows × ids' features. `None` without a feature that has ids.
    ///
    /// # Errors
    /// As [`InputConfig::build`].
    pub fn build_first_order<S: Scalar>(
        &self,
        b: &mut GraphBuilder<S>,
        schema: &Schema,
        prefix: &str,
    ) -> Result<Option<Var>> {
        self.check()?;
        let mut parts = Vec::new();
        for feature in schema.features() {
            let in_group = self.group.as_ref().is_none_or(|g| feature.spec().groups.contains(g));
            let Some(n_rows) = feature.encoding().n_rows().filter(|_| in_group) else { continue };
            let path = format!("{prefix}first_order.{}.table", feature.name());
            let table = b.table(path, n_rows, 1, Init::Constant(0.0))?;
            parts.push(Part::Lookup { slot: b.ids(&slot(feature.name())), table, dim: 1 });
        }
        if parts.is_empty() {
            return Ok(None);
        }
        Ok(Some(b.push(&format!("{prefix}first_order"), Embed::new(parts))?))
    }

    fn check(&self) -> Result<()> {
        if self.dim == 0 {
            return Err(wrong("dim", "0".to_owned(), "at least 1"));
        }
        if !(self.bound >= 0.0 && self.bound.is_finite()) {
            return Err(wrong("bound", self.bound.to_string(), "a number ≥ 0"));
        }
        Ok(())
    }
}

/// The slot of a feature.
fn slot(name: &str) -> String {
    format!("{FEATURE_SLOT}{name}")
}

/// What the names of features' slots start with.
pub const FEATURE_SLOT: &str = "feature.";

/// What the names of labels' slots start with.
pub const LABEL_SLOT: &str = "label.";

/// The slot of the rows' weights.
pub const WEIGHT_SLOT: &str = "row.weight";

/// The slot of ids of the rows' groups: rows of one group have one number.
pub const GROUP_SLOT: &str = "row.group";

fn wrong(key: &'static str, value: String, expected: &str) -> Error {
    Error::Setting {
        owner: "the input layer".to_owned(),
        key,
        value,
        expected: expected.to_owned(),
    }
}
