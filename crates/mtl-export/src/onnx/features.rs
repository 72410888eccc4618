//! What feeds a graph's slots: inputs, and the transforms of numbers as nodes.

use std::collections::HashMap;

use mtl_feature::{Encoding, FEATURE_SLOT, FIRST_KNOWN, FittedFeature, MISSING, Quantiles};
use mtl_feature::{Scaling, Schema};

use super::writer::Writer;
use crate::{Error, Result};

/// The slots of a graph that a schema fills.
///
/// A feature with a vocabulary or a hash, or a part of a date, is an input of ids (batch, int64) of its name; a numeric
/// feature is an input of raw numbers (batch, float), NaN where the value is missing. Ages come in
/// standardised.
#[derive(Debug)]
pub(crate) struct Slots<'a> {
    schema: &'a Schema,
    written: HashMap<String, String>,
}

impl<'a> Slots<'a> {
    pub(crate) fn new(schema: &'a Schema) -> Self {
        Self { schema, written: HashMap::new() }
    }

    /// The ids of a slot, batch.
    pub(crate) fn ids(&mut self, slot: &str, to: &mut Writer) -> Result<String> {
        self.once(slot, |feature| match feature.encoding() {
            Encoding::Vocabulary(_) | Encoding::Hashed { .. } | Encoding::Part(_) => {
                Ok(to.id_input(feature.name(), None, "ids by the vocabulary beside this file"))
            }
            Encoding::Quantiles(quantiles) => {
                let x = to.float_input(feature.name(), NUMBER);
                Ok(bucket(feature.name(), quantiles, &x, to))
            }
            _ => Err(unwritable(feature.name(), "its encoding gives no ids")),
        })
    }

    /// The values of a slot, batch × 1.
    pub(crate) fn values(&mut self, slot: &str, to: &mut Writer) -> Result<String> {
        let is_indicator = self.feature(slot).is_none();
        self.once(slot, |feature| match feature.encoding() {
            Encoding::Scaling(scaling) => {
                let x = to.float_input(feature.name(), NUMBER);
                let y = match is_indicator {
                    true => {
                        let marks = is_nan(feature, &x, to);
                        to.node_with(feature.name(), "Cast", &[&marks], &[("to", FLOAT)])
                    }
                    false => scaled(feature.name(), scaling, &x, to),
                };
                Ok(to.column(feature.name(), &y))
            }
            Encoding::Age(scaling) => {
                let x = to.float_input(feature.name(), AGE);
                let (missing, is_missing) = (to.float(scaling.missing), is_nan(feature, &x, to));
                let y = match is_indicator {
                    true => to.node_with(feature.name(), "Cast", &[&is_missing], &[("to", FLOAT)]),
                    false => to.node(feature.name(), "Where", &[&is_missing, &missing, &x]),
                };
                Ok(to.column(feature.name(), &y))
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

/// A day is a small difference between large numbers, which an `f32` would blur.
const AGE: &str = "the standardised age by the file beside this one, NaN where it is missing";

/// ONNX's numbers for types.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

fn unwritable(name: &str, reason: &str) -> Error {
    Error::Unwritable { what: "feature", name: name.to_owned(), reason: reason.to_owned() }
}

fn is_nan(feature: &FittedFeature, x: &str, to: &mut Writer) -> String {
    to.node(feature.name(), "IsNaN", &[x])
}

/// 2 + the number of edges below x, or the id of a missing value.
fn bucket(name: &str, quantiles: &Quantiles, x: &str, to: &mut Writer) -> String {
    let n = quantiles.edges.len();
    let edges = to.floats(&format!("feature.{name}.edges"), &[1, n], &quantiles.edges);
    let column = to.column(name, x);
    let above = to.node(name, "Greater", &[&column, &edges]);
    let above = to.node_with(name, "Cast", &[&above], &[("to", INT64)]);
    let axes = to.integers(&[1]);
    let count = to.node_with(name, "ReduceSum", &[&above, &axes], &[("keepdims", 0)]);
    let first = to.integer(FIRST_KNOWN.into());
    let id = to.node(name, "Add", &[&count, &first]);
    let (missing, is_missing) = (to.integer(MISSING.into()), to.node(name, "IsNaN", &[x]));
    to.node(name, "Where", &[&is_missing, &missing, &id])
}

/// (f(x) − μ)/s in f32.
///
/// μ is taken away in two steps, its f32 and the rest: of a year near 2020 with a deviation of 5 the
/// first f32 of μ alone would be wrong by 1e-5 deviations.
fn scaled(name: &str, scaling: &Scaling, x: &str, to: &mut Writer) -> String {
    let mut y = x.to_owned();
    if scaling.log1p {
        let (sign, size) = (to.node(name, "Sign", &[x]), to.node(name, "Abs", &[x]));
        let one = to.float(1.0);
        let sum = to.node(name, "Add", &[&size, &one]);
        let log = to.node(name, "Log", &[&sum]);
        y = to.node(name, "Mul", &[&sign, &log]);
    }
    let high = scaling.shift as f32;
    for part in [high, (scaling.shift - f64::from(high)) as f32] {
        if part != 0.0 {
            let part = to.float(part);
            y = to.node(name, "Sub", &[&y, &part]);
        }
    }
    if scaling.scale != 1.0 {
        let scale = to.float(scaling.scale as f32);
        y = to.node(name, "Div", &[&y, &scale]);
    }
    let (missing, is_missing) = (to.float(scaling.missing), to.node(name, "IsNaN", &[x]));
    to.node(name, "Where", &[&is_missing, &missing, &y])
}
