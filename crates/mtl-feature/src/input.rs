//! The input layer: features to x.

use std::collections::BTreeMap;

use mtl_nn::ops::{
    Concat, Embed, EmbedList, MaxPool, Part, TargetAttention, TargetAttentionParams,
};
use mtl_nn::{GraphBuilder, Init, ListSlot, Role, Scalar, TableId, Var};
use serde::{Deserialize, Serialize};

use crate::{AttentionConfig, Error, FittedFeature, Pooling, Result, Schema};

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
    /// `<prefix>embedding.<name>.table`, ids × dim, and the layers of a sequence's attention
    /// `<prefix>attention.<name>.<i>.{weight, bias}`.
    ///
    /// # Errors
    /// [`Error::Setting`] for a width of 0, a bound that is no bound, a group without features, or a
    /// target that is not read or not as wide as its sequence; an error of the graph if the prefix
    /// was used before.
    pub fn build<S: Scalar>(
        &self,
        b: &mut GraphBuilder<S>,
        schema: &Schema,
        prefix: &str,
    ) -> Result<Var> {
        self.check()?;
        let mut layer = InputLayer { config: self, schema, prefix, tables: BTreeMap::new() };
        let mut parts = Vec::new();
        for feature in self.features(schema) {
            layer.add(b, feature, &mut parts)?;
        }
        if parts.is_empty() {
            let value = self.group.as_deref().unwrap_or("none").to_owned();
            return Err(wrong("group", value, "a group with at least one feature"));
        }
        parts.sort_by(|a, b| a.0.cmp(&b.0));
        layer.concatenate(b, parts)
    }

    /// The features of the group, in order of name.
    fn features<'s>(&self, schema: &'s Schema) -> impl Iterator<Item = &'s FittedFeature> {
        let in_group =
            |f: &&FittedFeature| self.group.as_ref().is_none_or(|g| f.spec().groups.contains(g));
        schema.features().iter().filter(in_group)
    }

    /// Adds the first-order term of the same features to a graph, as the node
    /// `<prefix>first_order`: one weight for each id (tables `<prefix>first_order.<name>.table`,
    /// ids × 1, from 0; of a sequence, the mean of its items'), rows × ids' features. `None` without a feature that has ids.
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
        let mut tables = BTreeMap::new();
        for feature in self.features(schema) {
            let owner = schema.ids_of(feature);
            let Some(n_rows) = owner.encoding().n_rows() else { continue };
            let table = match tables.get(owner.name()) {
                Some(&table) => table,
                None => {
                    let path = format!("{prefix}first_order.{}.table", owner.name());
                    let table = b.table(path, n_rows, 1, Init::Constant(0.0))?;
                    tables.insert(owner.name(), table);
                    table
                }
            };
            let name = slot(feature.name());
            parts.push(match feature.is_sequence() {
                true => {
                    let slot = b.lists(&name, feature.spec().longest())?;
                    Part::Pooled { slot, table, dim: 1, mean: true }
                }
                false => Part::Lookup { slot: b.ids(&name), table, dim: 1 },
            });
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

/// The input layer while it is built.
struct InputLayer<'a> {
    config: &'a InputConfig,
    schema: &'a Schema,
    prefix: &'a str,
    /// By the name of the feature that owns it.
    tables: BTreeMap<&'a str, (TableId, usize)>,
}

/// What stands at one place of x.
enum Input {
    /// Read from slots and tables, by the one op that reads all such.
    Part(Part),
    /// Computed from a sequence: its slot, its table and that table's columns.
    Pooled { slot: ListSlot, table: TableId, dim: usize },
}

impl<'a> InputLayer<'a> {
    /// The table of a feature's ids and its columns.
    fn table<S: Scalar>(
        &mut self,
        b: &mut GraphBuilder<S>,
        feature: &'a FittedFeature,
    ) -> Result<Option<(TableId, usize)>> {
        let owner = self.schema.ids_of(feature);
        let Some(n_rows) = owner.encoding().n_rows() else { return Ok(None) };
        if let Some(&known) = self.tables.get(owner.name()) {
            return Ok(Some(known));
        }
        let dim = owner.spec().dim.unwrap_or(self.config.dim);
        let path = format!("{}embedding.{}.table", self.prefix, owner.name());
        let table = b.table(path, n_rows, dim, Init::Uniform(self.config.bound))?;
        self.tables.insert(owner.name(), (table, dim));
        Ok(Some((table, dim)))
    }

