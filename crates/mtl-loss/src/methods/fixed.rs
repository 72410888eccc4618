//! **Fixed**: w_t given.
//!
//! Source: none; the weighted sum. Cost: nothing. Choose it when a product decision fixes the exchange
//! rate between the tasks, or to replay the weights that a search found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Setup;
use crate::setting::{non_negative, per_task};
use crate::{Active, Error, Needs, OwnWeight, Weighting};

/// Settings of the fixed weighting.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FixedConfig {
    /// Weight by task, at least 0; 1 for tasks not listed.
    pub weights: BTreeMap<String, f64>,
}

impl FixedConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> Result<Fixed, Error> {
        for (task, &weight) in &self.weights {
            non_negative("fixed", &format!("weights.{task}"), weight)?;
        }
        Ok(Fixed { weights: per_task("fixed", "weights", 1.0, &self.weights, setup.tasks)? })
    }
}

#[derive(Debug)]
pub(crate) struct Fixed {
    weights: Vec<f64>,
}

impl Weighting for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::SameAsShared
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        for (weight, &task) in weights.iter_mut().zip(active.tasks) {
            *weight = self.weights[task];
        }
        Ok(())
    }
}
