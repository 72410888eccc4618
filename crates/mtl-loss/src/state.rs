//! The saved state of a weighting.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything a weighting remembers from step to step, for a checkpoint.
///
/// Plain names and numbers, so any serde format will do (one that keeps every bit of an `f64`, if
/// the resumed run is to be bit-identical). Learned values are included; the moments of the
/// optimiser that steps them are the trainer's, and so are the running gradients of DB-MTL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The method's name.
    pub method: String,
    /// The tasks, in order.
    pub tasks: Vec<String>,
    /// The remembered numbers by name.
    pub values: BTreeMap<String, Vec<f64>>,
}