    fn add<S: Scalar>(
        &mut self,
        b: &mut GraphBuilder<S>,
        feature: &'a FittedFeature,
        parts: &mut Vec<(String, Input)>,
    ) -> Result<()> {
        let (name, spec) = (feature.name(), feature.spec());
        let Some((table, dim)) = self.table(b, feature)? else {
            for name in [Some(name.to_owned()), spec.indicator_name()].into_iter().flatten() {
                let part = Part::Values { slot: b.values(&slot(&name), 1)?, n_cols: 1 };
                parts.push((name, Input::Part(part)));
            }
            return Ok(());
        };
        let input = if !feature.is_sequence() {
            Input::Part(Part::Lookup { slot: b.ids(&slot(name)), table, dim })
        } else {
            let slot = b.lists(&slot(name), spec.longest())?;
            match spec.pooling.unwrap_or_default() {
                Pooling::Mean => Input::Part(Part::Pooled { slot, table, dim, mean: true }),
                Pooling::Sum => Input::Part(Part::Pooled { slot, table, dim, mean: false }),
                Pooling::Max | Pooling::Din => Input::Pooled { slot, table, dim },
            }
        };
        parts.push((name.to_owned(), input));
        Ok(())
    }

    /// All parts side by side. What is read needs no copy; what is computed is put between it.
    fn concatenate<S: Scalar>(
        &self,
        b: &mut GraphBuilder<S>,
        inputs: Vec<(String, Input)>,
    ) -> Result<Var> {
        let mut read: Vec<Part> = Vec::new();
        let (mut places, mut n_read) = (BTreeMap::new(), 0);
        for (name, input) in &inputs {
            if let Input::Part(part) = input {
                places.insert(name.as_str(), (n_read, part.n_cols()));
                n_read += part.n_cols();
                read.push(*part);
            }
        }
        let node = format!("{}x", self.prefix);
        if read.len() == inputs.len() {
            return Ok(b.push(&node, Embed::new(read))?);
        }
        let read = match read.is_empty() {
            true => None,
            false => Some(b.push(&format!("{}embed", self.prefix), Embed::new(read))?),
        };
        let target = |name: &str| {
            let &(start, n) = places.get(name)?;
            read.map(|read| read.columns(start, n))
        };
        let mut columns: Vec<Var> = Vec::new();
        for (name, input) in &inputs {
            columns.push(match (input, target(name)) {
                (Input::Part(_), Some(columns)) => columns,
                (Input::Part(_), None) => continue,
                (&Input::Pooled { slot, table, dim }, _) => {
                    self.pooled(b, name, (slot, table, dim), &target)?
                }
            });
        }
        Ok(b.push(&node, Concat::new(joined(columns)))?)
    }

    /// The node of a sequence that is pooled by its items' values.
    fn pooled<S: Scalar>(
        &self,
        b: &mut GraphBuilder<S>,
        name: &str,
        (slot, table, dim): (ListSlot, TableId, usize),
        target: &impl Fn(&str) -> Option<Var>,
    ) -> Result<Var> {
        let prefix = self.prefix;
        let spec = self.schema.feature(name).map(FittedFeature::spec);
        let longest = spec.map_or(1, |spec| spec.longest());
        let items = EmbedList::new(slot, longest, table, dim);
        let h = b.push(&format!("{prefix}sequence.{name}"), items)?;
        let node = format!("{prefix}pooled.{name}");
        let Some((spec, of)) = spec.and_then(|spec| Some((spec, spec.target.as_deref()?))) else {
            return Ok(b.push(&node, MaxPool::new(h, slot, dim))?);
        };
        let t = target(of).filter(|t| t.n_cols() == dim);
        let Some(t) = t else {
            let group =
                self.config.group.as_deref().map_or(String::new(), |g| format!(" of group `{g}`"));
            let expected = format!("a feature{group} whose `dim` is the sequence's, {dim}");
            return Err(spec.wrong_target(&expected));
        };
        let settings = attention(b, prefix, name, dim, spec.attention.clone().unwrap_or_default())?;
        Ok(b.push(&node, TargetAttention::new(h, slot, t, settings))?)
    }
}

/// Columns that follow one another become one.
fn joined(columns: Vec<Var>) -> Vec<Var> {
    let mut joined: Vec<Var> = Vec::new();
    for next in columns {
        match joined.last_mut() {
            Some(last)
                if last.node() == next.node() && last.start() + last.n_cols() == next.start() =>
            {
                *last = last.widen(last.n_cols() + next.n_cols());
            }
            _ => joined.push(next),
        }
    }
    joined
}

/// The layers of an activation unit.
fn attention<S: Scalar>(
    b: &mut GraphBuilder<S>,
    prefix: &str,
    name: &str,
    dim: usize,
    config: AttentionConfig,
) -> Result<TargetAttentionParams> {
    let AttentionConfig { mut units, activation, softmax } = config;
    units.push(1);
    let (mut layers, mut n_in) = (Vec::with_capacity(units.len()), 4 * dim);
    for (i, &n_out) in units.iter().enumerate() {
        let path = format!("{prefix}attention.{name}.{i}");
        let weight = (n_in, n_out);
        let weight =
            b.param(format!("{path}.weight"), weight, Role::Weight, Init::GlorotUniform)?;
        let zero = Init::Constant(0.0);
        layers.push((weight, b.param(format!("{path}.bias"), (1, n_out), Role::Bias, zero)?));
        n_in = n_out;
    }
    Ok(TargetAttentionParams { layers, units, activation, softmax })
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
