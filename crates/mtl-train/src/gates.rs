//! How a trained model's gates use their experts.

use mtl_data::RowSource;
use mtl_model::Model;
use mtl_moe::{GateInfo, GateUse};
use serde::{Deserialize, Serialize};

use crate::Result;

/// A gate's use of its experts; none without rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// The gate's path.
    pub path: String,
    /// The paths of its experts.
    pub experts: Vec<String>,
    /// Mean weight of each expert; they sum to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilisation: Option<Vec<f64>>,
    /// Share of the rows in which each expert has the largest weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<Vec<f64>>,
    /// Mean entropy of a row's weights over ln(experts): 1 mixes evenly, 0 picks one expert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy: Option<f64>,
    /// Experts that the gate hardly uses.
    pub dead: Vec<String>,
}

/// Each gate's use of its experts on some rows.
///
/// # Errors
/// Rows without a feature that the model reads; what is wrong with a file.
pub fn gates<R: RowSource + ?Sized>(model: &Model, rows: &R) -> Result<Vec<Gate>> {
    let gate = |(info, used): (GateInfo, Option<GateUse>)| {
        let dead = used.iter().flat_map(|used| &used.dead).map(|&k| info.experts[k].clone());
        Gate {
            path: info.path,
            dead: dead.collect(),
            experts: info.experts,
            entropy: used.as_ref().and_then(|used| used.entropy),
            top: used.as_ref().map(|used| used.top.clone()),
            utilisation: used.map(|used| used.mean),
        }
    };
    if model.gates().is_empty() {
        return Ok(Vec::new());
    }
    // The first block that cannot be read ends the rows; it is told afterwards.
    let mut failed = None;
    let blocks = rows.blocks(None).map_while(|block| block.map_err(|e| failed = Some(e)).ok());
    let uses = model.gate_uses_of(blocks)?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(uses.into_iter().map(gate).collect()),
    }
}
