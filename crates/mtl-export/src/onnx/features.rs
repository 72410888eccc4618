//! What feeds a graph's slots: inputs, and the transforms of numbers as nodes.

use std::collections::HashMap;

use mtl_feature::{Encoding, FEATURE_SLOT, FIRST_KNOWN, FittedFeature, MISSING, Quantiles};
use mtl_feature::{Scaling, Schema};

use super::proto::DataType;
use super::writer::Writer;
use crate::{Error, Result};

/// The slots of a graph that a schema fills.
///
/// A feature with a vocabulary or a hash, or a part of a date, is an input of ids (batch, int64) of
/// its name; a sequence of ids is one of batch × `<name>.length`, places after the last item holding
/// [`NO_ITEM`]; a numeric feature is an input of raw numbers (batch, double), NaN where the value is
/// missing. Ages come in standardised.
#[derive(Debug)]
pub(crate) struct Slots<'a> {
    schema: &'a Schema,
    written: HashMap<String, String>,
}

/// What stands where a list has no item.
pub(super) const NO_ITEM: i64 = -1;

/// A slot of lists in a graph.
#[derive(Clone, Debug)]
pub(crate) struct List {
    /// Ids, batch × length, with 0 where there is no item.
    pub(crate) ids: String,
    /// 1 where there is an item and 0 elsewhere: floats, batch × length × 1.
    pub(crate) mask: String,
}

impl<'a> Slots<'a> {
    pub(crate) fn new(schema: &'a Schema) -> Self {
        Self { schema, written: HashMap::new() }
    }

    /// The ids of a slot, batch.
    pub(crate) fn ids(&mut self, slot: &str, to: &mut Writer) -> Result<String> {
        let schema = self.schema;
        self.once(slot, |feature| match schema.ids_of(feature).encoding() {
            Encoding::Vocabulary(_) | Encoding::Hashed { .. } | Encoding::Part(_) => {
                Ok(to.id_input(feature.name(), "ids by the vocabulary beside this file"))
            }
            Encoding::Quantiles(quantiles) => {
                let x = to.number_input(feature.name(), NUMBER);
                Ok(bucket(feature.name(), quantiles, &x, to))
            }
            _ => Err(unwritable(feature.name(), "its encoding gives no ids")),
        })
    }

    /// The lists of a slot.
    pub(crate) fn lists(&mut self, slot: &str, to: &mut Writer) -> Result<List> {
        let input = self.once(slot, |feature| Ok(to.list_input(feature.name(), LIST)))?;
        // A feature may be read by several tables, one set of nodes each.
        let (node, zero) = (format!("{input}.list"), to.integer(0));
        let is_item = to.node(&node, "GreaterOrEqual", &[&input, &zero]);
        let ids = to.node(&node, "Where", &[&is_item, &input, &zero]);
        let mask = to.cast(&node, &is_item, DataType::Float);
        let axes = to.integers(&[2]);
        Ok(List { ids, mask: to.node(&node, "Unsqueeze", &[&mask, &axes]) })
    }

    /// The values of a slot, batch × 1.
    pub(crate) fn values(&mut self, slot: &str, to: &mut Writer) -> Result<String> {
        let is_indicator = self.feature(slot).is_none();
        self.once(slot, |feature| match feature.encoding() {
            Encoding::Scaling(scaling) => {
                let (name, x) = (feature.name(), to.number_input(feature.name(), NUMBER));
                let y = match is_indicator {
                    true => to.node(name, "IsNaN", &[&x]),
                    false => scaled(name, scaling, &x, to),
                };
                let y = to.cast(name, &y, DataType::Float);
                Ok(to.column(name, &y))
            }
            Encoding::Age(scaling) => {
                let (name, x) = (feature.name(), to.number_input(feature.name(), AGE));
                let mut y = to.node(name, "IsNaN", &[&x]);
                if !is_indicator {
                    let missing = to.double(scaling.missing.into());
                    y = to.node(name, "Where", &[&y, &missing, &x]);
                }
                let y = to.cast(name, &y, DataType::Float);
                Ok(to.column(name, &y))
            }
            _ => Err(unwritable(feature.name(), "its encoding gives no numbers")),
        })
    }

    fn once(
        &mut self,
        slot: &str,
        write: impl FnOnce(&'a FittedFeature) -> Result<String>,
    ) -> Result<String> {
        if let Some(name) = self.written.get(slot) {
            return Ok(name.clone());
        }
        let owner = || self.feature(slot.strip_suffix(".missing")?);
        let feature = self.feature(slot).or_else(owner);
        let feature = feature.ok_or_else(|| Error::Slot { slot: slot.to_owned() })?;
        let name = write(feature)?;
        self.written.insert(slot.to_owned(), name.clone());
        Ok(name)
    }

    fn feature(&self, slot: &str) -> Option<&'a FittedFeature> {
        self.schema.feature(slot.strip_prefix(FEATURE_SLOT)?)
    }
}

const NUMBER: &str = "the raw number, NaN where it is missing";

const LIST: &str = "ids by the vocabulary beside this file, then -1";

const AGE: &str = "the standardised age by the file beside this one, NaN where it is missing";

fn unwritable(name: &str, reason: &str) -> Error {
    Error::Unwritable { what: "feature", name: name.to_owned(), reason: reason.to_owned() }
}

/// 2 + the number of edges below x, or the id of a missing value. Edges are f32, and so is what is
/// compared with them.
fn bucket(name: &str, quantiles: &Quantiles, x: &str, to: &mut Writer) -> String {
    let n = quantiles.edges.len();
    let edges = to.floats(&format!("feature.{name}.edges"), &[1, n], &quantiles.edges);
    let narrow = to.cast(name, x, DataType::Float);
    let column = to.column(name, &narrow);
    let above = to.node(name, "Greater", &[&column, &edges]);
    let above = to.cast(name, &above, DataType::Int64);
    let axes = to.integers(&[1]);
    let count = to.node_with(name, "ReduceSum", &[&above, &axes], &[("keepdims", 0)]);
    let first = to.integer(FIRST_KNOWN.into());
    let id = to.node(name, "Add", &[&count, &first]);
    let (missing, is_missing) = (to.integer(MISSING.into()), to.node(name, "IsNaN", &[x]));
    to.node(name, "Where", &[&is_missing, &missing, &id])
}

/// (f(x) − μ)/s in f64, as the model transforms: of a time in seconds, f32 would keep minutes.
///
/// μ is taken away in two steps, its f32 and the rest, which in f64 is exact. A runtime that knows
/// f32 alone then errs by x's own rounding, and not by that of a μ near 2020 whose deviation is 5.
fn scaled(name: &str, scaling: &Scaling, x: &str, to: &mut Writer) -> String {
    let mut y = x.to_owned();
    if scaling.log1p {
        let (sign, size) = (to.node(name, "Sign", &[x]), to.node(name, "Abs", &[x]));
        let one = to.double(1.0);
        let sum = to.node(name, "Add", &[&size, &one]);
        let log = to.node(name, "Log", &[&sum]);
        y = to.node(name, "Mul", &[&sign, &log]);
    }
    let high = f64::from(scaling.shift as f32);
    for part in [high, scaling.shift - high] {
        if part != 0.0 {
            let part = to.double(part);
            y = to.node(name, "Sub", &[&y, &part]);
        }
    }
    if scaling.scale != 1.0 {
        let scale = to.double(scaling.scale);
        y = to.node(name, "Div", &[&y, &scale]);
    }
    let (missing, is_missing) = (to.double(scaling.missing.into()), to.node(name, "IsNaN", &[x]));
    to.node(name, "Where", &[&is_missing, &missing, &y])
}
